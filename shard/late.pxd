# Compiled as it is: while a key is held all commands come by here.

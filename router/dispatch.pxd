# Compiled as it is: it is on the way of MULTI and EXEC, and of all that is no plain command of one key.

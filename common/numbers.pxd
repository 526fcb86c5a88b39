# The C types of numbers.py: reading an integer is a C call.

cpdef integer(word)
cpdef maybe_integer(word)

# The C types of idle.py: its attribute as a C field, which keyspace.py reads with every command.

cdef class IdleClocks:
    cdef public list slots

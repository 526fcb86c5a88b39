# The C types of idle.py: its attributes as C fields, which keyspace.py reads with every command.

cdef class IdleClocks:
    cdef public list parts
    cdef public long long room
    cdef public int _doubled

    cpdef touch(self, bytes key, long long clock_s)

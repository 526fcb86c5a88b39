# The C types of idle.py: its attributes as C fields, which keyspace.py reads with every command.

import cython


cdef class IdleClocks:
    cdef public list parts
    cdef public long long room
    cdef public int _doubled

    @cython.locals(number=cython.Py_ssize_t)
    cpdef touch(self, bytes key, long long clock_s)
    @cython.locals(number=cython.Py_ssize_t)
    cpdef long long clock(self, bytes key) except -1

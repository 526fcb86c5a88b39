# The C types of log_reader.py: the loop over the lines of a log, which a start waits for.

import cython


cdef class LogReader:
    cdef public long long databases
    cdef public long long fed_bytes
    cdef public int _db
    cdef public bytes _rest
    cdef public list _argv
    cdef public Py_ssize_t _missing
    cdef public long long _start
    cdef public long long _length
    cdef public list _parts
    cdef public long long _parts_bytes
    cdef public list _group
    cdef public long long _group_start

    @cython.locals(lengths=dict, counts=dict, argv=list, missing=Py_ssize_t, at=Py_ssize_t, last=Py_ssize_t,
                   start=Py_ssize_t, group_start=Py_ssize_t, runs=list, commands=list, value=bytes)
    cpdef list _take(self, list pieces)

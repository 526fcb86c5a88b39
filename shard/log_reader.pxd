# The C types of log_reader.py: the loops over a log, which a start waits for.

import cython

cdef Py_ssize_t STAR, DOLLAR, ZERO, NINE, CR, LF, DIGITS_MAX


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

    @cython.locals(view="const unsigned char *", length=Py_ssize_t, before=cython.longlong, argv=list,
                   missing=Py_ssize_t, start=cython.longlong, pos=Py_ssize_t, end=Py_ssize_t, size=Py_ssize_t,
                   first=Py_ssize_t, commands=list, outside=cython.bint)
    cpdef Py_ssize_t _scan(self, bytes data, list runs) except -1
    @cython.locals(lengths=dict, counts=dict, argv=list, missing=Py_ssize_t, at=Py_ssize_t, last=Py_ssize_t,
                   start=Py_ssize_t, group_start=Py_ssize_t, commands=list, value=bytes)
    cpdef _take(self, list pieces, list runs)

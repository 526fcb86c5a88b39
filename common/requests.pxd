# The C types of requests.py: what makes the same file several times as fast where a C compiler is.

import cython

cdef Py_ssize_t STAR, DOLLAR, ZERO, NINE, CR, LF
cdef Py_ssize_t UNAUTHENTICATED_ARGUMENTS_MAX, SMALL_SIZE_BYTES_MAX, LARGE_SIZE_BYTES


cdef class Requests:
    cdef public object bulk_size_bytes_max
    cdef public Py_ssize_t query_size_bytes_max
    cdef public bint authenticated
    cdef public bint large
    cdef public bint stopped
    cdef public Py_ssize_t query_size_bytes
    cdef bytes _rest
    cdef list _argv
    cdef Py_ssize_t _missing
    cdef object _bulk
    cdef Py_ssize_t _bulk_missing

    @cython.locals(commands=list, received=Py_ssize_t, pos=Py_ssize_t, length=Py_ssize_t, after=Py_ssize_t)
    cpdef list feed(self, bytes data)

    @cython.locals(view="const unsigned char *", length=Py_ssize_t, argv=list, missing=Py_ssize_t, count=Py_ssize_t,
                   size=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t)
    cdef Py_ssize_t _scan_bytes(self, bytes data, Py_ssize_t pos, list commands) except -2

    @cython.locals(argv=list, left=Py_ssize_t, done=Py_ssize_t, start=Py_ssize_t)
    cdef Py_ssize_t _scan_marks(self, bytes data, Py_ssize_t pos, list commands) except -2

    cdef Py_ssize_t _step(self, bytes data, Py_ssize_t pos, list commands) except -2

    @cython.locals(end=Py_ssize_t)
    cdef Py_ssize_t _count(self, bytes data, Py_ssize_t pos) except -2

    @cython.locals(end=Py_ssize_t, start=Py_ssize_t)
    cdef Py_ssize_t _argument(self, bytes data, Py_ssize_t pos, list commands) except -2

    @cython.locals(end=Py_ssize_t, argv=list)
    cdef Py_ssize_t _line(self, bytes data, Py_ssize_t pos, list commands) except -2

    @cython.locals(missing=Py_ssize_t, piece=bytes, argument=bytes)
    cdef Py_ssize_t _collect(self, bytes data, list commands) except -2

    cdef void _add(self, bytes argument, list commands) except *


cdef Py_ssize_t header_end(bytes data, Py_ssize_t pos, str too_big) except -2

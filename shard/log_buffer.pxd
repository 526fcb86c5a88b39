# The C types of log_buffer.py: every write is appended here.

cimport cython

cdef list HEADS


cdef class LogBuffer:
    cdef long long _db
    cdef list _pieces
    cdef list _gathered

    @cython.locals(count=cython.Py_ssize_t, i=cython.Py_ssize_t, j=cython.Py_ssize_t, k=cython.Py_ssize_t)
    cpdef append(self, long long db, argv)
    cpdef append_group(self, entries)
    cdef _take(self, LogBuffer other)
    cdef _select(self, long long db)


cpdef bytes encode(argv)


@cython.locals(pieces=list, parts=list, size=cython.Py_ssize_t)
cpdef list encoded(argv)

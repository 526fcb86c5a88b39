# The C types of field_times.py: finding a time's place is C arithmetic and a comparison of bytes.

cimport cython
from shard.values.buckets cimport Buckets


cdef class FieldTimes:
    cdef public Buckets times
    cdef public list runs

    cpdef get(self, bytes field)
    @cython.locals(entry=bytes, place=Py_ssize_t, run=list, middle=Py_ssize_t)
    cpdef set(self, bytes field, at_ms)
    cpdef bint discard(self, bytes field) except -1
    cpdef first_ms(self)
    @cython.locals(entry=bytes, place=Py_ssize_t, run=list)
    cdef _leave(self, bytes field, at_ms)
    @cython.locals(runs=list, run=list, low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t)
    cdef Py_ssize_t _run_of(self, bytes entry) except -1

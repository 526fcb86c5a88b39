# The C types of encoding.py: a hash of many is read and written a string at a time.

cimport cython
from common.numbers cimport maybe_integer
from shard.rdb cimport lzf


cdef class Reader:
    cdef public bytes data
    cdef public Py_ssize_t at

    cpdef Py_ssize_t left(self) except -1
    cpdef int byte(self) except -1
    @cython.locals(start=Py_ssize_t)
    cpdef bytes take(self, Py_ssize_t size)
    @cython.locals(kind=cython.int)
    cpdef length(self)
    cpdef count(self)
    @cython.locals(at=Py_ssize_t, kind=cython.int)
    cpdef bytes string(self)
    cpdef bytes _compressed(self)
    cpdef integer(self, int size)
    cpdef double real(self) except? -1


cdef class Writer:
    cdef public list parts
    cdef public bint compressing

    cpdef length(self, number)
    @cython.locals(size=Py_ssize_t, packed=bytes)
    cpdef string(self, bytes text)
    cpdef integer(self, number)
    cpdef real(self, double number)
    cpdef raw(self, bytes data)


cpdef bytes length(number)
cdef bytes _integer(long long number)

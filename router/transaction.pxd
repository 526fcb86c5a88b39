# The C types of transaction.py: what every queued command passes as C fields.

import cython

from router.batch cimport Batch, Route


cdef class Transaction:
    cdef public long long size_bytes
    cdef public long long words
    cdef public list queued
    cdef public dict unusual
    cdef public bint broken
    cdef public bint executing
    cdef public object db

    @cython.locals(first=Py_ssize_t, count=Py_ssize_t, queued=list, steps=list, route=Route, found=Route, argv=list, words=Py_ssize_t)
    cpdef Py_ssize_t collect(self, Batch batch, list commands, Py_ssize_t place, dict routes) except -1

# The C types of list.py.

cimport cython
from shard.values cimport listpack
from shard.values.list_nodes cimport place_of, places_of, remove_from
from shard.values.quicklist cimport Quicklist, exceeds, exceeds_half


cdef class List:
    cdef public bytearray pack
    cdef public Quicklist many

    @cython.locals(pack=bytearray, at=Py_ssize_t, text=bytes)
    cpdef push(self, texts, Py_ssize_t end, Py_ssize_t fill)
    @cython.locals(pack=bytearray, at=Py_ssize_t, text=bytes)
    cpdef bytes pop(self, Py_ssize_t end)
    cpdef list pop_some(self, Py_ssize_t count, Py_ssize_t end)
    cpdef list drop(self, Py_ssize_t count, Py_ssize_t end)
    cpdef bytes index(self, Py_ssize_t index)
    cpdef list range(self, Py_ssize_t first, Py_ssize_t count)
    cpdef set(self, Py_ssize_t index, bytes text)
    cpdef bint insert(self, bytes pivot, bytes text, bint after) except -1
    cpdef Py_ssize_t remove(self, bytes text, Py_ssize_t most, Py_ssize_t end) except -1
    @cython.locals(size_bytes=Py_ssize_t, count=Py_ssize_t, text=bytes)
    cpdef grow(self, texts, Py_ssize_t fill)
    cpdef shrink(self, Py_ssize_t fill)

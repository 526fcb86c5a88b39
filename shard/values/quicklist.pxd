# The C types of quicklist.py: its attributes as C fields, and calls without a look-up by name.

cimport cython
from shard.values cimport listpack
from shard.values.list_nodes cimport count_of, place_of, remove_from

cpdef bint exceeds(Py_ssize_t fill, Py_ssize_t size_bytes, Py_ssize_t count) except -1
cpdef bint exceeds_half(Py_ssize_t fill, Py_ssize_t size_bytes, Py_ssize_t count) except -1


cdef class Shelf:
    cdef public list nodes
    cdef public Py_ssize_t count


cdef class Quicklist:
    cdef public list shelves
    cdef public Py_ssize_t count
    cdef public Py_ssize_t fill
    cdef public Py_ssize_t large_bytes

    @cython.locals(size=Py_ssize_t, encoded=bytes, shelf=Shelf, pack=bytearray)
    cpdef push(self, bytes text, Py_ssize_t end)
    @cython.locals(shelves=list, shelf=Shelf)
    cpdef push_node(self, node, Py_ssize_t count, Py_ssize_t end)
    @cython.locals(shelf=Shelf, at=Py_ssize_t, text=bytes)
    cpdef bytes pop(self, Py_ssize_t end)
    @cython.locals(shelf=Shelf, number=Py_ssize_t, place=Py_ssize_t, offset=Py_ssize_t)
    cpdef bytes index(self, Py_ssize_t index)
    @cython.locals(found=list, nodes=list, number=Py_ssize_t, place=Py_ssize_t, offset=Py_ssize_t, shelf=Shelf)
    cpdef list range(self, Py_ssize_t first, Py_ssize_t count)
    @cython.locals(shelves=list, number=Py_ssize_t, behind=Py_ssize_t, shelf=Shelf)
    cpdef tuple _find(self, Py_ssize_t index)
    @cython.locals(shelf=Shelf, nodes=list, place=Py_ssize_t, behind=Py_ssize_t, size=Py_ssize_t)
    cpdef tuple _find_within(self, Py_ssize_t number, Py_ssize_t index)
    cpdef bint has_room(self, node, Py_ssize_t size) except -1

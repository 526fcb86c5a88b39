# The C types of list_nodes.py: places and numbers as C integers.

cimport cython
from shard.values cimport listpack

cdef Py_ssize_t _END, _FIRST
cdef list _SMALL_INTEGERS

cpdef Py_ssize_t count_of(node) except -1
@cython.locals(back=Py_ssize_t, at=Py_ssize_t, size=Py_ssize_t, kind=cython.int, view="const unsigned char *")
cpdef Py_ssize_t place_of(bytearray pack, Py_ssize_t number) except -1
@cython.locals(at=Py_ssize_t, places=list, size=Py_ssize_t)
cpdef list places_of(bytearray pack, bytes encoded)
@cython.locals(places=list)
cpdef Py_ssize_t remove_from(node, bytes text, bytes encoded, Py_ssize_t most, Py_ssize_t end) except -1

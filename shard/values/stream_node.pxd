# The C types of stream_node.py: places as C integers, and the walk over a body as C bytes.

cimport cython
from shard.values.listpack cimport entry, following, text

cdef Py_ssize_t _DELETED, _SAME_FIELDS, _SMALL_MAX, _HEADER_BYTES, _ID_ENTRIES
cdef list _SMALL, _SMALL_ENTRIES


cdef class Node:
    cdef public object ms
    cdef public object sequence
    cdef public Py_ssize_t count
    cdef public Py_ssize_t deleted
    cdef public bytearray body
    cdef public object offsets

    @cython.locals(count=Py_ssize_t, values=list, parts=list)
    cpdef append(self, id_, bint same_fields, words)
    cpdef Py_ssize_t size_bytes(self) except -1
    @cython.locals(low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t)
    cpdef Py_ssize_t place(self, id_) except -1
    @cython.locals(body=bytearray, at=Py_ssize_t)
    cpdef id_at(self, Py_ssize_t place)
    @cython.locals(at=Py_ssize_t)
    cpdef bint is_there(self, Py_ssize_t place) except -1
    @cython.locals(place=Py_ssize_t)
    cpdef Py_ssize_t find(self, id_) except? -1
    cpdef remove(self, Py_ssize_t place)
    @cython.locals(place=Py_ssize_t)
    cpdef first_id(self)
    @cython.locals(place=Py_ssize_t)
    cpdef last_id(self)
    @cython.locals(place=Py_ssize_t, count=Py_ssize_t, fields=tuple)
    cpdef collect(self, list found, start, end, Py_ssize_t limit)
    @cython.locals(place=Py_ssize_t, fields=tuple)
    cpdef collect_back(self, list found, start, end, Py_ssize_t limit)
    @cython.locals(at=Py_ssize_t, end=Py_ssize_t, found=list, words=list)
    cpdef list _words(self, Py_ssize_t place, tuple fields)

cdef bytes _integer(number)
@cython.locals(kind=cython.int)
cdef object _number(bytearray body, Py_ssize_t at)
@cython.locals(view="const unsigned char *", kind=cython.int, size=Py_ssize_t, found=list)
cdef list _texts(bytearray body, Py_ssize_t at, Py_ssize_t end)

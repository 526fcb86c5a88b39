# The C types of buckets.py: finding a key's bucket is C arithmetic.

cimport cython


cdef class Buckets:
    cdef public list parts
    cdef public Py_ssize_t size
    cdef public Py_ssize_t mask
    cdef public Py_ssize_t split
    cdef public Py_ssize_t largest

    @cython.locals(bits=cython.Py_ssize_t, number=cython.Py_ssize_t)
    cdef Py_ssize_t _number(self, bytes key) except -1
    @cython.locals(part=dict)
    cpdef get(self, bytes key, default=*)
    @cython.locals(part=dict, before=cython.Py_ssize_t)
    cpdef bint put(self, bytes key, value) except -1
    @cython.locals(part=dict)
    cpdef pop(self, bytes key, default=*)
    @cython.locals(wider=cython.Py_ssize_t, staying=dict, leaving=dict)
    cdef _split_one(self)
    @cython.locals(part=dict)
    cdef _join_one(self)
    cpdef Buckets copy(self)
    @cython.locals(keys=list, mask=cython.Py_ssize_t, number=cython.Py_ssize_t, bit=cython.Py_ssize_t)
    cpdef tuple scan(self, cursor, Py_ssize_t count)
    @cython.locals(parts=list, part=dict, bound=cython.Py_ssize_t, place=cython.Py_ssize_t)
    cpdef bytes random_key(self, random)


cdef Py_ssize_t HASH_SHIFT, _AVERAGE_MAX, _AVERAGE_MIN

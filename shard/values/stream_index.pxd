# The C types of stream_index.py: what is asked for every entry without a look-up by name.

cimport cython


cdef class Index:
    cdef public list keys
    cdef public list values
    cdef public list lows
    cdef public Py_ssize_t size

    @cython.locals(block=Py_ssize_t, at=Py_ssize_t, keys=list)
    cpdef get(self, key)
    @cython.locals(block=Py_ssize_t, at=Py_ssize_t, keys=list, values=list)
    cpdef put(self, key, value)
    @cython.locals(block=Py_ssize_t, at=Py_ssize_t, keys=list)
    cpdef pop(self, key)
    cpdef first(self)
    cpdef last(self)
    @cython.locals(block=Py_ssize_t, at=Py_ssize_t)
    cpdef floor(self, key)
    @cython.locals(block=Py_ssize_t, at=Py_ssize_t)
    cpdef ceiling(self, key)
    cpdef containers(self)
    @cython.locals(block=Py_ssize_t, at=Py_ssize_t)
    cpdef tuple _place(self, key)
    cpdef _add_block(self, Py_ssize_t block, list keys, list values)
    cpdef _remove_block(self, Py_ssize_t block)
    @cython.locals(half=Py_ssize_t, keys=list, values=list)
    cpdef _cut(self, Py_ssize_t block)
    @cython.locals(first=Py_ssize_t)
    cpdef _join(self, Py_ssize_t block)

# The C types of lzf.py: places and bytes as C integers.

cimport cython

cdef Py_ssize_t _RUN_MAX, _OFFSET_MAX, _MATCH_MAX, _EXPANSION_MAX, _TABLE_MASK
cdef unsigned long long[::1] _table
cdef unsigned long long _seen

@cython.locals(found=bytearray, at=Py_ssize_t, kind=Py_ssize_t, length=Py_ssize_t, run=bytes)
cpdef bytes decompress(bytes data, Py_ssize_t size)
@cython.locals(start=Py_ssize_t, piece=bytearray)
cdef _repeat(bytearray found, Py_ssize_t back, Py_ssize_t length)
@cython.locals(size=Py_ssize_t, view="const unsigned char *", table="unsigned long long[::1]", out=bytearray,
               base="unsigned long long", seen="unsigned long long", run=Py_ssize_t, at=Py_ssize_t, slot=Py_ssize_t,
               before=Py_ssize_t, length=Py_ssize_t)
cpdef bytes compress(bytes text, Py_ssize_t size_max)
@cython.locals(number=Py_ssize_t)
cdef Py_ssize_t _slot(const unsigned char *view, Py_ssize_t at) noexcept
@cython.locals(longest=Py_ssize_t, length=Py_ssize_t)
cdef Py_ssize_t _match(const unsigned char *view, Py_ssize_t before, Py_ssize_t at, Py_ssize_t size) noexcept
cdef _refer(bytearray out, Py_ssize_t offset, Py_ssize_t length)
cdef Py_ssize_t _longer(bytearray out, Py_ssize_t run) except -1
cdef _close(bytearray out, Py_ssize_t run)

# The C types of listpack.py: places and sizes as C integers, and calls without a look-up by name.

cimport cython
from common.numbers cimport maybe_integer

cdef Py_ssize_t _END, _HEADER_BYTES, _UNKNOWN_COUNT, _INTEGER_DIGITS_MAX
cdef tuple _INTEGER_BYTES
cdef list _SMALL_INTEGERS, _SMALL_ENTRIES

cpdef bytearray new()
@cython.locals(size=Py_ssize_t)
cpdef bytes entry(bytes text)
@cython.locals(at=Py_ssize_t, number=Py_ssize_t)
cpdef Py_ssize_t count(bytearray pack) except -1
cpdef Py_ssize_t first(bytearray pack) except -1
cpdef Py_ssize_t following(bytearray pack, Py_ssize_t at) except -1
@cython.locals(last=Py_ssize_t, size=Py_ssize_t, shift=cython.int)
cpdef Py_ssize_t preceding(bytearray pack, Py_ssize_t at) except? -1
@cython.locals(at=Py_ssize_t)
cpdef Py_ssize_t nth(bytearray pack, Py_ssize_t index) except? -1
@cython.locals(kind=cython.int, size=Py_ssize_t, start=Py_ssize_t)
cpdef bytes text(bytearray pack, Py_ssize_t at)
cpdef list texts(bytearray pack)
@cython.locals(data=bytes, view="const unsigned char *", found=list, kind=cython.int, size=Py_ssize_t)
cpdef list texts_from(bytearray pack, Py_ssize_t at, Py_ssize_t most)
@cython.locals(view="const unsigned char *", hit=Py_ssize_t, at=Py_ssize_t, left=Py_ssize_t, kind=cython.int)
cpdef Py_ssize_t find(bytearray pack, bytes encoded, Py_ssize_t step=*) except? -1
cpdef insert(bytearray pack, Py_ssize_t at, bytes encoded, Py_ssize_t count)
cpdef replace(bytearray pack, Py_ssize_t at, bytes encoded)
@cython.locals(end=Py_ssize_t, removed=Py_ssize_t)
cpdef remove(bytearray pack, Py_ssize_t at, Py_ssize_t count)
@cython.locals(size=Py_ssize_t, at=Py_ssize_t, found=Py_ssize_t, number=Py_ssize_t)
cpdef bint whole(bytes data) except -1

cdef bytes _integer_entry(long long number)
@cython.locals(kind=cython.int, small=cython.int)
cdef object _integer(bytearray pack, Py_ssize_t at)
@cython.locals(kind=cython.int)
cdef Py_ssize_t _text_bytes(bytearray pack, Py_ssize_t at) except -1
@cython.locals(kind=cython.int, size=Py_ssize_t)
cdef Py_ssize_t _end(bytearray pack, Py_ssize_t at) except -1
cdef Py_ssize_t _backlen_bytes(Py_ssize_t size) except -1
cdef bytes _backlen(Py_ssize_t size)
@cython.locals(kind=cython.int, head=Py_ssize_t, size=Py_ssize_t, behind=Py_ssize_t)
cdef Py_ssize_t _checked_end(bytes data, Py_ssize_t at, Py_ssize_t end) except? -1
@cython.locals(size=Py_ssize_t, number=Py_ssize_t)
cdef _put_sizes(bytearray pack, Py_ssize_t more)
cdef _put_count(bytearray pack, Py_ssize_t number)

# The C types of hyperloglog.py: hashes as C integers, and walking over the runs of a sparse one as a C loop.

cimport cython

cdef Py_ssize_t _HEADER_BYTES, _REGISTERS, _ENCODING_AT
cdef int _INDEX_BITS
cdef unsigned long long _RANK_END, _SEED, _FACTOR, _WORD


cdef class Cursor:
    cdef public Py_ssize_t second, second_first, before, before_first, at, first, length


@cython.locals(hashed=cython.ulonglong, rest=cython.ulonglong)
cpdef long place_of(bytes element) except -1
@cython.locals(
    size=Py_ssize_t, end=Py_ssize_t, at=Py_ssize_t, hashed=cython.ulonglong, word=cython.ulonglong
)
cpdef unsigned long long murmur(bytes data) except? 0
cdef unsigned long long _mixed(unsigned long long word) except? 0
cpdef int add(bytearray data, long place, long sparse_bytes_max) except -2
@cython.locals(at=Py_ssize_t, shift=cython.int)
cdef int _add_dense(bytearray data, Py_ssize_t index, int value) except -2
@cython.locals(at=Py_ssize_t, shift=cython.int, low=cython.int)
cdef int _dense_register(data, Py_ssize_t index) except -1
@cython.locals(at=Py_ssize_t, byte=cython.int, old=cython.int, size=Py_ssize_t, runs=bytes)
cdef int _add_sparse(bytearray data, Py_ssize_t index, int value, long sparse_bytes_max, Cursor cursor) except -2
@cython.locals(
    before=Py_ssize_t, at=Py_ssize_t, second=Py_ssize_t, before_first=Py_ssize_t, first=Py_ssize_t,
    second_first=Py_ssize_t, end=Py_ssize_t, byte=cython.int, size=Py_ssize_t, length=Py_ssize_t
)
cdef bint _find_run(bytearray data, Py_ssize_t index, Cursor cursor) except -1
cdef bytes _split(int old, Py_ssize_t length, Py_ssize_t offset, int value)
cdef bytes _run(int value, Py_ssize_t length)
@cython.locals(left=cython.int, end=Py_ssize_t, byte=cython.int, following=cython.int, length=cython.int)
cdef _join(bytearray data, Py_ssize_t at)
cdef int _add_promoted(bytearray data, Py_ssize_t index, int value) except -2
@cython.locals(cursor=Cursor, index=Py_ssize_t, value=cython.int)
cpdef raise_to(bytearray data, bytes values, long sparse_bytes_max)
@cython.locals(
    found=bytearray, number=Py_ssize_t, at=Py_ssize_t, end=Py_ssize_t, byte=cython.int, value=cython.int,
    length=Py_ssize_t, place=Py_ssize_t
)
cpdef sparse_registers(data)

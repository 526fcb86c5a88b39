# The C types of walk.py: an object of many is walked over a length at a time.

cimport cython

cdef unsigned long long _STRING_BYTES_MAX
cdef int _STRINGS, _PAIRS, _OLD_SCORES, _SCORES, _ONE_STRING, _NODES, _STREAM_1, _STREAM_2, _STREAM_3, _TIMED_PAIRS
cdef int _MODULE, _REDIS_PAIRS, _REDIS_PAIRS_TIMED, _REDIS_PACK_TIMED
cdef bytearray _SHAPES


cdef class Walker:
    cdef public bytes data
    cdef public Py_ssize_t at
    cdef public bint of_redis

    @cython.locals(view="const unsigned char *", at=Py_ssize_t)
    cpdef int byte(self) except -1
    @cython.locals(view="const unsigned char *", kind=cython.int, at=Py_ssize_t, size=cython.int, place=Py_ssize_t,
                   number="unsigned long long")
    cpdef unsigned long long length(self) except? 1
    cpdef int pass_bytes(self, Py_ssize_t size) except -1
    @cython.locals(view="const unsigned char *", at=Py_ssize_t, kind=cython.int, size="unsigned long long")
    cpdef int pass_string(self) except -1
    cdef int _pass_sized(self, unsigned long long size) except -1
    @cython.locals(view=bytearray, shape=cython.int)
    cpdef int pass_object(self, int kind) except -1
    cdef int _pass_strings(self, unsigned long long count, int each) except -1
    @cython.locals(count="unsigned long long", size=cython.int)
    cdef int _pass_odd(self, int shape) except -1
    cdef int _pass_lengths(self, int count) except -1
    @cython.locals(groups="unsigned long long", pending="unsigned long long")
    cdef int _pass_stream(self, int version) except -1
    @cython.locals(consumers="unsigned long long", pending="unsigned long long")
    cdef int _pass_consumers(self, int times_bytes) except -1

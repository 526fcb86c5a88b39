# The C types of expiry.py: its attributes as C fields, which keyspace.py reads with every command, and the wheel's
# arithmetic. A set's number fits in 64 bits as long as the clock does not pass the year nine million.

cimport cython


cdef class Expiries:
    cdef public list slots
    cdef public Py_ssize_t count
    cdef public long long tick
    cdef public long long taken_ms
    cdef public object _slot_of
    cdef public dict _sets
    cdef public long long _tick_before
    cdef public list _moving

    @cython.locals(number=cython.longlong)
    cpdef set(self, bytes key, int slot, long long at_ms)
    cpdef bint discard(self, bytes key, int slot) except -1
    @cython.locals(keys=set)
    cdef _enter(self, bytes key, long long number)
    @cython.locals(number=cython.longlong, keys=set)
    cdef bint _leave(self, bytes key, long long at_ms, long long to) except -1


@cython.locals(due=cython.longlong, part=cython.longlong, level=cython.int)
cdef long long _set_number(bytes key, long long at_ms, long long tick) except -1


cdef int LEVEL_SHIFT, PART_BITS, NUMBER_SHIFT

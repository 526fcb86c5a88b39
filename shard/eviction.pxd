# The C types of eviction.py: scoring a key is done five times for each that goes.

cimport cython
from shard.keyspace cimport Keyspace, Store


cdef int NONE, LRU, LFU, RANDOM, TTL, LFU_MAX, BATCH, ALIGNMENT, SOME, WHOLE_MAX
cdef long long FRESH_MS
cdef unsigned long long MULTIPLIER, INCREMENT, MASK


cdef class Evictor:
    cdef public Store store
    cdef public int kind
    cdef public bint volatile
    cdef public int samples
    cdef public list pool
    cdef public int left
    cdef public long long decay_minutes
    cdef public dict _weights
    cdef public long long _floor
    cdef public double _worth
    cdef public long long _drawn_ms
    cdef unsigned long long _seed

    @cython.locals(
        store=Store, db=Keyspace, draws=cython.int, score=cython.longlong, index=cython.int, key=bytes, number=cython.int
    )
    cpdef long long evict(self) except -1
    @cython.locals(size_bytes=cython.longlong, freed_bytes=cython.longlong)
    cpdef long long evict_some(self, long long wanted_bytes) except -1
    cpdef double worth(self) except *
    @cython.locals(pool=list, db=Keyspace, score=cython.longlong, index=cython.int, key=bytes)
    cdef _forget_used(self)
    cpdef long long score(self, Keyspace db, bytes key) except? -1
    cdef bint _holds(self, Keyspace db, bytes key, long long score) except -1
    @cython.locals(count=cython.longlong, elapsed_minutes=cython.longlong)
    cdef long long _uses_score(self, long long clock) except -1
    @cython.locals(db=Keyspace, pool=list, store=Store, score=cython.longlong)
    cpdef draw(self)
    @cython.locals(
        pool=list, slots=list, first=cython.Py_ssize_t, total=cython.longlong, wanted=cython.Py_ssize_t,
        size=cython.Py_ssize_t, whole_max=cython.Py_ssize_t, floor=cython.longlong, start=cython.Py_ssize_t
    )
    cdef _draw_from(self, Keyspace db)
    cdef long long _below(self, unsigned long long end) except -1
    @cython.locals(
        index=cython.int, pool=list, kind=cython.int, parts=list, score=cython.longlong, key=bytes,
        hashed=cython.Py_ssize_t
    )
    cdef _rate(self, Keyspace db, slot, list keys, long long floor)
    @cython.locals(size_bytes=cython.longlong)
    cdef long long _size_bytes(self, bytes key, value) except -1


@cython.locals(store=Store)
cpdef bint remove(Keyspace db, bytes key, int number) except -1
@cython.locals(size=cython.Py_ssize_t)
cpdef tidy(Keyspace db, int number)

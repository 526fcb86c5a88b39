# The C types of eviction.py: scoring a key is done five times for each that goes.

cimport cython
from shard.keyspace cimport Keyspace, Store


cdef int NONE, LRU, LFU, RANDOM, TTL, LFU_MAX, BATCH, ALIGNMENT


cdef class Evictor:
    cdef public Store store
    cdef public int kind
    cdef public bint volatile
    cdef public int samples
    cdef public list pool
    cdef public int left
    cdef public long long decay_minutes
    cdef public dict _weights

    @cython.locals(store=Store, db=Keyspace, draws=cython.int, score=cython.longlong, index=cython.int, key=bytes)
    cpdef long long evict(self) except -1
    @cython.locals(size_bytes=cython.longlong, freed_bytes=cython.longlong)
    cpdef long long evict_some(self, long long wanted_bytes) except -1
    @cython.locals(
        kind=cython.int, clock=cython.longlong, count=cython.longlong, elapsed_minutes=cython.longlong
    )
    cpdef long long score(self, Keyspace db, bytes key) except? -1
    @cython.locals(db=Keyspace, pool=list)
    cpdef draw(self)
    @cython.locals(
        slots=list, first=cython.Py_ssize_t, missing=cython.Py_ssize_t, size=cython.Py_ssize_t, start=cython.Py_ssize_t,
        keys=list
    )
    cdef _draw_from(self, Keyspace db)
    @cython.locals(key=bytes, pool=list)
    cdef _rate(self, Keyspace db, list keys)
    @cython.locals(size_bytes=cython.longlong)
    cdef long long _size_bytes(self, Keyspace db, bytes key, value) except -1


@cython.locals(store=Store)
cpdef bint remove(Keyspace db, bytes key) except -1
cpdef tidy(Keyspace db, int number)

# The C types of stream_groups.py: what is pending without a look-up by name, and small.

cimport cython
from shard.values.stream_index cimport Index


cdef class Pending:
    cdef public bytes consumer
    cdef public long long delivered_ms
    cdef public long long count


cdef class Consumer:
    cdef public long long seen_ms
    cdef public long long active_ms
    cdef public Index pending


cdef class Group:
    cdef public object last_id
    cdef public long long entries_read
    cdef public Index pending
    cdef public dict consumers

    @cython.locals(pending=Pending)
    cpdef assign(self, id_, bytes consumer, long long delivered_ms, long long count)
    @cython.locals(pending=Pending)
    cpdef bint forget(self, id_) except -1

# The C types of slot.py: what is asked for every key of every command is a C call.

cpdef int slot_of(bytes key)
cpdef int slot_of_whole(bytes key)


cdef class Owners:
    cdef public int shards
    cdef public bint hash_tags
    cdef public object _shard_of_slot

    cpdef int of(self, bytes key)
    cpdef list of_all(self, list keys)

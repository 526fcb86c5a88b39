# The C types of transaction.py: it is compiled for the calls in it, which an EXEC makes for each of its commands.

cdef class Effects:
    cdef public list gathered

    cpdef add(self, int db, list argv)
    cpdef add_group(self, list effects)


cpdef list answers_to(shard, list runs)
cpdef replies_to(shard, long long header, list requests)

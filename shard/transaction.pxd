# The C types of transaction.py: it is compiled for the calls in it, which an EXEC makes for each of its commands.

import cython

from shard.execute cimport Executor
from shard.keyspace cimport Store


cdef class Effects:
    cdef public list gathered

    cpdef add(self, int db, list argv)
    cpdef add_group(self, list effects)


cpdef list answers_to(shard, list runs)
@cython.locals(executor=Executor, store=Store, effects=Effects)
cpdef replies_to(shard, long long header, list requests, record)

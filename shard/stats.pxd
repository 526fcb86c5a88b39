# The C types of stats.py: counters as C fields.

cdef class Stats:
    cdef public long long keyspace_hits
    cdef public long long keyspace_misses
    cdef public long long expired_keys
    cdef public long long expired_fields
    cdef public long long evicted_keys
    cdef public long long expired_time_cap_reached_count
    cdef public double expire_cycle_cpu_milliseconds

    cpdef reset(self)

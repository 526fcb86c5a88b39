# The C types of frequency.py: with an LFU policy a use is counted for every key that a command names.

cimport cython

cdef long long COUNTER_BITS, MINUTES_MASK

cpdef long long first(long long now_s) except -1
cpdef long long clock_of(long long counter, long long now_s) except -1
@cython.locals(count=cython.longlong, elapsed_minutes=cython.longlong)
cpdef long long counter(long long clock, long long now_s, long long decay_minutes) except -1
@cython.locals(count=cython.longlong)
cpdef long long used(
    long long clock, long long now_s, long long decay_minutes, long long log_factor, double chance
) except -1
cpdef add_use(db, bytes key)

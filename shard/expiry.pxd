# The C types of expiry.py: its attributes as C fields, which keyspace.py reads with every command.

cdef class Expiries:
    cdef public list slots
    cdef public Py_ssize_t count
    cdef public long long tick
    cdef public object _slot_of
    cdef public dict _sets
    cdef public long long _tick_before
    cdef public list _moving

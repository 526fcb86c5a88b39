# The C types of execute.py: the loop over a run works on C fields and C integers.

cimport cython
from shard.keyspace cimport Keyspace, Store


cdef class Entry:
    cdef public object command
    cdef public object handler
    cdef public Py_ssize_t words
    cdef public object stats
    cdef public long long nanoseconds
    cdef public list histogram
    cdef public long long parts
    cdef public bytes event
    cdef public str event_class


cdef class Executor:
    cdef public Store store
    cdef public object table
    cdef public object log
    cdef public object log_group
    cdef public object clock_ns
    cdef public dict entries
    cdef public dict known
    cdef public dict usual
    cdef public long long slow_ns
    cdef public list slow
    cdef public long long number
    cdef public long long internal_errors
    cdef public object detour
    cdef public object park
    cdef public object wake
    cdef public object heard_record
    cdef public bint loading
    cdef public object refusal
    cdef public dict errors

    @cython.locals(
        store=Store, db=Keyspace, protocol=cython.longlong, usual=dict, slow_ns=cython.longlong, started=cython.longlong,
        ended=cython.longlong, duration=cython.longlong, entry=Entry, argv=list, replies=list, values=cython.longlong,
        joined=cython.longlong, place=cython.longlong, size=cython.Py_ssize_t,
        long_bytes=cython.Py_ssize_t
    )
    cpdef run(self, long long header, list requests)
    @cython.locals(store=Store, changes=cython.longlong)
    cdef _log_effects(self, int db, list argv)
    @cython.locals(store=Store)
    cpdef log_expired(self)
    @cython.locals(entry=Entry, store=Store)
    cpdef replay(self, int db, list argv)

    cpdef Entry entry_of(self, list argv)
    cpdef Entry _unusual(self, list argv)

# The C types of keyspace.py: its attributes as C fields, and the calls of every command without a look-up by name.

cimport cython
from shard.expiry cimport Expiries
from shard.idle cimport IdleClocks
from shard.stats cimport Stats


cdef class Store:
    cdef public object slot_of
    cdef public object slots_owned
    cdef public object random
    cdef public dict config
    cdef public long long now_ms
    cdef public long long clock_s
    cdef public bint touching
    cdef public bint counts_uses
    cdef public bint expiring
    cdef public bint hiding
    cdef public long long changes
    cdef public long long changes_total
    cdef public list effects
    cdef public list expired
    cdef public bint explicit
    cdef public bint apart
    cdef public bint logging
    cdef public list garbage
    cdef public Stats stats
    cdef public object blocked
    cdef public dict ready
    cdef public long long number
    cdef public Py_ssize_t part
    cdef public bint tracked
    cdef public list events
    cdef public object notices
    cdef public list dbs
    cdef public object watches


cdef class Keyspace:
    cdef public Store store
    cdef public int index
    cdef public object slot_of
    cdef public list slots
    cdef public Py_ssize_t size
    cdef public Expiries expiries
    cdef public Expiries volatile
    cdef public IdleClocks idle
    cdef public dict waiting
    cdef public dict watched
    cdef public bint heard
    cdef public object snapshot

    @cython.locals(store=Store, number=cython.int, hashed=cython.Py_ssize_t)
    cpdef set(self, bytes key, value, bint keep_ttl=*, long long expire_at_ms=*)
    cpdef bytearray edit_string(self, bytes key)
    cpdef bint delete(self, bytes key, bytes event=*, int slot=*) except -1
    cdef _drop(self, bytes key, int slot, bint for_good)
    cpdef expire_at(self, bytes key, long long at_ms)
    cpdef expiry_ms(self, bytes key)
    cpdef look(self, bytes key, bytes missed=*)
    cpdef bint exists(self, bytes key) except -1
    cpdef _touch(self, bytes key)
    cpdef get_to_write(self, bytes key)
    cpdef to_write(self, bytes key, kind)
    cpdef edit(self, bytes key, kind)
    cpdef about_to_change(self, bytes key)
    cpdef changed(self, bytes key)
    cpdef changed_quietly(self, bytes key)
    cpdef changed_aside(self, bytes key, bint wakes=*)
    cpdef shrunk(self, bytes key, value)
    cpdef get_string(self, bytes key)
    @cython.locals(store=Store, slot=cython.int, hashed=cython.Py_ssize_t)
    cpdef get(self, bytes key, kind=*)
    @cython.locals(slot=cython.int)
    cpdef peek(self, bytes key)
    cpdef held(self, bytes key)
    cpdef peek_string(self, bytes key)
    @cython.locals(at_ms=cython.longlong)
    cpdef bint _expired(self, bytes key, int slot) except -1
    @cython.locals(at_ms=cython.longlong)
    cpdef bint _gone(self, bytes key, int slot) except -1
    cpdef retime(self, bytes key, value)
    cpdef _remove_expired(self, bytes key, int slot)

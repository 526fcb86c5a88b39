# The C types of strings.py: what handlers ask of the keyspace are C calls.

cimport cython
from shard.commands.options cimport expire_at_ms, has_passed
from shard.keyspace cimport Keyspace


cdef _set_with_options(Keyspace db, bytes key, value, tuple words)
cdef _put(Keyspace db, bytes key, value, long long at_ms, bint keep_ttl=*)
@cython.locals(values=list)
cdef list _values(Keyspace db, tuple keys)

# The C types of expire.py: what handlers ask of the keyspace are C calls.

from common.numbers cimport integer
from shard.commands.options cimport has_passed
from shard.keyspace cimport Keyspace


cdef _expire(Keyspace db, bytes key, bytes when, tuple options, str name, unit_ms, bint relative)
cdef _time_ms(bytes when, str name, unit_ms, base_ms)
cdef _expiry_ms(Keyspace db, bytes key)

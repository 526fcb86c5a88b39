# The C types of options.py: reckoning an expiry, and whether it has passed, are C calls.

from common.numbers cimport integer
from shard.keyspace cimport Keyspace


cpdef expire_at_ms(bytes unit, bytes time, now_ms, str name)
cpdef bint has_passed(Keyspace db, long long at_ms) except -1

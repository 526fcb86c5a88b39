# The C types of string_numbers.py: counting is a C call, and so is what it asks of the keyspace.

from common.numbers cimport integer
from shard.keyspace cimport Keyspace


cdef _add(Keyspace db, bytes key, increment)

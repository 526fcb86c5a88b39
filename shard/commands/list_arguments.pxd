# The C types of list_arguments.py.

from shard.keyspace cimport Keyspace
from shard.values.list cimport List


cpdef fill_of(Keyspace db)
cpdef shrunk(Keyspace db, bytes key, List value)

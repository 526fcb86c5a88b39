# The C types of hash_fields.py: a hash without times costs one comparison more than it would without this file.

from shard.keyspace cimport Keyspace
from shard.values.hash cimport Hash


cpdef bytes live_text(Keyspace db, Hash value, bytes field)
cpdef bint is_due(Keyspace db, Hash value, bytes field) except -1
cpdef bint has_due(Keyspace db, Hash value) except -1
cpdef Hash to_write(Keyspace db, bytes key, words, Py_ssize_t step=*)
cpdef Hash begun(Keyspace db, bytes key, Hash value)
cpdef ended(Keyspace db, bytes key, Hash value)
cpdef shrunk(Keyspace db, bytes key, Hash value)

# The C types of hashes.py: what handlers ask of the keyspace and of a hash are C calls.

cimport cython
from shard.commands.hash_fields cimport begun, ended, has_due, is_due, live_text, shrunk, to_write
from shard.keyspace cimport Keyspace
from shard.values.hash cimport Hash


@cython.locals(value=Hash, config=dict, added=cython.Py_ssize_t, place=cython.Py_ssize_t)
cdef _set(Keyspace db, bytes key, tuple pairs)

# The C types of sets.py: what adding and removing ask of the keyspace and of a set are C calls.

cimport cython
from shard.keyspace cimport Keyspace
from shard.values.set cimport Set


@cython.locals(value=Set, added=Py_ssize_t)
cdef _add(Keyspace db, bytes key, tuple members)
@cython.locals(value=Set, removed=Py_ssize_t, member=bytes)
cdef _remove(Keyspace db, bytes key, tuple members)

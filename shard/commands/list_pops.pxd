# The C types of list_pops.py.

cimport cython
from shard.commands.list_arguments cimport shrunk
from shard.keyspace cimport Keyspace
from shard.values.list cimport List


@cython.locals(value=List)
cdef _pop(Keyspace db, bytes key, Py_ssize_t end)
@cython.locals(value=List)
cdef _pop_some(Keyspace db, bytes key, tuple words, Py_ssize_t end, str name)

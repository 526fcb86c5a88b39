# The C types of lists.py: what handlers ask of keyspace and list are C calls.

cimport cython
from shard.commands.list_arguments cimport fill_of
from shard.keyspace cimport Keyspace
from shard.values.list cimport List


@cython.locals(value=List)
cdef _push(Keyspace db, bytes key, tuple elements, Py_ssize_t end)
@cython.locals(value=List)
cdef list _range(Keyspace db, bytes key, first, last)

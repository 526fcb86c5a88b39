# The C types of sorted_set_ranges.py: of the calls without options, and of the keyspace.

cimport cython
from common.numbers cimport integer
from shard.commands.sorted_set_bounds cimport span_by_rank, span_by_score
from shard.keyspace cimport Keyspace
from shard.values.sorted_set cimport SortedSet


@cython.locals(value=SortedSet, span=tuple)
cdef _by_rank(Keyspace db, bytes key, long long first, long long last)

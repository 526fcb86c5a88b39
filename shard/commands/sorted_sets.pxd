# The C types of sorted_sets.py: what handlers ask of the keyspace and of a sorted set are C calls.

cimport cython
from shard.commands.sorted_set_bounds cimport score_of
from shard.keyspace cimport Keyspace
from shard.values.sorted_set cimport SortedSet, limits_of


@cython.locals(value=SortedSet, limits=tuple)
cdef _add_one(Keyspace db, bytes key, score, bytes member)
@cython.locals(value=SortedSet, limits=tuple)
cdef _increment(Keyspace db, bytes key, frozenset options, increment, bytes member)
cdef bint _refused(frozenset options, before, score) except -1
@cython.locals(value=SortedSet)
cdef _score(Keyspace db, bytes key, bytes member)
@cython.locals(value=SortedSet)
cdef _rank(Keyspace db, bytes key, bytes member)
@cython.locals(value=SortedSet)
cdef _rank_from_above(Keyspace db, bytes key, bytes member)

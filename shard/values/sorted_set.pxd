# The C types of sorted_set.py: what handlers ask of a sorted set are C calls.

cimport cython
from shard.values.buckets cimport Buckets
from shard.values.listpack cimport count, new, texts
from shard.values.scores cimport Scores
from shard.values.sorted_set_pack cimport (
    count_below,
    cut_members,
    members_at,
    place_of,
    put_member,
    rank_at,
    remove_member,
    score_at,
    scores_at,
)


cdef class SortedSet:
    cdef public bytearray pack
    cdef public Buckets members
    cdef public Scores order
    cdef public bint listpacked

    cpdef score(self, bytes member)
    cpdef expect(self, Py_ssize_t entries, Py_ssize_t size, tuple limits)
    cpdef put(self, bytes member, score, before, tuple limits)
    @cython.locals(order=Scores)
    cdef _put(self, bytes member, score, before)
    @cython.locals(entries=Py_ssize_t, size=Py_ssize_t)
    cdef _heed(self, bytes member, tuple limits)
    cdef _grow(self)
    cpdef _fill(self, list members, list scores)
    cpdef bint remove(self, bytes member) except -1
    cpdef Py_ssize_t rank(self, bytes member) except? -1
    cpdef Py_ssize_t below(self, double score, bytes member=*) except -1
    cpdef Py_ssize_t not_above(self, double score) except -1
    cpdef list range(self, Py_ssize_t start, Py_ssize_t stop)
    cpdef list scores(self, Py_ssize_t start, Py_ssize_t stop)
    cpdef cut(self, Py_ssize_t start, Py_ssize_t stop)


cpdef tuple limits_of(dict config)

# The C types of scores.py: binary searches over C doubles, ranks added up as C integers.

cimport cython


cdef class Node:
    cdef public list scores
    cdef public list members
    cdef public list children
    cdef public Py_ssize_t count


cdef class Scores:
    cdef public Node root

    cpdef add(self, score, bytes member)
    cpdef bytes remove(self, score, bytes member)
    cpdef cut(self, Py_ssize_t start, Py_ssize_t stop)
    cdef _lower(self)
    @cython.locals(node=Node, child=Node, rank=Py_ssize_t, place=Py_ssize_t, at=Py_ssize_t)
    cpdef Py_ssize_t below(self, double score, bytes member=*) except -1
    cpdef Py_ssize_t not_above(self, double score) except -1
    cpdef list members(self, Py_ssize_t start, Py_ssize_t stop)
    cpdef list scores(self, Py_ssize_t start, Py_ssize_t stop)


cdef list NO_CHILDREN
cdef int LEAF_MAX, INNER_MAX

@cython.locals(scores=list, members=list, low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t, there=double)
cdef Py_ssize_t _place(Node node, double score, bytes member) except -1
@cython.locals(scores=list, members=list, low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t, there=double)
cdef Py_ssize_t _child(Node node, double score, bytes member) except -1
@cython.locals(child=Node, size=Py_ssize_t)
cdef _collect_members(Node node, Py_ssize_t start, Py_ssize_t stop, list found)
@cython.locals(child=Node, size=Py_ssize_t)
cdef _collect_scores(Node node, Py_ssize_t start, Py_ssize_t stop, list found)
@cython.locals(place=Py_ssize_t, sibling=Node)
cdef Node _add(Node node, score, bytes member)
@cython.locals(size=Py_ssize_t, kept=Py_ssize_t, count=Py_ssize_t, children=list)
cdef Node _split(Node node, Py_ssize_t grew_at)
@cython.locals(total=Py_ssize_t, node=Node)
cdef Py_ssize_t _sum_of_counts(list nodes) except -1
@cython.locals(place=Py_ssize_t, child=Node)
cdef bytes _remove(Node node, score, bytes member)
@cython.locals(first=Py_ssize_t, last=Py_ssize_t, gone=Py_ssize_t, place=Py_ssize_t, size=Py_ssize_t, child=Node, cut=list)
cdef _cut(Node node, Py_ssize_t start, Py_ssize_t stop)
@cython.locals(child=Node)
cdef _mend_if_small(Node node, Py_ssize_t place)
@cython.locals(child=Node, size=Py_ssize_t)
cdef _mend(Node node, Py_ssize_t place)
@cython.locals(one=Node, other=Node, most=Py_ssize_t)
cdef bint _fit(Node node, Py_ssize_t place) except -1
@cython.locals(one=Node, other=Node)
cdef _join(Node node, Py_ssize_t place)

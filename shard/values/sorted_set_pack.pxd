# The C types of sorted_set_pack.py: places and ranks as C integers, scores as C doubles.

cimport cython
from shard.values.listpack cimport entry, find, first, following, insert, nth, remove, text

cpdef bytes score_entry(double score)
cpdef Py_ssize_t place_of(bytearray pack, bytes member) except? -1
cpdef double score_at(bytearray pack, Py_ssize_t place) except? -1
cpdef put_member(bytearray pack, bytes member, double score)
cpdef remove_member(bytearray pack, Py_ssize_t place)
cpdef cut_members(bytearray pack, Py_ssize_t start, Py_ssize_t stop)
@cython.locals(place=Py_ssize_t)
cpdef Py_ssize_t place_at(bytearray pack, Py_ssize_t rank) except -1
@cython.locals(rank=Py_ssize_t, at=Py_ssize_t)
cpdef Py_ssize_t rank_at(bytearray pack, Py_ssize_t place) except -1
@cython.locals(rank=Py_ssize_t, place=Py_ssize_t, behind=Py_ssize_t, there=double)
cpdef Py_ssize_t count_below(bytearray pack, double score, bytes member) except -1
@cython.locals(found=list, place=Py_ssize_t, _=Py_ssize_t)
cpdef list members_at(bytearray pack, Py_ssize_t start, Py_ssize_t stop)
@cython.locals(found=list, place=Py_ssize_t, _=Py_ssize_t)
cpdef list scores_at(bytearray pack, Py_ssize_t start, Py_ssize_t stop)
@cython.locals(kind=cython.int, number=cython.int)
cdef double _number(bytearray pack, Py_ssize_t at) except? -1

cdef int END

# The C types of sorted_set_bounds.py: reading a score is a C call, and ranks are C integers.

cimport cython
from shard.values.sorted_set cimport SortedSet

cpdef score_of(bytes word)
cpdef tuple span_by_rank(Py_ssize_t length, long long first, long long last, bint reverse)
cpdef tuple span_by_score(SortedSet value, tuple low, tuple high)

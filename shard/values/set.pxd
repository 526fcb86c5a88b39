# The C types of set.py: a member's way to its array, listpack or bucket is C calls.

cimport cython
from common.numbers cimport maybe_integer
from shard.values cimport listpack
from shard.values.buckets cimport Buckets


cdef class Set:
    cdef public int kind
    cdef public object members

    cpdef list to_list(self)
    @cython.locals(limits=tuple)
    cpdef Py_ssize_t add(self, members, dict config) except -1
    @cython.locals(before=Py_ssize_t, member=bytes)
    cpdef Py_ssize_t _add_all(self, members, tuple limits) except -1
    @cython.locals(buckets=Buckets, added=Py_ssize_t, member=bytes)
    cpdef Py_ssize_t _put_all(self, members) except -1
    cpdef _expect(self, bytes member, Py_ssize_t count, tuple limits)
    cpdef _add_small(self, bytes member, tuple limits)
    @cython.locals(at=Py_ssize_t)
    cpdef _insert(self, number, bytes member)
    @cython.locals(encoded=bytes)
    cpdef _append(self, bytes member, entries_max, value_bytes_max)
    cpdef _become_hashtable(self)
    cpdef _turn_into(self, int kind, list members)
    @cython.locals(at=Py_ssize_t)
    cpdef bint remove(self, bytes member) except -1
    cpdef random_member(self, random)
    cpdef Set copy(self)


cpdef number_of(bytes member)
cpdef tuple limits_of(dict config)
cpdef width_of(number)

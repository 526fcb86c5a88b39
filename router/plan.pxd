# The C types of plan.py: its loops run for every key of a command on several shards.

import cython

from common.slot cimport Owners


@cython.locals(shards=list, parts=list, order=list, places=list, at=Py_ssize_t, shard=Py_ssize_t, place=Py_ssize_t,
               part=list)
cpdef tuple cut(list argv, Py_ssize_t start, Py_ssize_t step, Owners owners)


cdef class InOrder:
    cdef public list order

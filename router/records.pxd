# The C types of records.py: a write over shards has a run for each of them.

import cython

from router.batch cimport Run


cdef class Record:
    cdef public object records
    cdef public object id
    cdef public Py_ssize_t left
    cdef public bint failed

    cpdef answered(self)
    cpdef lost(self)


cdef class SplitRecord(Record):
    cdef public long long header
    cdef public dict runs

    @cython.locals(shard=int)
    cpdef bint takes(self, long long header, shards, list open_) except -1
    cpdef seal(self)


cdef class RecordedRun(Run):
    cdef public SplitRecord record
    cdef public list commands

    cpdef answer(self, replies)

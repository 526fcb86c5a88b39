# The C types of link.py: what a turn passes as C fields.

import cython

from common.frame cimport Frames
from shard.execute cimport Executor


cdef class Link:
    cdef public object shard
    cdef public Executor executor
    cdef public object staged
    cdef public object keeping
    cdef public Frames stream
    cdef public object pack
    cdef public object transport
    cdef public long long runs
    cdef public list corked
    cdef public bint admitted
    cdef public bytes nonce

    @cython.locals(executor=Executor, first=cython.longlong, place=Py_ssize_t, header=cython.longlong)
    cpdef run(self, list frame, list replies)

    cpdef send(self, frame)


cpdef Py_ssize_t size_of(list answers)

# The C types of link.py: what every run and its answer pass as C fields.

import cython

from common.frame cimport Frames
from router.batch cimport Run


cdef class Link:
    cdef public int index
    cdef public object path
    cdef public object listener
    cdef public object turn_ms
    cdef public object loop
    cdef public object state
    cdef public object hello
    cdef public object transport
    cdef public bint closed
    cdef public bint congested
    cdef public bint large
    cdef public object freight
    cdef public dict staged
    cdef public bint named
    cdef public object recorder
    cdef public list frame
    cdef public Py_ssize_t commands
    cdef public object awaiting
    cdef public dict late
    cdef public long long answered
    cdef public object refusal
    cdef public object pack
    cdef public Frames stream

    @cython.locals(frame=list)
    cpdef put(self, Run run)

    @cython.locals(frame=list)
    cpdef flush(self)

    @cython.locals(number=cython.longlong, run=Run)
    cpdef _answers(self, list frame)

    cpdef close(self)
    cpdef congest(self)


cpdef answer(Run run, replies)

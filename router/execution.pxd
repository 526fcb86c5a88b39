# The C types of execution.py: its batches and runs are those of batch.pxd.

from router.batch cimport Batch, Run


cdef class Unit(Batch):
    cdef public object then
    cdef public bint touched

    cpdef begun(self)
    cpdef answered(self)


cdef class Share(Run):
    cdef public Unit unit
    cdef public list runs
    cdef public object record

    cpdef answer(self, replies)


cdef class ShareInBatch(Share):
    pass

# The C types of frame.py: what every turn of a link passes as C fields, and the walk over a frame with something large.

cimport cython


cdef class Frames:
    cdef public object ext_hook
    cdef public object unpacker
    cdef public long long fed
    cdef public long long mark
    cdef public bint grown

    cpdef feed(self, bytes data)


cpdef list pieces(frame, dict staged)
cdef _add(value, packer, list found, dict staged)

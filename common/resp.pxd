# The C types of resp.py: the encoders that most replies take.

cimport cython

cpdef bytes encode(reply, int protocol)
@cython.locals(parts=list)
cpdef bytes _array(reply, int protocol)
@cython.locals(parts=list)
cdef bytes _strings(reply)

# The C types of stream_ids.py: reading an ID is a C call.

cimport cython


@cython.locals(ms=bytes, dash=bytes, rest=bytes)
cpdef parse_id(bytes word, sequence=*)
cdef _unusual(bytes word, sequence)

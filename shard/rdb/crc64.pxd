# The C types of crc64.py: 64 bits without a Python integer.

cimport cython

cdef const unsigned long long[::1] _TABLES

@cython.locals(view="const unsigned char *", table="const unsigned long long[::1]", at=Py_ssize_t, end=Py_ssize_t)
cpdef unsigned long long crc64(bytes data, unsigned long long crc=*) except? 1

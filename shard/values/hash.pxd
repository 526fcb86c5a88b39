# The C types of hash.py: what the commands ask of a hash is a C call, down to the bytes of a listpack.

cimport cython
from shard.values.buckets cimport Buckets
from shard.values.field_times cimport FieldTimes
from shard.values.listpack cimport count, entry, find, first, following, insert, new, remove, replace, text, texts


cdef class Hash:
    cdef public bytearray pack
    cdef public Buckets fields
    cdef public FieldTimes times
    cdef public bint small

    @cython.locals(pack=bytearray, at=Py_ssize_t)
    cpdef bytes get(self, bytes field)
    @cython.locals(longest=Py_ssize_t, pack=bytearray, added=cython.bint)
    cpdef bint put(self, bytes field, bytes value, dict config, bint keep_ttl=*) except -1
    @cython.locals(encoded=bytes, at=Py_ssize_t)
    cdef bint _put_packed(self, bytearray pack, bytes field, bytes value) except -1
    @cython.locals(pack=bytearray, at=Py_ssize_t)
    cpdef bint remove(self, bytes field) except -1
    @cython.locals(found=list, part=dict)
    cpdef list flat(self)
    cpdef list keys(self)
    cpdef expiry_ms(self, bytes field)
    cpdef expire_at(self, bytes field, at_ms)
    @cython.locals(times=FieldTimes)
    cpdef bint persist(self, bytes field) except -1
    cpdef first_ms(self)
    cpdef grow(self)
    @cython.locals(longest=Py_ssize_t, word=bytes)
    cpdef expect(self, tuple words, dict config)
    @cython.locals(at=Py_ssize_t, behind=Py_ssize_t, fields=Buckets)
    cdef _unpack(self)
    cdef Buckets _large(self)

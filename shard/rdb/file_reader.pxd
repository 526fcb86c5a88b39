# The C types of file_reader.py: the loop over the keys of a file, which a start waits for.

cimport cython
from shard.rdb.crc64 cimport crc64
from shard.rdb.encoding cimport Reader
from shard.rdb.walk cimport Walker

cdef int _STRING, _OPCODES, _EXPIRES_AT_MS, _EXPIRES_AT_S, _SELECT_DB, _END


cdef class EntryReader:
    cdef public int version
    cdef public object _file
    cdef public object _config
    cdef public Py_ssize_t _slice_bytes
    cdef public long long _size_bytes
    cdef public Walker _walker
    cdef public Reader _reader
    cdef public long long _start
    cdef public Py_ssize_t _at
    cdef public unsigned long long _checksum
    cdef public bint _checking
    cdef public object _db
    cdef public object _at_ms
    cdef public bint _over
    cdef public dict _left_out
    cdef public object _wanted

    cpdef _fill(self, needed)
    cpdef _pass(self, Py_ssize_t at)
    @cython.locals(walker=Walker, reader=Reader, data=bytes, view="const unsigned char *", at=Py_ssize_t,
                   until=Py_ssize_t, end=Py_ssize_t, kind=cython.int, start=Py_ssize_t, stop=Py_ssize_t, key=bytes)
    cpdef _take(self, list entries)
    @cython.locals(walker=Walker, at=Py_ssize_t)
    cpdef _opcode(self, int kind)
    @cython.locals(walker=Walker)
    cpdef _odd_opcode(self, int kind)


cpdef bint is_empty(bytes data, int kind, Py_ssize_t start, Py_ssize_t stop) except -1

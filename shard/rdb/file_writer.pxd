# The C types of file_writer.py: an entry costs a call per piece, and nothing else.

from shard.rdb.encoding cimport Writer


cdef class FileWriter:
    cdef public dict _config
    cdef public Writer _writer
    cdef public object _db

    cpdef bytes entry(self, db, bytes key, value, at_ms)
    cdef _place(self, db, at_ms)
    cpdef bytes _taken(self)

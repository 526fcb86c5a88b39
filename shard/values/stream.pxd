# The C types of stream.py: adding and finding entries without a look-up by name.

cimport cython
from shard.values.stream_groups cimport Group
from shard.values.stream_index cimport Index
from shard.values.stream_node cimport Node


cdef long long _COUNT_MAX


cdef class Stream:
    cdef public Index nodes
    cdef public Node tail
    cdef public tuple tail_fields
    cdef public Py_ssize_t radix_nodes
    cdef public long long length
    cdef public object last_id
    cdef public object first_id
    cdef public long long added
    cdef public object max_deleted_id
    cdef public dict groups

    @cython.locals(tail=Node, fields=tuple)
    cpdef append(self, id_, words, long long node_entries_max, long long node_bytes_max)
    cpdef bint has(self, id_) except -1
    cpdef bint remove(self, id_) except -1
    @cython.locals(place=Py_ssize_t, deleted=Py_ssize_t, end=Py_ssize_t)
    cpdef _trim_node(self, Node node, length_max, id_min)
    cpdef Node _add_node(self, id_, tuple fields)
    cpdef _remove_node(self, id_)
    cpdef entries_read_at(self, id_)
    cpdef bint deleted_from(self, id_) except -1
    cpdef deliver(self, Group group, id_)

@cython.locals(size_bytes=Py_ssize_t)
cdef bint _is_full(Node node, words, long long entries_max, long long bytes_max) except -1

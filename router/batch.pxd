# The C types of batch.py: the attributes that every command or run reads and writes as C fields.

cdef class Run:
    cdef public object batch
    cdef public int shard
    cdef public long long header
    cdef public list requests
    cdef public object replies

    cpdef answer(self, replies)


cdef class Message(Run):
    cdef public object then


cdef class Join:
    cdef public object shards
    cdef public object merge
    cdef public int protocol
    cdef public object command
    cdef public object command


cdef class Later:
    cdef public Batch batch
    cdef public bytes text


cdef class Muted:
    cdef public object step


cdef class Batch:
    cdef public object session
    cdef public list steps
    cdef public list runs
    cdef public list open
    cdef public long long header
    cdef public bint plain
    cdef public Py_ssize_t waiting
    cdef public bint dispatched
    cdef public Py_ssize_t size

    cpdef Run run(self, int shard, long long header)
    cpdef dispatch(self, list links)
    cpdef bytes replies(self)

# The C types of batch.py: the attributes that every command or run reads and writes as C fields.

import cython

from common.slot cimport Owners


cdef class Run:
    cdef public object batch
    cdef public int shard
    cdef public long long header
    cdef public list requests
    cdef public object replies

    cpdef answer(self, replies)


cdef class Message(Run):
    cdef public object then


cdef class Solo(Run):
    cdef public object text

    cpdef answer(self, replies)
    cpdef bytes reply(self)


cdef class Join:
    cdef public list argv
    cdef public object shards
    cdef public object parts
    cdef public object merge
    cdef public int protocol
    cdef public object command
    cdef public object slow


cdef class Later:
    cdef public Batch batch
    cdef public bytes text


cdef class Muted:
    cdef public object step


cdef class Route:
    cdef public object command
    cdef public Py_ssize_t shortest
    cdef public Py_ssize_t longest
    cdef public str name
    cdef public Py_ssize_t start
    cdef public Py_ssize_t step


@cython.locals(owner=int, at=Py_ssize_t)
cpdef int owner_of(list argv, Route route, Owners owners) except -2


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
    cdef public list pushes
    cdef public object record
    cdef public list records

    @cython.locals(count=Py_ssize_t, header=cython.longlong, open_=list, steps=list, route=Route, found=Route, argv=list,
                   words=Py_ssize_t, shard=int, run=Run)
    cpdef Py_ssize_t forward(self, list commands, Py_ssize_t place, dict routes, Owners owners) except -1

    cpdef Run run(self, int shard, long long header)
    cpdef split(self, list argv, command)

    @cython.locals(count=Py_ssize_t, at=Py_ssize_t, shard=int, owner=int, words=Py_ssize_t, route=Route, argv=list,
                   queued=list, run=Solo)
    cpdef Py_ssize_t transact(self, list commands, Py_ssize_t place, dict routes, Owners owners) except -1
    cpdef add(self, int shard, list argv)

    @cython.locals(header=cython.longlong, open_=list, run=Run, shard=int, place=Py_ssize_t)
    cpdef add_join(self, list argv, shards, parts, merge, command, int control=*)
    cpdef dispatch(self, list links)
    cpdef answered(self)
    @cython.locals(parts=list)
    cpdef bytes replies(self)

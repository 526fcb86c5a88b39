# The C types of session.py: the attributes that every read of every client passes as C fields.

import cython

from common.requests cimport Requests
from router.batch cimport Batch


cdef class Session:
    cdef public object router
    cdef public long long id
    cdef public object transport
    cdef public Requests requests
    cdef public object backlog
    cdef public object batches
    cdef public Py_ssize_t begun
    cdef public Py_ssize_t window
    cdef public list outgoing
    cdef public Py_ssize_t queued_bytes
    cdef public bint writing_paused
    cdef public bint reading_paused
    cdef public bint beginning
    cdef public bint waiting
    cdef public bint held
    cdef public long long held_bytes_max
    cdef public bint stalled
    cdef public object fault
    cdef public bint ended
    cdef public bint closing
    cdef public object address
    cdef public object local_address
    cdef public bint unix_socket
    cdef public long long created_ms
    cdef public long long active_ms
    cdef public long long bytes_in
    cdef public long long bytes_looked_at
    cdef public long long bytes_out
    cdef public long long commands
    cdef public long long reads
    cdef public long long writes
    cdef public tuple gathered
    cdef public object last_command
    cdef public object library_name
    cdef public object library_version
    cdef public bint follows_redirects
    cdef public object blocking
    cdef public bint transacted
    cdef public bint transacting
    cdef public bint laden
    cdef public object staging
    cdef public object transaction
    cdef public object watching
    cdef public object subscriptions
    cdef public object tracking
    cdef public bint monitoring
    cdef public object replies
    cdef public bint was_authenticated
    cdef public int db
    cdef public int protocol
    cdef public object user
    cdef public dict routes
    cdef public bint authenticated
    cdef public object name
    cdef public bint no_touch
    cdef public bint no_evict
    cdef public long long header
    cdef public bint plain
    cdef public bint queueing

    @cython.locals(batch=Batch, place=Py_ssize_t, behind=Py_ssize_t, count=Py_ssize_t)
    cpdef begin(self, list commands)

    @cython.locals(behind=Py_ssize_t)
    cpdef Py_ssize_t _transact(self, Batch batch, list commands, Py_ssize_t place) except -1

    cpdef pump(self)

    @cython.locals(done=Batch, replies=bytes, window=Py_ssize_t)
    cpdef completed(self)

    cpdef Batch newest(self)
    cpdef push(self, bytes data)
    cpdef write(self, bytes data)
    cpdef list _complete(self, bytes data)

# The C types of streams.py: adding an entry asks the keyspace and the stream by C calls.

cimport cython
from shard.commands.stream_ids cimport parse_id
from shard.keyspace cimport Keyspace
from shard.values.stream cimport Stream
from shard.values.stream_log cimport id_text


@cython.locals(fields=tuple, word=bytes, stream=Stream, config=dict)
cdef _add(Keyspace db, bytes key, tuple words)
cdef _next_id(last_id, given, ms, now_ms)

"""Streams: reading ranges of entries."""

from common.command import READONLY
from common.errors import SyntaxFault
from common.numbers import integer
from common.resp import NULL_ARRAY, NullArray
from shard.commands.stream_ids import id_text, parse_last, parse_start
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.stream import Entry, Stream

command = TABLE.family("stream")

Shown = list[list[object]]
"""Entries in a reply: [[ID, [field, value, ...]], ...]."""


@command(
    "XRANGE key start end [COUNT count]",
    READONLY,
    since="5.0.0",
    complexity="O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the"
    " first 10 elements with COUNT), you can consider it O(1).",
    types="start string end string",
)
def xrange_(db: Keyspace, key: bytes, start: bytes, end: bytes, *words: bytes) -> Shown | NullArray:
    """Returns the messages from a stream within a range of IDs."""
    first, last, limit = parse_start(start), parse_last(end), parse_count(words)
    stream = db.get(key, Stream)
    if stream is None or limit == 0:
        return [] if stream is None else NULL_ARRAY
    return shown(stream.entries(first, last, max(limit, 0)))


@command(
    "XREVRANGE key end start [COUNT count]",
    READONLY,
    since="5.0.0",
    complexity="O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first"
    " 10 elements with COUNT), you can consider it O(1).",
    types="end string start string",
)
def xrevrange(db: Keyspace, key: bytes, end: bytes, start: bytes, *words: bytes) -> Shown | NullArray:
    """Returns the messages from a stream within a range of IDs in reverse order."""
    first, last, limit = parse_start(start), parse_last(end), parse_count(words)
    stream = db.get(key, Stream)
    if stream is None or limit == 0:
        return [] if stream is None else NULL_ARRAY
    return shown(stream.entries_back(first, last, max(limit, 0)))


def parse_count(words: tuple[bytes, ...]) -> int:
    """COUNT, the last one if it is said more than once; -1 if not.  Raises RedisError."""
    limit = -1
    rest = iter(words)
    for word in rest:
        value = next(rest, None)
        if value is None or word.upper() != b"COUNT":
            raise SyntaxFault()
        limit = max(integer(value), 0)
    return limit


def shown(entries: list[Entry]) -> Shown:
    """Entries as a reply."""
    return [[id_text(id_), words] for id_, words in entries]

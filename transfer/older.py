"""Objects of RDB as an older version has them: small values as their plain types, streams without what came later.

    since version 10 (Redis 7.0)    a small hash, a small sorted set, a list, a stream
    since version 11 (Redis 7.2)    a small set, a stream that knows when its consumers were active

Nothing of a value is lost but what the older server could not keep: of a stream, counts that XINFO shows.
"""

from collections.abc import Callable

from shard.rdb.encoding import Reader, Writer
from shard.rdb.objects import (
    HASH,
    HASH_LISTPACK,
    LIST,
    LIST_QUICKLIST_2,
    PACKED_NODE,
    SET,
    SET_LISTPACK,
    STREAM_LISTPACKS,
    STREAM_LISTPACKS_2,
    STREAM_LISTPACKS_3,
    ZSET_2,
    ZSET_LISTPACK,
)
from shard.rdb.streams import TIME_BYTES
from shard.values import listpack

ID_BYTES = 16
"""Of an entry that is pending."""
REDIS_7_0 = 10
"""The version of RDB of Redis 7.0, which has the second form of streams."""


def older(kind: int, data: bytes, version: int) -> tuple[int, bytes]:
    """Type and object of the same value, as far as an RDB of `version` has one; else as they are.  Raises BadObject for
    what is no object. O(bytes)."""
    if kind in (STREAM_LISTPACKS_2, STREAM_LISTPACKS_3):
        wanted = STREAM_LISTPACKS_2 if version >= REDIS_7_0 else STREAM_LISTPACKS
        return wanted, _older_stream(Reader(data), kind, wanted)
    if kind not in PLAIN:
        return kind, data
    kind, write = PLAIN[kind]
    writer = Writer()
    write(Reader(data), writer)
    return kind, b"".join(writer.parts)


def _texts(reader: Reader) -> list[bytes]:
    return listpack.texts(bytearray(reader.string()))


def _write_strings(reader: Reader, writer: Writer) -> None:
    texts = _texts(reader)
    writer.length(len(texts))
    for text in texts:
        writer.string(text)


def _write_hash(reader: Reader, writer: Writer) -> None:
    texts = _texts(reader)
    writer.length(len(texts) // 2)
    for text in texts:
        writer.string(text)


def _write_sorted_set(reader: Reader, writer: Writer) -> None:
    texts = _texts(reader)
    writer.length(len(texts) // 2)
    for at in range(len(texts) - 2, -1, -2):  # The last comes first, as from a server.
        writer.string(texts[at])
        writer.real(float(texts[at + 1]))


def _write_list(reader: Reader, writer: Writer) -> None:
    texts: list[bytes] = []
    for _ in range(reader.length()):
        texts += _texts(reader) if reader.length() == PACKED_NODE else [reader.string()]
    writer.length(len(texts))
    for text in texts:
        writer.string(text)


PLAIN: dict[int, tuple[int, Callable[[Reader, Writer], None]]] = {
    HASH_LISTPACK: (HASH, _write_hash),
    ZSET_LISTPACK: (ZSET_2, _write_sorted_set),
    LIST_QUICKLIST_2: (LIST, _write_list),
    SET_LISTPACK: (SET, _write_strings),
}
"""What each type was written as before it was there."""


def _older_stream(reader: Reader, kind: int, wanted: int) -> bytes:
    """The same bytes, without the fields that came later: see shard/rdb/streams.py."""
    kept: list[bytes] = []
    start = 0

    def skip(walk: Callable[[], None], *, since: int) -> None:
        """Walks over what `since` brought, and leaves it out where that is later than what is wanted."""
        nonlocal start
        if kind < since:
            return
        before = reader.at
        walk()
        if wanted < since:
            kept.append(reader.data[start:before])
            start = reader.at

    for _ in range(reader.length()):
        reader.string()
        reader.string()
    _lengths(reader, 3)  # How many entries, and the last ID.
    skip(lambda: _lengths(reader, 5), since=STREAM_LISTPACKS_2)
    for _ in range(reader.length()):
        reader.string()
        _lengths(reader, 2)
        skip(lambda: _lengths(reader, 1), since=STREAM_LISTPACKS_2)
        for _ in range(reader.length()):
            reader.take(ID_BYTES + TIME_BYTES)
            reader.length()
        for _ in range(reader.length()):
            reader.string()
            reader.take(TIME_BYTES)
            skip(lambda: _take(reader, TIME_BYTES), since=STREAM_LISTPACKS_3)
            reader.take(reader.length() * ID_BYTES)
    return b"".join(kept) + reader.data[start:]


def _lengths(reader: Reader, count: int) -> None:
    for _ in range(count):
        reader.length()


def _take(reader: Reader, size: int) -> None:
    reader.take(size)

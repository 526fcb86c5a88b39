"""A stream as the commands that make it anew: what a rewritten log has, and what is logged of a key that was lent.

An entry that is pending need not be in the stream any more, and XCLAIM takes only what is. So such entries are added
first, without content, claimed, and trimmed away again before the true ones come: their IDs may be greater.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import TYPE_CHECKING

from shard.values.stream_groups import Group, Pending
from shard.values.stream_node import ID_BITS, MASK

if TYPE_CHECKING:
    from shard.values.stream import Stream

CHUNK = 64
"""How many IDs a command has."""
ID_MIN = 1


def commands_of(stream: "Stream", key: bytes) -> Iterator[list[bytes]]:
    """The commands, for where there is no such key."""
    gone = sorted({id_ for group in stream.groups.values() for id_, _ in group.pending.items() if not stream.has(id_)})
    for id_ in gone:
        yield [b"XADD", key, id_text(id_), b"", b""]
    if not gone and not stream.length:
        yield [b"XADD", key, b"MAXLEN", b"0", id_text(max(stream.last_id, ID_MIN)), b"", b""]
    if gone:
        for name, group in stream.groups_by_name():
            yield [b"XGROUP", b"CREATE", key, name, b"0"]
            yield from _claims(key, name, group, (item for item in group.pending.items() if not stream.has(item[0])))
        yield [b"XTRIM", key, b"MAXLEN", b"0"]
        yield [b"XSETID", key, b"0-0"]
    for (ms, sequence), words in stream.items():
        yield [b"XADD", key, b"%d-%d" % (ms, sequence), *words]
    for name, group in stream.groups_by_name():
        id_and_count = [id_text(group.last_id), b"ENTRIESREAD", b"%d" % group.entries_read]
        yield [b"XGROUP", b"SETID" if gone else b"CREATE", key, name, *id_and_count]
        for consumer in sorted(group.consumers):
            yield [b"XGROUP", b"CREATECONSUMER", key, name, consumer]
        yield from _claims(key, name, group, (item for item in group.pending.items() if stream.has(item[0])))
    ends = [b"ENTRIESADDED", b"%d" % stream.added, b"MAXDELETEDID", id_text(stream.max_deleted_id)]
    yield [b"XSETID", key, id_text(stream.last_id), *ends]


def _claims(key: bytes, name: bytes, group: Group, items: Iterable[tuple[int, Pending]]) -> Iterator[list[bytes]]:
    """XCLAIMs of these pending entries."""
    for (consumer, delivered_ms, count), run in groupby(items, _delivery):
        while ids := [id_text(id_) for id_, _ in islice(run, CHUNK)]:
            yield claim(key, name, consumer, ids, delivered_ms, count, group.last_id)


def _delivery(item: tuple[int, Pending]) -> tuple[bytes, int, int]:
    return item[1].consumer, item[1].delivered_ms, item[1].count


def claim(
    key: bytes, group: bytes, consumer: bytes, ids: Iterable[bytes], delivered_ms: int, count: int, last_id: int
) -> list[bytes]:
    """The XCLAIM that gives the IDs to a consumer, as they are when this was their delivery."""
    delivery = [b"TIME", b"%d" % delivered_ms, b"RETRYCOUNT", b"%d" % count]
    return [b"XCLAIM", key, group, consumer, b"0", *ids, *delivery, b"FORCE", b"JUSTID", b"LASTID", id_text(last_id)]


def id_text(id_: int) -> bytes:
    """An ID as clients have it."""
    return b"%d-%d" % (id_ >> ID_BITS, id_ & MASK)

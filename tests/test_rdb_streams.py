"""Streams of RDB: what does not fit together is refused, also where Valkey would take it."""

import pytest

from shard.rdb.encoding import BadObject, Reader, Writer
from shard.rdb.streams import read_stream, write_stream
from shard.values.stream import Stream
from tests.rdb_payloads import DELIVERY, NEVER, PENDING, node, packed, string

END = b"\x03\x05\x03\x05\x01\x00\x00\x03"
"""Length, last ID, first ID, greatest deleted ID, added."""
NO_GROUPS = b"\x00"
GROUP = b"\x01\x01g\x05\x02\x02"
"""One group, its name, last ID, entries read."""


def read(body: bytes, version: int = 3) -> Stream:
    return read_stream(Reader(body), version)


def test_there_and_back() -> None:
    body = b"\x02" + node(1, 2) + node(3) + END + GROUP + b"\x01" + DELIVERY
    body += b"\x01\x01c" + 2 * (1 << 40).to_bytes(8, "little") + b"\x01" + PENDING
    stream = read(body)
    stream._check()
    assert [id_ for id_, _ in stream.items()] == [(5, 1), (5, 2), (5, 3)]
    assert stream.first_id == (5 << 64) + 1
    group = stream.groups[b"g"]
    assert (group.entries_read, len(group.pending), len(group.consumers[b"c"])) == (2, 1, 1)
    writer = Writer(compressing=False)
    for _ in write_stream(writer, stream):
        pass
    assert b"".join(writer.parts) == body


def test_what_older_files_do_not_say() -> None:
    first = read(b"\x01" + node(1, 2, 3) + b"\x03\x05\x03\x01\x01g\x05\x03\x00\x00", 1)
    assert (first.added, first.max_deleted_id, first.groups[b"g"].entries_read) == (3, 0, 3)
    consumer = GROUP + b"\x00\x01\x01c" + (7).to_bytes(8, "little") + b"\x00"
    second = read(b"\x01" + node(1, 2, 3) + END + consumer, 2).groups[b"g"].consumers[b"c"]
    assert second.seen_ms == second.active_ms == 7


@pytest.mark.parametrize(
    "body",
    [
        b"\x01" + node(1, 2, 3) + b"\x02" + END[1:] + NO_GROUPS,
        b"\x01" + node(1, 2, 3) + b"\x03\x05\x02" + END[3:] + NO_GROUPS,
        b"\x01" + node(1, 2, 3) + END[:-1] + b"\x02" + NO_GROUPS,
        b"\x01" + node(1, 2, 3) + END[:-1] + b"\x81" + NEVER + NO_GROUPS,
        b"\x01" + node(1, 2, 3) + END[:5] + b"\x06\x00\x03" + NO_GROUPS,
        b"\x01" + node(1, 3, 2) + END + NO_GROUPS,
        b"\x02" + node(1, 2) + node(2) + END + NO_GROUPS,
        b"\x01" + string(bytes(7) + b"\x05" + bytes(8)) + node(1, 2, 3)[17:] + b"\x03" + END[1:] + NO_GROUPS[:0],
        b"\x01"
        + string(bytes(7) + b"\x05" + bytes(7) + b"\x01")
        + packed(b"1", b"0", b"x")
        + b"\x01"
        + END[1:]
        + NO_GROUPS,
        b"\x01" + node(1, 2, 3) + END + GROUP + b"\x01" + bytes(16) + DELIVERY[16:] + b"\x00",
        b"\x01" + node(1, 2, 3) + END + GROUP + b"\x02" + 2 * DELIVERY + b"\x00",
        b"\x01" + node(1, 2, 3) + END + GROUP + b"\x01" + PENDING + NEVER + b"\x01" + b"\x00",
        b"\x01" + node(1, 2, 3) + END + GROUP + b"\x00\x02" + 2 * (b"\x01c" + bytes(16) + b"\x00"),
        b"\x01" + node(1, 2, 3) + END + GROUP[:-1] + b"\x81\x80" + bytes(7) + b"\x00\x00",
        b"\x81" + NEVER + node(1, 2, 3) + END + NO_GROUPS,
    ],
    ids=[
        "another length",
        "a last ID before the last",
        "fewer added than there are",
        "more added than can be counted",
        "a deleted ID behind the last",
        "entries in no order",
        "nodes that overlap",
        "cut off",
        "a node of no entries",
        "0-0 pending",
        "pending twice",
        "delivered before all times",
        "a consumer twice",
        "more read than can be counted",
        "2**64 - 1 nodes",
    ],
)
def test_what_does_not_fit(body: bytes) -> None:
    with pytest.raises(BadObject):
        read(body)

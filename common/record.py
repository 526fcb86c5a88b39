"""Records: what the log of a shard says of a write over several shards, beside what the shard itself did of it.

Each shard that takes part logs the whole write, so that any of them can tell another what it lacks after a crash. In
the log a record is the argument of an ECHO: a real server that loads the log answers it to nobody. Three kinds:

    whole      id, the shards, time, and the part of each: stands in one group with the effects of the shard's own part
    done       id only: the shard did its part, and nothing came of it
    settled    up to this id every write is on disk on all its shards: nobody will ask for it any more

The ids are the router's, and grow. A part is a list of items: ["runs", [[header, requests], ...]], which are done again
as they came, and ["held", effects, changes] of a call under holds: see shard/loan.py.
"""

from array import array
from struct import Struct
from typing import Any

import msgpack

from common.frame import packer, unpack

COMMAND = b"ECHO"
"""The command that a record is the argument of."""
MAGIC = b"shardis:"
WHOLE, DONE, SETTLED = b"w", b"d", b"s"
ID_AT = len(MAGIC) + 1
PARTS_AT = ID_AT + 8
COUNT = Struct("<H")
"""How many shards took part; their numbers follow, each as wide."""
TIME = Struct("<q")
"""In ms; the sizes of the parts follow, each as wide, and then the parts."""

Item = list[Any]
Parts = dict[int, list[Item]]
"""By shard."""

_pack = packer().pack
_pack_header = packer().pack_array_header


def whole(id_: int, now_ms: int, parts: Parts) -> bytes:
    """The record of a write whose parts are these, done at that time."""
    return _joined(id_, now_ms, {shard: [_pack(part)] for shard, part in parts.items()})


def packed_item(item: Item) -> bytes:
    """One item of a part."""
    return _pack(item)


def composed(id_: int, now_ms: int, parts: dict[int, list[bytes]]) -> bytes:
    """The record of a write whose parts are these items, which are packed."""
    return _joined(id_, now_ms, {shard: [_pack_header(len(items)), *items] for shard, items in parts.items()})


def _joined(id_: int, now_ms: int, packed: dict[int, list[bytes]]) -> bytes:
    sizes = array("q", [sum(map(len, pieces)) for pieces in packed.values()])
    head = (_head(WHOLE, id_), COUNT.pack(len(packed)), array("H", packed), TIME.pack(now_ms), sizes)
    return b"".join((*head, *(piece for pieces in packed.values() for piece in pieces)))


def done(id_: int) -> bytes:
    """The record of a part without an effect."""
    return _head(DONE, id_)


def settled(id_: int) -> bytes:
    """The record that nobody will ask for those up to this id."""
    return _head(SETTLED, id_)


def _head(kind: bytes, id_: int) -> bytes:
    return MAGIC + kind + id_.to_bytes(8, "big")


def kind_of(record: bytes) -> bytes:
    """WHOLE, DONE or SETTLED; empty for what is no record."""
    if not record.startswith(MAGIC) or len(record) < PARTS_AT:
        return b""
    return record[len(MAGIC) : ID_AT]


def id_of(record: bytes) -> int:
    """The id in it."""
    return int.from_bytes(record[ID_AT:PARTS_AT], "big")


def shards_of(record: bytes) -> list[int]:
    """The shards that took part, by a whole one; none by another. They are read without the parts, which may be long.
    Raises ValueError for a damaged one."""
    if kind_of(record) != WHOLE:
        return []
    end = _end_of_shards(record)
    if end > len(record):
        raise ValueError("no record")
    return list(array("H", record[PARTS_AT + COUNT.size : end]))


def _end_of_shards(record: bytes) -> int:
    at = PARTS_AT + COUNT.size
    return at + 2 * int.from_bytes(record[PARTS_AT:at], "little")


def parts_of(record: bytes) -> tuple[int, Parts]:
    """When it was done, in ms, and the parts by shard, of a whole one.  Raises ValueError for a damaged one."""
    now_ms, packed = _packed(record)
    return now_ms, {shard: _unpacked(part) for shard, part in packed.items()}


def part_of(record: bytes, shard: int) -> tuple[int, list[Item]]:
    """The same of one shard.  Raises ValueError for a damaged one."""
    now_ms, packed = _packed(record)
    if shard not in packed:
        raise ValueError("no record")
    return now_ms, _unpacked(packed[shard])


def _packed(record: bytes) -> tuple[int, dict[int, memoryview]]:
    shards = shards_of(record)
    at = _end_of_shards(record) + TIME.size
    end = at + TIME.size * len(shards)
    if end > len(record):
        raise ValueError("no record")
    (now_ms,), sizes = TIME.unpack_from(record, at - TIME.size), array("q", record[at:end])
    if end + sum(sizes) != len(record):
        raise ValueError("no record")
    data = memoryview(record)
    packed = {}
    for shard, size in zip(shards, sizes, strict=True):
        packed[shard] = data[end : end + size]
        end += size
    return now_ms, packed


def _unpacked(part: memoryview) -> list[Item]:
    try:
        items: list[Item] = unpack(part)
    except (msgpack.UnpackException, TypeError) as error:
        raise ValueError("no record") from error
    return items


def lacking(reports: list[dict[str, Any]]) -> list[tuple[int, int, int]]:
    """What which shard lacks, and one that has it, in the order in which it is to be done: [(id, shard, holder), ...].

    >>> one = {"settled": 3, "has": {4: [0, 1], 5: [0, 1]}}
    >>> other = {"settled": 3, "has": {4: []}}
    >>> lacking([one, other])
    [(5, 1, 0)]
    """
    found = {
        (id_, shard): holder
        for holder, report in enumerate(reports)
        for id_, shards in report["has"].items()
        for shard in shards
        if id_ not in reports[shard]["has"] and id_ > reports[shard]["settled"]
    }
    return [(id_, shard, holder) for (id_, shard), holder in sorted(found.items())]

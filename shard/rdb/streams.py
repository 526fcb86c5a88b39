"""Streams as objects of RDB: their nodes, which are listpacks, and the groups with all that is pending.

    nodes  (ID listpack) ...  length  last ID  [first ID  greatest deleted ID  added]
    groups (name  last ID  [entries read]  pending (ID  delivered ms  count) ...
            consumers (name  seen ms  [active ms]  pending (ID) ...) ...) ...

In front of each `...` is how many follow. An ID is 16 bytes in nodes and pending entries, and two lengths elsewhere.
The brackets came later: the first with STREAM_LISTPACKS_2, that of consumers with STREAM_LISTPACKS_3.
"""

from collections.abc import Iterator
from typing import Any

from shard.rdb.encoding import BadObject, Reader, Writer
from shard.values import listpack
from shard.values.stream import Stream, of_wire
from shard.values.stream_groups import COUNT_MAX, ID_BYTES, UNKNOWN, Group, id_to_wire
from shard.values.stream_node import ID_BITS, MASK, Node

TIME_BYTES = 8
COUNT_END = 1 << 63
"""Greater counts can't be counted on. The reference would take them for negative ones."""
NO_ID = bytes(ID_BYTES)


def write_stream(writer: Writer, stream: Stream) -> Iterator[None]:
    """As STREAM_LISTPACKS_3, but for the byte that says so; a node or a group a step. O(n)."""
    writer.length(len(stream.nodes))
    for id_, node in stream.nodes.items():
        writer.string(id_to_wire(id_))
        writer.string(node.to_listpack())
        yield
    writer.length(stream.length)
    _write_ids(writer, stream.last_id, stream.first_id, stream.max_deleted_id)
    writer.length(stream.added)
    writer.length(len(stream.groups))
    for name, group in stream.groups_by_name():
        writer.string(name)
        _write_ids(writer, group.last_id)
        writer.length(group.entries_read & MASK)
        _write_group(writer, group)
        yield


def _write_group(writer: Writer, group: Group) -> None:
    writer.length(len(group.pending))
    for id_, pending in group.pending.items():
        writer.raw(id_to_wire(id_))
        writer.integer(pending.delivered_ms)
        writer.length(pending.count)
    writer.length(len(group.consumers))
    for name, consumer in group.by_name():
        writer.string(name)
        writer.integer(consumer.seen_ms)
        writer.integer(consumer.active_ms)
        writer.length(len(consumer.pending))
        for id_, _ in consumer.pending.items():
            writer.raw(id_to_wire(id_))


def _write_ids(writer: Writer, *ids: int) -> None:
    for id_ in ids:
        writer.length(id_ >> ID_BITS)
        writer.length(id_ & MASK)


def read_stream(reader: Reader, version: int) -> Stream:
    """The stream that comes next, of STREAM_LISTPACKS 1, 2 or 3.  Raises BadObject. O(n log n)."""
    nodes = [[_node_id(reader), _listpack(reader)] for _ in range(_count(reader))]
    length = reader.length()
    last_id = _id(reader)
    max_deleted_id, added = NO_ID, length
    if version > 1:
        _id(reader)  # The first, which the nodes tell.
        max_deleted_id, added = _id(reader), reader.length()
    groups = [_read_group(reader, version) for _ in range(_count(reader))]
    if len({id_ for id_, _ in nodes}) != len(nodes) or len({name for name, _ in groups}) != len(groups):
        raise BadObject()
    if not length <= added < COUNT_END:
        raise BadObject()
    try:
        stream = of_wire([nodes, length, last_id, NO_ID, max_deleted_id, min(added, COUNT_MAX), groups])
        _check_entries(stream)
    except ValueError:
        raise BadObject() from None
    if stream.max_deleted_id > stream.last_id:
        raise BadObject()
    stream._find_first()
    if version == 1:
        for group in stream.groups.values():
            group.entries_read = stream.entries_read_at(group.last_id)
    return stream


def _count(reader: Reader) -> int:
    """How many things follow, maybe none; each has a byte at least."""
    number = reader.length()
    if number > reader.left():
        raise BadObject()
    return number


def _node_id(reader: Reader) -> bytes:
    id_ = reader.string()
    if len(id_) != ID_BYTES:
        raise BadObject()
    return id_


def _id(reader: Reader) -> bytes:
    return id_to_wire(reader.length() << ID_BITS | reader.length())


def _listpack(reader: Reader) -> bytes:
    data = reader.string()
    if not listpack.whole(data):
        raise BadObject()
    return bytes(listpack.of(listpack.texts(bytearray(data))))


def _check_entries(stream: Stream) -> None:
    """That all entries are in order and make up what the stream says of itself.  Raises BadObject, ValueError. O(n)."""
    before = length = 0
    for id_, node in stream.nodes.items():
        _check_node(node, id_, before)
        before = node.id_at(len(node.offsets) - 1)
        length += node.count
    if length != stream.length or before > stream.last_id:
        raise BadObject()


def _check_node(node: Node, id_: int, before: int) -> None:
    places = range(len(node.offsets))
    ids = [node.id_at(place) for place in places]
    found: list[Any] = []
    node.collect(found, 0, ids[-1], 0)
    if ids[0] != id_ or before >= id_ or any(one >= other for one, other in zip(ids, ids[1:], strict=False)):
        raise BadObject()
    if len(found) != node.count or not all(words for _, words in found):
        raise BadObject()


# Groups, as `of_wire` takes them


def _read_group(reader: Reader, version: int) -> list[Any]:
    name = reader.string()
    last_id = _id(reader)
    entries_read = _entries_read(reader) if version > 1 else UNKNOWN
    deliveries: dict[bytes, tuple[int, int]] = {}
    for _ in range(count := _count(reader)):
        id_ = reader.take(ID_BYTES)
        deliveries[id_] = (_delivered_ms(reader), _delivery_count(reader))
    if len(deliveries) != count or NO_ID in deliveries:
        raise BadObject()
    consumers = [_read_consumer(reader, version, deliveries) for _ in range(_count(reader))]
    if deliveries or len({consumer[0] for consumer in consumers}) != len(consumers):
        raise BadObject()
    return [name, [last_id, entries_read, consumers]]


def _entries_read(reader: Reader) -> int:
    number = reader.length()
    if COUNT_END <= number < MASK:
        raise BadObject()
    return UNKNOWN if number == MASK else min(number, COUNT_MAX)


def _delivered_ms(reader: Reader) -> int:
    at_ms: int = reader.integer(TIME_BYTES)
    if at_ms < 0:
        raise BadObject()
    return at_ms


def _delivery_count(reader: Reader) -> int:
    number: int = reader.length()
    if number >= COUNT_END:
        raise BadObject()
    return min(number, COUNT_MAX)


def _read_consumer(reader: Reader, version: int, deliveries: dict[bytes, tuple[int, int]]) -> list[Any]:
    """Takes what is pending for the consumer out of the deliveries."""
    name = reader.string()
    seen_ms = reader.integer(TIME_BYTES)
    active_ms = reader.integer(TIME_BYTES) if version > 2 else seen_ms
    pending = []
    for _ in range(_count(reader)):
        id_ = reader.take(ID_BYTES)
        if id_ not in deliveries:
            raise BadObject()
        pending.append([id_, *deliveries.pop(id_)])
    return [name, seen_ms, active_ms, pending]

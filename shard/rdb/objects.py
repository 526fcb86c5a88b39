"""Values as objects of RDB: a type, which says the encoding too, and what the reference writes for that.

What is written is what Valkey 9.1 would write for the value, also of each encoding. What is read is all that it reads,
down to the ziplists of Redis 2. Any bytes may come: they are an object, or BadObject is raised.

Rule 1: an object is read whole before anything is done with it. What it makes is bounded by what its bytes can tell.
Rule 2: a value of many elements can be written a step at a time, so that a loop can do other things between two steps.
Rule 3: a listpack that comes from elsewhere is made anew, so that it keeps the rules of shard/values/listpack.py.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

from common.numbers import maybe_double
from shard.rdb.encoding import BadObject, Reader, Writer
from shard.rdb.streams import read_stream, write_stream
from shard.rdb.ziplist import intset, ziplist, zipmap
from shard.values import listpack, sorted_set_pack
from shard.values.hash import (
    ENTRIES_LIMIT,
    ENTRIES_LIMIT_DEFAULT,
    ENTRIES_MAX,
    PACK_BYTES_MAX,
    TEXT_LIMIT,
    TEXT_LIMIT_DEFAULT,
    Hash,
)
from shard.values.list import FILL, RIGHT, List, nodes_of
from shard.values.list_nodes import Node, count_of
from shard.values.quicklist import Quicklist, exceeds
from shard.values.set import HASHTABLE, INTSET, LISTPACK, Set, collected, from_intset, from_listpack, made
from shard.values.set import limits_of as set_limits_of
from shard.values.sorted_set import Limits, SortedSet, limits_of, sorted_set_of
from shard.values.stream import Stream

Config = dict[str, Any]
"""The directives that say how large a listpack may be."""

STRING = 0
LIST = 1
SET = 2
ZSET = 3
HASH = 4
ZSET_2 = 5
HASH_ZIPMAP = 9
LIST_ZIPLIST = 10
SET_INTSET = 11
ZSET_ZIPLIST = 12
HASH_ZIPLIST = 13
LIST_QUICKLIST = 14
STREAM_LISTPACKS = 15
HASH_LISTPACK = 16
ZSET_LISTPACK = 17
LIST_QUICKLIST_2 = 18
STREAM_LISTPACKS_2 = 19
SET_LISTPACK = 20
STREAM_LISTPACKS_3 = 21
HASH_2 = 22
"""Fields with times; only Valkey has it."""

PLAIN_NODE = 1
PACKED_NODE = 2
NO_TIME = -1
ANY_SIZE = 1 << 62
"""What was a listpack or a ziplist stays one, however long its texts are, unless there are too many of them."""
INTEGER_BYTES = 8
STEP = 128
"""Elements that are written at once: some 50 µs."""

DOUBLES = {253: float("nan"), 254: float("inf"), 255: float("-inf")}
"""Scores of the type ZSET by the byte where else the size of a text is."""


def read_object(reader: Reader, kind: int, config: Config) -> Any:
    """The value that comes next, of that type.  Raises BadObject. O(bytes)."""
    if kind not in READERS:
        raise BadObject()
    return READERS[kind](reader, config)


def kind_of(value: Any, config: Config) -> int:
    """The type as which a value is written: a dump has it at the front, a file before the key. O(1)."""
    return STRING if isinstance(value, bytes | bytearray) else KINDS[value.type_name](value, config)


def write_object(writer: Writer, kind: int, value: Any) -> None:
    """Writes a value as the type that `kind_of` said. O(bytes)."""
    for _ in steps_of(writer, kind, value) or ():
        pass


def steps_of(writer: Writer, kind: int, value: Any) -> Iterator[None] | None:
    """The same, each time that the next one is asked for a little more; None if it is done: that was little. The value
    must not change meanwhile."""
    return WRITERS[kind](writer, value)


def _in_steps(elements: Iterable[Any]) -> Iterator[Iterator[Any]]:
    """These, some at a time."""
    left = iter(elements)
    for first in left:
        yield chain((first,), islice(left, STEP - 1))


# --- Listpacks -------------------------------------------------------------------------------------------------------


def _packed(reader: Reader) -> list[bytes]:
    """What a listpack says."""
    data = reader.string()
    if not listpack.whole(data):
        raise BadObject()
    return listpack.texts(bytearray(data))


def _pairs(texts: list[bytes]) -> list[bytes]:
    """The same, if it is at least one pair, and no two begin with the same."""
    if not texts or len(texts) % 2 or 2 * len(set(texts[::2])) != len(texts):
        raise BadObject()
    return texts


# --- Lists -----------------------------------------------------------------------------------------------------------


def _read_list(reader: Reader, config: Config) -> List:
    made = _quicklist_of([reader.string() for _ in range(reader.count())], config)
    return _list_of(nodes_of(made), config)


def _read_list_ziplist(reader: Reader, config: Config) -> List:
    return _quicklist_of(ziplist(reader.string()), config)


def _quicklist_of(texts: list[bytes], config: Config) -> List:
    """One of texts, which are put into nodes one by one."""
    if not texts:
        raise BadObject()
    made = List()
    made.many = Quicklist(config.get("list-max-listpack-size", FILL))
    for text in texts:
        made.many.push(text, RIGHT)
    return made


def _read_list_quicklist(reader: Reader, config: Config) -> List:
    return _list_of([listpack.of(ziplist(reader.string())) for _ in range(reader.count())], config)


def _read_list_quicklist_2(reader: Reader, config: Config) -> List:
    nodes: list[Node] = []
    for _ in range(reader.count()):
        container = reader.length()
        if container == PLAIN_NODE:
            nodes.append(_plain(reader))
        elif container == PACKED_NODE:
            nodes.append(listpack.of(_packed(reader)))
        else:
            raise BadObject()
    return _list_of(nodes, config)


def _plain(reader: Reader) -> bytes:
    text = reader.string()
    if not text:
        raise BadObject()
    return text


def _list_of(nodes: list[Node], config: Config) -> List:
    """One of these nodes, of which some may be empty. As in the reference they stay as they are."""
    fill = config.get("list-max-listpack-size", FILL)
    many = Quicklist(fill)
    nodes = [node for node in nodes if count_of(node)]
    if not nodes:
        raise BadObject()
    made = List()
    if len(nodes) == 1 and isinstance(nodes[0], bytearray) and not exceeds(fill, len(nodes[0]), count_of(nodes[0])):
        made.pack = nodes[0]
        return made
    for node in nodes:
        if isinstance(node, bytes) and len(node) <= many.large_bytes:
            node = listpack.of([node])
        many.push_node(node, count_of(node), RIGHT)
    made.many = many
    return made


def _list_kind(value: List, config: Config) -> int:
    return LIST_QUICKLIST_2


def _write_list(writer: Writer, value: List) -> Iterator[None]:
    nodes = nodes_of(value)
    writer.length(len(nodes))
    for node in nodes:
        writer.length(PLAIN_NODE if isinstance(node, bytes) else PACKED_NODE)
        writer.string(bytes(node))
        yield


# --- Sorted sets -----------------------------------------------------------------------------------------------------


def _read_zset(reader: Reader, config: Config) -> SortedSet:
    return _sorted_set_of([(reader.string(), _old_double(reader)) for _ in range(reader.count())], limits_of(config))


def _old_double(reader: Reader) -> float:
    size = reader.byte()
    return DOUBLES[size] if size in DOUBLES else _score(reader.take(size))


def _read_zset_2(reader: Reader, config: Config) -> SortedSet:
    return _sorted_set_of([(reader.string(), reader.real()) for _ in range(reader.count())], limits_of(config))


def _read_zset_ziplist(reader: Reader, config: Config) -> SortedSet:
    return _sorted_set_of_pairs(ziplist(reader.string()), config)


def _read_zset_listpack(reader: Reader, config: Config) -> SortedSet:
    return _sorted_set_of_pairs(_packed(reader), config)


def _sorted_set_of_pairs(texts: list[bytes], config: Config) -> SortedSet:
    texts = _pairs(texts)
    entries = [(texts[at], _score(texts[at + 1])) for at in range(0, len(texts), 2)]
    return _sorted_set_of(entries, (limits_of(config)[0], ANY_SIZE))


def _score(word: bytes) -> float:
    number = maybe_double(word)
    if number is None:
        raise BadObject()
    return number


def _sorted_set_of(entries: list[tuple[bytes, float]], limits: Limits) -> SortedSet:
    if len({member for member, _ in entries}) != len(entries) or any(score != score for _, score in entries):
        raise BadObject()
    return sorted_set_of(entries, limits)


def _zset_kind(value: SortedSet, config: Config) -> int:
    return ZSET_LISTPACK if value.encoding(config) == "listpack" else ZSET_2


def _write_zset_listpack(writer: Writer, value: SortedSet) -> None:
    writer.string(bytes(sorted_set_pack.pack_of(value.items()) if value.pack is None else value.pack))


def _write_zset(writer: Writer, value: SortedSet) -> Iterator[None]:
    writer.length(len(value))
    # The last comes first, because the reference adds each at the head of its skiplist.
    for some in _in_steps(value.backwards()):
        for member, score in some:
            writer.string(member)
            writer.real(score)
        yield


# --- Hashes ----------------------------------------------------------------------------------------------------------


def _read_hash(reader: Reader, config: Config) -> Hash:
    texts = [reader.string() for _ in range(reader.count()) for _ in (0, 1)]
    return _hash_of(texts, config.get(TEXT_LIMIT, TEXT_LIMIT_DEFAULT), config)


def _read_hash_zipmap(reader: Reader, config: Config) -> Hash:
    return _hash_of(zipmap(reader.string()), config.get(TEXT_LIMIT, TEXT_LIMIT_DEFAULT), config)


def _read_hash_ziplist(reader: Reader, config: Config) -> Hash:
    return _hash_of(ziplist(reader.string()), ANY_SIZE, config)


def _read_hash_listpack(reader: Reader, config: Config) -> Hash:
    return _hash_of(_packed(reader), ANY_SIZE, config)


def _read_hash_2(reader: Reader, config: Config) -> Hash:
    texts: list[bytes] = []
    times: list[bytes | int] = []
    for _ in range(reader.count()):
        field, text, at_ms = reader.string(), reader.string(), reader.integer(INTEGER_BYTES)
        texts += (field, text)
        if at_ms < NO_TIME:
            raise BadObject()
        if at_ms != NO_TIME:
            times += (field, at_ms)
    return Hash.from_wire([False, _pairs(texts), times])


def _hash_of(texts: list[bytes], text_bytes_max: int, config: Config) -> Hash:
    """One of fields and texts in turn."""
    small = len(_pairs(texts)) <= 2 * config.get(ENTRIES_LIMIT, ENTRIES_LIMIT_DEFAULT)
    if small and max(map(len, texts)) <= text_bytes_max:
        pack = listpack.of(texts)
        fits = len(texts) <= 2 * ENTRIES_MAX and len(pack) <= PACK_BYTES_MAX
        return Hash.from_wire([True, bytes(pack) if fits else texts, []])
    return Hash.from_wire([False, texts, []])


def _hash_kind(value: Hash, config: Config) -> int:
    if value.encoding(config) == "listpack":
        return HASH_LISTPACK
    return HASH_2 if value.first_ms() >= 0 else HASH


def _write_hash_listpack(writer: Writer, value: Hash) -> None:
    writer.string(bytes(listpack.of(value.flat()) if value.pack is None else value.pack))


def _write_hash(writer: Writer, value: Hash) -> Iterator[None]:
    writer.length(len(value))
    for some in _in_steps(value.items()):
        for field, text in some:
            writer.string(field)
            writer.string(text)
        yield


def _write_hash_2(writer: Writer, value: Hash) -> Iterator[None]:
    writer.length(len(value))
    for some in _in_steps(value.items()):
        for field, text in some:
            writer.string(field)
            writer.string(text)
            writer.integer(value.expiry_ms(field))
        yield


# --- Sets ------------------------------------------------------------------------------------------------------------


def _read_set(reader: Reader, config: Config) -> Set:
    members = _different([reader.string() for _ in range(reader.count())])
    if len(members) > set_limits_of(config)[0]:
        return made(HASHTABLE, members)
    return collected(INTSET, members, config)


def _read_set_intset(reader: Reader, config: Config) -> Set:
    data = reader.string()
    members = [b"%d" % number for number in intset(data)]
    return from_intset(data) if len(members) <= set_limits_of(config)[0] else made(HASHTABLE, members)


def _read_set_listpack(reader: Reader, config: Config) -> Set:
    members = _different(_packed(reader))
    if len(members) > set_limits_of(config)[1]:
        return made(HASHTABLE, members)
    return from_listpack(bytes(listpack.of(members)))


def _different(members: list[bytes]) -> list[bytes]:
    """The same, if there are some and all differ."""
    if not members or len(set(members)) != len(members):
        raise BadObject()
    return members


def _set_kind(value: Set, config: Config) -> int:
    return {INTSET: SET_INTSET, LISTPACK: SET_LISTPACK, HASHTABLE: SET}[value.kind]


def _write_set_packed(writer: Writer, value: Set) -> None:
    data = value.packed()
    assert data is not None
    writer.string(data)


def _write_set(writer: Writer, value: Set) -> Iterator[None]:
    writer.length(len(value))
    for some in _in_steps(value):
        for member in some:
            writer.string(member)
        yield


# --- Strings and streams, and all of them by their types -------------------------------------------------------------


def _read_string(reader: Reader, config: Config) -> bytes:
    return reader.string()


def _stream_reader(version: int) -> Callable[[Reader, Config], Stream]:
    return lambda reader, config: read_stream(reader, version)


def _write_string(writer: Writer, value: bytes | bytearray) -> None:
    writer.string(bytes(value))


def _stream_kind(value: Stream, config: Config) -> int:
    return STREAM_LISTPACKS_3


READERS: dict[int, Callable[[Reader, Config], Any]] = {
    STRING: _read_string,
    LIST: _read_list,
    SET: _read_set,
    ZSET: _read_zset,
    HASH: _read_hash,
    ZSET_2: _read_zset_2,
    HASH_ZIPMAP: _read_hash_zipmap,
    LIST_ZIPLIST: _read_list_ziplist,
    SET_INTSET: _read_set_intset,
    ZSET_ZIPLIST: _read_zset_ziplist,
    HASH_ZIPLIST: _read_hash_ziplist,
    LIST_QUICKLIST: _read_list_quicklist,
    STREAM_LISTPACKS: _stream_reader(1),
    HASH_LISTPACK: _read_hash_listpack,
    ZSET_LISTPACK: _read_zset_listpack,
    LIST_QUICKLIST_2: _read_list_quicklist_2,
    STREAM_LISTPACKS_2: _stream_reader(2),
    SET_LISTPACK: _read_set_listpack,
    STREAM_LISTPACKS_3: _stream_reader(3),
    HASH_2: _read_hash_2,
}

KINDS: dict[str, Callable[[Any, Config], int]] = {
    "list": _list_kind,
    "set": _set_kind,
    "zset": _zset_kind,
    "hash": _hash_kind,
    "stream": _stream_kind,
}

WRITERS: dict[int, Callable[[Writer, Any], Iterator[None] | None]] = {
    STRING: _write_string,
    LIST_QUICKLIST_2: _write_list,
    SET_INTSET: _write_set_packed,
    SET_LISTPACK: _write_set_packed,
    SET: _write_set,
    ZSET_LISTPACK: _write_zset_listpack,
    ZSET_2: _write_zset,
    HASH_LISTPACK: _write_hash_listpack,
    HASH: _write_hash,
    HASH_2: _write_hash_2,
    STREAM_LISTPACKS_3: write_stream,
}

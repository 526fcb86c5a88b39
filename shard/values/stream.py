"""Streams: entries in the order of their IDs, in nodes, and groups of consumers that read them.

An ID is one integer here, `ms << 64 | sequence`. The nodes are Valkey's, with the same entries: see stream_node.py.

Adding is O(1), finding O(log n). A stream may be empty and still be there.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from shard.values import stream_groups
from shard.values.stream_groups import COUNT_MAX, UNKNOWN, Group, id_of_wire, id_to_wire
from shard.values.stream_index import Index, radix_nodes_more
from shard.values.stream_log import commands_of
from shard.values.stream_node import ID_BITS, MASK, Node, of_listpack

Entry = tuple[int, list[bytes]]
"""ID, and fields and values in turn."""

ID_MAX: int = 2**128 - 1
_COUNT_MAX = COUNT_MAX
NODE_BYTES_MAX = 1 << 30
"""Of a listpack."""


class Stream:
    """The value of a key."""

    __slots__ = (
        "nodes",
        "tail",
        "tail_fields",
        "radix_nodes",
        "length",
        "last_id",
        "first_id",
        "added",
        "max_deleted_id",
        "groups",
    )

    type_name = "stream"

    def __init__(self) -> None:
        self.nodes = Index()
        self.tail: Node | None = None
        """The last node."""
        self.tail_fields: tuple[bytes, ...] = ()
        """Its fields, with which each new entry is compared."""
        self.radix_nodes = 1
        """How many nodes Valkey's radix tree of the nodes' IDs has."""
        self.length = 0
        self.last_id = 0
        """The greatest that was ever there, or what XSETID says: the next is greater."""
        self.first_id = 0
        """Of the first entry that is there, 0 if none is."""
        self.added = 0
        """Entries ever added."""
        self.max_deleted_id = 0
        """The greatest of those that XDEL deleted."""
        self.groups: dict[bytes, Group] = {}

    def __len__(self) -> int:
        return self.length

    def encoding(self, config: dict[str, Any]) -> str:
        """What OBJECT ENCODING answers."""
        return "stream"

    # Reading

    def entries(self, start: int, end: int, limit: int = 0) -> list[Entry]:
        """Those from ID `start` to `end`, at most `limit` if that isn't 0. O(log n + what is found)."""
        found: list[Entry] = []
        if start > end or not self.length:
            return found
        before = self.nodes.floor(start)
        for id_, node in self.nodes.items(start if before is None else before[0]):
            if id_ > end:
                break
            node.collect(found, start, end, limit)
            if len(found) == limit > 0:
                break
        return found

    def entries_back(self, start: int, end: int, limit: int = 0) -> list[Entry]:
        """As `entries`, from `end` back to `start`."""
        found: list[Entry] = []
        if start > end or not self.length:
            return found
        for id_, node in self.nodes.descending(end):
            node.collect_back(found, start, end, limit)
            if id_ < start or len(found) == limit > 0:
                break
        return found

    def entry(self, id_: int) -> list[bytes] | None:
        """Fields and values of one entry, None if it isn't there. O(log n)."""
        found = self.entries(id_, id_, 1)
        return found[0][1] if found else None

    def has(self, id_: int) -> bool:
        """Whether there is an entry with this ID. O(log n)."""
        node = self.nodes.floor(id_)
        return node is not None and node[1].find(id_) >= 0

    def top_id(self) -> int:
        """Of the last entry that is there, -1 if none is. O(1) but for deleted entries."""
        for _, node in self.nodes.descending(ID_MAX) if self.length else ():
            if node.count:
                top: int = node.last_id()
                return top
        return -1

    def items(self) -> Iterator[tuple[tuple[int, int], list[bytes]]]:
        """All entries in order, each as ((ms, sequence), [field, value, ...])."""
        for _, node in self.nodes.items():
            found: list[Entry] = []
            node.collect(found, 0, ID_MAX, 0)
            for id_, words in found:
                yield (id_ >> ID_BITS, id_ & MASK), words

    # Writing

    def append(self, id_: int, words: Sequence[bytes], node_entries_max: int, node_bytes_max: int) -> None:
        """Adds an entry, whose ID is greater than `last_id`; the limits are those of a node, 0 for none. O(size)."""
        fields = tuple(words[::2])
        tail = self.tail
        if tail is None or _is_full(tail, words, node_entries_max, node_bytes_max):
            tail = self._add_node(id_, fields)
        tail.append(id_, fields == self.tail_fields, words)
        self.length += 1
        if self.added < _COUNT_MAX:
            self.added += 1
        self.last_id = id_
        if self.length == 1:
            self.first_id = id_

    def remove(self, id_: int) -> bool:
        """Deletes the entry with this ID, if it is there; whether it was. O(log n)."""
        found = self.nodes.floor(id_)
        place = -1 if found is None else found[1].find(id_)
        if found is None or place < 0:
            return False
        if found[1].count == 1:
            self._remove_node(found[0])
        else:
            found[1].remove(place)
        self.length -= 1
        self.max_deleted_id = max(self.max_deleted_id, id_)
        if id_ == self.first_id:
            self._find_first()
        return True

    def trim(self, length_max: int, id_min: int, *, approximately: bool, limit: int) -> int:
        """Deletes entries from the front until there are `length_max`, or if that is negative those before `id_min`;
        how many it were.

        Only whole nodes if `approximately`. Goes on as long as at most `limit` are deleted, if that isn't 0.
        """
        deleted = 0
        while length_max < 0 or self.length > length_max:
            first = self.nodes.first()
            if first is None:
                break
            node: Node = first[1]
            if limit and deleted + node.count > limit:
                break
            whole = node.greatest_id() < id_min if length_max < 0 else self.length - node.count >= length_max
            if not whole:
                if not approximately:
                    deleted += self._trim_node(node, length_max, id_min)
                break
            deleted += node.count
            self.length -= node.count
            self._remove_node(first[0])
        if deleted:
            self._find_first()
        return deleted

    def _trim_node(self, node: Node, length_max: int, id_min: int) -> int:
        """Deletes the first entries of the first node."""
        place = deleted = 0
        end = node.place(id_min) if length_max < 0 else len(node.offsets)
        while place < end and self.length > length_max:
            if node.is_there(place):
                node.remove(place)
                self.length -= 1
                deleted += 1
            place += 1
        return deleted

    def _add_node(self, id_: int, fields: tuple[bytes, ...]) -> Node:
        self.radix_nodes += radix_nodes_more(self.nodes, id_)
        node = self.tail = Node(id_, fields)
        self.tail_fields = fields
        self.nodes.put(id_, node)
        return node

    def _remove_node(self, id_: int) -> None:
        node = self.nodes.pop(id_)
        self.radix_nodes -= radix_nodes_more(self.nodes, id_)
        if node is self.tail:
            self._find_tail()

    def _find_tail(self) -> None:
        last = self.nodes.last()
        self.tail = last[1] if last else None
        self.tail_fields = self.tail.fields() if self.tail else ()

    def _find_first(self) -> None:
        self.first_id = 0
        for _, node in self.nodes.items() if self.length else ():
            if node.count:
                self.first_id = node.first_id()
                break

    # How far groups have read

    def entries_read_at(self, id_: int) -> int:
        """How many of all entries ever added are up to this ID, or UNKNOWN. O(1)."""
        if not self.added:
            return 0
        if not self.length and id_ <= self.last_id:
            return self.added
        if 0 < id_ < self.max_deleted_id:
            return UNKNOWN
        if id_ >= self.last_id:
            return self.added if id_ == self.last_id else UNKNOWN
        if self.max_deleted_id < self.first_id and id_ <= self.first_id:
            return self.added - self.length + (id_ == self.first_id)
        return UNKNOWN

    def deleted_from(self, id_: int) -> bool:
        """Whether there are entries, and XDEL deleted one with this ID or a greater one. O(1)."""
        return self.length > 0 and 0 < self.max_deleted_id >= id_

    def lag(self, group: Group) -> int | None:
        """How many entries the group has not read yet, None if that cannot be known. O(1)."""
        if not self.added:
            return 0
        if group.entries_read != UNKNOWN and not self.deleted_from(group.last_id):
            return self.added - group.entries_read
        entries_read = self.entries_read_at(group.last_id)
        return None if entries_read == UNKNOWN else self.added - entries_read

    def deliver(self, group: Group, id_: int) -> None:
        """Moves a group on to an entry, which is the next that it reads. O(1)."""
        if group.entries_read != UNKNOWN and group.last_id >= self.first_id and not self.deleted_from(group.last_id):
            group.entries_read = min(group.entries_read + 1, COUNT_MAX)
        elif self.added:
            group.entries_read = self.entries_read_at(id_)
        group.last_id = id_

    # As a value

    def copy(self) -> "Stream":
        """A stream that shares nothing with this one. O(n)."""
        return of_wire(self.to_wire())

    def containers(self) -> list[Any]:
        """The lists and dicts that it is made of."""
        return [*self.nodes.containers(), self.groups] if self.length or self.groups else []

    def commands(self, key: bytes) -> Iterator[list[bytes]]:
        """Commands that make it anew."""
        return commands_of(self, key)

    def to_wire(self) -> list[Any]:
        """[nodes: [[ID, listpack], ...], length, last ID, first ID, greatest deleted, added, groups: [[name, group]]];
        IDs as 16 bytes, groups as in stream_groups.py.
        """
        nodes = [[id_to_wire(id_), node.to_listpack()] for id_, node in self.nodes.items()]
        ids = map(id_to_wire, (self.last_id, self.first_id, self.max_deleted_id))
        groups = [[name, group.to_wire()] for name, group in self.groups_by_name()]
        return [nodes, self.length, *ids, self.added, groups]

    @staticmethod
    def from_wire(wire: list[Any]) -> "Stream":
        """The stream that gave this `to_wire`, or that a file has.  Raises ValueError if a node is none. O(n)."""
        return of_wire(wire)

    def groups_by_name(self) -> Iterator[tuple[bytes, Group]]:
        """The groups, in order. O(n log n)."""
        for name in sorted(self.groups):
            yield name, self.groups[name]

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        self.nodes._check()
        for id_, node in self.nodes.items():
            assert node.id == id_
            node._check()
        for group in self.groups.values():
            group._check()
        assert self.length == sum(node.count for _, node in self.nodes.items())
        ids = [ms << ID_BITS | sequence for (ms, sequence), _ in self.items()]
        assert ids == sorted(set(ids))
        assert len(ids) == self.length <= self.added
        assert self.first_id == (ids[0] if ids else 0)
        assert self.top_id() == (ids[-1] if ids else -1)
        assert not ids or ids[-1] <= self.last_id
        assert self.max_deleted_id <= self.last_id
        last = self.nodes.last()
        assert self.tail is (last[1] if last else None)
        assert self.tail_fields == (self.tail.fields() if self.tail else ())
        counted = Index()
        radix_nodes = 1
        for id_, node in self.nodes.items():
            radix_nodes += radix_nodes_more(counted, id_)
            counted.put(id_, node)
        assert self.radix_nodes == radix_nodes


def _is_full(node: Node, words: Sequence[bytes], entries_max: int, bytes_max: int) -> bool:
    """Whether an entry has to go into another node."""
    if entries_max and node.count + node.deleted >= entries_max:
        return True
    if not 0 < bytes_max <= NODE_BYTES_MAX:
        bytes_max = NODE_BYTES_MAX
    size_bytes = node.size_bytes()
    for word in words:
        size_bytes += len(word)
    return size_bytes >= bytes_max


def of_wire(wire: list[Any]) -> Stream:
    """The stream that gave this `to_wire`, or that was in a file.  Raises ValueError if a node is none. O(n)."""
    stream = Stream()
    nodes, stream.length, last_id, first_id, max_deleted_id, stream.added, groups = wire
    stream.last_id, stream.first_id, stream.max_deleted_id = map(id_of_wire, (last_id, first_id, max_deleted_id))
    for id_, pack in nodes:
        number = id_of_wire(id_)
        stream.radix_nodes += radix_nodes_more(stream.nodes, number)
        stream.nodes.put(number, of_listpack(number, pack))
    stream._find_tail()
    stream.groups = {name: stream_groups.of_wire(group) for name, group in groups}
    return stream

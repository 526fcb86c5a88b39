"""A node of a stream: up to a hundred entries in one piece of memory, byte for byte as Valkey has them.

Valkey keeps a listpack, of which the first two entries are the counts here and the others are `body`:

    count  deleted | fields' number  field ...  0 | entry  entry ...
    entry:  flags  ms - node's ms  sequence - node's sequence  [fields' number  field  value | value] ...  pieces

Rule 1: an entry whose fields are those of the node, in order, has only its values: flag SAME_FIELDS.
Rule 2: an entry that is deleted stays, with the flag DELETED. So nothing moves, and what a node holds and when it is
        full is what Valkey's would be: `XTRIM MAXLEN ~` removes whole nodes.
Rule 3: `offsets` are where entries begin in the body, by which one is found in O(log n); Valkey goes through all.
"""

from array import array
from collections.abc import Sequence

from shard.values import listpack
from shard.values.listpack import entry, following, text

ID_BITS = 64
MASK: int = 2**64 - 1

# Names with an underscore are C numbers where this is compiled: another module does not see them.
_DELETED = 1
_SAME_FIELDS = 2
_SMALL_MAX = 127
_HEADER_BYTES = 7
"""Of a listpack: in front, and the byte at the end."""

_SMALL = [b"%d" % number for number in range(_SMALL_MAX + 1)]
_SMALL_ENTRIES = [entry(word) for word in _SMALL]
_ID_ENTRIES = 3
"""Flags, and both parts of the ID."""


class Node:
    """Entries from the ID `ms << 64 | sequence` on; at least one when it is in a stream."""

    __slots__ = ("ms", "sequence", "count", "deleted", "body", "offsets")

    def __init__(self, id_: int, fields: Sequence[bytes]) -> None:
        """An empty one, for entries that most likely have these fields."""
        self.ms = id_ >> ID_BITS
        self.sequence = id_ & MASK
        self.count = 0
        """Entries that are there."""
        self.deleted = 0
        self.body = bytearray(b"".join([_integer(len(fields)), *[entry(field) for field in fields], _SMALL_ENTRIES[0]]))
        self.offsets = array("I")

    def __len__(self) -> int:
        return self.count

    @property
    def id(self) -> int:
        """What the node is called: the ID of its first entry, also when that is deleted."""
        id_: int = self.ms << ID_BITS | self.sequence
        return id_

    def append(self, id_: int, same_fields: bool, words: Sequence[bytes]) -> None:
        """Adds an entry, later than all. O(size)."""
        count = len(words)
        ms, sequence = _integer((id_ >> ID_BITS) - self.ms), _integer((id_ & MASK) - self.sequence)
        if same_fields:
            values = [entry(word) for word in words[1::2]]
            parts = [_SMALL_ENTRIES[_SAME_FIELDS], ms, sequence, *values, _integer(count // 2 + _ID_ENTRIES)]
        else:
            values = [entry(word) for word in words]
            parts = [_SMALL_ENTRIES[0], ms, sequence, _integer(count // 2), *values, _integer(count + _ID_ENTRIES + 1)]
        self.offsets.append(len(self.body))
        self.body += b"".join(parts)
        self.count += 1

    def size_bytes(self) -> int:
        """Of Valkey's listpack. O(1)."""
        return _HEADER_BYTES + len(_integer(self.count)) + len(_integer(self.deleted)) + len(self.body)

    def fields(self) -> tuple[bytes, ...]:
        """Those that entries have who say nothing of their own."""
        return tuple(_texts(self.body, 0, self.offsets[0])[1:-1])

    def place(self, id_: int) -> int:
        """The place of the first entry from this ID on, there or deleted, or behind the last one. O(log n)."""
        low, high = 0, len(self.offsets)
        while low < high:
            middle = (low + high) >> 1
            if self.id_at(middle) < id_:
                low = middle + 1
            else:
                high = middle
        return low

    def id_at(self, place: int) -> int:
        """The ID of the entry at a place. O(1)."""
        body = self.body
        at = self.offsets[place] + 2
        ms = (self.ms + _number(body, at)) & MASK
        sequence = (self.sequence + _number(body, following(body, at))) & MASK
        return ms << ID_BITS | sequence

    def is_there(self, place: int) -> bool:
        """Whether the entry at a place is not deleted. O(1)."""
        return not self.body[self.offsets[place]] & _DELETED

    def find(self, id_: int) -> int:
        """The place of the entry with this ID, -1 if it isn't there. O(log n)."""
        place = self.place(id_)
        if place < len(self.offsets) and self.is_there(place) and self.id_at(place) == id_:
            return place
        return -1

    def remove(self, place: int) -> None:
        """Deletes the entry at a place, which is there. O(1)."""
        self.body[self.offsets[place]] |= _DELETED
        self.count -= 1
        self.deleted += 1

    def first_id(self) -> int:
        """Of the entries that are there, -1 if there are none."""
        for place in range(len(self.offsets)):
            if self.is_there(place):
                return self.id_at(place)
        return -1

    def last_id(self) -> int:
        """Of the entries that are there, -1 if there are none."""
        for place in range(len(self.offsets) - 1, -1, -1):
            if self.is_there(place):
                return self.id_at(place)
        return -1

    def greatest_id(self) -> int:
        """Of all entries, there or deleted. O(1)."""
        id_: int = self.id_at(len(self.offsets) - 1)
        return id_

    def collect(self, found: list[tuple[int, list[bytes]]], start: int, end: int, limit: int) -> None:
        """Adds the entries from ID `start` to `end`, until there are `limit` in `found`, each as (ID, fields and
        values). O(log n + what is found).
        """
        fields = self.fields()
        count = len(self.offsets)
        for place in range(self.place(start) if start > self.id else 0, count):
            if self.is_there(place):
                id_ = self.id_at(place)
                if id_ > end:
                    return
                found.append((id_, self._words(place, fields)))
                if len(found) == limit:
                    return

    def collect_back(self, found: list[tuple[int, list[bytes]]], start: int, end: int, limit: int) -> None:
        """As `collect`, from `end` back to `start`."""
        fields = self.fields()
        for place in range(self.place(end + 1) - 1, -1, -1):
            if self.is_there(place):
                id_ = self.id_at(place)
                if id_ < start:
                    return
                found.append((id_, self._words(place, fields)))
                if len(found) == limit:
                    return

    def _words(self, place: int, fields: tuple[bytes, ...]) -> list[bytes]:
        """Fields and values of the entry at a place."""
        at = self.offsets[place]
        end = self.offsets[place + 1] if place + 1 < len(self.offsets) else len(self.body)
        found = _texts(self.body, at, end)
        if not self.body[at] & _SAME_FIELDS:
            return found[_ID_ENTRIES + 1 : -1]
        words: list[bytes] = []
        at = _ID_ENTRIES
        for field in fields:
            words.append(field)
            words.append(found[at])
            at += 1
        return words

    def copy(self) -> "Node":
        """Another with the same entries. O(n)."""
        other = Node(self.id, ())
        other.count, other.deleted = self.count, self.deleted
        other.body = self.body[:]
        other.offsets = self.offsets[:]
        return other

    # As a listpack

    def to_listpack(self) -> bytes:
        """What Valkey has for it. O(n)."""
        pack = listpack.new()
        count = len(_counted(self.body)) + 2
        listpack.insert(pack, listpack.first(pack), b"".join([_integer(self.count), _integer(self.deleted)]), 2)
        listpack.insert(pack, len(pack) - 1, bytes(self.body), count - 2)
        return bytes(pack)

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        places = range(len(self.offsets))
        ids = [self.id_at(place) for place in places]
        assert ids == sorted(set(ids)) and ids[0] == self.id
        assert self.count == sum(map(self.is_there, places))
        assert self.count + self.deleted == len(ids)
        assert listpack.whole(self.to_listpack())
        assert self.size_bytes() == len(self.to_listpack())
        again = of_listpack(self.id, self.to_listpack())
        assert again.body == self.body and again.offsets == self.offsets
        assert (again.count, again.deleted) == (self.count, self.deleted)


def of_listpack(id_: int, data: bytes) -> Node:
    """The node that Valkey has as this listpack.  Raises ValueError if it is none. O(n)."""
    if not listpack.whole(data):
        raise ValueError("not a listpack")
    pack = bytearray(data)
    at = listpack.first(pack)
    numbers = []
    for _ in range(2):
        if pack[at] == listpack.END:
            raise ValueError("no counts in it")
        numbers.append(_checked_number(pack, at))
        at = following(pack, at)
    node = Node(id_, ())
    node.count, node.deleted = numbers
    node.body = pack[at:-1]
    node.offsets = array("I", _starts(node.body))
    flags = [node.body[at] for at in node.offsets]
    if not flags or sum(flag & _DELETED for flag in flags) != node.deleted or len(flags) - node.deleted != node.count:
        raise ValueError("not the entries that it counts")
    return node


def _counted(body: bytearray) -> list[int]:
    """Where the entries of a listpack begin. O(n)."""
    found = []
    at = 0
    while at < len(body):
        found.append(at)
        at = following(body, at)
    return found


def _starts(body: bytearray) -> list[int]:
    """Where the entries of a stream begin.  Raises ValueError if they are none. O(n)."""
    places = [*_counted(body), len(body)]
    fields = _checked_number(body, 0) if body else -1
    piece = fields + 2
    if fields < 0 or piece >= len(places) or _checked_number(body, places[piece - 1]) != 0:
        raise ValueError("no fields in it")
    found = []
    while piece < len(places) - 1:
        found.append(places[piece])
        flags = body[places[piece]]
        pieces = fields + _ID_ENTRIES
        if not flags & _SAME_FIELDS and piece + _ID_ENTRIES < len(places) - 1:
            pieces = 2 * _checked_number(body, places[piece + _ID_ENTRIES]) + _ID_ENTRIES + 1
        following_piece = piece + pieces + 1
        if flags > _DELETED | _SAME_FIELDS or pieces < _ID_ENTRIES or following_piece > len(places) - 1:
            raise ValueError("an entry is cut off")
        _checked_number(body, places[piece + 1])
        _checked_number(body, places[piece + 2])
        piece = following_piece
        if _checked_number(body, places[piece - 1]) != pieces:
            raise ValueError("an entry of another length")
    return found


# Parts of a listpack


def _integer(number: int) -> bytes:
    """The listpack entry of a number, or of a difference of two that are unsigned, of 64 bits."""
    if 0 <= number <= _SMALL_MAX:
        return _SMALL_ENTRIES[number]
    if number >= 1 << 63:
        number -= 1 << 64
    elif number < -1 << 63:
        number += 1 << 64
    return entry(b"%d" % number)


def _number(body: bytearray, at: int) -> int:
    """The number at `at`.  Raises ValueError if it is none."""
    kind = body[at]
    return kind if kind <= _SMALL_MAX else int(text(body, at))


def _checked_number(body: bytearray, at: int) -> int:
    """As `_number`, of what may be anything."""
    number = _number(body, at)
    if b"%d" % number != text(body, at):
        raise ValueError("not a number")
    return number


def _texts(body: bytearray, at: int, end: int) -> list[bytes]:
    """What the entries from `at` to `end` say."""
    view = body
    found = []
    while at < end:
        kind = view[at]
        if kind < 0x80:
            found.append(_SMALL[kind])
            at += 2
        elif kind < 0xC0:
            size = kind & 63
            found.append(bytes(view[at + 1 : at + 1 + size]))
            at += size + 2
        else:
            found.append(text(body, at))
            at = following(body, at)
    return found

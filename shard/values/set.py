"""Sets: an intset or a listpack while they are small, buckets from then on.

Which encoding OBJECT ENCODING names depends, as in the reference, on what was added in which order under which
directives, and nothing but a large SPOP leads back; so a set keeps its `kind`. Its `members` are one of three things:

    array     integers in order, of 2, 4 or 8 bytes (`h`, `i`, `q`): what is in Redis's intset behind its header
    bytearray a listpack
    Buckets   anything, each with the value None

An intset is an array and a listpack a bytearray, unless the directives let them grow so large that editing them would
take long: then they are buckets too, and only `kind` remembers. To read one:

    for member in members_set: ...          bytes, in the reference's order where it has one (the integers of an intset)
    members_set.packed()                    the bytes of Redis's intset or listpack, for DUMP; None of a hashtable
"""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any, cast

from common.numbers import maybe_integer
from shard.values import listpack
from shard.values.buckets import Buckets

INTSET, LISTPACK, HASHTABLE = 0, 1, 2
ENCODINGS = ("intset", "listpack", "hashtable")

INTSET_ENTRIES_MAX = 512
LISTPACK_ENTRIES_MAX = 128
LISTPACK_VALUE_BYTES_MAX = 64
"""Where the directives set nothing."""
INTSET_ENTRIES_LIMIT = 1 << 30
"""No intset has more, whatever the directives say."""

ARRAY_BYTES_MAX = 1024 * 1024
"""Of an intset: to insert into more takes 50 µs and up."""
PACK_BYTES_MAX = 64 * 1024
"""Of a listpack: to look through more takes 50 µs and up. With the directives' defaults no set comes near."""

WIDTHS = ("h", "i", "q")
INTEGER_BYTES_MAX = 20
FEW = 8
"""So many members are removed from an array or a listpack one by one; for more it is made anew."""
CHUNK_MEMBERS_MAX = 64
"""Members of one of the commands that make a set anew."""
DENSE = 3
"""If more than one in so many members is asked for, choosing goes through all of them."""


class Set:
    """A set of bytes. Must not change while it is iterated over.

    Operations on a member are O(1) in buckets; while `members` is an array O(log n) to find, a memmove to change; while
    it is a listpack O(n). `config` are the directives by name.

    >>> colours = Set()
    >>> colours.add([b"red", b"green", b"red"], {})
    2
    >>> b"red" in colours, sorted(colours), colours.encoding({})
    (True, [b'green', b'red'], 'listpack')
    """

    __slots__ = ("kind", "members")

    type_name = "set"

    def __init__(self) -> None:
        self.kind = INTSET
        self.members: Any = array("h")

    # The whole

    def encoding(self, config: dict[str, Any]) -> str:
        """What OBJECT ENCODING answers."""
        return ENCODINGS[self.kind]

    def __len__(self) -> int:
        members = self.members
        return listpack.count(members) if type(members) is bytearray else len(members)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.members) if self.kind == HASHTABLE else iter(self.to_list())

    def to_list(self) -> list[bytes]:
        """All members. O(n)."""
        members = self.members
        if type(members) is bytearray:
            return listpack.texts(members)
        if type(members) is array:
            return [b"%d" % number for number in members]
        return sorted(members, key=int) if self.kind == INTSET else list(members)

    def lookup(self) -> Container[bytes]:
        """What tells quickly whether something is a member, for many questions. O(1) in buckets, else O(n)."""
        members = self.members
        return cast(Container[bytes], members) if type(members) is Buckets else set(self.to_list())

    def __contains__(self, member: bytes) -> bool:
        members = self.members
        if type(members) is Buckets:
            return member in members
        if type(members) is bytearray:
            return listpack.find(members, listpack.entry(member)) >= 0
        number = number_of(member)
        if number is None:
            return False
        at = bisect_left(members, number)
        return at < len(members) and members[at] == number

    # Adding

    def add(self, members: Sequence[bytes], config: dict[str, Any]) -> int:
        """Adds them in order; how many are new. The encoding may change already because of how many they are."""
        if self.kind == HASHTABLE:
            return self._put_all(members)
        limits = limits_of(config)
        self._expect(members[0], len(members), limits)
        return self._add_all(members, limits)

    def _add_all(self, members: Iterable[bytes], limits: tuple[int, int, int]) -> int:
        """Adds them in order to what is as it should be for so many."""
        rest = iter(members)
        if self.kind == HASHTABLE:
            return self._put_all(rest)
        before = len(self)
        for member in rest:
            self._add_small(member, limits)
            if self.kind == HASHTABLE:
                return len(self) - before + self._put_all(rest)
        return len(self) - before

    def _put_all(self, members: Iterable[bytes]) -> int:
        """Adds them to a hashtable."""
        buckets: Buckets = self.members
        added = 0
        for member in members:
            if buckets.put(member, None):
                added += 1
        return added

    def _expect(self, member: bytes, count: int, limits: tuple[int, int, int]) -> None:
        """Chooses the encoding for `count` members more, of which `member` is the first."""
        integers_max, entries_max, _ = limits
        if len(self):
            if count > (integers_max if self.kind == INTSET else entries_max):
                self._become_hashtable()
        elif count > integers_max or number_of(member) is None:
            self.kind = LISTPACK
            self.members = listpack.new()
            if count > entries_max:
                self._become_hashtable()

    def _add_small(self, member: bytes, limits: tuple[int, int, int]) -> None:
        """Adds a member to what is no hashtable yet."""
        if self.kind == LISTPACK:
            self._append(member, limits[1], limits[2])
            return
        number = number_of(member)
        if number is not None:
            self._insert(number, member)
            if len(self.members) > min(limits[0], INTSET_ENTRIES_LIMIT):
                self._become_hashtable()
        elif self._longest_bytes() <= limits[2]:
            self._turn_into(LISTPACK, self.to_list())
            self._append(member, limits[1], limits[2])
        else:
            self._become_hashtable()
            self.members.put(member, None)

    def _insert(self, number: int, member: bytes) -> None:
        """Adds an integer to an intset. O(n), which is moving some bytes."""
        numbers = self.members
        if type(numbers) is Buckets:
            numbers.put(member, None)
            return
        at = bisect_left(numbers, number)
        if at < len(numbers) and numbers[at] == number:
            return
        if not -32768 <= number < 32768 and numbers.typecode != "q":
            numbers = self.members = array(max(numbers.typecode, width_of(number), key=WIDTHS.index), numbers)
        numbers.insert(at, number)
        if len(numbers) * numbers.itemsize > ARRAY_BYTES_MAX:
            self.members = bucketed(self.to_list())

    def _append(self, member: bytes, entries_max: int, value_bytes_max: int) -> None:
        """Adds a member to a listpack, unless it is there; to a hashtable if it has no place in a listpack."""
        pack = self.members
        if type(pack) is not bytearray:
            if pack.put(member, None) and (len(pack) > entries_max or len(member) > value_bytes_max):
                self.kind = HASHTABLE
            return
        encoded = listpack.entry(member)
        if listpack.find(pack, encoded) >= 0:
            return
        if listpack.count(pack) >= entries_max or len(member) > value_bytes_max:
            self._become_hashtable()
            self.members.put(member, None)
            return
        listpack.insert(pack, len(pack) - 1, encoded, 1)
        if len(pack) > PACK_BYTES_MAX:
            self.members = bucketed(self.to_list())

    def _longest_bytes(self) -> int:
        """Of an intset's members, as texts."""
        if not len(self):
            return 0
        numbers = self.members if type(self.members) is array else self.to_list()
        return max(len(b"%d" % int(numbers[0])), len(b"%d" % int(numbers[-1])))

    def _become_hashtable(self) -> None:
        if type(self.members) is not Buckets:
            self.members = bucketed(self.to_list())
        self.kind = HASHTABLE

    def _turn_into(self, kind: int, members: list[bytes]) -> None:
        """Makes it a set of that kind, of these different members, which are integers if it is to be an intset."""
        self.kind = kind
        if kind == INTSET:
            self.members = packed_integers(sorted(map(int, members)))
            large = len(self.members) * self.members.itemsize > ARRAY_BYTES_MAX
        elif kind == LISTPACK:
            self.members = listpack.of(members)
            large = len(self.members) > PACK_BYTES_MAX
        else:
            large = True
        if large:
            self.members = bucketed(members)

    # Removing

    def remove(self, member: bytes) -> bool:
        """Removes it; whether it was there."""
        members = self.members
        if type(members) is Buckets:
            return members.pop(member, members) is None
        if type(members) is bytearray:
            at = listpack.find(members, listpack.entry(member))
            if at >= 0:
                listpack.remove(members, at, 1)
            return at >= 0
        number = number_of(member)
        if number is None:
            return False
        at = bisect_left(members, number)
        if at == len(members) or members[at] != number:
            return False
        del members[at]
        return True

    def remove_all(self, members: Sequence[bytes]) -> None:
        """Removes these, which are all there. O(n)."""
        if type(self.members) is Buckets or len(members) <= FEW:
            for member in members:
                self.remove(member)
        else:
            gone = set(members)
            self._turn_into(self.kind, [member for member in self.to_list() if member not in gone])

    def shrink(self, config: dict[str, Any]) -> None:
        """Of few members that are left of many: makes what fits a listpack again. O(n)."""
        if self.kind == HASHTABLE:
            members = self.to_list()
            self._turn_into(LISTPACK, [])
            self._add_all(members, limits_of(config))

    # Any of them

    def random_member(self, random: Random) -> bytes:
        """Any of the members, each as likely as the others. There must be one. O(1) expected, O(n) in a listpack."""
        members = self.members
        if type(members) is Buckets:
            return members.random_key(random)
        place = int(random.random() * len(self))
        if type(members) is bytearray:
            return listpack.text(members, listpack.nth(members, place))
        return b"%d" % members[place]

    def sample(self, random: Random, count: int) -> list[bytes]:
        """So many different members, each choice of them as likely as the others. O(count) expected in buckets."""
        if count >= len(self):
            return self.to_list()
        members = self.members
        if type(members) is not Buckets or count * DENSE > len(self):
            return random.sample(self.to_list(), count)
        return members.sample(random, count)

    def draws(self, random: Random, count: int) -> list[bytes]:
        """So many members, each drawn from all. There must be one. O(count) expected in buckets."""
        members = self.members
        if type(members) is Buckets and count < len(self):
            return [members.random_key(random) for _ in range(count)]
        all_members = self.to_list()
        return [all_members[int(random.random() * len(all_members))] for _ in range(count)]

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """The next cursor, 0 at the end, and about `count` members; all at once of an intset or a listpack."""
        return self.members.scan(cursor, count) if self.kind == HASHTABLE else (0, self.to_list())

    # Elsewhere

    def copy(self) -> "Set":
        """Another set of the same members and encoding. O(n)."""
        other = Set()
        other.kind = self.kind
        other.members = self.members[:] if type(self.members) is not Buckets else self.members.copy()
        return other

    def containers(self) -> list[Any]:
        """What is freed a slice at a time."""
        return list(self.members.containers()) if type(self.members) is Buckets else []

    def packed(self) -> bytes | None:
        """The bytes of Redis's intset or listpack; None of a hashtable. O(n)."""
        if self.kind == LISTPACK:
            return bytes(self.members if type(self.members) is bytearray else listpack.of(self.to_list()))
        if self.kind == HASHTABLE:
            return None
        numbers = self.members
        if type(numbers) is Buckets:
            numbers = packed_integers([int(member) for member in self.to_list()])
        return bytes(array("I", [numbers.itemsize, len(numbers)])) + little_endian(numbers).tobytes()

    def to_wire(self) -> list[Any]:
        """[kind, bytes of the intset or listpack, or the members]. O(n)."""
        data = self.packed()
        return [self.kind, list(self.members) if data is None else data]

    @staticmethod
    def from_wire(wire: list[Any]) -> "Set":
        """The set that gave this."""
        kind, data = wire
        if kind == HASHTABLE:
            return made(kind, data)
        return from_listpack(data) if kind == LISTPACK else from_intset(data)

    def commands(self, key: bytes) -> Iterator[list[bytes]]:
        """Commands that make it anew where there is no such key."""
        members = iter(self)
        return iter(lambda: [b"SADD", key, *islice(members, CHUNK_MEMBERS_MAX)], [b"SADD", key])

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        members = self.members
        if self.kind == HASHTABLE:
            assert type(members) is Buckets
        if type(members) is Buckets:
            members._check()
        elif self.kind == LISTPACK:
            assert listpack.whole(bytes(members)) and len(members) <= PACK_BYTES_MAX
            assert len(set(listpack.texts(members))) == listpack.count(members)
        else:
            assert type(members) is array and members.typecode in WIDTHS
            assert all(members[at] < members[at + 1] for at in range(len(members) - 1))
            assert len(members) * members.itemsize <= ARRAY_BYTES_MAX
        assert self.kind != INTSET or all(number_of(member) is not None for member in self)
        assert len(self.to_list()) == len(self)


# --- Sets made at once -----------------------------------------------------------------------------------------------


def made(kind: int, members: list[bytes]) -> Set:
    """A set of that kind, of different members; of an intset they are integers. O(n), O(n log n) of an intset."""
    value = Set()
    value._turn_into(kind, members)
    return value


def collected(kind: int, members: Iterable[bytes], config: dict[str, Any]) -> Set:
    """What begins as an empty set of that kind and gets these members, one after the other. O(n)."""
    value = made(kind, [])
    value._add_all(members, limits_of(config))
    return value


def as_intset(value: Set, config: dict[str, Any]) -> Set:
    """The same members as an intset, if all are integers and not too many; else `value` itself. O(n)."""
    if value.kind == INTSET or len(value) > min(limits_of(config)[0], INTSET_ENTRIES_LIMIT):
        return value
    if any(number_of(member) is None for member in value):
        return value
    return made(INTSET, value.to_list())


def from_intset(data: bytes) -> Set:
    """A set of Redis's intset, which is sound. O(n)."""
    width = {2: "h", 4: "i", 8: "q"}[int.from_bytes(data[:4], "little")]
    value = Set()
    value.members = little_endian(array(width, data[8:]))
    if len(data) > ARRAY_BYTES_MAX:
        value.members = bucketed(value.to_list())
    return value


def from_listpack(data: bytes) -> Set:
    """A set of a listpack, which is sound, its members different. O(n)."""
    value = Set()
    value.kind = LISTPACK
    value.members = bytearray(data)
    if len(data) > PACK_BYTES_MAX:
        value.members = bucketed(value.to_list())
    return value


# --- Parts -----------------------------------------------------------------------------------------------------------


def number_of(member: bytes) -> int | None:
    """The integer that an intset would keep for it, None if it can't."""
    if 0 < len(member) <= INTEGER_BYTES_MAX and 0x2D <= member[0] <= 0x39:
        return maybe_integer(member)
    return None


def limits_of(config: dict[str, Any]) -> tuple[int, int, int]:
    """The directives: integers of an intset, entries of a listpack, bytes of one."""
    get: Callable[[str, int], int] = config.get
    return (
        get("set-max-intset-entries", INTSET_ENTRIES_MAX),
        get("set-max-listpack-entries", LISTPACK_ENTRIES_MAX),
        get("set-max-listpack-value", LISTPACK_VALUE_BYTES_MAX),
    )


def width_of(number: int) -> str:
    """The narrowest array that can hold it."""
    if -(2**15) <= number < 2**15:
        return "h"
    return "i" if -(2**31) <= number < 2**31 else "q"


def packed_integers(numbers: list[int]) -> "array[int]":
    """An array of integers in order, as narrow as can be. O(n)."""
    ends = (numbers[0], numbers[-1]) if numbers else ()
    return array(max(map(width_of, ends), key=WIDTHS.index, default="h"), numbers)


def little_endian(numbers: "array[int]") -> "array[int]":
    """As Redis has it, and back again."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers


def bucketed(members: Iterable[bytes]) -> Buckets:
    """All of them in buckets. O(n)."""
    buckets = Buckets()
    for member in members:
        buckets.put(member, None)
    return buckets

"""A large mapping as many small dicts: what big hashes and sets are made of.

One dict of millions stalls the loop for 100 ms and more when it grows; of these none ever has more than some hundred
entries. Their number grows and shrinks one at a time (linear hashing): with every AVERAGE_MAX entries added, the next
bucket in turn is split into two. No single call does more than that.

Rule 1: a bucket is all the keys whose hash ends in its number, seen as so many bits. So it is an interval of all hashes
        once their bits are read backwards, splitting it cuts the interval in two, and joining undoes that. A scan walks
        through these intervals: its cursor is the one it has come to. What lies before it has been returned, however
        often buckets were split and joined since; a bucket that it points into is returned whole, a part of it perhaps
        for the second time.
Rule 2: hash() of bytes is keyed anew in every process. A cursor says nothing after a restart, and nobody can make up
        keys that share a bucket.
"""

from collections.abc import Iterator
from itertools import chain, islice
from random import Random
from typing import Any

# Names with an underscore are C numbers where this is compiled: another module does not see them.
_AVERAGE_MAX = 32
AVERAGE_MAX = _AVERAGE_MAX
"""Entries a bucket, before one is split. An entry takes 38 bytes then, and 33 with 128; but HSCAN gives whole buckets,
and small ones keep to its COUNT."""
_AVERAGE_MIN = 8
AVERAGE_MIN = _AVERAGE_MIN
"""Entries a bucket, before two are joined: far below the other, so that adding and removing in turn moves nothing."""

HASH_SHIFT = 32
"""The bits of a hash that choose the bucket are none of those by which the dict inside places its keys: were they the
same, all keys of a bucket would collide there."""


class Buckets:
    """A mapping of bytes to anything.

    Every operation on a key is O(1), also at worst: it splits or joins two buckets of some ten entries. Must not change
    while it is iterated over.
    """

    __slots__ = ("parts", "size", "mask", "split", "largest")

    def __init__(self) -> None:
        self.parts: list[dict[bytes, Any]] = [{}]
        self.size = 0
        self.mask = 0
        """Of the bits that number a bucket: there are from `mask + 1` to `2 * mask + 1` buckets."""
        self.split = 0
        """The bucket to be split next: those before it have a partner, and both are numbered by one bit more."""
        self.largest = 0
        """No bucket has more entries. It never sinks, so a random key is dearer after removals, but bounded so."""

    # One key

    def _number(self, key: bytes) -> int:
        bits = hash(key) >> HASH_SHIFT
        number = bits & self.mask
        return number if number >= self.split else bits & (2 * self.mask + 1)

    def get(self, key: bytes, default: Any = None) -> Any:
        """What `key` has, `default` if it is not there."""
        return self.parts[self._number(key)].get(key, default)

    def put(self, key: bytes, value: Any) -> bool:
        """Gives `key` a value; whether it is new."""
        part = self.parts[self._number(key)]
        before = len(part)
        part[key] = value
        if len(part) == before:
            return False
        if before >= self.largest:
            self.largest = before + 1
        self.size += 1
        if self.size > _AVERAGE_MAX * len(self.parts):
            self._split_one()
        return True

    def pop(self, key: bytes, default: Any = None) -> Any:
        """Removes `key` and gives what it had; `default` if it is not there."""
        part = self.parts[self._number(key)]
        if key not in part:
            return default
        value = part.pop(key)
        self.size -= 1
        if self.size < _AVERAGE_MIN * (len(self.parts) - 1):
            self._join_one()
        return value

    def __getitem__(self, key: bytes) -> Any:
        return self.parts[self._number(key)][key]

    def __setitem__(self, key: bytes, value: Any) -> None:
        self.put(key, value)

    def __contains__(self, key: bytes) -> bool:
        return key in self.parts[self._number(key)]

    def _split_one(self) -> None:
        """Takes out of the bucket in turn what belongs into its new partner."""
        wider = 2 * self.mask + 1
        staying: dict[bytes, Any] = {}
        leaving: dict[bytes, Any] = {}
        for key, value in self.parts[self.split].items():
            if hash(key) >> HASH_SHIFT & wider == self.split:
                staying[key] = value
            else:
                leaving[key] = value
        self.parts[self.split] = staying
        self.parts.append(leaving)
        self.split += 1
        if self.split > self.mask:
            self.mask, self.split = wider, 0

    def _join_one(self) -> None:
        """Puts the last bucket into its partner."""
        if not self.split:
            self.mask >>= 1
            self.split = self.mask + 1
        self.split -= 1
        part = self.parts[self.split]
        part.update(self.parts.pop())
        if len(part) > self.largest:
            self.largest = len(part)

    # All

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(self.parts)

    def items(self) -> Iterator[tuple[bytes, Any]]:
        """All entries, in no order."""
        return chain.from_iterable([part.items() for part in self.parts])

    def copy(self) -> "Buckets":
        """Another with the same entries. O(n)."""
        other = Buckets()
        other.parts = [part.copy() for part in self.parts]
        other.size, other.mask, other.split, other.largest = self.size, self.mask, self.split, self.largest
        return other

    def containers(self) -> list[Any]:
        """What it is made of, for whoever frees it a slice at a time."""
        return [self.parts]

    # Some

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """The next cursor, 0 at the end, and whole buckets' keys, at least `count` of them if there are so many.

        `cursor` is 0 to begin, or what the call before gave; any number is taken. O(count).
        """
        keys: list[bytes] = []
        while True:
            mask = self.mask
            number = cursor & mask
            if number < self.split:
                mask = 2 * mask + 1
                number = cursor & mask
            keys += self.parts[number]
            # Counts up by one, the highest bit being the last: that is where the interval ends.
            bit = (mask + 1) >> 1
            while number & bit:
                number ^= bit
                bit >>= 1
            cursor = number | bit
            if not cursor or len(keys) >= count:
                return cursor, keys

    def random_key(self, random: Random) -> bytes:
        """Any of the keys, each as likely as the others. There must be one. O(1) expected.

        A bucket is drawn and then a place in it, of as many as the largest has; where there is no entry, both anew.
        """
        parts = self.parts
        bound = self.largest if len(parts) > 1 else self.size
        while True:
            place = int(random.random() * len(parts) * bound)
            part = parts[place // bound]
            place %= bound
            if place < len(part):
                return next(islice(part, place, None))

    def sample(self, random: Random, count: int) -> list[bytes]:
        """So many different keys, each choice as likely as the others. O(count) expected, for a small part of all."""
        chosen: dict[bytes, None] = {}
        while len(chosen) < count:
            chosen[self.random_key(random)] = None
        return list(chosen)

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        assert self.size == sum(map(len, self.parts))
        assert self.mask & (self.mask + 1) == 0 and 0 <= self.split <= self.mask
        assert len(self.parts) == self.mask + 1 + self.split
        assert self.size <= AVERAGE_MAX * len(self.parts)
        assert len(self.parts) == 1 or self.size >= AVERAGE_MIN * (len(self.parts) - 1)
        assert self.largest >= max(map(len, self.parts))
        for number, part in enumerate(self.parts):
            assert all(self._number(key) == number for key in part)

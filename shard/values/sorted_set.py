"""Sorted sets: a listpack while they are small, a mapping and a tree from then on.

The mapping (buckets.py) has the score of each member, the tree (scores.py) the entries in their order.

What OBJECT ENCODING answers is not which of the two it is. The reference's rule decides that, with limits that a user
may set to any size: `listpacked` remembers it, and like there never becomes true again. A listpack inside has at most
PACK_ENTRIES_MAX members and PACK_BYTES_MAX bytes, so that walking over it stays quick.
"""

from collections.abc import Iterator
from math import inf, nextafter
from typing import Any

from common.numbers import shortest_text
from shard.values.buckets import Buckets
from shard.values.listpack import count, new, texts, whole
from shard.values.scores import Scores
from shard.values.sorted_set_pack import (
    count_below,
    cut_members,
    members_at,
    pack_of,
    place_of,
    put_member,
    rank_at,
    remove_member,
    score_at,
    scores_at,
)

PACK_ENTRIES_MAX = 128
"""As many as the reference has unless told otherwise."""
PACK_BYTES_MAX = 16 * 1024
CHUNK_ENTRIES_MAX = 64
"""Entries of one of the commands that make a sorted set anew."""

NO_MEMBERS = Buckets()
NO_ORDER = Scores()
"""What a small one has instead; never written to."""

Limits = tuple[int, int]
"""Entries, and bytes of a member, up to which a sorted set is called a listpack."""


def limits_of(config: dict[str, Any]) -> Limits:
    """What the directives say."""
    return config.get("zset-max-listpack-entries", 128), config.get("zset-max-listpack-value", 64)


class SortedSet:
    """Members with a score each, in order of the scores, and of the members where those are equal.

    >>> ages = SortedSet()
    >>> for name, age in {b"Ann": 31.0, b"Bob": 29.0}.items():
    ...     ages.put(name, age, None, (128, 64))
    >>> list(ages.items()), ages.rank(b"Ann")
    ([(b'Bob', 29.0), (b'Ann', 31.0)], 1)

    Of n members, in its large form: one is found in O(1), and put, removed or ranked in O(log n).
    """

    __slots__ = ("pack", "members", "order", "listpacked")

    type_name = "zset"

    def __init__(self) -> None:
        self.pack: bytearray | None = new()
        """All of it while it is small, then None."""
        self.members = NO_MEMBERS
        self.order = NO_ORDER
        self.listpacked = True
        """Whether it is called a listpack."""

    def encoding(self, config: dict[str, Any]) -> str:
        """What OBJECT ENCODING answers."""
        return "listpack" if self.listpacked else "skiplist"

    def __len__(self) -> int:
        if self.pack is not None:
            return count(self.pack) >> 1
        return len(self.order)

    # One member

    def score(self, member: bytes) -> float | None:
        """The score of `member`, None if it is not there."""
        if self.pack is None:
            score: float | None = self.members.get(member)
            return score
        place = place_of(self.pack, member)
        return None if place < 0 else score_at(self.pack, place)

    def expect(self, entries: int, size: int, limits: Limits) -> None:
        """Says that a command comes with so many entries, and a member of that size, whatever will become of them:
        too many or too long for a listpack make it none.
        """
        if self.listpacked and (entries > limits[0] or size > limits[1]):
            self._grow()
            self.listpacked = False

    def put(self, member: bytes, score: float, before: float | None, limits: Limits) -> None:
        """Gives `member` a score; `before` is the one that it has, None if it is new."""
        if before is None and self.listpacked:
            self._heed(member, limits)
        if self.pack is None:
            self._put(member, score, before)
        else:
            if before is not None:
                remove_member(self.pack, place_of(self.pack, member))
            put_member(self.pack, member, score)

    def _put(self, member: bytes, score: float, before: float | None) -> None:
        if self.listpacked and not score:
            score = 0.0  # What is a listpack to the reference has no -0.
        order = self.order
        if before is not None:
            # The very object that the mapping has: another that is equal would take its memory twice.
            member = order.remove(before, member)
        order.add(score, member)
        self.members.put(member, score)

    def _heed(self, member: bytes, limits: Limits) -> None:
        """Before a `member` is added: the limits of a listpack, of the reference's and of that inside."""
        entries = len(self) + 1
        size = len(member)
        if entries > limits[0] or size > limits[1]:
            self._grow()
            self.listpacked = False
        elif self.pack is not None and (entries > PACK_ENTRIES_MAX or len(self.pack) + size > PACK_BYTES_MAX):
            self._grow()

    def _grow(self) -> None:
        """Makes it the large form, which it stays."""
        if self.pack is not None:
            words = texts(self.pack)
            self._fill(words[::2], [float(word) for word in words[1::2]])

    def _fill(self, members: list[bytes], scores: list[float]) -> None:
        """Makes it the large form of these entries, which are in order. O(n)."""
        self.pack = None
        self.members = Buckets()
        self.order = Scores()
        self.order.fill(scores, members)
        put = self.members.put
        for member, score in zip(members, scores, strict=True):
            put(member, score)

    def remove(self, member: bytes) -> bool:
        """Removes `member`; whether it was there."""
        if self.pack is None:
            score = self.members.pop(member)
            if score is None:
                return False
            self.order.remove(score, member)
            return True
        place = place_of(self.pack, member)
        if place < 0:
            return False
        remove_member(self.pack, place)
        return True

    def rank(self, member: bytes) -> int:
        """How many members come before `member`, -1 if it is not there."""
        if self.pack is None:
            score = self.members.get(member)
            return -1 if score is None else self.order.below(score, member)
        place = place_of(self.pack, member)
        return -1 if place < 0 else rank_at(self.pack, place)

    # Ranges: ranks from `start` to before `stop`, all of which exist

    def below(self, score: float, member: bytes = b"") -> int:
        """How many entries come before this one; all with a lower score if no member is named."""
        if self.pack is None:
            return self.order.below(score, member)
        return count_below(self.pack, score, member)

    def not_above(self, score: float) -> int:
        """How many entries have this score or a lower one."""
        if self.pack is None:
            return self.order.not_above(score)
        if score == inf:
            return len(self)
        return count_below(self.pack, nextafter(score, inf), b"")

    def range(self, start: int, stop: int) -> list[bytes]:
        """The members of these ranks."""
        if self.pack is None:
            return self.order.members(start, stop)
        return members_at(self.pack, start, stop)

    def scores(self, start: int, stop: int) -> list[float]:
        """The scores of these ranks."""
        if self.pack is None:
            return self.order.scores(start, stop)
        return scores_at(self.pack, start, stop)

    def cut(self, start: int, stop: int) -> None:
        """Removes the members of these ranks."""
        if self.pack is None:
            for member in self.order.members(start, stop):
                self.members.pop(member)
            self.order.cut(start, stop)
        else:
            cut_members(self.pack, start, stop)

    # All of it

    def items(self) -> Iterator[tuple[bytes, float]]:
        """All (member, score), in order; must not change meanwhile."""
        if self.pack is None:
            return self.order.items()
        return zip(self.range(0, len(self)), self.scores(0, len(self)), strict=True)

    def backwards(self) -> Iterator[tuple[bytes, float]]:
        """The same from the last to the first."""
        return self.order.backwards() if self.pack is None else reversed(list(self.items()))

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """A cursor to go on from, 0 at the end, and the next members: at least `count`, all if it is a listpack.

        Which is what Buckets.scan promises: none that stays is left out. O(count).
        """
        return (0, self.range(0, len(self))) if self.listpacked else self.members.scan(cursor, count)

    def copy(self) -> "SortedSet":
        """Another with the same members. O(n)."""
        other = SortedSet()
        other.listpacked = self.listpacked
        if self.pack is None:
            other.pack = None
            other.members, other.order = self.members.copy(), self.order.copy()
        else:
            other.pack = self.pack.copy()
        return other

    def containers(self) -> list[Any]:
        """What a large one is made of. O(1)."""
        return [] if self.pack is not None else [*self.members.containers(), *self.order.containers()]

    def to_wire(self) -> list[Any]:
        """What `from_wire` takes. O(n)."""
        if self.pack is not None:
            return [self.listpacked, bytes(self.pack)]
        size = len(self)
        return [self.listpacked, self.range(0, size), self.scores(0, size)]

    @classmethod
    def from_wire(cls, wire: list[Any]) -> "SortedSet":
        """The one whose `to_wire` that was. O(n)."""
        made = cls()
        made.listpacked = wire[0]
        if len(wire) == 2:
            made.pack = bytearray(wire[1])
        else:
            made._fill(wire[1], wire[2])
        return made

    def commands(self, key: bytes) -> Iterator[list[bytes]]:
        """ZADD, as often as it takes, which makes it anew where there is no key."""
        entries = list(self.items())
        for start in range(0, len(entries), CHUNK_ENTRIES_MAX):
            argv = [b"ZADD", key]
            for member, score in entries[start : start + CHUNK_ENTRIES_MAX]:
                argv += (shortest_text(score), member)
            yield argv

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        entries = [(score, member) for member, score in self.items()]
        assert all(one < other for one, other in zip(entries, entries[1:], strict=False))
        assert len(entries) == len(self)
        if self.pack is not None:
            assert whole(bytes(self.pack))
            assert self.members is NO_MEMBERS and self.order is NO_ORDER and not NO_MEMBERS.size
            assert self.listpacked and len(self) <= PACK_ENTRIES_MAX
        else:
            self.members._check()
            self.order._check()
            assert dict(self.members.items()) == {member: score for score, member in entries}


def sorted_set_of(entries: list[tuple[bytes, float]], limits: Limits) -> SortedSet:
    """One of members that differ, in any order. O(n log n)."""
    made = SortedSet()
    ordered = sorted([(score, member) for member, score in entries])
    members = [member for _, member in ordered]
    longest = max(map(len, members), default=0)
    made.listpacked = len(members) <= limits[0] and longest <= limits[1]
    if made.listpacked:
        ordered = [(score or 0.0, member) for score, member in ordered]
    scores = [score for score, _ in ordered]
    if made.listpacked and len(members) <= PACK_ENTRIES_MAX and sum(map(len, members)) <= PACK_BYTES_MAX:
        made.pack = pack_of(zip(members, scores, strict=True))
    else:
        made._fill(members, scores)
    return made

"""Keys that somebody holds or waits for: those nobody else may touch, also a million of them at once."""

from collections.abc import Iterable, Iterator
from typing import Any

BUCKETS_COUNT = 1024
"""A power of two. One set of a million keys would stop everything for 20 ms whenever it grows, and when it goes."""
HASH_SHIFT = 20
"""A bucket is chosen by other bits of a key's hash than those by which a small set finds its place for it."""


class ManyKeys:
    """Very many keys, which come a part at a time, before anybody holds them.

    >>> keys = ManyKeys()
    >>> keys.update([b"a", b"b"])
    >>> b"a" in keys, b"c" in keys, sorted(keys)
    (True, False, [b'a', b'b'])
    """

    __slots__ = ("buckets",)

    def __init__(self) -> None:
        self.buckets: list[set[bytes]] = [set() for _ in range(BUCKETS_COUNT)]

    def update(self, keys: Iterable[bytes]) -> None:
        """Adds keys. O(number of them)."""
        buckets = self.buckets
        for key in keys:
            buckets[hash(key) >> HASH_SHIFT & BUCKETS_COUNT - 1].add(key)

    def __contains__(self, key: object) -> bool:
        return key in self.buckets[hash(key) >> HASH_SHIFT & BUCKETS_COUNT - 1]

    def __iter__(self) -> Iterator[bytes]:
        for bucket in self.buckets:
            yield from bucket


Held = list[bytes] | ManyKeys | None
"""What is held; None for all that there is."""


class BlockedKeys:
    """The keys that have a queue (see holds.py), and those that a hold of very many has without one."""

    __slots__ = ("queues", "many")

    def __init__(self) -> None:
        self.queues: dict[bytes, Any] = {}
        self.many: ManyKeys | None = None

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.queues) or self.many is not None

    def __contains__(self, key: object) -> bool:
        return key in self.queues or (self.many is not None and key in self.many)

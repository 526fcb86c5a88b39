"""When keys were last used, in about 10 bytes a key: OBJECT IDLETIME, and later the choice of whom to evict.

A time for every key in a dict would cost as much as half the key again. Here a slot has one array of 32-bit clocks, in
seconds, indexed by the key's hash, at least twice as long as the slot has keys. Two keys that share a clock both read
as used when the younger was: an idle time is never too long, so a key in use is never taken for an idle one.
"""

from array import array

from common.slot import SLOTS

CLOCKS_MIN = 8
"""Clocks of a slot at first; a power of two, as every later size is."""
CLOCKS_MAX = 1 << 21
"""Clocks that a slot may have, 8 MB: beyond that doubling them would stall the loop for milliseconds."""

UNUSED = array("I", [0])
"""Stands for a slot without clocks; what is written to it is never read."""


class IdleClocks:
    """Last use of the keys of one db, in seconds since 1970."""

    __slots__ = ("slots",)

    def __init__(self) -> None:
        self.slots: list[array[int]] = [UNUSED] * SLOTS

    def touch(self, key: bytes, slot: int, clock_s: int) -> None:
        """Says that `key` is used at `clock_s`. O(1)."""
        clocks = self.slots[slot]
        clocks[hash(key) & (len(clocks) - 1)] = clock_s

    def grow(self, slot: int, count: int) -> None:
        """Makes room for `count` keys of a slot. O(count), when a slot has doubled: O(1) amortised."""
        clocks = self.slots[slot]
        if clocks is UNUSED:
            clocks = self.slots[slot] = array("I", bytes(4 * CLOCKS_MIN))
        while len(clocks) < min(2 * count, CLOCKS_MAX):
            # With a size that is a power of two this puts every clock where each of its keys now looks for it.
            clocks *= 2

    def last_used_s(self, key: bytes, slot: int) -> int:
        """When `key` was last used, or a key that shares its clock, in seconds since 1970. O(1)."""
        clocks = self.slots[slot]
        return clocks[hash(key) & (len(clocks) - 1)]

    def _check(self) -> None:
        """Asserts every invariant. O(SLOTS)."""
        assert len(UNUSED) == 1
        for size in set(map(len, self.slots)) - {1}:
            assert CLOCKS_MIN <= size <= CLOCKS_MAX and size.bit_count() == 1

"""When keys were last used, in 8 to 16 bytes a key: OBJECT IDLETIME, and later the choice of whom to evict. Or how
often they are used, see frequency.py.

A time for every key in a dict would cost as much as half the key again. Here a db has arrays of 32-bit clocks, in
seconds, indexed by the key's hash, with at least twice as many clocks as keys. Two keys that share a clock both read as
used when the younger was: an idle time is never too long, so a key in use is never taken for an idle one.

The clocks are not kept slot by slot as keys are: 64 arrays stay in a core's cache, so touching a key costs one miss
and not three. They are doubled one at a time, as keys come, so that growing never stalls the loop.
"""

from array import array

PARTS = 64
"""Arrays of a db; a key's is chosen by the last bits of its hash, its clock by those before them."""
PART_BITS = 6
CLOCKS_MIN = 8
"""Clocks of a part at first; a power of two, as every later size is."""
CLOCKS_MAX = 1 << 19
"""Clocks that a part may have, 2 MB: doubling a bigger one would stall the loop. Enough for 16 M keys in a db."""


class IdleClocks:
    """Last use of the keys of one db, in seconds since 1970."""

    __slots__ = ("parts", "room", "_doubled")

    def __init__(self) -> None:
        self.parts: list[array[int]] = [array("I", bytes(4 * CLOCKS_MIN)) for _ in range(PARTS)]
        self.room = PARTS * CLOCKS_MIN // 4
        """Keys that there may be before the next part has to be doubled."""
        self._doubled = 0
        """Parts doubled in this round, begun with a key for four clocks, ended with twice as many."""

    def touch(self, key: bytes, clock_s: int) -> None:
        """Says that `key` is used at `clock_s`. O(1)."""
        number = hash(key)
        clocks = self.parts[number & (PARTS - 1)]
        clocks[(number >> PART_BITS) & (len(clocks) - 1)] = clock_s

    def grow(self) -> None:
        """Makes room for some more keys, by doubling one part. O(keys / PARTS), and O(1) a key amortised."""
        size = len(self.parts[self._doubled])
        if size >= CLOCKS_MAX:
            self.room = 1 << 62
            return
        # With a size that is a power of two this puts every clock where each of its keys now looks for it.
        self.parts[self._doubled] *= 2
        self._doubled += 1
        # Part i of the round is due at (1 + i / PARTS) times the keys with which the round began.
        self.room = size // 4 * (PARTS + self._doubled)
        self._doubled %= PARTS

    def clock(self, key: bytes) -> int:
        """What the clock of `key` says: when it was last used, or a key that shares it, in seconds since 1970. O(1)."""
        number = hash(key)
        clocks = self.parts[number & (PARTS - 1)]
        return clocks[(number >> PART_BITS) & (len(clocks) - 1)]

    def _check(self, keys: int) -> None:
        """Asserts every invariant, for a db of that many keys. O(PARTS)."""
        sizes = [len(clocks) for clocks in self.parts]
        assert len(sizes) == PARTS
        assert all(CLOCKS_MIN <= size <= CLOCKS_MAX and size.bit_count() == 1 for size in sizes)
        assert sizes == sorted(sizes, reverse=True) and sizes[0] <= 2 * sizes[-1]
        assert keys <= self.room
        assert sum(sizes) >= 2 * keys or sizes[0] == CLOCKS_MAX

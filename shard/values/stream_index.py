"""A sorted map from IDs to objects, in blocks: the nodes of a stream, and what is pending in its groups.

An ID is one integer, `ms << 64 | sequence`. Nearly all come in order and go from the front, but any may come and go.

- No list here grows with the map: the blocks are short, and the lists of blocks have an entry for hundreds of them.
- A block that is full is cut in half, unless the new ID is the last of all: then a new block begins, so that a map that
  is filled in order has only full blocks. A block that got small joins its neighbour if there is room.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import Any

BLOCK_MAX = 256
"""IDs of a block: a change moves a kilobyte or two."""

ID_BYTES = 16


class Index:
    """The map. Values are never None."""

    __slots__ = ("keys", "values", "lows", "size")

    def __init__(self) -> None:
        self.keys: list[list[int]] = []
        self.values: list[list[Any]] = []
        self.lows: list[int] = []
        """The first ID of each block."""
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def get(self, key: int) -> Any:
        """What is at `key`, or None. O(log n)."""
        block = bisect_right(self.lows, key) - 1
        if block < 0:
            return None
        keys = self.keys[block]
        at = bisect_left(keys, key)
        return self.values[block][at] if at < len(keys) and keys[at] == key else None

    def put(self, key: int, value: Any) -> None:
        """Puts `value` at `key`, whatever was there. O(log n)."""
        block = bisect_right(self.lows, key) - 1
        if block < 0:
            if not self.lows:
                self._add_block(0, [key], [value])
                return
            block = 0
        keys, values = self.keys[block], self.values[block]
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            values[at] = value
        elif at == len(keys) >= BLOCK_MAX and block == len(self.lows) - 1:
            self._add_block(block + 1, [key], [value])
        else:
            keys.insert(at, key)
            values.insert(at, value)
            self.size += 1
            self.lows[block] = keys[0]
            if len(keys) > BLOCK_MAX:
                self._cut(block)

    def pop(self, key: int) -> Any:
        """Takes out what is at `key`, or None. O(log n)."""
        block = bisect_right(self.lows, key) - 1
        if block < 0:
            return None
        keys = self.keys[block]
        at = bisect_left(keys, key)
        if at == len(keys) or keys[at] != key:
            return None
        del keys[at]
        value = self.values[block].pop(at)
        self.size -= 1
        if not keys:
            self._remove_block(block)
        else:
            self.lows[block] = keys[0]
            if len(keys) < BLOCK_MAX // 4:
                self._join(block)
        return value

    def first(self) -> tuple[int, Any] | None:
        """The smallest ID and what is there. O(1)."""
        return (self.keys[0][0], self.values[0][0]) if self.keys else None

    def last(self) -> tuple[int, Any] | None:
        """The greatest ID and what is there. O(1)."""
        return (self.keys[-1][-1], self.values[-1][-1]) if self.keys else None

    def floor(self, key: int) -> tuple[int, Any] | None:
        """The greatest ID up to `key`, and what is there. O(log n)."""
        block = bisect_right(self.lows, key) - 1
        if block < 0:
            return None
        at = bisect_right(self.keys[block], key) - 1
        return self.keys[block][at], self.values[block][at]

    def ceiling(self, key: int) -> tuple[int, Any] | None:
        """The smallest ID from `key` on, and what is there. O(log n)."""
        block, at = self._place(key)
        return (self.keys[block][at], self.values[block][at]) if block < len(self.keys) else None

    def items(self, start: int = 0) -> Iterator[tuple[int, Any]]:
        """All from `start` on, in order; nothing may change meanwhile."""
        block, at = self._place(start)
        while block < len(self.keys):
            yield from zip(self.keys[block][at:], self.values[block][at:], strict=True)
            block, at = block + 1, 0

    def some(self, limit: int) -> Iterator[tuple[int, Any]]:
        """The first `limit` in order, all if that is 0."""
        return islice(self.items(), limit or None)

    def descending(self, end: int) -> Iterator[tuple[int, Any]]:
        """All down from `end`; nothing may change meanwhile."""
        block = bisect_right(self.lows, end) - 1
        while block >= 0:
            at = bisect_right(self.keys[block], end)
            yield from zip(self.keys[block][:at][::-1], self.values[block][:at][::-1], strict=True)
            block -= 1

    def containers(self) -> list[Any]:
        """The lists that it is made of."""
        return [self.keys, self.values, self.lows]

    def _place(self, key: int) -> tuple[int, int]:
        """Block, and place in it, of the first ID from `key` on."""
        block = max(0, bisect_right(self.lows, key) - 1)
        if block < len(self.keys):
            at = bisect_left(self.keys[block], key)
            if at < len(self.keys[block]):
                return block, at
            block += 1
        return block, 0

    def _add_block(self, block: int, keys: list[int], values: list[Any]) -> None:
        self.keys.insert(block, keys)
        self.values.insert(block, values)
        self.lows.insert(block, keys[0])
        self.size += len(keys)

    def _remove_block(self, block: int) -> None:
        del self.keys[block], self.values[block], self.lows[block]

    def _cut(self, block: int) -> None:
        half = len(self.keys[block]) // 2
        keys, values = self.keys[block][half:], self.values[block][half:]
        del self.keys[block][half:], self.values[block][half:]
        self.size -= len(keys)
        self._add_block(block + 1, keys, values)

    def _join(self, block: int) -> None:
        """Puts a small block together with the one behind or before it, if that leaves room."""
        first = block if block + 1 < len(self.keys) else block - 1
        if first >= 0 and len(self.keys[first]) + len(self.keys[first + 1]) <= BLOCK_MAX // 2:
            self.keys[first] += self.keys[first + 1]
            self.values[first] += self.values[first + 1]
            self._remove_block(first + 1)

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        assert self.size == sum(map(len, self.keys))
        assert list(map(len, self.keys)) == list(map(len, self.values))
        assert self.lows == [keys[0] for keys in self.keys]
        assert all(0 < len(keys) <= BLOCK_MAX for keys in self.keys)
        together = [key for keys in self.keys for key in keys]
        assert together == sorted(set(together))
        assert all(value is not None for values in self.values for value in values)


# --- How Valkey keeps the same IDs -----------------------------------------------------------------------------------


def radix_nodes_more(index: Index, key: int) -> int:
    """How many nodes Valkey's radix tree of these IDs, as 16 bytes each, has more because of `key`, which is not (or
    no longer) in the index: XINFO STREAM tells how many there are. O(log n).

    Every byte that some ID goes on with otherwise than another is a node, and so are all bytes between two such, and
    the end of every ID:

        0101 0102 0203     [00..] -> {01,02} -> [01..] -> {01,02} -> end, end;  [03..] -> end

    So a new ID brings an end, the bytes before that, and a fork where it leaves what is there; if none is there yet, it
    cuts the bytes between two forks in two.
    """
    before, after = index.floor(key), index.ceiling(key)
    if before is None and after is None:
        return 1  # The root is there already.
    fork = max(_common(before, key), _common(after, key))
    low = key >> 8 * (ID_BYTES - fork) << 8 * (ID_BYTES - fork)
    first = index.ceiling(low)
    last = index.floor(low + (1 << 8 * (ID_BYTES - fork)) - 1)
    assert first is not None and last is not None
    more = 1 + (fork < ID_BYTES - 1)
    next_fork = _common(first, last[0])
    if next_fork > fork:
        fork_before = max(_common(index.floor(first[0] - 1), first[0]), _common(index.ceiling(last[0] + 1), last[0]))
        more += 1 + (fork > fork_before + 1) + (next_fork > fork + 1) - (next_fork > fork_before + 1)
    return more


def _common(one: tuple[int, Any] | None, other: int) -> int:
    """How many bytes two IDs have in common from the left; -1 if there is only one."""
    return -1 if one is None else ID_BYTES - ((one[0] ^ other).bit_length() + 7) // 8

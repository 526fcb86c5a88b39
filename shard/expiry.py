"""When keys expire: a time per key, and the order in which the times come.

The order is a wheel: keys whose time is near lie in buckets of 32 ms, those farther off in coarser ones, each level 64
times as wide as the one below. When the clock comes to a coarse bucket its keys move to finer ones. So there are never
more than some ten thousand buckets, however many keys there are and however their times spread; a bucket of 32 ms for
every time was measured at 300 bytes a key, and as one dict of as many entries as keys.

Rule 1: a key is in exactly one bucket. Whoever changes a time moves the key, so nothing stale is ever found there and
        refreshing a session a million times costs no memory.
Rule 2: nothing here grows as one big dict or set: times lie slot by slot, and a bucket is 64 sets. A set of millions
        stalls the loop for 100 ms and more when it grows.
"""

from collections.abc import Callable, Container, Iterator
from itertools import compress
from typing import Any

from common.slot import SLOTS, slot_of
from shard.slots import SLOT_KEYS_MAX, Slot, WideSlot

TICK_SHIFT = 5
"""The finest bucket is 32 ms wide: short against the 100 ms within which an unread key has to go."""
LEVEL_SHIFT = 6
"""Each level has 64 buckets, and each of these is as wide as the whole level below."""
PART_BITS = 6
"""A bucket is 64 sets, so that a million keys with one time make no stall."""
NUMBER_SHIFT = PART_BITS + 4
"""A set's number is its bucket's index within the level, the level (at most 9: times have 63 bits), and its part."""

NO_TIMES: dict[bytes, int] = {}
"""Stands for a slot without volatile keys; never written to."""


Keys = set[bytes]


class Expiries:
    """Expiry times (absolute unix time, ms) of the keys of one db."""

    __slots__ = ("slots", "count", "tick", "taken_ms", "_slot_of", "_sets", "_tick_before", "_moving")

    def __init__(self, slot_of: Callable[[bytes], int] = slot_of, tick: int = 0) -> None:
        """`tick` is where the wheel stands, see there; a wheel that begins at 0 has to move every key once more."""
        self.slots: list[Slot] = [NO_TIMES] * SLOTS
        """For each slot the times of its volatile keys."""
        self.count = 0
        self.tick = tick
        """Up to where `due` has come, in units of 32 ms. The farther off from here, the coarser is a key's bucket."""
        self.taken_ms = 0
        """The time of the key that `due` took out last."""
        self._slot_of = slot_of
        self._sets: dict[int, Keys] = {}
        self._tick_before = tick
        self._moving: list[int] = []
        """Sets passed between `_tick_before` and `tick`, whose keys are due or have to move; the last first."""

    def set(self, key: bytes, slot: int, at_ms: int) -> None:
        """Gives `key` the time `at_ms`, whether it has one or not. O(1)."""
        times = self.slots[slot]
        before = times.get(key)
        number = _set_number(key, at_ms, self.tick)
        if before is None:
            self.count += 1
            if times is NO_TIMES:
                times = self.slots[slot] = {}
            elif len(times) >= SLOT_KEYS_MAX and type(times) is dict:
                times = self.slots[slot] = WideSlot(times)
        elif self._leave(key, before, number):
            times[key] = at_ms
            return
        times[key] = at_ms
        self._enter(key, number)

    def discard(self, key: bytes, slot: int) -> bool:
        """Takes the time of `key` away; whether it had one. O(1)."""
        at_ms = self.slots[slot].pop(key, None)
        if at_ms is None:
            return False
        self.count -= 1
        self._leave(key, at_ms, -1)
        return True

    def _enter(self, key: bytes, number: int) -> None:
        keys = self._sets.get(number)
        if keys is None:
            self._sets[number] = {key}
        else:
            keys.add(key)

    def _leave(self, key: bytes, at_ms: int, to: int) -> bool:
        """Takes a key with that time out of its set, unless this is the set number `to`; whether it is."""
        number = _set_number(key, at_ms, self.tick)
        if self._moving and key not in self._sets.get(number, ()):  # It has not moved yet.
            number = _set_number(key, at_ms, self._tick_before)
        if number == to:
            return True
        keys = self._sets[number]
        keys.remove(key)
        if not keys:
            del self._sets[number]
        return False

    def due(self, now_ms: int, spared: Container[bytes] = ()) -> Iterator[bytes | None]:
        """Takes out the keys whose time came before the tick of `now_ms`, one a step, and gives each; a step that only
        moved a key to a finer bucket gives None. Can be left at any step and begun again later. O(1) a step.

        Keys that are `spared` stay and come up again at the next tick.
        """
        now = now_ms >> TICK_SHIFT
        while True:
            while self._moving:
                keys = self._sets.get(self._moving[-1])
                if keys is None:
                    self._moving.pop()
                else:
                    yield self._take(keys, spared)
            if now <= self.tick:
                break
            self._advance(now)

    def _take(self, keys: Keys, spared: Container[bytes]) -> bytes | None:
        """Takes a key out of a set that the clock has passed: for good if it is due, else to the set of its time."""
        # pop() goes on where it stopped; next(iter()) would pass over all that was removed before, every time.
        key = keys.pop()
        if not keys:
            del self._sets[self._moving.pop()]
        times = self.slots[self._slot_of(key)]
        at_ms: int = times[key]
        if at_ms >> TICK_SHIFT < self.tick and key not in spared:
            times.pop(key)
            self.count -= 1
            self.taken_ms = at_ms
            return key
        self._enter(key, _set_number(key, at_ms, self.tick))
        return None

    def _advance(self, now: int) -> None:
        """Moves the wheel to the tick `now`. O(1): looks at no more than 64 buckets a level."""
        before, self._tick_before, self.tick = self.tick, self.tick, now
        passed = list(range(before << NUMBER_SHIFT, min(now, (before | 63) + 1) << NUMBER_SHIFT, 1 << NUMBER_SHIFT))
        level = 1
        while (start := before >> level * LEVEL_SHIFT) != (end := now >> level * LEVEL_SHIFT):
            for index in range(start + 1, min(end, start | 63) + 1):
                passed.append(index << NUMBER_SHIFT | level << PART_BITS)
            level += 1
        sets = self._sets
        self._moving = [number for first in passed for number in range(first, first + 64) if number in sets]
        self._moving.reverse()

    def containers(self) -> list[list[Any]]:
        """All that it holds, for whoever frees it a slice at a time."""
        return [self.slots, list(self._sets.values())]

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        used = compress(range(SLOTS), self.slots)
        times = {key: (slot, self.slots[slot][key]) for slot in used for key in self.slots[slot]}
        assert self.count == len(times)
        assert sum(map(len, self._sets.values())) == len(times)
        assert all(self._sets.values())
        for key, (slot, at_ms) in times.items():
            assert slot == self._slot_of(key)
            number = _set_number(key, at_ms, self.tick)
            if key not in self._sets.get(number, ()):
                number = _set_number(key, at_ms, self._tick_before)
                assert key in self._sets[number] and number in self._moving
        for keys in filter(len, self.slots):
            assert type(keys) is WideSlot or len(keys) <= SLOT_KEYS_MAX
        assert not NO_TIMES


def _set_number(key: bytes, at_ms: int, tick: int) -> int:
    """The set of a key while the wheel stands at `tick`: of the level of the highest digit (in base 64) in which its
    time differs. A time that has passed already is found in the bucket of `tick`, which is looked at next.
    """
    due = at_ms >> TICK_SHIFT
    part = hash(key) >> 32 & 63
    if due <= tick:
        return tick << NUMBER_SHIFT | part
    # Counted, and not reckoned from bit_length(): that is as fast here and 70 ns slower where this is C.
    level = 0
    while due >> (level + 1) * LEVEL_SHIFT != tick >> (level + 1) * LEVEL_SHIFT:
        level += 1
    return due >> level * LEVEL_SHIFT << NUMBER_SHIFT | level << PART_BITS | part

"""When the fields of one hash expire: a time per field, and the order in which the times come.

The order is a list of short sorted lists, of the times as 8 bytes each with its field behind: bytes compare in C, and
take less memory than tuples, which the cyclic collector would walk besides.

Rule 1: every field with a time is in exactly one place of the order, so refreshing one a million times costs nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

from shard.values.buckets import Buckets

RUN_MAX = 512
"""Entries in one of the sorted lists, before it is cut in two: inserting moves 2 KB on average, about 0.1 µs."""

TIME_BYTES = 8


class FieldTimes:
    """Absolute unix times in ms, by field. With n of them: O(1) to ask, O(log n + RUN_MAX + n / RUN_MAX) to change."""

    __slots__ = ("times", "runs")

    def __init__(self) -> None:
        self.times = Buckets()
        self.runs: list[list[bytes]] = [[]]
        """None is empty but the only one."""

    def __len__(self) -> int:
        return self.times.size

    def get(self, field: bytes) -> int:
        """The time of `field`, -1 if it has none."""
        at_ms: int = self.times.get(field, -1)
        return at_ms

    def set(self, field: bytes, at_ms: int) -> None:
        """Gives `field` a time, whether it has one or not."""
        before = self.get(field)
        if before == at_ms:
            return
        if before >= 0:
            self._leave(field, before)
        self.times.put(field, at_ms)
        entry = at_ms.to_bytes(TIME_BYTES, "big") + field
        place = self._run_of(entry)
        run = self.runs[place]
        run.insert(bisect_left(run, entry), entry)
        if len(run) > RUN_MAX:
            middle = len(run) // 2
            self.runs.insert(place + 1, run[middle:])
            del run[middle:]

    def discard(self, field: bytes) -> bool:
        """Takes the time of `field` away; whether it had one."""
        at_ms = self.times.pop(field, -1)
        if at_ms < 0:
            return False
        self._leave(field, at_ms)
        return True

    def first_ms(self) -> int:
        """The earliest of all times, -1 if there is none. O(1)."""
        first = self.runs[0]
        return int.from_bytes(first[0][:TIME_BYTES], "big") if first else -1

    def due(self, now_ms: int, count: int) -> list[bytes]:
        """The fields whose time is not after `now_ms`, but no more than `count`, which is at most RUN_MAX / 2."""
        run = self.runs[0]
        found = run[: min(count, bisect_left(run, (now_ms + 1).to_bytes(TIME_BYTES, "big")))] if now_ms >= 0 else []
        return [entry[TIME_BYTES:] for entry in found]

    def items(self) -> Iterable[tuple[bytes, int]]:
        """All fields with their times, the earliest first. O(n)."""
        for run in self.runs:
            for entry in run:
                yield entry[TIME_BYTES:], int.from_bytes(entry[:TIME_BYTES], "big")

    def copy(self) -> "FieldTimes":
        """Another with the same times. O(n)."""
        other = FieldTimes()
        other.times = self.times.copy()
        other.runs = [run.copy() for run in self.runs]
        return other

    def containers(self) -> list[Any]:
        """What it is made of, for whoever frees it a slice at a time."""
        return [*self.times.containers(), self.runs]

    def _leave(self, field: bytes, at_ms: int) -> None:
        entry = at_ms.to_bytes(TIME_BYTES, "big") + field
        place = self._run_of(entry)
        run = self.runs[place]
        del run[bisect_left(run, entry)]
        if not run and len(self.runs) > 1:
            del self.runs[place]

    def _run_of(self, entry: bytes) -> int:
        """The place of the list that `entry` belongs into: the last that begins at or before it, or the first."""
        runs = self.runs
        low, high = 0, len(runs) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if runs[middle][0] <= entry:
                low = middle
            else:
                high = middle - 1
        return low

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        self.times._check()
        assert dict(self.items()) == dict(self.times.items())
        entries = [entry for run in self.runs for entry in run]
        assert len(entries) == len(self.times) and entries == sorted(entries)
        assert all(self.runs) or self.runs == [[]]
        assert all(len(run) <= RUN_MAX for run in self.runs)

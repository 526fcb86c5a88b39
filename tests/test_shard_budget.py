"""What a shard takes and may take: when it looks, what it tells, how much it evicts and when it stops."""

import asyncio
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from common.config import Config
from common.memory import Gauge
from shard.budget import FREED_NS, REPORT_BYTES_MIN, report_bytes, time_limit_ns
from shard.control import CONTROLS
from shard.holds import Ticket
from shard.link import Link
from shard.server import Shard

MB = 2**20
KB = 1024


class FakeGauge(Gauge):
    """Says what a test wants."""

    def __init__(self) -> None:
        self.exact = 0
        self.look_at_ns = 0
        self.empty = 0
        self.given_back = 0

    def look_bytes(self) -> int:
        return self.exact

    def note_empty(self) -> None:
        self.empty += 1

    def may_give_back(self) -> bool:
        return self.exact > MB

    def give_back(self) -> bool:
        self.given_back += 1
        return True


class End:
    """A link that keeps what is sent by it."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, frame: Any) -> None:
        self.sent.append(frame)

    def reports(self) -> list[list[Any]]:
        """What was told of memory."""
        told = [event for frame in self.sent for event in frame.get("events", ())]
        return [words for kind, *words in told if kind == "memory"]


def on_a_shard(tmp_path: Path, scene: Callable[[Shard, FakeGauge, End], None], **directives: str) -> None:
    async def run() -> None:
        given = {"dir": str(tmp_path), "shards": "1", "appendonly": "no", "maxmemory": "64mb", **directives}
        words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
        shard = Shard(Config.from_arguments(words), 0)
        end, gauge = End(), FakeGauge()
        shard.budget.gauge = gauge
        shard.links.add(cast(Link, end))
        try:
            scene(shard, gauge, end)
        finally:
            shard.links.clear()
            shard.aof.close()

    asyncio.run(run())


def fill(shard: Shard, count: int, size_bytes: int = 1000) -> None:
    for number in range(count):
        shard.executor.run(0, [[b"SET", b"key:%d" % number, bytes(size_bytes)]])


def allow(shard: Shard, allowed_bytes: int, tight: bool = True) -> list[Any]:
    """As a router does, which asks first."""
    CONTROLS["memory_use"](shard)
    return list(CONTROLS["memory_allow"](shard, allowed_bytes, tight))


def keys(shard: Shard) -> int:
    return shard.store.dbs[0].size


LRU = {"maxmemory_policy": "allkeys-lru", "maxmemory_eviction_tenacity": "100"}


def test_it_evicts_what_it_takes_too_much(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 1000)
        gauge.exact = 40 * MB
        used_bytes, _, exhausted, *_ = allow(shard, 40 * MB - 100 * KB)
        # A key and its value are reckoned with 1,104 bytes.
        assert 905 <= keys(shard) <= 910 and not exhausted
        assert 40 * MB - 102 * KB < used_bytes <= 40 * MB - 100 * KB
        assert shard.store.stats.evicted_keys == 1000 - keys(shard)

    on_a_shard(tmp_path, scene, **LRU)


def test_it_does_not_while_the_whole_has_room(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 100)
        gauge.exact = 60 * MB
        allow(shard, 0, tight=False)
        shard.budget.turn(10 * KB, answered=True)
        assert keys(shard) == 100

    on_a_shard(tmp_path, scene, **LRU)


@pytest.mark.parametrize("why", ["loading", "paused", "refused", "held"])
def test_nobody_goes_while(tmp_path: Path, why: str) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 100)
        gauge.exact = 60 * MB
        if why == "loading":
            shard.executor.state(loading=True, refusal=None)
        elif why == "paused":
            shard.expiry_paused = True
        elif why == "refused":
            shard.executor.state(loading=False, refusal=shard.misconf())
        else:
            shard.room.holds.wholes.append(Ticket(None))
        assert allow(shard, 1)[2] is False
        assert keys(shard) == 100

    on_a_shard(tmp_path, scene, **LRU)


def test_what_is_left_goes_in_slices(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 2000)
        gauge.exact = 40 * MB
        allow(shard, 39 * MB)
        # Without any time it is a few keys; a slice is to follow.
        assert 1990 < keys(shard) < 2000 and shard.budget._slicing

    on_a_shard(tmp_path, scene, maxmemory_policy="allkeys-random", maxmemory_eviction_tenacity="0")


def test_a_turn_evicts_what_it_brought(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 1000)
        gauge.exact = 40 * MB
        allow(shard, 40 * MB)
        gauge.look_at_ns = sys.maxsize
        shard.executor.clock_ns = lambda: 0  # No time passes: a busy machine would end the turn.
        shard.budget.factor = 1.0
        shard.store.changes_total += 1
        shard.budget.turn(50 * 1104, answered=True)
        assert 948 <= keys(shard) <= 950
        assert end.reports()[-1][3:] == [50 * 1104, keys(shard), False] and shard.budget.use()[3] == 0

    on_a_shard(tmp_path, scene, maxmemory_policy="allkeys-random", maxmemory_eviction_tenacity="0")


def test_reads_bring_nothing(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 10)
        gauge.exact = 40 * MB
        allow(shard, 40 * MB)
        shard.budget.turn(0, answered=True)
        used_bytes = shard.budget.used_bytes
        shard.budget.turn(MB, answered=True)
        assert shard.budget.used_bytes == used_bytes and keys(shard) == 10

    on_a_shard(tmp_path, scene, **LRU)


def test_it_tells_before_its_room_is_used_up(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 1000)
        budget = shard.budget
        gauge.exact = 30 * MB
        allow(shard, 30 * MB + 100 * KB)
        gauge.look_at_ns = sys.maxsize
        budget.factor = 1.0
        end.sent.clear()
        for _ in range(9):
            shard.store.changes_total += 1
            budget._report_at_ns = 0  # As if some ms had passed.
            budget.turn(10 * KB, answered=True)
        # When half of it is used, and half of what is left, and so on.
        assert [report[0] - 30 * MB for report in end.reports()] == [50 * KB, 80 * KB, 90 * KB]
        assert sum(report[3] for report in end.reports()) == 90 * KB and keys(shard) == 1000

    on_a_shard(tmp_path, scene, **LRU)


def test_of_a_small_limit_a_part_is_seen_at_once(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 10)
        CONTROLS["memory_use"](shard)
        gauge.look_at_ns = sys.maxsize
        for number, seen in enumerate((False, False, True)):
            gauge.exact = number * KB
            shard.store.changes_total += 1
            shard.budget.turn(32 * KB, answered=True)
            # A 16th of 2 MB, of which each byte that came in may take two.
            assert (shard.budget.used_bytes == gauge.exact) == seen

    on_a_shard(tmp_path, scene, maxmemory="2mb")


def test_what_bytes_take_is_learned(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 10)
        budget = shard.budget
        gauge.exact = 30 * MB
        budget.look()
        for _ in range(20):
            shard.store.changes_total += 1
            gauge.exact += 300 * KB
            budget.turn(100 * KB, answered=True)
            budget.look()
        assert budget.factor == pytest.approx(3.0, abs=0.01)
        # What came in small pieces says nothing.
        shard.store.changes_total += 1
        gauge.exact += MB
        budget.turn(KB, answered=True)
        budget.look()
        assert budget.factor == pytest.approx(3.0, abs=0.01)

    on_a_shard(tmp_path, scene)


def test_it_tells_when_it_has_grown(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 10)
        step = report_bytes(64 * MB, 1)
        shard.budget.look_closer(0)
        end.sent.clear()
        gauge.exact = step - 1
        shard.budget.look_closer(0)
        assert end.reports() == []
        gauge.exact = step
        shard.budget.look_closer(0)
        assert [report[0] for report in end.reports()] == [step]
        gauge.exact = 0
        shard.budget.pulse()
        assert [report[0] for report in end.reports()] == [step, 0]

    on_a_shard(tmp_path, scene)


def test_when_nobody_asks_it_gives_back_what_writes_left_free(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        gauge.exact = 2 * MB
        assert shard.budget.rest() and not gauge.given_back, "nothing was written"
        fill(shard, 10)
        gauge.look_at_ns = sys.maxsize
        assert not shard.budget.rest() and not gauge.given_back, "not yet"
        gauge.look_at_ns = 0
        assert shard.budget.rest() and shard.budget.rest() and gauge.given_back == 1
        fill(shard, 10)
        gauge.exact = 0
        assert shard.budget.rest() and gauge.given_back == 1, "it has never had much"

    on_a_shard(tmp_path, scene, maxmemory="0")


def test_without_keys_nothing_is_taken(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 1000)
        gauge.exact = 40 * MB
        assert CONTROLS["memory_use"](shard)[0] == 40 * MB
        assert gauge.empty == 0
        shard.executor.run(0, [[b"FLUSHALL"]])
        shard.store.garbage.append([1] * 1000)
        shard.executor.clock_ns = count(0, FREED_NS).__next__
        assert CONTROLS["memory_use"](shard) == [0, 0.0, False, 0, 0, True]
        assert gauge.empty == 0, "what is freed later is no part of the program"
        shard.store.garbage.clear()
        CONTROLS["memory_use"](shard)
        assert gauge.empty == 1

    on_a_shard(tmp_path, scene)


def test_it_says_when_there_is_nothing_to_evict(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 10)
        gauge.exact = 40 * MB
        assert allow(shard, MB)[2] is True
        assert keys(shard) == 10
        shard.executor.run(0, [[b"EXPIRE", b"key:1", b"100"]])
        shard.budget.turn(20, answered=True)
        assert keys(shard) == 9
        # With room again it is no question.
        assert allow(shard, 50 * MB)[2] is False

    on_a_shard(tmp_path, scene, maxmemory_policy="volatile-lru")


def test_of_nothing_at_all_everything_goes(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 100)
        gauge.exact = 10
        assert allow(shard, 0)[2] is True
        assert keys(shard) == 0

    on_a_shard(tmp_path, scene, **LRU)


@pytest.mark.parametrize("lazy", ["yes", "no"])
def test_garbage_comes_first(tmp_path: Path, lazy: str) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        fill(shard, 10)
        for number in range(5):
            shard.executor.run(0, [[b"RPUSH", b"list:%d" % number, *[b"x" * 100] * 2000]])
        shard.executor.run(0, [[b"UNLINK", b"list:0"]])
        gauge.exact = 40 * MB
        allow(shard, 40 * MB - 900 * KB)
        assert len(shard.store.garbage) == 0, "there was time for all of it"
        assert shard.store.stats.evicted_keys >= 1

    on_a_shard(tmp_path, scene, lazyfree_lazy_eviction=lazy, **LRU)


def test_what_went_is_in_the_log(tmp_path: Path) -> None:
    def scene(shard: Shard, gauge: FakeGauge, end: End) -> None:
        logged: list[Any] = []
        shard.executor.log = lambda db, argv: logged.append((db, argv))
        fill(shard, 3)
        logged.clear()
        gauge.exact = 40 * MB
        allow(shard, 0)
        assert sorted(logged) == [(0, [b"DEL", b"key:%d" % number]) for number in range(3)]

    on_a_shard(tmp_path, scene, **LRU)


def test_times_of_tenacity() -> None:
    assert [time_limit_ns(tenacity) for tenacity in (0, 1, 10)] == [0, 50_000, 500_000]
    assert time_limit_ns(11) == 575_000
    assert 100e9 < time_limit_ns(99) < 150e9
    assert time_limit_ns(100) == sys.maxsize


def test_small_limits_are_not_told_of_every_byte() -> None:
    assert report_bytes(1, 3) == REPORT_BYTES_MIN
    assert report_bytes(1024 * MB, 2) == MB

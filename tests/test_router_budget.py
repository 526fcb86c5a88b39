"""One budget for shards of uneven size: who is told what, and when writes are refused, or have to wait."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from common.errors import RedisError
from router.budget import EVENTS, LOOK_S, SETTLE_MS, SPARE_PART, TIGHT_PART, Budget
from router.link import LinkState
from router.server import Router
from tests.bare_shard import commands

MB = 2**20
LIMIT = 64 * MB
NOW_S = 1_700_000_000


def ago(seconds: float) -> float:
    """The score of what was used so long ago."""
    return seconds - NOW_S


class End:
    """A link that keeps what is sent by it."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.state = LinkState.READY
        self.told: list[list[Any]] = []
        self.asked: list[tuple[list[Any], Callable[[Any], None]]] = []

    def tell(self, message: list[Any], then: Callable[[Any], None]) -> None:
        self.told.append(message)
        self.asked.append((message, then))


class Stopped:
    def is_set(self) -> bool:
        return True


class Loop:
    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[..., None]]] = []

    def call_later(self, delay_s: float, act: Callable[..., None], *words: Any) -> None:
        self.later.append((delay_s, act))

    def call_soon(self, act: Callable[..., None], *words: Any) -> None:
        act(*words)


class Shards:
    """All that a router has, as far as this goes."""

    def __init__(self, count: int = 3, policy: str = "allkeys-lru") -> None:
        self.shards = count
        self.links = [End(index) for index in range(count)]
        self.loop, self.stopped = Loop(), Stopped()
        self.sessions: dict[int, Any] = {}
        self.routes: dict[bytes, Any] = {}
        self.ms = NOW_S * 1000
        self.config = type("Config", (), {"values": {"maxmemory": LIMIT, "maxmemory-policy": policy}})()
        self.budget = Budget(cast(Router, self))
        self.budget._look_at_own = lambda: None  # type: ignore[method-assign]
        self.budget.configure()
        self.answer([[0, 0.0, False, 0, 0, False]] * count)

    def now_ms(self) -> int:
        return self.ms

    def answer(self, uses: list[list[Any]]) -> None:
        """All questions, each by what its shard takes."""
        while any(link.asked for link in self.links):
            for link in self.links:
                if link.asked:
                    link.asked.pop(0)[1](uses[link.index])

    def hear(
        self,
        shard: int,
        used_mb: float,
        score: float = -NOW_S,
        exhausted: bool = False,
        came_mb: float = 0,
        keys: int = 1000,
        freeing: bool = False,
    ) -> None:
        use = [int(used_mb * MB), score, exhausted, int(came_mb * MB), keys, freeing]
        EVENTS["memory"](cast(Router, self), cast(Any, self.links[shard]), *use)

    def allowed(self) -> list[float]:
        """What each was told last, in MB."""
        return [link.told[-1][1] / MB for link in self.links]

    def forget(self) -> None:
        for link in self.links:
            link.told.clear()


def test_while_there_is_room_nobody_is_told_anything() -> None:
    shards = Shards()
    shards.forget()
    shards.hear(0, 55)
    shards.hear(1, 2)
    assert all(not link.told for link in shards.links) and not shards.budget.gated


def test_near_the_limit_the_parts_are_the_whole() -> None:
    shards = Shards()
    shards.hear(0, 55)
    shards.hear(1, 8)
    shards.hear(2, 0.5)
    assert [link.told[-1][0::2] for link in shards.links] == [["memory_allow", True]] * 3
    # Who grew most has its part all the same, and what is left is for each of them.
    first, second, third = shards.allowed()
    assert first >= 55 and second >= 8 and third >= 0.5
    assert LIMIT / MB * (1 - 2 / SPARE_PART) < sum(shards.allowed()) <= LIMIT / MB


def test_above_the_limit_all_give_in_proportion() -> None:
    shards = Shards()
    for shard, used_mb in enumerate((50, 20, 10)):
        shards.hear(shard, used_mb, score=-NOW_S, keys=used_mb)
    first, second, third = shards.allowed()
    assert first == pytest.approx(40, abs=0.2) and second == pytest.approx(16, abs=0.2)
    assert third == pytest.approx(8, abs=0.2)


def test_who_has_nothing_to_evict_takes_what_it_takes() -> None:
    shards = Shards()
    shards.hear(0, 40, exhausted=True)
    shards.hear(1, 20)
    shards.hear(2, 20)
    first, second, third = shards.allowed()
    assert first == 40 and second == pytest.approx(12, abs=0.2) and third == pytest.approx(12, abs=0.2)
    assert not shards.budget.refusing


def test_the_older_gives_way_for_what_comes_to_the_younger() -> None:
    shards = Shards(2)
    shards.hear(0, 32, score=ago(10))
    shards.hear(1, 31.9, score=ago(0), came_mb=0.4)
    # 0.4 MB in 10 ms: the younger has room for what comes in 30 ms, and the older one makes it.
    old, young = shards.allowed()
    assert young == pytest.approx(33.1, abs=0.01) and old == pytest.approx(30.9, abs=0.1)
    assert old + young == pytest.approx(64, abs=0.1)
    # More than a 32nd of the limit it is not.
    shards.hear(1, 31.9, score=ago(0), came_mb=20)
    assert shards.allowed()[1] == pytest.approx(33.9, abs=0.01)


def test_a_flood_is_forgotten_when_it_is_over() -> None:
    shards = Shards(2)
    shards.hear(0, 32, score=ago(10))
    shards.hear(1, 31.9, score=ago(0), came_mb=0.4)
    for _ in range(3):
        shards.ms += 100
        shards.hear(1, 31.9, score=ago(0))
    assert shards.budget.parts[1].rate < 0.5 * 0.4 * MB / 10
    shards.ms += 300
    shards.hear(1, 31.9, score=ago(0))
    assert shards.allowed() == pytest.approx([32, 31.9], abs=0.1)


def test_nobody_gets_more_while_the_older_does_not_keep_up() -> None:
    shards = Shards(2)
    shards.hear(0, 32.5, score=ago(10))
    shards.hear(1, 32, score=ago(0), came_mb=0.4)
    old, young = shards.allowed()
    assert young == pytest.approx(32, abs=0.01) and old == pytest.approx(32, abs=0.1)


def test_the_nearer_the_ages_the_more_evenly_all_give() -> None:
    given = []
    for older_s in (0, 0.25, 0.5, 1, 5):
        shards = Shards(2)
        shards.hear(0, 33, score=ago(10))
        shards.hear(1, 33, score=ago(10 - older_s))
        given.append(33 - shards.allowed()[1])
    assert given[0] == pytest.approx(1, abs=0.1) and given == sorted(given, reverse=True)
    assert 0.5 < given[1] < 0.95 and given[-1] == 0
    # Of what is old it takes more of a difference.
    shards = Shards(2)
    shards.hear(0, 33, score=ago(1000))
    shards.hear(1, 33, score=ago(995))
    assert 32 < shards.allowed()[1] < 32.8


def test_frequencies_are_told_apart_by_less() -> None:
    shards = Shards(2, policy="allkeys-lfu")
    shards.hear(0, 33, score=250)
    shards.hear(1, 33, score=249)
    assert shards.allowed() == pytest.approx([31, 33], abs=0.1)


def test_by_chance_each_gives_by_its_keys() -> None:
    shards = Shards(2, policy="allkeys-random")
    shards.hear(0, 34, score=0, keys=3000)
    shards.hear(1, 34, score=0, keys=1000)
    assert shards.allowed() == pytest.approx([31, 33], abs=0.1)


def test_what_the_oldest_does_not_have_the_next_gives() -> None:
    shards = Shards(3)
    shards.hear(0, 1, score=ago(300))
    shards.hear(1, 40, score=ago(200))
    shards.hear(2, 40, score=ago(100))
    assert shards.allowed() == pytest.approx([0, 24, 40], abs=0.1)


def test_what_one_does_not_have_another_as_old_gives() -> None:
    shards = Shards(3, policy="allkeys-random")
    shards.hear(0, 80, keys=1)
    shards.hear(1, 1, keys=1_000_000)
    shards.hear(2, 2, keys=1_000_000)
    assert shards.allowed() == pytest.approx([64, 0, 0], abs=0.1)


def test_with_hardly_any_limit_all_give_all() -> None:
    shards = Shards(3)
    shards.budget.limit_bytes = 1
    for shard, (used_mb, keys) in enumerate(((0.1, 1), (0.2, 1000), (0.3, 1))):
        shards.hear(shard, used_mb, score=ago(10 * shard), keys=keys)
    assert shards.allowed() == [0, 0, 0]


def test_without_keys_that_may_go_nobody_gives_and_writes_are_refused() -> None:
    shards = Shards(3)
    shards.hear(0, 66, keys=0)
    assert shards.allowed() == [66, 0, 0] and shards.budget.refusing
    shards.hear(1, 1, keys=1)
    assert shards.allowed() == [66, 0, 0] and not shards.budget.refusing


def test_nobody_gives_way_for_what_did_not_come() -> None:
    shards = Shards(2)
    shards.hear(0, 31.9, score=ago(10))
    for _ in range(5):
        shards.hear(1, 31.9, score=ago(0))
    assert min(shards.allowed()) > 31.89


def test_with_room_again_nobody_is_bound() -> None:
    shards = Shards()
    shards.hear(0, 63.8)
    assert all(link.told[-1][2] for link in shards.links)
    shards.hear(0, LIMIT / MB * (1 - 1.5 / TIGHT_PART))
    assert all(link.told[-1][2] for link in shards.links), "not at once"
    shards.hear(0, 40)
    assert all(not link.told[-1][2] for link in shards.links)


def test_without_eviction_the_sum_decides() -> None:
    shards = Shards(policy="noeviction")
    shards.hear(0, 30)
    shards.hear(1, 30)
    assert not shards.budget.gated
    shards.hear(2, 5)
    assert shards.budget.refusing and shards.budget.gated
    # Each looks closer from now on, and says when there is room.
    assert shards.allowed() == [0, 0, 0]
    shards.hear(0, 20)
    assert not shards.budget.gated


def test_refused_only_when_nobody_can_evict() -> None:
    shards = Shards(2)
    shards.hear(0, 60, exhausted=True)
    shards.hear(1, 20, exhausted=False)
    assert not shards.budget.refusing
    shards.hear(1, 20, exhausted=True)
    assert shards.budget.refusing
    shards.hear(1, 20, exhausted=False)
    assert not shards.budget.refusing


class Waiting:
    """As much of a session as waits."""

    transaction = None
    held = False

    def hold(self) -> None:
        self.held = True

    def pump(self) -> None: ...


def use(used_mb: float, *, freeing: bool = False) -> list[Any]:
    return [int(used_mb * MB), 0.0, False, 0, 1, freeing]


class Refused:
    """Two shards above the limit, where nothing may be evicted, that were just asked."""

    def __init__(self) -> None:
        self.shards = Shards(2, policy="noeviction")
        self.shards.hear(0, 66)
        self.client = Waiting()
        assert self.asks("SET"), "nobody looked before what might free something"
        self.later()
        self.shards.answer([use(66), use(0)])
        assert not self.client.held
        self.is_refused()

    def asks(self, name: str) -> bool:
        """Whether that command waits."""
        return self.shards.budget.stops(cast(Any, self.client), TABLE.lookup[name.encode()])

    def is_refused(self) -> None:
        with pytest.raises(RedisError, match="OOM"):
            self.asks("SET")

    def later(self) -> float:
        """Does what is to be done later; when that is, in ms."""
        ((delay_s, act),) = [(delay_s, act) for delay_s, act in self.shards.loop.later if delay_s != LOOK_S]
        self.shards.loop.later.clear()
        act()
        return delay_s * 1000


TABLE = commands()


def test_what_was_freed_is_asked_for_before_anybody_is_refused() -> None:
    scene = Refused()
    assert not scene.asks("GET")
    scene.is_refused()
    assert not scene.asks("DEL")
    assert scene.asks("SET") and scene.asks("SET")
    scene.shards.forget()
    assert scene.later() == 0
    assert all(link.told == [["memory_use"]] for link in scene.shards.links)
    assert not scene.asks("DEL"), "the shards have answered before that"
    scene.shards.ms += 3
    scene.shards.answer([use(66), use(0)])
    assert not scene.client.held
    # What it costs them is bounded: for some times as long they are left alone.
    assert scene.asks("SET")
    assert scene.later() == 4 * 3
    scene.shards.answer([use(60), use(0)])
    assert not scene.client.held and not scene.shards.budget.gated


def test_who_would_be_refused_waits_for_what_is_being_freed() -> None:
    scene = Refused()
    assert not scene.asks("FLUSHALL") and scene.asks("SET")
    scene.later()
    for used_mb in (66, 65):
        scene.shards.answer([use(used_mb, freeing=True), use(0)])
        assert scene.client.held and scene.later() == SETTLE_MS
    scene.shards.answer([use(63, freeing=True), use(0)])
    assert not scene.client.held and not scene.shards.budget.gated


def test_what_is_being_freed_may_be_too_little() -> None:
    scene = Refused()
    scene.shards.hear(0, 66, freeing=True)
    assert scene.asks("SET")
    scene.later()
    scene.shards.answer([use(65), use(0)])
    assert not scene.client.held
    scene.is_refused()


def test_room_that_a_shard_tells_of_ends_the_wait() -> None:
    scene = Refused()
    assert not scene.asks("DEL") and scene.asks("SET")
    scene.shards.hear(0, 20)
    assert not scene.client.held and not scene.shards.budget.gated
    scene.shards.forget()
    scene.later()
    assert not any(link.told for link in scene.shards.links), "they need not be asked any more"


def test_without_the_limit_nobody_waits() -> None:
    scene = Refused()
    assert not scene.asks("DEL") and scene.asks("SET")
    scene.shards.config.values["maxmemory"] = 0
    scene.shards.budget.configure()
    scene.later()
    assert not scene.client.held and not scene.shards.budget.gated


def test_how_long_it_was_above() -> None:
    shards = Shards(1)
    assert shards.budget.info() == {"total_eviction_exceeded_time": 0, "current_eviction_exceeded_time": 0}
    shards.hear(0, 70)
    shards.ms += 30
    assert shards.budget.info() == {"total_eviction_exceeded_time": 30, "current_eviction_exceeded_time": 30}
    shards.hear(0, 60)
    shards.ms += 100
    assert shards.budget.info() == {"total_eviction_exceeded_time": 30, "current_eviction_exceeded_time": 0}
    shards.hear(0, 70)
    shards.ms += 5
    assert shards.budget.info() == {"total_eviction_exceeded_time": 35, "current_eviction_exceeded_time": 5}
    shards.budget.reset_stats()
    assert shards.budget.info() == {"total_eviction_exceeded_time": 0, "current_eviction_exceeded_time": 0}


def test_a_shard_that_is_down_keeps_its_part_and_is_asked_when_it_is_back() -> None:
    shards = Shards(2)
    shards.hear(0, 40)
    shards.links[0].state = LinkState.DOWN
    shards.forget()
    shards.hear(1, 23.8)
    assert not shards.links[0].told and shards.links[1].told[-1][2]
    shards.links[0].state = LinkState.READY
    shards.budget.met(cast(Any, shards.links[0]))
    assert shards.links[0].told == [["memory_use"]]
    shards.answer([[40 * MB, 0.0, False, 0, 1, False], [24 * MB, 0.0, False, 0, 1, False]])
    assert shards.links[0].told[-1][2] is True


def test_a_shard_whose_link_is_new_is_told_that_there_is_room() -> None:
    """It may be bound to what a router before this one has said."""
    shards = Shards(2)
    shards.forget()
    shards.budget.met(cast(Any, shards.links[1]))
    shards.answer([[MB, 0.0, False, 0, 1, False]] * 2)
    assert shards.links[1].told == [["memory_use"], ["memory_allow", 0, False]] and not shards.links[0].told


def test_an_answer_of_a_shard_that_died_changes_nothing() -> None:
    shards = Shards(2)
    shards.hear(0, 40)
    shards.budget.met(cast(Any, shards.links[0]))
    shards.links[0].asked.pop()[1](RedisError("SHARDDOWN"))
    assert shards.budget.parts[0].used_bytes == 0 and not shards.budget.gated


@pytest.mark.parametrize("early", [True, False])
def test_the_table_of_commands_is_no_clients(early: bool) -> None:
    shards = Shards(2)
    gauge = shards.budget.gauge
    done: list[str] = []
    gauge.begin = lambda: done.append("begin")  # type: ignore[method-assign]
    gauge.look_bytes = lambda: done.append("look") or 0  # type: ignore[method-assign, func-returns-value]
    gauge.note_empty = lambda: done.append("note")  # type: ignore[method-assign]
    shards.sessions = {1: None} if early else {}
    shards.links[1].state = LinkState.DOWN
    shards.budget.met(cast(Any, shards.links[0]))
    assert not done
    shards.links[1].state = LinkState.READY
    for link in shards.links:
        shards.budget.met(cast(Any, link))
    assert done == (["look", "note"] if early else ["begin"])

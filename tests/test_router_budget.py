"""One budget for shards of uneven size: who is told what, and when writes are refused."""

from typing import Any, cast

import pytest

from common.errors import RedisError
from router.budget import SPARE_PART, TIGHT_PART
from router.link import LinkState
from tests.fake_shards import LIMIT, MB, NOW_S, Shards, ago, use


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
    assert shards.budget.parts[0].used_bytes == 40 * MB, "until it has said something else"
    shards.answer([use(40), use(24)])
    assert shards.links[0].told[-1][2] is True


def test_a_shard_whose_link_is_new_is_told_that_there_is_room() -> None:
    """It may be bound to what a router before this one has said."""
    shards = Shards(2)
    shards.forget()
    shards.budget.met(cast(Any, shards.links[1]))
    shards.answer([use(1)] * 2)
    assert shards.links[1].told == [["memory_use"], ["memory_allow", 0, False]] and not shards.links[0].told


def test_an_answer_of_a_shard_that_died_changes_nothing() -> None:
    shards = Shards(2)
    shards.hear(0, 40)
    shards.budget.met(cast(Any, shards.links[0]))
    shards.links[0].asked.pop()[1](RedisError("SHARDDOWN"))
    assert shards.budget.parts[0].used_bytes == 40 * MB and not shards.budget.gated


def test_a_shard_that_loads_is_not_asked() -> None:
    """It would say less than it will take."""
    shards = Shards(2)
    shards.hear(0, 40)
    shards.links[0].state = LinkState.LOADING
    shards.forget()
    shards.config.values["maxmemory"] = LIMIT + 1
    shards.budget.configure()
    shards.answer([use(1), use(24)])
    assert shards.links[1].told[0] == ["memory_use"] and ["memory_use"] not in shards.links[0].told
    assert shards.budget.parts[0].used_bytes == 40 * MB


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
    shards.loop.run()
    assert done == (["look", "note"] if early else ["begin"])

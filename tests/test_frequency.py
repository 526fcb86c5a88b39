"""Redis's logarithmic counters of use: they rise by chance, fall by the minute, and wrap as 16 bits of minutes do."""

from random import Random

import pytest

from shard.frequency import COUNTER_MAX, FIRST, clock_of, counter, first, used

NOW_S = 1_700_000_000


def test_a_new_key_has_its_chance() -> None:
    assert counter(first(NOW_S), NOW_S, 1) == FIRST
    assert counter(used(first(NOW_S), NOW_S, 1, 10, chance=0.999), NOW_S, 1) == FIRST + 1


@pytest.mark.parametrize(
    ("count", "chance", "after"),
    [(0, 0.99, 1), (5, 0.99, 6), (6, 0.08, 7), (6, 0.1, 6), (15, 0.009, 16), (15, 0.01, 15), (255, 0.0, 255)],
)
def test_the_higher_the_rarer(count: int, chance: float, after: int) -> None:
    """With a factor of 10 the chance is 1 in 10 * (count - 5) + 1."""
    assert counter(used(clock_of(count, NOW_S), NOW_S, 1, 10, chance), NOW_S, 1) == after


def test_without_a_factor_every_use_counts() -> None:
    clock = first(NOW_S)
    for uses in range(300):
        assert counter(clock, NOW_S, 1) == min(FIRST + uses, COUNTER_MAX)
        clock = used(clock, NOW_S, 1, 0, chance=0.999999)


@pytest.mark.parametrize(
    ("minutes", "decay_minutes", "left"), [(0, 1, 9), (4, 1, 5), (9, 1, 0), (50, 1, 0), (4, 2, 7), (4, 0, 9)]
)
def test_minutes_take_away(minutes: int, decay_minutes: int, left: int) -> None:
    assert counter(clock_of(9, NOW_S), NOW_S + 60 * minutes, decay_minutes) == left


def test_minutes_wrap() -> None:
    before_s = 60 * 0xFFFF
    assert counter(clock_of(9, before_s), before_s + 120, 1) == 7


def test_what_a_million_uses_make_is_what_redis_documents() -> None:
    """With a factor of 10 redis.conf says about 142 after 100 k uses, 10 after 100."""
    random = Random(5)
    clock = first(NOW_S)
    for uses in range(100_001):
        if uses == 100:
            assert 6 < counter(clock, NOW_S, 1) < 16
        clock = used(clock, NOW_S, 1, 10, random.random())
    assert 125 < counter(clock, NOW_S, 1) < 160

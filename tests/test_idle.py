"""Idle clocks: never too old, and right for nearly all keys."""

from random import Random

import pytest

from shard.idle import CLOCKS_MAX, CLOCKS_MIN, UNUSED, IdleClocks


@pytest.mark.parametrize("seed", range(5))
def test_never_older_than_the_last_use(seed: int) -> None:
    random = Random(seed)
    clocks = IdleClocks()
    used: list[dict[bytes, int]] = [{} for _ in range(4)]
    for clock_s in range(1, 4000):
        slot = random.randrange(4)
        key = b"%d" % random.randrange(10 ** (slot + 1))
        if key not in used[slot]:
            clocks.grow(slot, len(used[slot]) + 1)
        clocks.touch(key, slot, clock_s)
        used[slot][key] = clock_s
        if clock_s % 50 == 0:
            clocks._check()
            for number, times in enumerate(used):
                assert len(clocks.slots[number]) >= 2 * len(times)
                assert all(time_s <= clocks.last_used_s(key, number) for key, time_s in times.items())
    for number, times in enumerate(used):
        right = sum(clocks.last_used_s(key, number) == time_s for key, time_s in times.items())
        assert right > 0.5 * len(times)


def test_growing_keeps_every_clock() -> None:
    clocks = IdleClocks()
    clocks.grow(0, 4)
    keys = [b"key:%d" % number for number in range(1000)]
    for clock_s, key in enumerate(keys):
        clocks.touch(key, 0, clock_s)
    before = [clocks.last_used_s(key, 0) for key in keys]
    clocks.grow(0, 1000)
    assert [clocks.last_used_s(key, 0) for key in keys] == before
    clocks._check()


def test_clocks_at_the_limit_and_one_past_it() -> None:
    clocks = IdleClocks()
    clocks.grow(0, CLOCKS_MIN // 2)
    assert len(clocks.slots[0]) == CLOCKS_MIN
    clocks.grow(0, CLOCKS_MIN // 2 + 1)
    assert len(clocks.slots[0]) == 2 * CLOCKS_MIN
    clocks.grow(1, CLOCKS_MAX // 2)
    assert len(clocks.slots[1]) == CLOCKS_MAX
    clocks.grow(1, CLOCKS_MAX // 2 + 1)
    assert len(clocks.slots[1]) == CLOCKS_MAX
    assert clocks.slots[2] is UNUSED
    clocks._check()

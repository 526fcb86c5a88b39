"""Idle clocks: never too old, and right for nearly all keys."""

from random import Random

import pytest

from shard.idle import CLOCKS_MAX, CLOCKS_MIN, PARTS, IdleClocks


@pytest.mark.parametrize("seed", range(5))
def test_never_older_than_the_last_use(seed: int) -> None:
    random = Random(seed)
    clocks = IdleClocks()
    used: dict[bytes, int] = {}
    for clock_s in range(1, 4000):
        key = b"%d" % random.randrange(10 ** random.randrange(1, 5))
        if key not in used and len(used) + 1 > clocks.room:
            clocks.grow()
        clocks.touch(key, clock_s)
        used[key] = clock_s
        if clock_s % 50 == 0:
            clocks._check(len(used))
            assert all(time_s <= clocks.clock(key) for key, time_s in used.items())
    right = sum(clocks.clock(key) == time_s for key, time_s in used.items())
    assert right > 0.5 * len(used)


def test_growing_keeps_every_clock() -> None:
    clocks = IdleClocks()
    keys = [b"key:%d" % number for number in range(100)]
    for clock_s, key in enumerate(keys):
        clocks.touch(key, clock_s)
    before = [clocks.clock(key) for key in keys]
    for _ in range(10 * PARTS):
        clocks.grow()
        clocks._check(0)
    assert [clocks.clock(key) for key in keys] == before


def test_the_first_part_is_doubled_one_key_past_the_room_for_all() -> None:
    clocks = IdleClocks()
    assert clocks.room == PARTS * CLOCKS_MIN // 4
    clocks._check(clocks.room)
    with pytest.raises(AssertionError):
        clocks._check(clocks.room + 1)
    clocks.grow()
    assert [len(part) for part in clocks.parts] == [2 * CLOCKS_MIN] + [CLOCKS_MIN] * (PARTS - 1)
    clocks._check(PARTS * CLOCKS_MIN // 4 + 1)


def test_clocks_at_the_limit_and_one_past_it() -> None:
    clocks = IdleClocks()
    while len(clocks.parts[-1]) < CLOCKS_MAX:
        clocks.grow()
    clocks._check(PARTS * CLOCKS_MAX // 4)
    clocks.grow()
    assert {len(part) for part in clocks.parts} == {CLOCKS_MAX}
    clocks._check(10 * PARTS * CLOCKS_MAX)

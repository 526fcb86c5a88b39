"""FieldTimes against a dict."""

from random import Random

import pytest

from shard.values.field_times import RUN_MAX, FieldTimes


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spread_ms", [1, 50, 10**12])
def test_as_a_dict(seed: int, spread_ms: int) -> None:
    random = Random(seed)
    times, model = FieldTimes(), dict[bytes, int]()
    for step in range(2500):
        field = b"%d" % random.randrange(900)
        match random.randrange(8 if step < 2000 else 12):
            case 0 | 1 | 2 | 3 | 4:
                at_ms = random.randrange(spread_ms)
                times.set(field, at_ms)
                model[field] = at_ms
            case 5:
                assert times.get(field) == model.get(field, -1)
            case 6:
                now_ms = random.randrange(spread_ms)
                due = times.due(now_ms, 50)
                assert len(due) == min(50, sum(at_ms <= now_ms for at_ms in model.values()))
                assert all(model[field] <= now_ms for field in due)
            case _:
                assert times.discard(field) is (model.pop(field, None) is not None)
        assert len(times) == len(model)
        assert times.first_ms() == min(model.values(), default=-1)
        if step % 20 == 0:
            times._check()
    times._check()
    other = times.copy()
    other._check()
    for field in list(model):
        assert times.discard(field)
    times._check()
    assert not times and times.runs == [[]] and dict(other.items()) == model


def test_in_the_order_of_the_times() -> None:
    times = FieldTimes()
    for number in range(5 * RUN_MAX):
        times.set(b"%d" % number, number * 7919 % 104729)
    assert len(times.runs) > 5
    order = [at_ms for _, at_ms in times.items()]
    assert order == sorted(order)
    times._check()


def test_times_far_away() -> None:
    times = FieldTimes()
    times.set(b"last", 2**63 - 1)
    times.set(b"first", 0)
    times.set(b"", 0)
    assert times.due(-1, 10) == [] and times.due(0, 10) == [b"", b"first"] and times.due(0, 1) == [b""]
    assert times.due(2**63 - 1, 10) == [b"", b"first", b"last"]
    times._check()


def test_refreshing_costs_no_memory() -> None:
    times = FieldTimes()
    for number in range(10_000):
        times.set(b"%d" % (number % 10), 1000 * number)
    assert sum(map(len, times.runs)) == 10 and times.containers() == [times.times.parts, times.runs]
    times._check()

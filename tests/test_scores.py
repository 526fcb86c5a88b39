"""The order of a large sorted set, against a plain sorted list."""

from bisect import bisect_left, insort
from math import inf
from random import Random

import pytest

from shard.values import scores as module
from shard.values.scores import Scores

Entry = tuple[float, bytes]

STEPS = 3000
LEAF_MAX = 256


@pytest.fixture(params=[8, 256])
def leaf_max(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Small nodes make a high tree of few entries. Where it is compiled the limits are constants."""
    monkeypatch.setattr(module, "LEAF_MAX", request.param, raising=False)
    monkeypatch.setattr(module, "INNER_MAX", max(request.param // 4, 4), raising=False)
    return int(request.param)


def entries_of(order: Scores) -> list[Entry]:
    return [(score, member) for member, score in order.items()]


def made_of(entries: list[Entry]) -> Scores:
    order = Scores()
    order.fill([score for score, _ in entries], [member for _, member in entries])
    return order


def some_entry(random: Random) -> Entry:
    return random.choice([float(random.randrange(30)), random.random(), inf, -inf]), b"%d" % random.randrange(99)


@pytest.mark.parametrize("seed", range(4))
def test_does_what_a_sorted_list_does(leaf_max: int, seed: int) -> None:
    random = Random(seed)
    order, entries = Scores(), list[Entry]()
    for step in range(STEPS):
        growing = (step // 500) % 2 == 0
        entry = some_entry(random)
        if random.random() < (0.8 if growing else 0.2):
            if entry not in entries:
                order.add(*entry)
                insort(entries, entry)
        elif entries:
            at = random.randrange(len(entries))
            member = entries[at][1]
            assert order.remove(*entries.pop(at)) is member
        if random.random() < 0.01:
            start, stop = sorted(random.choices(range(len(entries) + 1), k=2))
            order.cut(start, stop)
            del entries[start:stop]
        order._check()
        assert order.below(*entry) == bisect_left(entries, entry)
        assert order.not_above(entry[0]) == sum(score <= entry[0] for score, _ in entries)
        start, stop = sorted(random.choices(range(len(entries) + 1), k=2))
        assert list(zip(order.scores(start, stop), order.members(start, stop), strict=True)) == entries[start:stop]
    assert entries_of(order) == entries
    assert {len(node) for node in order.containers()} == {len(entries)}


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 40, 500, 2000])
def test_filled_at_once(leaf_max: int, count: int) -> None:
    entries = [(number / 4, b"%d" % number) for number in range(count)]
    order = made_of(entries)
    order._check()
    assert entries_of(order) == entries
    for start, stop in [(0, count), (count // 3, count // 2), (0, count // 2), (count // 2, count)]:
        part = order.copy()
        part.cut(start, stop)
        part._check()
        assert entries_of(part) == entries[:start] + entries[stop:]
    assert entries_of(order) == entries


def test_what_comes_in_order_fills_the_leaves() -> None:
    order = Scores()
    for number in range(10_000):
        order.add(float(number), b"m")
    order._check()
    assert len(order.root.children) <= 10_000 // LEAF_MAX + 1


def test_equal_scores_are_in_order_of_their_members() -> None:
    order = Scores()
    for number in range(2000):
        order.add(0.0 if number % 2 else -0.0, b"%04d" % (number * 7 % 2000))
    order._check()
    assert order.members(0, 2000) == [b"%04d" % number for number in range(2000)]
    assert order.below(0.0, b"1000") == 1000
    assert order.below(0.0, b"1000\0") == 1001


def test_an_emptied_one_can_be_used_again(leaf_max: int) -> None:
    order = made_of([(float(number), b"") for number in range(1000)])
    order.cut(0, 1000)
    order._check()
    assert len(order) == 0 and entries_of(order) == []
    order.add(1.0, b"m")
    order._check()
    assert entries_of(order) == [(1.0, b"m")]

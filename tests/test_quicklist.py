"""Quicklists: a look-up by index does not walk, in whatever they are made of."""

from random import Random
from time import perf_counter

import pytest

from shard.values.list import LEFT, RIGHT, List, nodes_of
from shard.values.quicklist import SHELF_NODES_MAX, exceeds, exceeds_half


def test_a_look_up_does_not_walk() -> None:
    list_ = List()
    for first in range(0, 1_000_000, 10_000):
        list_.push([b"element:%d" % number for number in range(first, first + 10_000)], RIGHT, -2)
    random = Random(1)
    shortest_s = 1.0
    for _ in range(200):
        index = random.randrange(400_000, 600_000)
        started_s = perf_counter()
        text = list_.index(index)
        shortest_s = min(shortest_s, perf_counter() - started_s)
        assert text == b"element:%d" % index
    assert shortest_s < 0.001, "50 µs are meant; the machine may be busy"
    assert list_.range(999_990, 10) == [b"element:%d" % number for number in range(999_990, 1_000_000)]
    dropped = list_.drop(999_000, LEFT)
    assert sum(len(nodes) for nodes in dropped) > 1000
    list_._check()


@pytest.mark.parametrize(
    ("fill", "size_bytes", "count", "too_large", "more_than_half"),
    [
        (-1, 4096, 10_000, False, True),
        (-1, 4097, 1, True, True),
        (-5, 32768, 1, False, False),
        (-9, 32769, 1, False, True),
        (0, 10, 1, False, True),
        (0, 10, 2, True, True),
        (5, 10, 5, False, True),
        (5, 10, 2, False, False),
        (5, 8193, 2, True, False),
    ],
)
def test_sizes(fill: int, size_bytes: int, count: int, too_large: bool, more_than_half: bool) -> None:
    assert exceeds(fill, size_bytes, count) == too_large
    assert exceeds_half(fill, size_bytes, count) == more_than_half


def test_shelves_hold_so_many_nodes() -> None:
    list_ = List()
    list_.push([b"%d" % number for number in range(SHELF_NODES_MAX + 2)], LEFT, 1)
    list_.push([b"x"] * SHELF_NODES_MAX, RIGHT, 1)
    assert list_.many is not None
    assert [shelf.count for shelf in list_.many.shelves] == [2, SHELF_NODES_MAX, SHELF_NODES_MAX]
    assert len(nodes_of(list_)) == 2 * SHELF_NODES_MAX + 2

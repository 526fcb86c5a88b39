"""The first of many are right, and of equal ones those come first that the reference puts there."""

from random import Random

from shard.values.partial_sort import sort_first


def test_the_first_are_right() -> None:
    random = Random(1)
    for _ in range(1000):
        size = random.choice((0, 1, 6, 7, 8, 40, 41, 200))
        keys = [float(random.randrange(random.choice((1, 3, 1000)))) for _ in range(size)]
        count = random.randint(0, size)
        items = list(enumerate(keys))
        sort_first(items, keys, count)
        assert [key for _, key in items[:count]] == sorted(keys)[:count]
        assert sorted(items) == list(enumerate(keys))
        if count == size < 7:
            assert items == sorted(enumerate(keys), key=lambda item: item[1])


def test_sorted_and_reversed_ones() -> None:
    """As deep as they may be cut: without recursion."""
    for keys in (list(map(float, range(5000))), list(map(float, range(5000, 0, -1))), [1.0] * 5000):
        items = list(keys)
        sort_first(items, keys, 5000)
        assert items == sorted(keys)

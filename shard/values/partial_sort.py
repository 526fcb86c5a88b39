"""Sorting only the first of many: Bentley and McIlroy's quicksort, as the reference's pqsort does it.

It is not stable, so that of equal elements some come first that did not, and what is cut off behind them depends on
every exchange. Python's own sort is much faster: this one is for where the reference's very order counts.
"""

from typing import Any

INSERTION_MAX = 7
"""Fewer elements than this are sorted by insertion."""
PARTIAL_SORT_MAX = 10_000
"""Of more, callers leave the order of equals open: this sort runs in Python, so more would take over 0.1 s, and if they
are arranged for it, its square."""
MANY = 40
"""From more than this the pivot is the median of nine and not of three."""


def sort_first(items: list[Any], keys: list[float], count: int) -> None:
    """Sorts `items` by their `keys`, in place, so that the first `count` are right; O(n + count log n) expected.

    >>> items = list("abcdefgh")
    >>> sort_first(items, [5, 3, 5, 1, 5, 2, 5, 4], 4)
    >>> items[:4]
    ['d', 'f', 'b', 'h']
    """
    order = _Order(keys, count)
    order.sort(0, len(keys))
    items[:] = [items[place] for place in order.places]


class _Order:
    """Places in a list of keys, which are exchanged; `keys` are those of the places."""

    __slots__ = ("keys", "places", "count")

    def __init__(self, keys: list[float], count: int) -> None:
        self.keys = list(keys)
        self.places = list(range(len(keys)))
        self.count = count

    def sort(self, start: int, size: int) -> None:
        left = [(start, size)]  # Not recursion: of unlucky keys it would be as deep as there are elements.
        while left:
            start, size = left.pop()
            if size < INSERTION_MAX:
                self._insert(start, start + size)
                continue
            self._swap(start, self._pivot(start, size))
            smaller, larger = self._split(start, size)
            if smaller > 1:
                left.append((start, smaller))
            if larger > 1 and start + size - larger < self.count:
                left.append((start + size - larger, larger))

    def _insert(self, start: int, end: int) -> None:
        for at in range(start + 1, end):
            while at > start and self.keys[at - 1] > self.keys[at]:
                self._swap(at, at - 1)
                at -= 1

    def _pivot(self, start: int, size: int) -> int:
        middle = start + size // 2
        if size == INSERTION_MAX:
            return middle
        low, high = start, start + size - 1
        if size > MANY:
            step = size // 8
            low = self._median(low, low + step, low + 2 * step)
            middle = self._median(middle - step, middle, middle + step)
            high = self._median(high - 2 * step, high - step, high)
        return self._median(low, middle, high)

    def _median(self, one: int, two: int, three: int) -> int:
        a, b, c = self.keys[one], self.keys[two], self.keys[three]
        if a < b:
            return two if b < c else three if a < c else one
        return two if b > c else one if a < c else three

    def _split(self, start: int, size: int) -> tuple[int, int]:
        """Puts what is smaller than the first to the left, what is larger to the right; how many either are."""
        keys, swap = self.keys, self._swap
        pivot = keys[start]
        equal_left = left = start + 1
        equal_right = right = start + size - 1
        while True:
            while left <= right and keys[left] <= pivot:
                if keys[left] == pivot:
                    swap(equal_left, left)
                    equal_left += 1
                left += 1
            while left <= right and keys[right] >= pivot:
                if keys[right] == pivot:
                    swap(right, equal_right)
                    equal_right -= 1
                right -= 1
            if left > right:
                break
            swap(left, right)
            left += 1
            right -= 1
        end = start + size
        self._swap_runs(start, left, min(equal_left - start, left - equal_left))
        self._swap_runs(left, end, min(equal_right - right, end - equal_right - 1))
        return left - equal_left, equal_right - right

    def _swap_runs(self, start: int, end: int, size: int) -> None:
        """Exchanges the `size` elements from `start` on with those before `end`."""
        for at in range(size):
            self._swap(start + at, end - size + at)

    def _swap(self, one: int, other: int) -> None:
        keys, places = self.keys, self.places
        keys[one], keys[other] = keys[other], keys[one]
        places[one], places[other] = places[other], places[one]

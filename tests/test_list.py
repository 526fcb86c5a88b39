"""Lists against a plain one: seeded steps, each followed by `_check()`; and where the forms change."""

from random import Random

import pytest

from shard.values.list import LEFT, RIGHT, List, nodes_of

STEPS = 500
FILLS = (-1, -5, 0, 1, 4, 128)


class Walk:
    """Random steps on a list and on its oracle."""

    def __init__(self, seed: int, fill: int, size_max: int) -> None:
        self.random = Random(seed)
        self.fill = fill
        self.size_max = size_max
        self.list = List()
        self.oracle: list[bytes] = []

    def text(self) -> bytes:
        random = self.random
        if random.random() < 0.5:
            return b"%d" % random.choice((random.randrange(-9, 9), random.randrange(-(2**63), 2**63)))
        size = random.choice((0, 1, 10, 63, 64, random.randrange(300), random.choice((1, 5_000, 9_000, 70_000))))
        return random.choice((b"a", b"b")) * size

    def step(self) -> None:
        growing = [self.push, self.push, self.insert, self.set]
        shrinking = [self.pop, self.pop_some, self.drop, self.remove]
        likely, unlikely = (growing, shrinking) if len(self.oracle) < self.size_max else (shrinking, growing)
        act = self.random.choice(likely * 3 + unlikely)
        if self.oracle or act == self.push:
            act()
            self.list.shrink(self.fill)

    def push(self) -> None:
        texts = [self.text() for _ in range(self.random.choice((1, 1, 3, 20)))]
        end = self.random.choice((LEFT, RIGHT))
        self.list.push(texts, end, self.fill)
        self.oracle[:] = texts[::-1] + self.oracle if end == LEFT else self.oracle + texts

    def insert(self) -> None:
        pivot = self.random.choice([*self.oracle, b"nothing"])
        text, after = self.text(), self.random.random() < 0.5
        self.list.grow([text], self.fill)
        assert self.list.insert(pivot, text, after) == (pivot in self.oracle)
        if pivot in self.oracle:
            self.oracle.insert(self.oracle.index(pivot) + after, text)

    def set(self) -> None:
        index, text = self.random.randrange(len(self.oracle)), self.text()
        self.list.grow([text], self.fill)
        self.list.set(index, text)
        self.oracle[index] = text

    def pop(self) -> None:
        end = self.random.choice((LEFT, RIGHT))
        assert self.list.pop(end) == self.oracle.pop(end)

    def pop_some(self) -> None:
        end, count = self.random.choice((LEFT, RIGHT)), self.random.randrange(12)
        popped = self.list.pop_some(count, end)
        assert popped == [self.oracle.pop(end) for _ in range(min(count, len(self.oracle)))]

    def drop(self) -> None:
        end, count = self.random.choice((LEFT, RIGHT)), self.random.choice((1, 5, len(self.oracle) // 2))
        self.list.drop(count, end)
        del self.oracle[slice(count) if end == LEFT else slice(len(self.oracle) - count, None)]

    def remove(self) -> None:
        end, text = self.random.choice((LEFT, RIGHT)), self.random.choice(self.oracle)
        most = self.random.choice((1, 2, len(self.oracle)))
        places = [place for place, found in enumerate(self.oracle) if found == text]
        places = places[:most] if end == LEFT else places[::-1][:most]
        assert self.list.remove(text, most, end) == len(places)
        self.oracle[:] = [found for place, found in enumerate(self.oracle) if place not in places]

    def check(self) -> None:
        list_, oracle = self.list, self.oracle
        list_._check()
        assert len(list_) == len(oracle) and list(list_) == oracle
        if oracle:
            first, index = sorted(self.random.choices(range(len(oracle)), k=2))
            assert list_.index(index) == oracle[index]
            assert list_.range(first, index - first) == oracle[first:index]
            places = [place for place, found in enumerate(oracle) if found == oracle[index]]
            assert list(list_.matches(oracle[index], len(oracle))) == places
            assert list(list_.matches(oracle[index], len(oracle), RIGHT)) == places[::-1]


@pytest.mark.parametrize("fill", FILLS)
def test_against_a_plain_list(fill: int) -> None:
    walk = Walk(seed=fill, fill=fill, size_max=60 if fill == -5 else 400)
    for _ in range(STEPS):
        walk.step()
        walk.check()
        if walk.random.random() < 0.02:
            wire = walk.list.to_wire()
            copy = List.from_wire(wire)
            copy._check()
            assert list(copy) == walk.oracle and copy.to_wire() == wire and copy.encoding({}) == walk.list.encoding({})


def test_many_shelves() -> None:
    walk = Walk(seed=1, fill=1, size_max=600)
    for number in range(600):
        walk.list.push([b"%d" % number], RIGHT, 1)
        walk.oracle.append(b"%d" % number)
    for _ in range(600):
        walk.step()
        walk.check()


def test_a_copy_shares_nothing() -> None:
    for fill in (-2, 1):
        list_ = List()
        list_.push([b"a", b"b", b"c"], RIGHT, fill)
        copy = list_.copy()
        list_.pop(LEFT)
        list_.set(0, b"d")
        assert list(copy) == [b"a", b"b", b"c"]


def test_commands_make_it_anew() -> None:
    list_ = List()
    list_.push([b"%d" % number for number in range(200)], RIGHT, -2)
    made: list[bytes] = []
    for word, key, *texts in list_.commands(b"k"):
        assert (word, key) == (b"RPUSH", b"k") and len(texts) <= 64
        made += texts
    assert made == list(list_)


@pytest.mark.parametrize(("fill", "encoding"), [(3, "quicklist"), (4, "listpack"), (-1, "listpack")])
def test_form_by_number(fill: int, encoding: str) -> None:
    list_ = List()
    list_.push([b"a", b"b", b"c", b"d"], RIGHT, fill)
    assert list_.encoding({}) == encoding


def test_form_by_size() -> None:
    list_ = List()
    list_.push([b"a" * 4089], RIGHT, -1)
    assert list_.encoding({}) == "listpack"
    list_.push([b""], RIGHT, -1)
    assert list_.encoding({}) == "quicklist"
    assert list(map(len, nodes_of(list_))) == [4100, 9]


def test_goes_back_when_one_node_is_half_empty() -> None:
    list_ = List()
    list_.push([b"%d" % number for number in range(10)], RIGHT, 4)
    list_.drop(5, LEFT)  # Two nodes of three elements and two.
    list_.drop(2, RIGHT)
    list_.shrink(4)
    assert list_.encoding({}) == "quicklist"
    list_.pop(LEFT)
    list_.shrink(4)
    assert list_.encoding({}) == "listpack"
    assert list(list_) == [b"6", b"7"]


def test_what_is_dropped_is_given_back_to_be_freed_later() -> None:
    list_ = List()
    list_.push([b"%d" % number for number in range(1000)], RIGHT, 1)
    dropped = list_.drop(990, LEFT)
    assert sum(map(len, dropped)) >= 800
    assert list(list_) == [b"%d" % number for number in range(990, 1000)]
    list_._check()
    assert sum(map(len, list_.containers())) == 10

"""Buckets against a dict; what a scan finds while they grow and shrink; whether a random key is any of them."""

from collections import Counter
from random import Random
from time import process_time

import pytest

from shard.values.buckets import AVERAGE_MAX, AVERAGE_MIN, Buckets


def filled(count: int, prefix: bytes = b"field") -> Buckets:
    buckets = Buckets()
    for number in range(count):
        buckets[b"%b:%d" % (prefix, number)] = number
    return buckets


@pytest.mark.parametrize("seed", range(5))
def test_as_a_dict(seed: int) -> None:
    random = Random(seed)
    buckets, model = Buckets(), dict[bytes, float]()
    for step in range(6000):
        key = b"%d" % random.randrange(800)
        growing = step // 1000 % 2 == 0
        match random.choice("ppprgc" if growing else "prrrgc"):
            case "p":
                value = random.random()
                assert buckets.put(key, value) is (key not in model)
                model[key] = value
            case "r":
                assert buckets.pop(key, None) == model.pop(key, None)
            case "g":
                assert buckets.get(key) == model.get(key) and buckets.get(key, 7) == model.get(key, 7)
                if key in model:
                    assert buckets[key] == model[key]
            case "c":
                assert (key in buckets) is (key in model)
        assert len(buckets) == len(model)
        buckets._check()
    assert dict(buckets.items()) == model and sorted(buckets) == sorted(model)
    other = buckets.copy()
    other._check()
    buckets[b"one more"] = 1
    assert dict(other.items()) == model


def test_none_at_all() -> None:
    buckets = Buckets()
    assert not buckets and list(buckets) == [] and buckets.scan(0, 10) == (0, []) and buckets.scan(12345, 10) == (0, [])
    assert buckets.get(b"k") is None and buckets.pop(b"k", 7) == 7
    with pytest.raises(KeyError):
        buckets[b"k"]
    buckets._check()


def test_at_the_limit_and_one_past_it() -> None:
    buckets = filled(AVERAGE_MAX)
    assert len(buckets.parts) == 1
    buckets[b"one more"] = 1
    assert len(buckets.parts) == 2
    buckets._check()
    while len(buckets) > AVERAGE_MIN:
        buckets.pop(next(iter(buckets)))
    assert len(buckets.parts) == 2
    buckets.pop(next(iter(buckets)))
    assert len(buckets.parts) == 1
    buckets._check()


def test_no_bucket_grows_large() -> None:
    buckets = filled(100_000)
    buckets._check()
    assert max(map(len, buckets.parts)) < 5 * AVERAGE_MAX
    for number in range(99_990):
        buckets.pop(b"field:%d" % number)
    buckets._check()
    assert len(buckets.parts) <= 10 // AVERAGE_MIN + 1
    assert buckets.containers() == [buckets.parts]


# --- Scanning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 32, 33, 64, 65, 1000, 5000])
@pytest.mark.parametrize("count", [1, 10, 100, 10**12])
def test_a_scan_finds_each_once_if_nothing_moves(size: int, count: int) -> None:
    buckets = filled(size)
    cursor, found = buckets.scan(0, count)
    while cursor:
        cursor, keys = buckets.scan(cursor, count)
        assert len(keys) >= count or not cursor
        found += keys
    assert sorted(found) == sorted(buckets)


@pytest.mark.parametrize("seed", range(40))
def test_a_scan_finds_what_is_there_all_the_time(seed: int) -> None:
    """While others come and go: by a few, or so many that the buckets double or vanish several times."""
    random = Random(seed)
    staying = filled(random.choice((1, 10, 100, 1000)), b"staying")
    buckets = staying.copy()
    passing: list[bytes] = []
    found: Counter[bytes] = Counter()
    wanted = random.choice((1, 5, 50))
    share = random.choice((0.2, 0.5, 0.8))
    cursor, calls = 0, 0
    while True:
        cursor, keys = buckets.scan(cursor, wanted)
        found.update(keys)
        calls += 1
        if not cursor:
            break
        assert calls < 100_000
        many = random.choice((0, 3, 100, 1000)) if calls < 100 else 0
        if random.random() < share:
            for _ in range(many):
                passing.append(b"passing:%d" % random.randrange(10**9))
                buckets[passing[-1]] = None
        else:
            for _ in range(min(many, len(passing))):
                buckets.pop(passing.pop())
        if calls % 20 == 0:
            buckets._check()
    assert set(staying) <= set(found)


def test_any_number_is_a_cursor() -> None:
    random = Random(1)
    buckets = filled(3000)
    for _ in range(300):
        cursor = random.getrandbits(64)
        calls = 0
        while cursor:
            cursor, _ = buckets.scan(cursor, 10)
            calls += 1
        assert calls <= 300


def test_a_whole_scan_costs_less_than_ten_iterations() -> None:
    buckets = filled(1_000_000)
    started = process_time()
    assert sum(1 for _ in buckets) == 1_000_000
    plain_s = process_time() - started
    started = process_time()
    cursor, keys = buckets.scan(0, 100)
    found = len(keys)
    while cursor:
        cursor, keys = buckets.scan(cursor, 100)
        found += len(keys)
    assert found == 1_000_000
    assert process_time() - started < 10 * plain_s


# --- Chance ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 33, 100, 700])
@pytest.mark.parametrize("shrunk", [0, 650])
def test_a_random_key_is_any_of_them(size: int, shrunk: int) -> None:
    """Pearson's chi-square: with k degrees of freedom its mean is k and its variance 2k."""
    random = Random(5)
    buckets = filled(size)
    for number in range(shrunk):
        buckets[b"gone:%d" % number] = 1
    for number in range(shrunk):
        buckets.pop(b"gone:%d" % number)
    draws = 100 * size
    drawn = Counter(buckets.random_key(random) for _ in range(draws))
    assert set(drawn) <= set(buckets)
    square = sum((drawn[key] - draws / size) ** 2 / (draws / size) for key in buckets)
    freedom = size - 1
    assert abs(square - freedom) < 5 * (2 * freedom) ** 0.5 + 5

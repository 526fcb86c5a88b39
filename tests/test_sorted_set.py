"""Sorted sets against a plain dict, in every form that they have."""

from random import Random

import msgpack
import pytest

from shard.values import sorted_set
from shard.values.sorted_set import Limits, SortedSet, sorted_set_of

LIMITS: list[Limits] = [(0, 64), (20, 8), (128, 64), (10**6, 10**6)]
STEPS = 1500
NO_REVIVAL = "A sorted set that was a skiplist is a listpack again"


def some_member(random: Random) -> bytes:
    member = b"%d" % random.randrange(200)
    return member * 30 if random.random() < 0.05 else member


def some_score(random: Random) -> float:
    return random.choice([float(random.randrange(10)), random.uniform(-1, 1), -0.0, float("inf"), float("-inf")])


def ordered(oracle: dict[bytes, float]) -> list[tuple[bytes, float]]:
    return sorted(oracle.items(), key=lambda entry: (entry[1], entry[0]))


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("seed", range(3))
def test_does_what_a_dict_does(limits: Limits, seed: int) -> None:
    random = Random(seed)
    value, oracle = SortedSet(), dict[bytes, float]()
    for step in range(STEPS):
        was_listpack = value.listpacked
        member, score = some_member(random), some_score(random)
        before = value.score(member)
        assert before == oracle.get(member)
        if random.random() < (0.7 if step % 600 < 400 else 0.3):
            value.put(member, score, before, limits)
            oracle[member] = score
        else:
            assert value.remove(member) == (oracle.pop(member, None) is not None)
        entries = ordered(oracle)
        if random.random() < 0.01:
            start, stop = sorted(random.choices(range(len(entries) + 1), k=2))
            value.cut(start, stop)
            for gone, _ in entries[start:stop]:
                del oracle[gone]
            del entries[start:stop]
        value._check()
        assert was_listpack or not value.listpacked, NO_REVIVAL
        assert list(value.items()) == entries and len(value) == len(entries)
        members = [one for one, _ in entries]
        assert value.rank(member) == (members.index(member) if member in oracle else -1)
        assert value.below(score) == sum(other < score for other in oracle.values())
        assert value.not_above(score) == sum(other <= score for other in oracle.values())
        start, stop = sorted(random.choices(range(len(entries) + 1), k=2))
        assert list(zip(value.range(start, stop), value.scores(start, stop), strict=True)) == entries[start:stop]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("count", [0, 1, 5, 20, 21, 128, 129, 1000])
def test_made_at_once_copied_sent_and_logged(limits: Limits, count: int) -> None:
    random = Random(count)
    oracle = {b"m%d" % number: some_score(random) for number in range(count)}
    value = sorted_set_of(list(oracle.items()), limits)
    value._check()
    assert value.listpacked == (count <= limits[0])
    assert list(value.items()) == ordered(oracle)
    for other in (value.copy(), SortedSet.from_wire(msgpack.unpackb(msgpack.packb(value.to_wire())))):
        other._check()
        assert other.to_wire() == value.to_wire()
        if count:
            other.remove(b"m0")
            assert value.score(b"m0") == oracle[b"m0"]
    anew = SortedSet()
    for argv in value.commands(b"k"):
        assert argv[:2] == [b"ZADD", b"k"] and len(argv) <= 2 + 2 * sorted_set.CHUNK_ENTRIES_MAX
        for score, member in zip(argv[2::2], argv[3::2], strict=True):
            anew.put(member, float(score), None, limits)
    assert list(anew.items()) == list(value.items())
    if limits == LIMITS[0]:  # Else it was a listpack at first, which has no -0.
        assert list(map(str, anew.scores(0, count))) == list(map(str, value.scores(0, count)))
    if value.pack is not None:
        assert value.containers() == []


@pytest.mark.parametrize(("count", "packed"), [(sorted_set.PACK_ENTRIES_MAX, True), (129, False)])
def test_a_listpack_with_many_members_is_none_inside(count: int, packed: bool) -> None:
    value = SortedSet()
    for number in range(count):
        value.put(b"%d" % number, 1.0, None, (10**6, 64))
    value._check()
    assert (value.pack is not None) == packed and value.encoding({}) == "listpack"


def test_a_listpack_with_long_members_is_none_inside() -> None:
    value = SortedSet()
    value.put(b"x" * (sorted_set.PACK_BYTES_MAX - 7), 1.0, None, (128, 10**6))
    assert value.pack is not None
    value.put(b"y", 1.0, None, (128, 10**6))
    value._check()
    assert value.pack is None and value.listpacked


@pytest.mark.parametrize("count", [0, 5, 5000])
def test_a_scan_returns_what_is_there_all_the_time(count: int) -> None:
    value = SortedSet()
    for number in range(count):
        value.put(b"%d" % number, float(number), None, (128, 64))
    found, cursor, calls = set[bytes](), 0, 0
    while True:
        cursor, members = value.scan(cursor, 10)
        found |= set(members)
        calls += 1
        value.put(b"new %d" % calls, 0.0, None, (128, 64))
        if not cursor:
            break
    assert found >= {b"%d" % number for number in range(count)}
    assert calls > count // 100


@pytest.mark.parametrize(("entries", "size", "listpacked"), [(3, 8, True), (4, 1, False), (1, 9, False)])
def test_what_a_command_comes_with_counts(entries: int, size: int, listpacked: bool) -> None:
    value = SortedSet()
    value.put(b"m", 1.0, None, (3, 8))
    value.expect(entries, size, (3, 8))
    value._check()
    assert value.listpacked == listpacked and list(value.items()) == [(b"m", 1.0)]

"""A small sorted set in a listpack, against a plain sorted list."""

from random import Random

import pytest

from shard.values.listpack import new, texts, whole
from shard.values.sorted_set_pack import (
    count_below,
    cut_members,
    members_at,
    pack_of,
    place_of,
    put_member,
    rank_at,
    remove_member,
    score_at,
    score_entry,
    scores_at,
)

SCORES = [
    0.0,
    1.0,
    127.0,
    128.0,
    -1.0,
    5000.0,
    -70000.0,
    9e6,
    -2e9,
    2.0**40,
    0.1,
    -2.5,
    1e300,
    float("inf"),
    float("-inf"),
]
MEMBERS = [b"", b"a", b"b", b"1", b"-7", b"100000", b"x" * 64, b"y" * 5000, b"\x00", b"01"]


@pytest.mark.parametrize("seed", range(5))
def test_does_what_a_sorted_list_does(seed: int) -> None:
    random = Random(seed)
    pack, entries = new(), list[tuple[float, bytes]]()
    for _ in range(300):
        score, member = random.choice(SCORES), random.choice(MEMBERS)
        place = place_of(pack, member)
        there = [entry for entry in entries if entry[1] == member]
        assert (place >= 0) == bool(there)
        if there:
            assert score_at(pack, place) == there[0][0]
            assert rank_at(pack, place) == entries.index(there[0])
            remove_member(pack, place)
            entries.remove(there[0])
        if random.random() < 0.7:
            put_member(pack, member, score)
            entries = sorted([*entries, (score, member)])
        assert count_below(pack, score, member) == sum(entry < (score, member) for entry in entries)
        if random.random() < 0.05:
            start, stop = sorted(random.choices(range(len(entries) + 1), k=2))
            cut_members(pack, start, stop)
            del entries[start:stop]
        start, stop = sorted(random.choices(range(len(entries) + 1), k=2))
        assert members_at(pack, start, stop) == [member for _, member in entries[start:stop]]
        found = scores_at(pack, start, stop)
        assert found == [score for score, _ in entries[start:stop]] and {float} >= set(map(type, found))
        assert whole(bytes(pack))
        assert pack == pack_of((member, score) for score, member in entries)


def test_scores_are_written_as_the_reference_does() -> None:
    written = {b"0": -0.0, b"3": 3.0, b"0.1": 0.1, b"300000000000000000": 3e17, b"1e+19": 1e19, b"-inf": -float("inf")}
    assert texts(pack_of((b"", score) for score in written.values()))[1::2] == list(written)
    assert score_entry(-0.0) == score_entry(0.0) == b"\x00\x01"

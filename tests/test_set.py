"""Sets against a Python set, over every change of encoding; choices by chance; what travels and what is logged."""

from array import array
from collections import Counter
from random import Random
from typing import Any

import pytest

from shard.values import listpack
from shard.values import set as sets
from shard.values.buckets import Buckets
from shard.values.set import HASHTABLE, INTSET, LISTPACK, Set, as_intset, collected, made

SMALL = {"set-max-intset-entries": 20, "set-max-listpack-entries": 12, "set-max-listpack-value": 8}
LARGE = {"set-max-intset-entries": 10**9, "set-max-listpack-entries": 10**9, "set-max-listpack-value": 10**9}

INTEGERS = [b"%d" % number for number in (*range(-20, 20), 40_000, -40_000, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63))]
TEXTS = [
    b"",
    b"a",
    b"01",
    b"-0",
    b"+1",
    b" 1",
    b"longer than eight",
    b"9223372036854775808",
    *(b"t%d" % n for n in range(20)),
]


def filled(members: list[bytes], config: dict[str, Any] | None = None) -> Set:
    value = Set()
    if members:
        value.add(members, config or {})
    return value


@pytest.mark.parametrize("seed", range(8))
def test_as_a_python_set(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "ARRAY_BYTES_MAX", 100)
    monkeypatch.setattr(sets, "PACK_BYTES_MAX", 150)
    random = Random(seed)
    config = random.choice([SMALL, LARGE, {}])
    pool = random.choice([INTEGERS, TEXTS, INTEGERS + TEXTS])
    value, model = Set(), set[bytes]()
    for _ in range(1500):
        some = random.choices(pool, k=random.choice([1, 1, 2, 5]))
        match random.choice("aaarrmsc"):
            case "a":
                assert value.add(some, config) == len({*some} - model)
                model.update(some)
            case "r":
                assert value.remove(some[0]) is (some[0] in model)
                model.discard(some[0])
            case "m" if model:
                gone = random.sample(sorted(model), random.randint(1, len(model)))
                value.remove_all(gone)
                model.difference_update(gone)
                if random.random() < 0.3:
                    value.shrink(config)
            case "s":
                value = Set.from_wire(value.to_wire())
            case "c":
                before, value = value, value.copy()
                before.add([b"not in the copy"], config)
        value._check()
        assert len(value) == len(model) and set(value) == model == set(value.to_list())
        assert (some[0] in value) is (some[0] in model) is (some[0] in value.lookup())
        if not model:
            value = Set()


def test_integers_come_in_order() -> None:
    numbers = [5, -3, 40_000, 2**40, 7, -(2**63)]
    assert [int(member) for member in filled([b"%d" % number for number in numbers])] == sorted(numbers)


def test_widths_of_an_intset_are_those_of_redis() -> None:
    value = Set()
    for number, width in ((1, "h"), (32767, "h"), (32768, "i"), (-(2**31), "i"), (2**31, "q"), (3, "q")):
        value.add([b"%d" % number], {})
        assert value.members.typecode == width
    value.remove(b"2147483648")
    assert value.members.typecode == "q"


def test_packed_is_what_redis_has() -> None:
    assert filled([b"1", b"2"]).packed() == b"\x02\0\0\0\x02\0\0\0\x01\0\x02\0"
    assert filled([b"70000", b"-1"]).packed() == b"\x04\0\0\0\x02\0\0\0\xff\xff\xff\xff\x70\x11\x01\0"
    assert filled([b"a", b"1"]).packed() == bytes(listpack.of([b"a", b"1"]))
    assert filled([b"%065d" % 1]).packed() is None


@pytest.mark.parametrize("kind", [INTSET, LISTPACK, HASHTABLE])
def test_on_the_wire_and_back(kind: int) -> None:
    value = made(kind, [b"%d" % number for number in range(0, 70_000, 700)])
    other = Set.from_wire(value.to_wire())
    assert other.kind == kind and set(other) == set(value) and len(other) == len(value)
    other._check()


@pytest.mark.parametrize("count", [1, 64, 65, 500])
def test_commands_make_it_anew(count: int) -> None:
    value = filled([b"member:%d" % number for number in range(count)])
    commands = list(value.commands(b"key"))
    assert all(argv[:2] == [b"SADD", b"key"] and 3 <= len(argv) <= 66 for argv in commands)
    assert sorted(member for argv in commands for member in argv[2:]) == sorted(value)


def test_no_more_than_so_large_are_arrays_and_listpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "ARRAY_BYTES_MAX", 200)
    monkeypatch.setattr(sets, "PACK_BYTES_MAX", 200)
    integers = filled([b"%d" % number for number in range(100)], LARGE)
    assert type(integers.members) is array
    integers.add([b"-1"], LARGE)
    assert type(integers.members) is Buckets and integers.encoding({}) == "intset"
    assert integers.to_list() == [b"%d" % number for number in range(-1, 100)]
    assert integers.packed() == made(INTSET, integers.to_list()).packed()
    texts = filled([b"text:%02d" % number for number in range(21)], LARGE)
    assert type(texts.members) is bytearray and len(texts.members) == 7 + 21 * 9
    texts.add([b"text:xx"], LARGE)
    assert type(texts.members) is Buckets and texts.encoding({}) == "listpack"
    assert texts.packed() == bytes(listpack.of(texts.to_list()))
    integers._check()
    texts._check()


def test_collected_begins_as_it_is_told() -> None:
    integers = [b"%d" % number for number in range(15)]
    assert collected(INTSET, integers, SMALL).kind == INTSET
    assert collected(LISTPACK, integers, SMALL).kind == HASHTABLE
    assert collected(LISTPACK, integers[:12], SMALL).kind == LISTPACK
    assert as_intset(collected(LISTPACK, integers, SMALL), SMALL).kind == INTSET
    assert as_intset(made(HASHTABLE, [*integers, b"x"]), SMALL).kind == HASHTABLE
    assert as_intset(made(HASHTABLE, integers * 1 + [b"%d" % n for n in range(15, 21)]), SMALL).kind == HASHTABLE


FORMS = {
    "array": [b"%d" % number for number in range(10)],
    "listpack": [b"m%d" % number for number in range(10)],
    "buckets": [b"%070d" % number for number in range(100)],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_member_is_as_likely_as_the_others(form: str) -> None:
    value, random = filled(FORMS[form]), Random(5)
    expected = 20_000 / len(value)
    drawn = [value.random_member(random) for _ in range(20_000)]
    for counted in (Counter(drawn), Counter(value.draws(random, 20_000))):
        assert len(counted) == len(value)
        # Chi-squared: about as much as there are members, twice that is far beyond what chance would do.
        assert sum((count - expected) ** 2 / expected for count in counted.values()) < 3 * len(value)


@pytest.mark.parametrize("form", FORMS)
def test_a_sample_has_no_member_twice(form: str) -> None:
    value, random = filled(FORMS[form]), Random(6)
    for count in (1, 2, len(value) // 2, len(value) - 1, len(value), len(value) + 1):
        sample = value.sample(random, count)
        assert len(sample) == len(set(sample)) == min(count, len(value)) and set(sample) <= set(value)
    counted = Counter(member for _ in range(4000) for member in value.sample(random, 3))
    expected = 12_000 / len(value)
    assert sum((count - expected) ** 2 / expected for count in counted.values()) < 3 * len(value)


def test_a_scan_finds_what_is_there_all_the_time() -> None:
    value = filled([b"stays:%d" % number for number in range(500)])
    cursor, found = value.scan(0, 10)
    number = 0
    while cursor:
        value.add([b"comes:%d" % number], {})
        value.remove(b"comes:%d" % (number - 5))
        number += 1
        cursor, members = value.scan(cursor, 10)
        found += members
    assert {member for member in found if member.startswith(b"stays")} == {b"stays:%d" % n for n in range(500)}
    assert filled([b"1", b"2"]).scan(77, 1) == (0, [b"1", b"2"])

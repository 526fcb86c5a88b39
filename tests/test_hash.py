"""Hash against a dict of texts and one of times, in both forms."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from shard.commands.draws import DRAWS_MAX
from shard.garbage import free_some
from shard.keyspace import Store
from shard.values.hash import ENTRIES_MAX, PACK_BYTES_MAX, WORDS_MAX, Hash
from tests.bare_shard import BareShard, ShardConnection, commands

CONFIGS: list[dict[str, Any]] = [
    {},
    {"hash-max-listpack-entries": 5},
    {"hash-max-listpack-value": 3},
    {"hash-max-listpack-entries": 10_000, "hash-max-listpack-value": 10_000},
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_as_a_dict(seed: int, config: dict[str, Any], timed: bool) -> None:
    random = Random(seed)
    value, texts, times = Hash(), dict[bytes, bytes](), dict[bytes, int]()
    grown = False
    for step in range(3000):
        field = b"%d" % random.randrange(700)
        match random.randrange(12 if timed else 9):
            case 0 | 1 | 2 | 3 | 4:
                text = random.choice((b"1", b"abc", b"x" * 65, b"-5", b""))
                keep = random.random() < 0.3
                assert value.put(field, text, config, keep_ttl=keep) is (field not in texts)
                texts[field] = text
                if not keep:
                    times.pop(field, None)
            case 5:
                assert value.remove(field) is (texts.pop(field, None) is not None)
                times.pop(field, None)
            case 6 | 7:
                assert value.get(field) == texts.get(field) and (field in value) is (field in texts)
            case 8:
                assert value.expiry_ms(field) == times.get(field, -1)
            case 9 | 10:
                if field in texts:
                    times[field] = random.randrange(1000)
                    value.expire_at(field, times[field])
            case 11:
                assert value.persist(field) is (times.pop(field, None) is not None)
        assert len(value) == len(texts) and value.first_ms() == min(times.values(), default=-1)
        grown = grown or value.encoding(config) == "hashtable"
        assert (value.encoding(config) == "hashtable") is grown
        if step % 50 == 0:
            value._check()
            assert_holds(value, texts, times)
            assert_holds(value.copy(), texts, times)
            assert_holds(Hash.from_wire(value.to_wire()), texts, times)
            assert Hash.from_wire(value.to_wire()).encoding(config) == value.encoding(config)
            assert_holds(made_by(value.commands(b"k")), texts, times)


def assert_holds(value: Hash, texts: dict[bytes, bytes], times: dict[bytes, int]) -> None:
    value._check()
    assert dict(value.items()) == texts
    assert sorted(value.keys()) == sorted(texts) and sorted(value.values()) == sorted(texts.values())
    flat = value.flat()
    assert dict(zip(flat[::2], flat[1::2], strict=True)) == texts
    assert {field: value.expiry_ms(field) for field in texts if value.expiry_ms(field) >= 0} == times


def made_by(argvs: Iterator[list[bytes]]) -> Hash:
    store, table = Store(), commands()
    store.expiring = False
    for argv in argvs:
        assert len(argv) <= WORDS_MAX + 5
        handler = table.find(argv).handler
        assert handler is not None
        handler(store.dbs[0], *argv[1:])
    made = store.dbs[0].peek(b"k")
    return Hash() if made is None else made


def filled(count: int, config: dict[str, Any] | None = None) -> Hash:
    value = Hash()
    for number in range(count):
        value.put(b"field:%d" % number, b"text", config or {})
    return value


def test_at_the_limits_and_one_past_them() -> None:
    value = filled(512)
    assert value.encoding({}) == "listpack" and value.pack is not None
    value.put(b"field:0", b"x" * 64, {})
    assert value.encoding({}) == "listpack"
    value.put(b"one more", b"", {})
    assert value.encoding({}) == "hashtable" and value.pack is None
    for number in range(512):
        value.remove(b"field:%d" % number)
    value.remove(b"one more")
    assert value.encoding({}) == "hashtable" and not value
    value = filled(1)
    value.put(b"field:0", b"x" * 65, {})
    assert value.encoding({}) == "hashtable"
    value = filled(1)
    value.put(b"x" * 65, b"", {})
    assert value.encoding({}) == "hashtable"


def test_the_form_does_not_go_by_the_limits_alone() -> None:
    config = {"hash-max-listpack-entries": 10**6, "hash-max-listpack-value": 10**6}
    value = filled(ENTRIES_MAX, config)
    assert value.pack is not None
    value.put(b"one more", b"", config)
    assert value.pack is None and value.encoding(config) == "listpack"
    value._check()
    value = filled(2, config)
    value.put(b"large", b"x" * (PACK_BYTES_MAX - 100), config)
    assert value.pack is not None
    value.put(b"more", b"x" * 100, config)
    assert value.pack is None and value.encoding(config) == "listpack"
    value._check()


def test_what_is_to_come_counts_even_if_it_is_the_same_field_each_time() -> None:
    value = filled(1)
    value.expect((b"a", b"1") * 512, {})
    assert value.encoding({}) == "listpack"
    value.expect((b"a", b"1") * 513, {})
    assert value.encoding({}) == "hashtable"
    value = filled(1)
    value.expect((b"a", b"x" * 65), {})
    assert value.encoding({}) == "hashtable"


def test_a_small_one_has_nothing_to_be_taken_apart() -> None:
    value = filled(100)
    assert value.containers() == []
    value.expire_at(b"field:0", 5)
    assert value.fields is not None and value.times is not None and value.encoding({}) == "hashtable"
    assert value.containers() == [value.fields.parts, value.times.times.parts, value.times.runs]
    assert value.persist(b"field:0") and value.times is None and value.first_ms() == -1 and value.due(10, 5) == []
    assert value.encoding({}) == "hashtable"


def test_freeing_a_large_one() -> None:
    store = Store()
    value = filled(5000)
    for number in range(100):
        value.expire_at(b"field:%d" % number, number)
    store.dbs[0].set(b"k", value)
    assert store.dbs[0].delete(b"k")
    del value
    steps = 0
    while free_some(store.garbage):
        steps += 1
    assert 100 < steps < 1000


def test_as_many_are_drawn_as_the_limit_allows_and_one_more_is_refused() -> None:
    client = ShardConnection(BareShard(0))
    client.call("HSET", "h", "a", "1")
    assert client.call("HRANDFIELD", "h", -DRAWS_MAX) == [b"a"] * DRAWS_MAX
    assert "out of range" in str(client.call("HRANDFIELD", "h", -DRAWS_MAX - 1))
    assert client.call("HRANDFIELD", "missing", -DRAWS_MAX - 1) == []

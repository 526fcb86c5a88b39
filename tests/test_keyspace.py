"""The keyspace against plain dicts, and the walks over it."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from common.errors import WrongType
from common.slot import SLOTS, shard_of_slot, slot_of, slot_of_whole, slots_of_shard
from shard.garbage import FREED_MAX, free_some
from shard.invariants import check
from shard.keyspace import Keyspace, Store
from shard.slots import SLOT_KEYS_MAX, WideSlot
from shard.walk import all_keys, info, random_key, scan

NOW_MS = 1_700_000_000_000


class Table(dict[bytes, bytes]):
    """A value of another type."""

    type_name = "hash"

    def copy(self) -> "Table":
        return Table(self)


def make_store(**options: Any) -> Store:
    store = Store(random=Random(0), **options)
    store.now_ms = NOW_MS
    store.clock_s = NOW_MS // 1000
    return store


class Model:
    """What a db should hold: value and expiry of each key."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.dbs: list[dict[bytes, tuple[Any, int]]] = [{} for _ in store.dbs]

    def live(self, index: int, key: bytes) -> Any:
        """The value, None if there is none or its time has come."""
        value, at_ms = self.dbs[index].get(key, (None, -1))
        return None if -1 < at_ms <= self.store.now_ms else value


def random_step(random: Random, store: Store, model: Model, keys: list[bytes]) -> None:
    """One operation on both, whose results must be the same."""
    index = random.randrange(len(store.dbs))
    db, expected = store.dbs[index], model.dbs[index]
    key, other = random.choice(keys), random.choice(keys)
    there = model.live(index, key)
    changes = store.changes - len(store.expired)
    match random.randrange(16):
        case 0 | 1 | 2:
            value = random.choice((b"v%d" % random.randrange(9), Table(a=b"1")))
            at_ms = store.now_ms + random.randrange(1, 2000) if random.randrange(3) == 0 else -1
            keep = random.randrange(4) == 0
            kept_ms = expected[key][1] if there is not None and keep else -1
            db.set(key, value, keep_ttl=keep, expire_at_ms=at_ms)
            expected[key] = value, at_ms if at_ms >= 0 else kept_ms
            assert store.changes - len(store.expired) == changes + 1
        case 3:
            assert db.delete(key) is (there is not None)
            expected.pop(key, None)
            assert store.changes - len(store.expired) == changes + (there is not None)
        case 4:
            if there is None or isinstance(there, bytes | bytearray):
                text = bytes(there or b"")
                edited = db.edit_string(key)
                assert edited == text
                edited += b"x"
                expected[key] = edited, expected[key][1] if there is not None else -1
            else:
                with pytest.raises(WrongType):
                    db.edit_string(key)
        case 5:
            if there is not None:
                at_ms = store.now_ms + random.randrange(1, 5000)
                db.expire_at(key, at_ms)
                expected[key] = there, at_ms
        case 6:
            if db.get_to_write(key) is not None:
                assert db.persist(key) is (expected[key][1] != -1)
                expected[key] = there, -1
        case 7:
            if there is not None and key != other and db.get_to_write(key) is not None:
                assert db.take(key) == expected[key]
                value, at_ms = expected.pop(key)
                db.set(other, value, expire_at_ms=at_ms)
                expected[other] = value, at_ms
        case 8:
            store.now_ms += random.randrange(300)
            store.clock_s = store.now_ms // 1000
        case 9:
            for found in db.expire_due(store.now_ms):
                assert found is None or -1 < expected.pop(found)[1] <= store.now_ms
        case 10 if random.randrange(20) == 0:
            size = db.size
            assert db.clear(later=random.random() < 0.5) == size
            expected.clear()
        case 11 if random.randrange(5) == 0:
            second = random.randrange(len(store.dbs))
            store.swap(index, second)
            model.dbs[index], model.dbs[second] = model.dbs[second], model.dbs[index]
        case 12:
            free_some(store.garbage)
        case _:
            for read in (db.get, db.peek, db.look, db.get_to_write):
                assert read(key) == there
            assert db.exists(key) is (there is not None)
            assert there is None or db.expiry_ms(key) == expected[key][1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("keys", ["many slots", "one slot"])
def test_as_a_dict(seed: int, keys: str) -> None:
    random = Random(seed)
    store = make_store(databases=3)
    model = Model(store)
    names = [(b"{tag}%d" if keys == "one slot" else b"key:%d") % number for number in range(60)]
    for step in range(1500):
        random_step(random, store, model, names)
        if step % 10 == 0:
            for db, expected in zip(store.dbs, model.dbs, strict=True):
                check(db)
                live = {key for key, (_, at_ms) in expected.items() if at_ms == -1 or at_ms > store.now_ms}
                assert set(all_keys(db)) == live
                assert dict(db.items()) == {key: expected[key][0] for key in live}
    while free_some(store.garbage):
        pass
    for index, (db, expected) in enumerate(zip(store.dbs, model.dbs, strict=True)):
        live = {key: held for key, held in expected.items() if model.live(index, key) is not None}
        assert {key: (value, db.expiry_ms(key)) for key, value in db.items()} == live


# --- Bookkeeping -----------------------------------------------------------------------------------------------------


def test_what_counts_as_hit_or_miss_and_what_as_use() -> None:
    store = make_store()
    db = store.dbs[0]
    db.set(b"k", b"v")
    for read, counts, uses in (
        (db.get, True, True),
        (db.get_string, True, True),
        (db.look, True, False),
        (db.exists, True, False),
        (db.get_to_write, False, True),
        (db.peek, False, False),
    ):
        store.clock_s += 10
        before = store.stats.keyspace_hits, store.stats.keyspace_misses
        assert db.idle_s(b"k") >= 10
        read(b"k")
        assert (db.idle_s(b"k") == 0) is uses
        read(b"nokey")
        assert store.stats.keyspace_hits - before[0] == counts
        assert store.stats.keyspace_misses - before[1] == counts
    store.touching = False
    store.clock_s += 10
    db.get(b"k")
    db.get_to_write(b"k")
    assert db.idle_s(b"k") >= 10


def test_an_expired_key_is_one_change_and_one_in_the_list() -> None:
    store = make_store()
    db = store.dbs[3]
    db.set(b"k", b"v", expire_at_ms=NOW_MS + 10)
    store.changes = 0
    store.now_ms += 9
    assert db.peek(b"k") == b"v"
    store.now_ms += 1
    assert db.get(b"k") is None
    assert (store.changes, store.expired, store.stats.expired_keys) == (1, [(3, b"k")], 1)
    db.set(b"k", b"v", expire_at_ms=NOW_MS + 20)
    store.now_ms += 20
    store.expired.clear()
    db.set(b"k", b"w", keep_ttl=True)
    assert store.expired == [(3, b"k")] and db.expiry_ms(b"k") == -1
    check(db)


def test_nothing_expires_during_a_replay() -> None:
    store = Store(random=Random(0))
    store.begin_replay(NOW_MS)
    db = store.dbs[0]
    db.set(b"k", b"v", expire_at_ms=5)
    assert db.get(b"k") == b"v" and db.keys_in(slot_of(b"k")) == [b"k"] and all_keys(db) == [b"k"]
    store.expiring = True
    store.now_ms, store.clock_s = NOW_MS + 7000, NOW_MS // 1000 + 7
    assert db.idle_s(b"k") == 7
    assert list(db.expire_due(store.now_ms)) == [b"k"]
    check(db)


def test_info() -> None:
    store = make_store()
    db = store.dbs[0]
    assert info(db) == {"keys": 0, "expires": 0, "avg_ttl": 0}
    for number in range(1000):
        db.set(b"{tag}%d" % number, b"")
        db.set(b"key:%d" % number, b"", expire_at_ms=NOW_MS + 1000)
    assert info(db) == {"keys": 2000, "expires": 1000, "avg_ttl": 1000}


def test_a_wide_slot_at_the_limit_and_one_past_it() -> None:
    db = make_store().dbs[0]
    slot = slot_of(b"{tag}")
    for number in range(SLOT_KEYS_MAX):
        db.set(b"{tag}%d" % number, b"%d" % number)
    db.set(b"{tag}0", b"again")
    assert type(db.slots[slot]) is dict
    check(db)
    db.set(b"{tag}more", b"")
    assert type(db.slots[slot]) is WideSlot and db.size == SLOT_KEYS_MAX + 1
    check(db)
    assert db.get(b"{tag}0") == b"again" and db.get(b"{tag}more") == b""
    assert all(db.delete(b"{tag}%d" % number) for number in range(SLOT_KEYS_MAX))
    assert db.size == 1 and all_keys(db) == [b"{tag}more"]
    check(db)


def test_what_was_cleared_is_freed_a_slice_at_a_time() -> None:
    store = make_store()
    db = store.dbs[0]
    for number in range(3 * SLOT_KEYS_MAX):
        db.set(b"{tag}%d" % number, Table(), expire_at_ms=NOW_MS + 1000)
        db.set(b"%d" % number, b"", expire_at_ms=NOW_MS + 1000)
    tables = len([1 for value in dict(db.items()).values() if type(value) is Table])
    assert db.clear(later=True) == 2 * tables
    check(db)
    db.set(b"new", Table(a=b"1"))
    steps = 1
    while free_some(store.garbage):
        steps += 1
    assert steps >= (3 * SLOTS + 2 * tables) // FREED_MAX
    assert store.garbage == [] and db.get(b"new") == Table(a=b"1")


def test_a_value_that_moved_is_no_garbage() -> None:
    store = make_store()
    db = store.dbs[0]
    db.set(b"a", Table(x=b"1"))
    value, at_ms = db.take(b"a")
    db.set(b"b", value, expire_at_ms=at_ms)
    db.set(b"b", value)
    assert store.garbage == []
    db.set(b"b", b"")
    assert store.garbage == [value]


# --- SCAN ------------------------------------------------------------------------------------------------------------


def shards(count: int, **options: Any) -> list[Store]:
    """Stores that share the slots as the shards of one server do."""
    return [make_store(databases=1, slots_owned=slots_of_shard(index, count), **options) for index in range(count)]


def owner(stores: list[Store], slot: int) -> Keyspace:
    return stores[shard_of_slot(slot, len(stores))].dbs[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_scan_returns_what_is_there_all_the_time(count: int, seed: int) -> None:
    random = Random(seed)
    stores = shards(count)
    names = [b"key:%d" % number for number in range(3000)] + [b"{tag}%d" % number for number in range(3000)]
    names += [b"{%d}%d" % (number % 5, number) for number in range(500)]
    random.shuffle(names)
    steady, others = names[:3000], names[3000:]
    for key in steady + others[:1000]:
        owner(stores, slot_of(key)).set(key, b"")
    found: set[bytes] = set()
    cursor = calls = 0
    while True:
        db = owner(stores, cursor % SLOTS)
        before = cursor
        cursor, keys = scan(db, cursor, random.choice((1, 10, 100)))
        found.update(keys)
        calls += 1
        if not cursor:
            break
        assert cursor % SLOTS >= before % SLOTS  # Forwards only, so it comes to an end.
        for _ in range(30):
            key = random.choice(others)
            other = owner(stores, slot_of(key))
            other.delete(key) if random.random() < 0.4 else other.set(key, b"")
    assert found >= set(steady) and found <= set(names) and calls > 30
    for store in stores:
        check(store.dbs[0])


def test_a_cursor_stays_right_when_the_number_of_shards_changes() -> None:
    names = [b"key:%d" % number for number in range(2000)] + [b"{tag}%d" % number for number in range(2000)]
    random = Random(0)
    found: list[bytes] = []
    cursor = 0
    while True:
        stores = shards(random.choice((1, 2, 3, 5, 16)))
        for key in names:
            owner(stores, slot_of(key)).set(key, b"")
        cursor, keys = scan(owner(stores, cursor % SLOTS), cursor, 500)
        found += keys
        if not cursor:
            break
    assert sorted(found) == sorted(names)


def test_a_cursor_into_a_wide_slot_that_is_wide_no_more() -> None:
    """After a restart a slot may be a plain dict again: its keys must not be passed over."""
    wide, plain = make_store().dbs[0], make_store().dbs[0]
    for number in range(SLOT_KEYS_MAX + 1):
        wide.set(b"{tag}%d" % number, b"")
    for number in range(10):
        plain.set(b"{tag}%d" % number, b"")
    cursor, _ = scan(wide, 0, SLOT_KEYS_MAX // 2)
    assert cursor >= SLOTS
    cursor, keys = scan(plain, cursor, 100)
    assert cursor == 0 and sorted(keys) == sorted(all_keys(plain))


def test_any_cursor_is_taken() -> None:
    db = make_store().dbs[0]
    for number in range(SLOT_KEYS_MAX + 1):
        db.set(b"{tag}%d" % number, b"")
    assert scan(db, 2**64 - 1, 10) == (0, [])
    assert scan(db, slot_of(b"{tag}") | 2**40, 10) == (0, [])
    assert scan(db, SLOTS - 1, 2**63 - 1) == (0, [])
    second = shards(2)[1].dbs[0]
    second.set(b"foo", b"")  # Slot 12182.
    assert scan(second, 0, 10) == (0, [b"foo"])
    assert scan(shards(2)[0].dbs[0], 9000, 10) == (SLOTS // 2, [])


def test_scan_looks_at_about_count_keys_and_leaves_out_the_expired() -> None:
    store = make_store()
    db = store.dbs[0]
    for number in range(5000):
        db.set(b"{tag}%d" % number, b"", expire_at_ms=NOW_MS + 1 if number % 2 else -1)
    _, keys = scan(db, 0, 100)
    assert 100 <= len(keys) <= 130
    store.now_ms += 1
    _, keys = scan(db, 0, 100)
    assert 30 <= len(keys) <= 70
    assert len(all_keys(db)) == 2500 and db.size == 5000


def test_whole_keys_make_other_slots() -> None:
    db = make_store(slot_of=slot_of_whole).dbs[0]
    for number in range(100):
        db.set(b"{tag}%d" % number, b"", expire_at_ms=NOW_MS + 5)
    assert sum(map(bool, db.slots)) > 90
    check(db)
    assert len([key for key in db.expire_due(NOW_MS + 1000) if key]) == 100


# --- RANDOMKEY -------------------------------------------------------------------------------------------------------


def test_random_key_gives_every_key_the_same_chance() -> None:
    db = make_store().dbs[0]
    for number in range(SLOT_KEYS_MAX + 1):
        db.set(b"{tag}%d" % number, b"")
    for number in range(SLOT_KEYS_MAX + 1):
        db.set(b"key:%d" % number, b"")
    drawn = Counter(random_key(db) for _ in range(600))
    tagged = sum(count for key, count in drawn.items() if key and key.startswith(b"{tag}"))
    assert 220 < tagged < 380 and len(drawn) > 450


def test_random_key_among_expired_ones() -> None:
    store = make_store()
    db = store.dbs[0]
    assert random_key(db) is None
    for number in range(200):
        db.set(b"%d" % number, b"", expire_at_ms=NOW_MS + 1)
    db.set(b"alive", b"")
    store.now_ms += 1
    assert {random_key(db) for _ in range(5)} == {b"alive"}
    db.delete(b"alive")
    assert {random_key(db) for _ in range(20)} == {None} and db.size == 0
    check(db)

"""How much memory a key takes: Python's own figures, and samples of what is large."""

import sys
import tracemalloc

from shard.footprint import db_overhead_bytes, key_size_bytes, value_size_bytes
from shard.keyspace import Store


def test_a_string_takes_what_python_says() -> None:
    for value in (b"", b"x" * 1000, bytearray(b"abc")):
        assert value_size_bytes(value, 5) == sys.getsizeof(value)


def test_containers() -> None:
    words = [b"x" * 100 for _ in range(50)]
    assert value_size_bytes(words, 0) == sys.getsizeof(words) + 50 * sys.getsizeof(words[0])
    assert value_size_bytes(words, 5) == value_size_bytes(words, 0)
    uneven = [b"x" * 1000, *words]
    assert value_size_bytes(uneven, 1) > value_size_bytes(uneven, 0) > value_size_bytes(words, 0)
    pairs = {b"k%d" % number: b"v" * 50 for number in range(10)}
    assert value_size_bytes(pairs, 0) == sys.getsizeof(pairs) + sum(map(sys.getsizeof, [*pairs, *pairs.values()]))


class Held:
    __slots__ = ("parts", "missing")

    def __init__(self) -> None:
        self.parts = [b"x" * 100]


class More(Held):
    def __init__(self) -> None:
        super().__init__()
        self.other = b"y" * 200


def test_objects() -> None:
    held = Held()
    assert value_size_bytes(held, 5) == sys.getsizeof(held) + value_size_bytes(held.parts, 5)
    more = More()
    assert value_size_bytes(more, 5) > value_size_bytes(held, 5) + 200


def test_it_is_near_the_truth() -> None:
    store = Store()
    db = store.dbs[0]
    tracemalloc.start()
    try:
        for number in range(20_000):
            db.set(b"key:%d" % number, b"value %d" % number)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    said = sum(key_size_bytes(db, key, value, 5) for key, value in db.items())
    # Slots with one key each carry a whole dict and an array: the more keys, the nearer. Here there are two a slot.
    assert 0.2 * taken < said < 1.1 * taken


def test_overhead_of_a_db() -> None:
    store = Store()
    db = store.dbs[0]
    empty, _ = db_overhead_bytes(db)
    for number in range(100):
        db.set(b"key:%d" % number, b"value", expire_at_ms=10**15)
    main, expires = db_overhead_bytes(db)
    assert main > empty
    assert expires > db_overhead_bytes(store.dbs[1])[1]

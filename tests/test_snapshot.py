"""Snapshots: whatever is done while one is read out, it says what was there when it was begun."""

from random import Random
from typing import Any

import pytest

from common.command import Flag
from shard.garbage import free_some
from shard.keyspace import Store
from shard.rdb.dump import dumped
from shard.slots import SLOT_KEYS_MAX
from shard.snapshot import Snapshot
from tests.bare_shard import BareShard, ShardConnection
from tests.command_families import FAMILIES
from tests.random_commands import usages

NOW_MS = 1_700_000_000_000
Contents = dict[tuple[int, bytes], tuple[bytes, int]]


def contents(store: Store) -> Contents:
    """All that is there, by db and key: a dump of the value, and the expiry."""
    return {
        (db.index, key): (dumped(slot[key], store.config), db.expiry_ms(key))
        for db in store.dbs
        for slot in db.slots
        for key in slot
    }


class Reading:
    """A snapshot that is read out, and what it must say."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.expected = contents(store)
        self.found: Contents = {}
        self.snapshot = Snapshot(store, self.take)

    def take(self, db: int, key: bytes, value: Any, at_ms: int) -> bytes:
        assert (db, key) not in self.found
        self.found[db, key] = (dumped(value, self.store.config), at_ms)
        return b"x"

    def finish(self) -> None:
        while self.snapshot.step():
            pass
        assert self.found == self.expected
        assert self.snapshot.keys == len(self.found) == len(self.snapshot.pieces)
        self.snapshot.end()
        assert not any(db.snapshot for db in self.store.dbs)


def families() -> list[str]:
    return sorted(FAMILIES)


@pytest.mark.parametrize("family", families())
def test_random_commands(family: str) -> None:
    """All that any command does to a key leaves the snapshot as it was begun, and so does time."""
    random = Random(family)
    shard = BareShard(NOW_MS)
    client = ShardConnection(shard)
    store = shard.executor.store
    known = shard.executor.table
    lines = []
    for line in usages(family):
        command = known.resolve([word.encode() for word in line.line.split()[:2]])
        if command is not None and command.handler is not None and not command.flags & Flag.BLOCKING:
            lines.append(line)
    weights = [line.weight for line in lines]
    if not lines:
        pytest.skip("the shard has no command of this family")
    reading = Reading(store)
    snapshots = 0
    for number in range(800):
        argv = random.choices(lines, weights)[0].draw(random)
        if argv:
            client.call(*argv)
        if number % 7 == 0:
            shard.advance(random.choice((1, 10, 1000, 100_000)))
        if number % 11 == 0:
            for db in store.dbs:
                for _ in db.expire_due(store.now_ms):
                    pass
        if random.random() < 0.05:
            reading.snapshot.step()
        if random.random() < 0.02:
            reading.finish()
            snapshots += bool(reading.expected)
            reading = Reading(store)
        free_some(store.garbage)
    reading.finish()
    assert snapshots > 1


def test_a_db_that_is_flushed_or_exchanged_meanwhile() -> None:
    shard = BareShard(NOW_MS)
    client = ShardConnection(shard)
    store = shard.executor.store
    for flush in ("FLUSHALL", "FLUSHDB"):
        for how in ("ASYNC", "SYNC"):
            for number in range(5000):
                client.call("SET", f"key:{number}", number, "EX", 1000)
            reading = Reading(store)
            for _ in range(100):
                reading.snapshot.step()
            client.call("SWAPDB", 0, 1)
            client.call("SET", "key:4", "another")
            client.call("SWAPDB", 0, 1)
            client.call("SET", "key:5", "another")
            client.call(flush, how)
            client.call("SET", "key:6", "another")
            while free_some(store.garbage):
                pass
            reading.finish()
            assert store.garbage, "what was thrown away is freed later"
            assert client.call("DBSIZE") == 1
            client.call("FLUSHALL")


def test_a_slot_that_becomes_wide_meanwhile() -> None:
    """Also while it is read out, part by part."""
    random = Random(3)
    shard = BareShard(NOW_MS)
    client = ShardConnection(shard)
    for count in (SLOT_KEYS_MAX - 1, SLOT_KEYS_MAX, 3 * SLOT_KEYS_MAX):
        client.call("FLUSHALL")
        for number in range(count):
            client.call("SET", f"{{t}}{number}", number)
        reading = Reading(shard.executor.store)
        more = True
        while more:
            for _ in range(20):
                number = random.randrange(2 * count)
                client.call(random.choice(("SET", "APPEND")), f"{{t}}{number}", "x")
                client.call("DEL", f"{{t}}{random.randrange(2 * count)}")
            more = reading.snapshot.step()
        reading.finish()


def test_one_that_is_given_up() -> None:
    shard = BareShard(NOW_MS)
    client = ShardConnection(shard)
    client.call("SET", "a", 1)
    reading = Reading(shard.executor.store)
    client.call("FLUSHALL")
    reading.snapshot.end()
    client.call("SET", "a", 2)
    assert reading.found == {}
    Reading(shard.executor.store).finish()

"""Snapshots: whatever is done while one is read out, it says what was there when it was begun."""

from random import Random

import pytest

from common.command import Flag
from shard import snapshot
from shard.garbage import free_some
from shard.keyspace import Store
from shard.rdb import file_writer, objects
from shard.rdb.crc64 import crc64
from shard.rdb.dump import VERSION, dumped
from shard.rdb.file import FileWriter
from shard.rewrite import CommandWriter
from shard.slots import SLOT_KEYS_MAX
from shard.snapshot import Snapshot
from tests.bare_shard import BareShard, ShardConnection
from tests.command_families import FAMILIES
from tests.random_commands import usages
from tests.rdb_files import finished, read_raw

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


def trailed(kind: int, data: bytes) -> bytes:
    """The dump of an object that a file has."""
    payload = b"%c%b%b" % (kind, data, VERSION.to_bytes(2, "little"))
    return payload + crc64(payload).to_bytes(8, "little")


class Reading:
    """A snapshot that is read out, and what it must say."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.expected = contents(store)
        self.writer = FileWriter(store.config)
        self.read = b""
        self.snapshot = Snapshot(store, self.writer)

    def step(self) -> bool:
        more = self.snapshot.step()
        pieces, self.snapshot.pieces = self.snapshot.pieces, []
        self.read += b"".join(pieces)
        return more

    def finish(self) -> None:
        while self.step():
            pass
        header = self.writer.header({})
        entries = read_raw(finished(header + self.read))
        assert {(db, key): (trailed(kind, data), at_ms) for db, key, kind, data, at_ms in entries} == self.expected
        assert self.snapshot.keys == len(entries) == len(self.expected)
        self.snapshot.end()
        assert not any(db.snapshot for db in self.store.dbs)


def families() -> list[str]:
    return sorted(FAMILIES)


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of three elements are large, and read out two at a time."""
    monkeypatch.setattr(snapshot, "LARGE_LENGTH", 2)
    monkeypatch.setattr(snapshot, "LARGE_BYTES", 2)
    monkeypatch.setattr(objects, "STEP", 2)
    monkeypatch.setattr(file_writer, "PIECE_BYTES", 8)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("family", families())
def test_random_commands(family: str, large: bool, request: pytest.FixtureRequest) -> None:
    """All that any command does to a key leaves the snapshot as it was begun, and so does time."""
    if large:
        request.getfixturevalue("all_large")
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
            reading.step()
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
                reading.step()
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
            more = reading.step()
        reading.finish()


def test_one_that_is_given_up() -> None:
    shard = BareShard(NOW_MS)
    client = ShardConnection(shard)
    client.call("SET", "a", 1)
    reading = Reading(shard.executor.store)
    client.call("FLUSHALL")
    reading.snapshot.end()
    client.call("SET", "a", 2)
    assert reading.read == b""
    Reading(shard.executor.store).finish()


FILLS = {
    "list": ["RPUSH", "large"],
    "set": ["SADD", "large"],
    "hash": ["HSET", "large"],
    "zset": ["ZADD", "large"],
}
LARGE = 20_000


def filled(client: ShardConnection, kind: str) -> None:
    """Makes the key `large`, of many elements or of many bytes."""
    if kind == "string":
        client.call("SET", "large", Random(1).randbytes(2_000_000))
    elif kind == "stream":
        for number in range(LARGE):
            client.call("XADD", "large", f"{number + 1}-0", "f", number)
    else:
        words = [str(number) for number in range(LARGE)]
        pairs = [word for number in words for word in ((number,) if kind in ("list", "set") else (number, number))]
        client.call(*FILLS[kind], *pairs)


CHANGES = {
    "not": [],
    "in the middle": [("RENAME", "large", "other")],
    "deleted": [("DEL", "large"), ("SET", "large", "x")],
    "flushed": [("FLUSHALL",)],
    "given a time": [("EXPIRE", "large", "1000")],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["string", "stream", *FILLS])
def test_a_large_value_is_read_out_in_pieces(kind: str, change: str) -> None:
    shard = BareShard(NOW_MS)
    client = ShardConnection(shard)
    filled(client, kind)
    for number in range(200):
        client.call("SET", f"{number}", number)
    reading = Reading(shard.executor.store)
    open_ = 0
    more = True
    while more:
        before = len(reading.read)
        more = reading.step()
        assert len(reading.read) - before < 100_000
        if reading.snapshot.open is not None:
            open_ += 1
            client.call("SET", f"{open_}", "changed")
        if open_ == 5:
            for argv in CHANGES[change]:
                client.call(*argv)
    assert open_ > 5 if change in ("not", "flushed") else open_ == 5
    reading.finish()


@pytest.mark.parametrize("kind", ["string", "stream", *FILLS])
def test_commands_in_pieces(kind: str) -> None:
    """A base of commands, too: done again they make the value what it is."""
    shard = BareShard(NOW_MS)
    client = ShardConnection(shard)
    filled(client, kind)
    client.call("SELECT", 3)
    filled(client, kind)
    client.call("PEXPIREAT", "large", NOW_MS + 1000)
    store = shard.executor.store
    whole, cut = CommandWriter(), CommandWriter()
    for db in (0, 3):
        (slot,) = (slot for slot in store.dbs[db].slots if slot)
        entry = (db, b"large", slot[b"large"], store.dbs[db].expiry_ms(b"large"))
        pieces = list(cut.entry_in_pieces(*entry))
        assert b"".join(pieces) == whole.entry(*entry)
        assert len(pieces) > (30 if kind == "string" else 100)

"""RDB files between servers: Valkey's and Redis's are read here, ours is loaded by Valkey, and no key differs.

Values are compared through DUMP, which must be the same bytes, but where the order of elements is that of a hash table:
then the digests must be the same. What the server's own value is when it was loaded again is what ours has to be.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from shard.rdb.crc64 import crc64
from shard.rdb.dump import dumped
from shard.rdb.file import Entry, FileWriter, aux_fields, raw_entries, read_entries
from shard.value import type_name
from tests.bare_shard import BareShard, ShardConnection
from tests.command_families import FAMILIES
from tests.random_commands import usages
from tests.rdb_files import checked_by_reference
from tests.rdb_payloads import sealed
from tests.reference import RedisServer, Reference
from tests.resp_client import Client, Error, Status
from tests.servers import Server, free_port
from tests.test_dump import COMMANDS, Argv

SEEDS = int(os.environ.get("INTERCHANGE_SEEDS", "2"))
RANDOM_COMMANDS = 1500

NOW_MS = 1_790_000_000_000
FAR_MS = 4_000_000_000_000
VALKEY_VERSION = 80
REDIS_VERSION = 10
"""Of RDB, for Valkey 9 and Redis 7.0."""
PROBE = b"\x00probe"
CHANGES_BETWEEN = ("a hash with times",)
"""What Redis 7.0 does not have."""
FULL = ("hashtable",)
"""Encodings without an order."""

SCORES = [word for number in range(8_000) for word in (str(number / 7), f"m{number}")]

LARGE: dict[str, list[Argv]] = {
    "a large string": [["SET", "k", Random(2).randbytes(400_000)]],
    "a large compressible string": [["SET", "k", b"abcdefg" * 50_000]],
    "a list of large elements": [["RPUSH", "k", *(b"%d" % number * 5000 for number in range(50))]],
    "a hash of large texts": [["HSET", "k", "f", "x" * 80_000, "g", Random(3).randbytes(80_000)]],
    "a hash of 8000": [["HSET", "k", *(word for number in range(8_000) for word in (f"f{number}", number))]],
    "a set of 8000": [["SADD", "k", *range(0, 16_000, 2), "a"]],
    "a sorted set of 8000": [["ZADD", "k", *SCORES]],
    "a stream of 1000": [["XADD", "k", f"{number}-1", "f", number, "g", "x" * 30] for number in range(1, 1000)],
}


def fill(client: Client | ShardConnection, cases: dict[str, list[Argv]]) -> None:
    """The values under their names in three dbs, every third with a time."""
    for number, (name, commands) in enumerate(cases.items()):
        client.call("SELECT", number % 3 * 7)
        for argv in commands:
            reply = client.call(*(name if word == "k" else word for word in argv))
            assert not isinstance(reply, Error), (argv, reply)
        if number % 3 == 1:
            assert client.call("PEXPIREAT", name, FAR_MS + number) == 1


def saved(client: Client) -> Path:
    """The file of a server, now."""
    assert client.call("SAVE") == Status(b"OK")
    folder, name = (client.call("CONFIG", "GET", directive)[1] for directive in ("dir", "dbfilename"))
    path: Path = Path(folder.decode()) / name.decode()
    return path


def entries_of(path: Path) -> dict[tuple[int, bytes], tuple[Any, int]]:
    with path.open("rb", buffering=0) as file:
        entries = [entry for some in read_entries(file, {"databases": 16}) for entry in some]
    found = {(db, key): (value, at_ms) for db, key, value, at_ms in entries}
    assert len(found) == len(entries)
    return found


def raw_of(path: Path, version: int) -> dict[tuple[int, bytes], tuple[bytes, int]]:
    """Payloads of RESTORE, and the times."""
    with path.open("rb") as file:
        entries = [entry for some in raw_entries(file) for entry in some]
    return {(db, key): (sealed(b"%c" % kind + data, version), at_ms) for db, key, kind, data, at_ms in entries}


def keys_of(client: Client) -> Iterator[tuple[int, bytes]]:
    """All keys of a server, with the db of each selected."""
    for db in range(16):
        client.call("SELECT", db)
        for key in client.call("KEYS", "*"):
            yield db, key


def is_ordered(client: Client, key: bytes) -> bool:
    return client.call("OBJECT", "ENCODING", key).decode() not in FULL


class Loaded(NamedTuple):
    """What a server tells of a payload that it loaded."""

    digest: Status
    encoding: bytes
    dump: bytes
    """Empty where the order of the elements is chance."""


def loaded_on(client: Client, payload: bytes) -> Loaded:
    """Loading may change an encoding: a sorted set that was once large and is small becomes a listpack."""
    assert client.call("RESTORE", PROBE, 0, payload, "REPLACE") == Status(b"OK")
    dump = client.call("DUMP", PROBE) if is_ordered(client, PROBE) else b""
    found = Loaded(client.call("DEBUG", "DIGEST-VALUE", PROBE)[0], client.call("OBJECT", "ENCODING", PROBE), dump)
    client.call("DEL", PROBE)
    return found


def test_what_valkey_saved(start: Callable[[Server], Server]) -> None:
    with start(Reference()).connect() as client:
        fill(client, COMMANDS | LARGE)
        _compare_with(client, saved(client))


@pytest.mark.parametrize("options", [{"maxmemory-policy": "allkeys-lfu"}, {"maxmemory-policy": "allkeys-lru"}])
def test_what_valkey_saved_of_use(options: dict[str, str], start: Callable[[Server], Server]) -> None:
    """Each key has its idle time or its frequency before it."""
    with start(Reference(None, **options)).connect() as client:
        fill(client, COMMANDS)
        _compare_with(client, saved(client))


def test_what_valkey_saved_without_checksum_and_compression(start: Callable[[Server], Server]) -> None:
    with start(Reference(None, rdbchecksum="no", rdbcompression="no")).connect() as client:
        fill(client, COMMANDS)
        client.call("FUNCTION", "LOAD", "#!lua name=l\nserver.register_function('f', function() return 1 end)")
        path = saved(client)
        assert path.read_bytes().endswith(bytes(8))
        for db, key in keys_of(client):
            value, at_ms = entries_of(path)[db, key]
            assert at_ms == client.call("PEXPIRETIME", key)
            assert dumped(value, {"rdbcompression": False}) == client.call("DUMP", key) or not is_ordered(client, key)


def test_what_valkey_saved_in_a_cluster(start: Callable[[Server], Server]) -> None:
    """The sizes of slots stand in it."""
    server = Reference(None, cluster_enabled="yes", cluster_port=str(free_port()))  # Its own choice may be above 65535.
    with start(server).connect() as client:
        assert client.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383) == Status(b"OK")
        while b"cluster_state:ok" not in client.call("CLUSTER", "INFO"):
            pass
        for number in range(300):
            assert client.call("SET", f"key:{number}", number) == Status(b"OK")
        path = saved(client)
        assert b"\xf4" in path.read_bytes()
        found = entries_of(path)
        assert {key: value for (_, key), (value, _) in found.items()} == {
            b"key:%d" % number: b"%d" % number for number in range(300)
        }


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_valkey_saved_of_any_commands(seed: int, start: Callable[[Server], Server]) -> None:
    chance = Random(seed)
    pool = [usage for family in FAMILIES for usage in usages(family) if usage.keys]
    with start(Reference()).connect() as client:
        for number in range(RANDOM_COMMANDS):
            argv = chance.choice(pool).draw(chance)
            if not any(word.upper() == b"BLOCK" for word in argv) and not argv[0].upper().startswith(b"B"):
                if number % 100 == 0:
                    client.call("SELECT", chance.randrange(4))
                client.call(*argv)
        client.call("SELECT", 0)
        _compare_with(client, saved(client))


def _compare_with(client: Client, path: Path) -> None:
    """That what is read of a file is what its server has."""
    found, raw = entries_of(path), raw_of(path, VALKEY_VERSION)
    keys = set()
    for db, key in keys_of(client):
        keys.add((db, key))
        value, at_ms = found[db, key]
        assert at_ms == client.call("PEXPIRETIME", key) == raw[db, key][1]
        payload = client.call("DUMP", key)
        assert payload == raw[db, key][0] or not is_ordered(client, key), key
        loaded = loaded_on(client, payload)
        assert loaded_on(client, raw[db, key][0]) == loaded, key
        assert loaded_on(client, dumped(value, {})) == loaded, key
        assert dumped(value, {}) == loaded.dump or not loaded.dump, key
    assert found.keys() == raw.keys() and len(keys) > 5
    # What expired since the file was written is in it only.
    assert all(0 <= found[left][1] < FAR_MS for left in found.keys() - keys)


@pytest.mark.skipif(not RedisServer.is_installed(), reason="redis-server is not installed")
def test_what_redis_saved(start: Callable[[Server], Server], reference_client: Client) -> None:
    """Redis 7.0 has other types: its sets have no listpacks, its streams no active times. The values are the same."""
    with start(RedisServer()).connect() as client:
        fill(client, {name: commands for name, commands in (COMMANDS | LARGE).items() if name not in CHANGES_BETWEEN})
        path = saved(client)
        assert path.read_bytes().startswith(b"REDIS0010")
        found, raw = entries_of(path), raw_of(path, REDIS_VERSION)
        keys = set(keys_of(client))
        assert found.keys() == keys == raw.keys()
        for db, key in keys:
            client.call("SELECT", db)
            value, at_ms = found[db, key]
            payload, raw_at_ms = raw[db, key]
            assert at_ms == client.call("PEXPIRETIME", key) == raw_at_ms
            theirs = client.call("DUMP", key)
            assert payload == theirs or not is_ordered(client, key)
            # Asked of Valkey, which loads it as it would load the file. Not for the dump: Redis writes a score of 0.1
            # as 0.10000000000000001 into a listpack, and there Valkey leaves it so.
            loaded = loaded_on(reference_client, theirs)
            assert loaded_on(reference_client, dumped(value, {}))[:2] == loaded[:2], key
            assert loaded_on(reference_client, payload)[:2] == loaded[:2], key


def test_what_valkey_loads(start: Callable[[Server], Server], tmp_path: Path) -> None:
    """Our file: the same keys there, the same dumps, the same times."""
    settings: list[tuple[dict[str, Any], dict[str, list[Argv]]]] = [
        ({}, COMMANDS | LARGE),
        ({"rdbcompression": False}, COMMANDS),
        ({"rdbchecksum": False}, COMMANDS),
    ]
    for config, cases in settings:
        bare = BareShard(NOW_MS)
        fill(ShardConnection(bare), cases)
        entries = list(_all_of(bare))
        folder = tmp_path / "-".join(["of", *config])
        folder.mkdir()
        path = folder / "ours.rdb"
        path.write_bytes(_file_of(entries, config))
        found = checked_by_reference(path)
        assert found.returncode == 0, found.stdout
        assert b"%d keys read" % len(entries) in found.stdout
        with start(Reference(folder, dbfilename="ours.rdb")).connect() as client:
            assert set(keys_of(client)) == {(db, key) for db, key, _, _ in entries}
            for db, key, value, at_ms in entries:
                client.call("SELECT", db)
                assert client.call("PEXPIRETIME", key) == at_ms
                assert client.call("TYPE", key) == Status(type_name(value).encode())
                theirs, ours = client.call("DUMP", key), dumped(value, {})
                assert theirs == ours if is_ordered(client, key) else len(theirs) == len(ours), key
                assert loaded_on(client, theirs) == loaded_on(client, ours), key
            client.call("SELECT", 0)
            assert entries_of(path).keys() == set(keys_of(client))


def _all_of(bare: BareShard) -> Iterator[Entry]:
    """Every key of a shard."""
    for index, db in enumerate(bare.executor.store.dbs):
        client = ShardConnection(bare)
        client.call("SELECT", index)
        for key in client.call("KEYS", "*"):
            yield index, key, db.peek(key), client.call("PEXPIRETIME", key)


def _file_of(entries: list[Entry], config: dict[str, Any]) -> bytes:
    """The header, the keys in turn from all dbs, and the checksum if there is one."""
    Random(5).shuffle(entries)
    writer = FileWriter(config)
    pieces = [writer.header(aux_fields(NOW_MS, 12345, aof_base=False))]
    pieces += [writer.entry(*entry) for entry in entries]
    data = b"".join([*pieces, writer.footer()])
    return data + (crc64(data) if config.get("rdbchecksum", True) else 0).to_bytes(8, "little")

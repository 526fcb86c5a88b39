"""What tests of saves need: when a save is over, what is in its file, and servers to compare with."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.slot import shard_of_slot, slot_of
from shard.rdb.file import Entry, read_entries
from tests.reference import Reference
from tests.resp_client import Client, Status
from tests.servers import POLL_S, Server

WAIT_TIMEOUT_S = 60.0


def key_of(shard: int, shards: int, name: str) -> str:
    """A key of one shard."""
    return next(
        key
        for key in (f"{name}:{number}" for number in range(1000))
        if shard_of_slot(slot_of(key.encode()), shards) == shard
    )


def persistence(client: Client) -> dict[str, str]:
    """INFO persistence."""
    lines = client.call("INFO", "persistence").decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def wait_until(client: Client, **fields: str) -> dict[str, str]:
    """Returns when INFO says so."""
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while True:
        info = persistence(client)
        if all(info[name] == value for name, value in fields.items()):
            return info
        assert time.monotonic() < deadline, info
        time.sleep(POLL_S)


def saved_in_background(client: Client) -> dict[str, str]:
    """BGSAVE, to its end; what INFO says then."""
    assert client.call("BGSAVE") == Status(b"Background saving started")
    return wait_until(client, rdb_bgsave_in_progress="0")


def entries_of(path: Path) -> dict[tuple[int, bytes], Entry]:
    """What is in a file, by db and key; each is there once."""
    with open(path, "rb", buffering=0) as file:
        entries = [entry for some in read_entries(file, {}) for entry in some]
    found = {entry[:2]: entry for entry in entries}
    assert len(found) == len(entries)
    return found


def temporary_files(server: Server) -> list[str]:
    """What saves have left."""
    return [path.name for path in server.folder.glob("temp-*")]


def everything(client: Client) -> dict[Any, Any]:
    """All keys of a server, each with its value, its form and its expiry."""
    found = {}
    for db in range(16):
        client.call("SELECT", str(db))
        for key in client.call("KEYS", "*"):
            form = client.call("OBJECT", "ENCODING", key)
            found[db, key] = (_value(client, key, form), form, client.call("PEXPIRETIME", key))
    client.call("SELECT", "0")
    return found


def _value(client: Client, key: bytes, form: bytes) -> Any:
    """A dump, but for what has no order."""
    if form != b"hashtable":
        return client.call("DUMP", key)
    if client.call("TYPE", key) == Status(b"set"):
        return set(client.call("SMEMBERS", key))
    words = client.call("HGETALL", key)
    return dict(zip(words[::2], words[1::2], strict=True))


@contextmanager
def reference_with(path: Path) -> Iterator[Client]:
    """A client of a real Valkey that has loaded this file."""
    with Reference(path.parent, dbfilename=path.name) as server, server.connect() as client:
        yield client


def fill(client: Client) -> None:
    """Keys of all types and most forms, in two dbs, with times."""
    for db in ("0", "9"):
        client.call("SELECT", db)
        for number in range(8):
            few, many = [str(one) for one in range(5 + number)], [f"m{one}" for one in range(600)]
            client.call("SET", f"string{number}", "v" * number * 100)
            client.call("SET", f"number{number}", str(number), "PXAT", "9000000000000")
            client.call("RPUSH", f"list{number}", *few, "x" * number * 3000)
            client.call("HSET", f"hash{number}", *few[:4], "f", "x" * number * 10)
            client.call("HPEXPIREAT", f"hash{number}", "9000000000000", "FIELDS", "1", "f")
            client.call("SADD", f"intset{number}", *few)
            client.call("SADD", f"set{number}", *few, "m")
            client.call("SADD", f"large_set{number}", *many)
            client.call("ZADD", f"zset{number}", *(word for one in few for word in (one, f"m{one}")))
            client.call("ZADD", f"large_zset{number}", *(word for one in many for word in (one[1:], one)))
            client.call("HSET", f"large_hash{number}", *many)
            client.call("PEXPIREAT", f"large_hash{number}", "9000000000000")
            for one in few:
                client.call("XADD", f"stream{number}", f"{one}-1", "field", one)
            client.call("XGROUP", "CREATE", f"stream{number}", "group", "0")
            client.call("XREADGROUP", "GROUP", "group", "me", "COUNT", "2", "STREAMS", f"stream{number}", ">")
            client.call("XDEL", f"stream{number}", "3-1")
    client.call("SELECT", "0")

"""A disk that is full, for a server that runs: no write is answered +OK that a crash would lose, reads go on, and it
heals by itself.

The limit on the size of a file is what fails, set from outside on a shard that runs: the kernel then writes up to it,
and no byte more.
"""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.bench.processes import roles
from tests.resp_client import Error, Status
from tests.servers import Shardis
from tests.test_crash import key_on, kill, wait_for_reply
from tests.writers import encoded

Start = Callable[[Shardis], Shardis]

SHARDS = 3
FULL = Error(b"MISCONF Errors writing to the AOF file: File too large")
OK = Status(b"OK")
VALUE = b"x" * 100


def log_size_bytes(server: Shardis, shard: int) -> int:
    return sum(path.stat().st_size for path in Path(server.folder, f"shard-{shard}").rglob("*.incr.aof"))


def allow_bytes(server: Shardis, shard: int, size_bytes: int) -> None:
    """Lets the log of a shard grow to that size."""
    resource.prlimit(roles(server)[f"shard {shard}"], resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
def test_what_was_answered_survives(start: Start, appendfsync: str) -> None:
    """In one pipeline, so that the turn in which the disk fills has writes that fit and writes that don't."""
    server = start(Shardis(shards=SHARDS, appendfsync=appendfsync))
    key, other = key_on(1), key_on(2)
    with server.connect() as client:
        assert client.call("SET", key, "before") == OK
        allow_bytes(server, 1, log_size_bytes(server, 1) + 1000)
        replies = []
        for _ in range(3):
            commands = [[b"APPEND", key, VALUE], [b"GET", other], [b"GET", key], [b"NOSUCH"]]
            client.send_bytes(b"".join(map(encoded, commands)) * 5)
            replies += [[reply.value for reply in client.read_many(4)] for _ in range(5)]
        appended = [reply for reply, *_ in replies]
        assert appended[-5:] == [FULL] * 5
        assert all(read is None and type(own) is bytes for _, read, own, _ in replies)
        assert all(wrong.startswith(b"ERR unknown") for *_, wrong in replies)
        # Nothing of a command on several shards is done.
        assert client.call("MSET", key, "2", other, "2") == FULL
        assert client.call("DEL", other, key) == FULL
        assert client.call("MGET", other) == [None]
        assert client.call("SET", other, "1") == OK
        kill(roles(server)["shard 1"])  # The next one has no limit.
        value = wait_for_reply(client, [b"GET", key], lambda reply: not isinstance(reply, Error))
        assert isinstance(value, bytes)
        done = sum(type(reply) is int for reply in appended)
        assert len(value) >= len(b"before") + len(VALUE) * done


def test_it_heals_when_there_is_room(start: Start) -> None:
    server = start(Shardis(shards=SHARDS, appendfsync="always"))
    key, other = key_on(1), key_on(2)
    with server.connect() as client:
        assert client.call("SET", key, "1") == OK
        allow_bytes(server, 1, log_size_bytes(server, 1))
        assert client.call("SET", key, "2") == FULL
        assert client.call("MSET", key, "3", other, "3") == FULL
        assert client.call("GET", other) is None
        allow_bytes(server, 1, resource.RLIM_INFINITY)
        # Nothing but what the router itself refuses is asked of the shard: it has to look for room by itself.
        wait_for_reply(client, [b"MSET", key, b"4", other, b"4"], lambda reply: reply == OK)
        for pid in roles(server).values():
            psutil.Process(pid).kill()
        server.stop()
        server.launch()
        server.wait_ready()
    with server.connect() as client:
        assert client.call("MGET", key, other) == [b"4", b"4"]


def test_expired_keys_wait_for_room(start: Start) -> None:
    """What nobody asked for is not written behind what is refused, and is done when it can be."""
    server = start(Shardis(shards=1))
    with server.connect() as client:
        assert client.call("SET", "kept", "1") == OK
        assert client.call("SET", "short", "1", "PX", 300) == OK
        allow_bytes(server, 0, log_size_bytes(server, 0))
        assert client.call("SET", "kept", "2") == FULL
        deadline_s = time.monotonic() + 20
        while client.call("GET", "short") is not None:
            assert time.monotonic() < deadline_s
        assert client.call("GET", "kept") == b"2"  # In memory, as its error says: on its way to the log.
        allow_bytes(server, 0, resource.RLIM_INFINITY)
        wait_for_reply(client, [b"SET", b"other", b"1"], lambda reply: reply == OK)
        wait_for_reply(client, [b"DBSIZE"], lambda reply: reply == 2)

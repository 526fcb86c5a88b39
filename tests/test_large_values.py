"""Large values through all processes: others are served meanwhile, and nothing is lost when one of them dies."""

import os
import signal

import pytest

from common.slot import Owners
from tests.resp_client import Client, Error, Status, encode_command
from tests.servers import Shardis, wait_until

MB = 1 << 20
VALUE = bytes(range(256)) * (3 * MB // 256)
OTHER = VALUE[::-1]
OWNERS = Owners(3, True)
KEYS = [next(b"k%d" % number for number in range(100) if OWNERS.of(b"k%d" % number) == shard) for shard in range(3)]


def shard_pid(client: Client, shard: int) -> int:
    lines = client.call("INFO", "shards").decode().splitlines()
    return int(next(line for line in lines if line.startswith(f"shard{shard}:")).split("pid=")[1].split(",")[0])


@pytest.mark.parametrize("log", ["yes", "no"])
def test_every_way_of_a_large_value(log: str) -> None:
    with Shardis(3, appendonly=log) as server, server.connect() as client:
        assert client.call("SET", KEYS[0], VALUE) == Status(b"OK")
        assert client.call("MSET", KEYS[1], VALUE, KEYS[2], OTHER) == Status(b"OK")
        assert client.call("MGET", *KEYS, KEYS[0]) == [VALUE, VALUE, OTHER, VALUE]
        assert client.call("LMOVE", "none", KEYS[0], "LEFT", "LEFT") is None
        assert client.call("RENAME", KEYS[0], b"{%b}2" % KEYS[1]) == Status(b"OK")
        assert client.call("GET", b"{%b}2" % KEYS[1]) == VALUE
        assert client.call("MULTI") == Status(b"OK")
        for key in KEYS:
            assert client.call("APPEND", key, OTHER) == Status(b"QUEUED")
            assert client.call("GET", key) == Status(b"QUEUED")
        sizes = [len(OTHER), 2 * len(VALUE), 2 * len(VALUE)]
        replies = client.call("EXEC")
        assert replies[::2] == sizes and replies[1::2] == [OTHER, VALUE + OTHER, OTHER + OTHER]
        client.send_bytes(encode_command([b"GET", KEYS[1]]) * 9 + encode_command([b"PING"]))
        assert [client.read().value for _ in range(9)] == [VALUE + OTHER] * 9
        assert client.read().value == Status(b"PONG")
        assert client.call("HSET", "h", VALUE, OTHER) == 1
        assert client.call("HGETALL", "h") == [VALUE, OTHER]
        assert client.call("RPUSH", "l", VALUE, "x", OTHER) == 3
        assert client.call("LRANGE", "l", 0, -1) == [VALUE, b"x", OTHER]


def test_a_value_that_was_acknowledged_survives_its_shard() -> None:
    with Shardis(3) as server, server.connect() as client:
        for key in KEYS:
            assert client.call("SET", key, VALUE) == Status(b"OK")
        os.kill(shard_pid(client, 1), signal.SIGKILL)
        server.wait_ready()
        replies = [client.call("GET", key) for key in KEYS]
        while any(isinstance(reply, Error) for reply in replies):
            assert all(reply.startswith((b"SHARDDOWN", b"LOADING")) for reply in replies if isinstance(reply, Error))
            replies = [client.call("GET", key) for key in KEYS]
        assert replies == [VALUE] * 3


def test_a_shard_that_is_killed_while_a_value_arrives() -> None:
    with Shardis(3) as server, server.connect() as client, server.connect() as other:
        pid = shard_pid(other, 0)
        os.kill(pid, signal.SIGSTOP)  # It takes no pieces, so the value is under way when it dies.
        client.send("SET", KEYS[0], VALUE)
        client.send("GET", KEYS[1])
        assert other.call("SET", KEYS[1], "v") == Status(b"OK")
        os.kill(pid, signal.SIGKILL)
        reply = client.read(30).value
        assert isinstance(reply, Error) and reply.startswith(b"SHARDDOWN shard 0")
        assert client.read(30).value == b"v"


def test_clients_that_go_away_half_way_leave_nothing() -> None:
    with Shardis(1, appendonly="no") as server, server.connect() as admin:
        assert admin.call("SET", "k", VALUE) == Status(b"OK")
        pid = shard_pid(admin, 0)
        os.kill(pid, signal.SIGSTOP)
        clients = [server.connect() for _ in range(4)]
        for client in clients[:2]:
            client.send("SET", "new", OTHER)
        for client in clients[2:]:
            client.send("GET", "k")
        wait_until(lambda: len(admin.call("CLIENT", "LIST").splitlines()) == 5)
        for client in clients:
            client.close()
        os.kill(pid, signal.SIGCONT)
        assert admin.call("GET", "k") == VALUE
        assert admin.call("SET", "k", "v") == Status(b"OK")

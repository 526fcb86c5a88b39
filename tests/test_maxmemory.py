"""maxmemory on servers that run: what they take stays near it, and who is left is who was used, on 1 and 3 shards.

What is in use is what INFO says: used_memory without mem_not_counted_for_evict, what the processes took when empty.
"""

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.bench.processes import resident_bytes
from tests.resp_client import Client, Error, Status, encode_command
from tests.servers import Shardis, wait_until

MB = 2**20
LIMIT = 16 * MB
VALUE = b"x" * 500
BATCH = 200
SHARDS = pytest.mark.parametrize("shards", [1, 3])


def figures(client: Client) -> dict[str, int]:
    fields = dict(line.split(":", 1) for line in client.call("INFO").decode().split("\r\n") if ":" in line)
    return {name: int(text) for name, text in fields.items() if text.isdigit()}


def taken(client: Client) -> int:
    found = figures(client)
    return found["used_memory"] - found["mem_not_counted_for_evict"]


def fill(client: Client, prefix: str, count: int) -> None:
    """Sets prefix:0 and so on.  Raises ValueError when one is refused."""
    for first in range(0, count, BATCH):
        names = [f"{prefix}:{number}" for number in range(first, min(first + BATCH, count))]
        for reply in pipelined(client, [["SET", name, VALUE] for name in names]):
            if isinstance(reply, Error):
                raise ValueError(repr(reply))


def pipelined(client: Client, calls: list[list[bytes | str | int | float]]) -> list[Any]:
    client.send_bytes(b"".join(map(encode_command, calls)))
    return [reply.value for reply in client.read_many(len(calls))]


def left(client: Client, prefix: str, count: int) -> int:
    """How many of prefix:0 and so on are there."""
    return sum(
        client.call("EXISTS", *[f"{prefix}:{number}" for number in range(first, min(first + 1000, count))])
        for first in range(0, count, 1000)
    )


@SHARDS
def test_the_oldest_go_and_the_log_says_so(start: Callable[[Shardis], Shardis], shards: int) -> None:
    server = start(Shardis(shards=shards, maxmemory=LIMIT, maxmemory_policy="allkeys-lru"))
    with server.connect(timeout_s=60) as client:
        fill(client, "used", 4000)
        fill(client, "old", 10_000)
        time.sleep(2.1)  # The idle clocks tick in seconds.
        assert all(pipelined(client, [["GET", f"used:{number}"] for number in range(4000)]))
        step = 0
        while figures(client)["evicted_keys"] < 4000:
            fill(client, f"new:{step}", 1000)
            step += 1
        found = figures(client)
        assert 0.8 * LIMIT < found["used_memory"] - found["mem_not_counted_for_evict"] < 1.1 * LIMIT
        used, old = left(client, "used", 4000), left(client, "old", 10_000)
        # Some of the old ones share a clock with one that was used, see shard/idle.py.
        assert used / 4000 > old / 10_000
        wait_until(lambda: taken(client) < 1.02 * LIMIT)
        client.call("CONFIG", "SET", "maxmemory", 0)  # From here on nobody goes.
        keys = sorted(client.call("KEYS", "*"))
        server.stop()
        server.options["maxmemory"] = "0"
        server.launch()
        server.wait_ready()
    with server.connect(timeout_s=60) as client:
        assert sorted(client.call("KEYS", "*")) == keys
        # What was loaded counts.
        client.call("CONFIG", "SET", "maxmemory", LIMIT * 3 // 4)
        wait_until(lambda: taken(client) < 1.02 * LIMIT * 3 // 4)
        assert 0.3 * len(keys) < client.call("DBSIZE") < 0.8 * len(keys)


def test_a_shard_with_most_keys_evicts_no_sooner(start: Callable[[Shardis], Shardis]) -> None:
    server = start(Shardis(shards=3, appendonly="no", maxmemory=LIMIT, maxmemory_policy="allkeys-lru"))
    with server.connect(timeout_s=60) as client:
        fill(client, "{tag}", 14_000)
        found = figures(client)
        assert found["evicted_keys"] == 0
        assert 0.5 * LIMIT < found["used_memory"] - found["mem_not_counted_for_evict"] < LIMIT
        time.sleep(3.1)
        fill(client, "others", 14_000)
        # The one shard that has the older ones gives way to the others.
        assert left(client, "{tag}", 14_000) < left(client, "others", 14_000)
        wait_until(lambda: taken(client) < 1.02 * LIMIT)


@SHARDS
def test_of_a_small_limit_nothing_is_taken_by_the_program(start: Callable[[Shardis], Shardis], shards: int) -> None:
    server = start(Shardis(shards=shards, appendonly="no", maxmemory=2 * MB))
    with server.connect(timeout_s=60) as client:
        assert taken(client) < 0.1 * MB
        with pytest.raises(ValueError, match="OOM command not allowed"):
            fill(client, "key", 4000)
        assert 1.6 * MB < taken(client) < 2.3 * MB
        # Each takes about 650 bytes; some tables grow with the first of them.
        assert client.call("DBSIZE") > 1000
        assert client.call("FLUSHALL") == Status(b"OK")
        assert client.call("SET", "key", "value") == Status(b"OK")
        wait_until(lambda: taken(client) < 0.1 * MB)


def test_large_values_give_way_to_each_other(start: Callable[[Shardis], Shardis]) -> None:
    server = start(Shardis(shards=2, appendonly="no", maxmemory=LIMIT, maxmemory_policy="allkeys-random"))
    with server.connect(timeout_s=60) as client:
        for number in range(40):
            assert client.call("RPUSH", f"list:{number}", *[b"%0100d" % count for count in range(5000)]) == 5000
            assert client.call("SET", f"string:{number}", bytes(MB))
        wait_until(lambda: taken(client) < 1.05 * LIMIT)
        found = figures(client)
        assert found["evicted_keys"] >= 20 and client.call("DBSIZE") >= 5


@SHARDS
def test_what_is_deleted_makes_room(start: Callable[[Shardis], Shardis], shards: int) -> None:
    server = start(Shardis(shards=shards, appendonly="no", maxmemory=LIMIT))
    with server.connect(timeout_s=60) as client:
        with pytest.raises(ValueError, match="OOM command not allowed"):
            fill(client, "key", 50_000)
        assert 0.8 * LIMIT < taken(client) < 1.1 * LIMIT
        assert figures(client)["current_eviction_exceeded_time"] >= 0
        number = 0
        while not isinstance(client.call("SET", f"last:{number}", VALUE), Error):
            number += 1  # What is reckoned between two looks may have been a bit more than it was.
        keys = client.call("DBSIZE")
        assert 15_000 < keys < 27_000
        client.call("DEL", *[f"key:{number}" for number in range(2000)])
        assert client.call("SET", "more", VALUE) == Status(b"OK")
        assert client.call("DBSIZE") == keys - 2000 + 1
        client.call("FLUSHALL")
        assert client.call("SET", "more", VALUE) == Status(b"OK")


@pytest.mark.parametrize("shards", [1, 2])  # On two shards `small` and `large` are not on the same.
def test_what_is_given_up_just_before_makes_room(start: Callable[[Shardis], Shardis], shards: int) -> None:
    """Also where freeing it takes longer than to ask for it, and where nothing more comes from the client."""
    server = start(Shardis(shards=shards, appendonly="no", maxmemory=LIMIT))
    for givers in (["DEL", "large"], ["FLUSHALL"], ["UNLINK", "large"], ["RENAME", "small", "large"]):
        with server.connect(timeout_s=60) as client:
            assert client.call("FLUSHALL") == Status(b"OK")
            assert client.call("SET", "small", VALUE) == Status(b"OK")
            number = 0
            while not isinstance(client.call("SADD", "large", *range(number, number + 1000)), Error):
                number += 1000
            client.send_bytes(encode_command(givers) + encode_command(["SET", "more", VALUE]))
            client.socket.shutdown(socket.SHUT_WR)
            given_up, more = client.read_many(2)
            assert more.value == Status(b"OK") and not isinstance(given_up.value, Error), givers


def test_figures_are_near_the_truth(start: Callable[[Shardis], Shardis]) -> None:
    server = start(Shardis(shards=2, appendonly="no"))
    with server.connect(timeout_s=60) as client:
        fill(client, "key", 40_000)
        found = figures(client)
        assert abs(found["used_memory"] - found["used_memory_rss"]) < 0.2 * found["used_memory_rss"]
        grown = found["used_memory"] - found["used_memory_startup"]
        stats = client.call("MEMORY", "STATS")
        told = dict(zip(stats[::2], stats[1::2], strict=True))
        assert abs(told[b"total.allocated"] - found["used_memory"]) < MB
        # A key and its value are 600 bytes and more.
        assert 40_000 * 600 < grown < 40_000 * 850
        client.call("FLUSHALL")
        wait_until(lambda: figures(client)["lazyfree_pending_objects"] == 0)
        wait_until(lambda: taken(client) < 6 * MB)
        client.call("MEMORY", "PURGE")
        found = figures(client)
        assert abs(found["used_memory"] - found["used_memory_rss"]) < 0.2 * found["used_memory_rss"]
        assert b"Peak memory" in client.call("MEMORY", "DOCTOR") or b"Hi Sam" in client.call("MEMORY", "DOCTOR")


def test_what_was_deleted_the_system_has_back(start: Callable[[Shardis], Shardis]) -> None:
    server = start(Shardis(shards=2, appendonly="no"))
    with server.connect(timeout_s=60) as client:
        before = resident_bytes(server)
        fill(client, "key", 100_000)
        full = resident_bytes(server)
        assert full - before > 40 * MB
        # But every hundredth, so that what is free does not end where the C library's memory does.
        for first in range(0, 100_000, 1000):
            client.call("DEL", *[f"key:{number}" for number in range(first, first + 1000) if number % 100])
        # Nobody asks for anything meanwhile.
        wait_until(lambda: resident_bytes(server) - before < 0.5 * (full - before))
        assert client.call("DBSIZE") == 1000

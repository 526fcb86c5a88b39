"""Blocked clients of a whole server: their order, their clocks, their ends.

BLOCKING_ELEMENTS in the environment says how many elements go through the queues of the stress test.
"""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from random import Random

import pytest

from common.slot import shard_of_slot, slot_of
from tests.bench.processes import roles
from tests.resp_client import NULL_ARRAY, Client, Error, Status
from tests.servers import Shardis

Start = Callable[[Shardis], Shardis]

CLIENTS = 1000
ELEMENTS = int(os.environ.get("BLOCKING_ELEMENTS", "1000"))
LATE_S = 10.0
"""How much later than its deadline a call may be answered on a machine that does much else."""


def blocked_clients(client: Client) -> int:
    """Of all shards: so all that was sent before has been seen."""
    fields = dict(line.split(b":") for line in client.call("INFO", "clients").split(b"\r\n") if b":" in line)
    return int(fields[b"blocked_clients"])


def wait_for_blocked(client: Client, count: int) -> None:
    deadline = time.monotonic() + 10
    while blocked_clients(client) != count:
        assert time.monotonic() < deadline, f"{blocked_clients(client)} clients are blocked, not {count}"
        time.sleep(0.01)


def test_a_thousand_are_served_in_their_order(client: Client, shardis: Shardis) -> None:
    clients = []
    for number in range(CLIENTS):
        waiting = shardis.connect()
        waiting.send(b"BLPOP", b"queue", b"100" if number % 2 else b"0")
        clients.append(waiting)
        client.call("PING")  # What was with the router before this is in its stream before what comes next.
    wait_for_blocked(client, CLIENTS)
    pushed = [b"%d" % number for number in range(CLIENTS + 5)]
    for start in range(0, len(pushed), 100):
        client.call("RPUSH", "queue", *pushed[start : start + 100])
    assert [waiting.read().value for waiting in clients] == [[b"queue", element] for element in pushed[:CLIENTS]]
    assert client.call("LRANGE", "queue", 0, -1) == pushed[CLIENTS:]
    assert blocked_clients(client) == 0
    for waiting in clients:
        waiting.close()


def test_a_deadline_is_kept(client: Client, shardis: Shardis) -> None:
    for timeout_s in (0.001, 0.05, 0.3):
        with shardis.connect() as waiting:
            started = time.monotonic()
            assert waiting.call("BLPOP", "missing", timeout_s) is NULL_ARRAY
            assert timeout_s <= time.monotonic() - started < timeout_s + LATE_S
    assert blocked_clients(client) == 0


def test_a_deadline_is_over_when_the_call_is_served(client: Client, shardis: Shardis) -> None:
    with shardis.connect() as waiting:
        waiting.send(b"BLPOP", b"queue", b"0.1")
        wait_for_blocked(client, 1)
        client.call("RPUSH", "queue", "x")
        assert waiting.read().value == [b"queue", b"x"]
        waiting.send(b"BLPOP", b"queue", b"0")
        time.sleep(0.15)
        assert waiting.maybe_read() is None


def test_a_client_that_closed_its_side_is_gone(client: Client, shardis: Shardis) -> None:
    with shardis.connect() as leaving:
        leaving.send(b"BLPOP", b"queue", b"0")
        leaving.send(b"SET", b"behind", b"1")
        wait_for_blocked(client, 1)
        leaving.socket.shutdown(socket.SHUT_WR)
        wait_for_blocked(client, 0)
        assert leaving.socket.recv(100) == b""
    client.call("RPUSH", "queue", "x")
    assert client.call("LRANGE", "queue", 0, -1) == [b"x"]
    assert client.call("EXISTS", "behind") == 0


def test_a_client_that_closed_its_side_before_is_answered_what_is_there(client: Client, shardis: Shardis) -> None:
    client.call("RPUSH", "queue", "x")
    with shardis.connect() as leaving:
        leaving.send_bytes(b"SET a 1\r\nBLPOP queue 0\r\nBLPOP queue 0\r\nSET behind 1\r\n")
        leaving.socket.shutdown(socket.SHUT_WR)
        assert [reply.value for reply in leaving.read_many(2)] == [Status(b"OK"), [b"queue", b"x"]]
        assert leaving.socket.recv(100) == b""
    assert client.call("EXISTS", "behind") == 0


def test_a_client_dies_with_much_behind_its_call(client: Client, shardis: Shardis) -> None:
    leaving = shardis.connect()
    leaving.send(b"BLPOP", b"queue", b"0")
    for _ in range(50):
        leaving.send(b"SET", b"behind", b"x" * 10_000)
    wait_for_blocked(client, 1)
    leaving.close()
    wait_for_blocked(client, 0)
    client.call("RPUSH", "queue", "x")
    assert client.call("LLEN", "queue") == 1 and client.call("EXISTS", "behind") == 0


def test_what_is_behind_a_call_is_read_in_the_end(client: Client, shardis: Shardis) -> None:
    """More than is read of a client that waits: nothing is lost, and nothing comes out of order."""
    with shardis.connect() as waiting:
        waiting.socket.settimeout(0.2)
        waiting.send(b"BLPOP", b"queue", b"0")
        wait_for_blocked(client, 1)
        sent = 0
        data = b"*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$1000\r\n" + b"x" * 1000 + b"\r\n"
        waiting.socket.setblocking(False)
        unsent = b""
        try:
            while sent < 20_000:
                unsent = data
                unsent = data[waiting.socket.send(data) :]
                sent += 1
                if unsent:
                    break
        except BlockingIOError:
            unsent = b""
        assert sent > 1000
        client.call("RPUSH", "queue", "x")
        waiting.send_bytes(unsent)
        assert waiting.read().value == [b"queue", b"x"]
        assert [reply.value for reply in waiting.read_many(sent)] == [1000 * (place + 1) for place in range(sent)]


def test_others_are_not_kept_waiting(client: Client, shardis: Shardis) -> None:
    with shardis.connect() as waiting:
        waiting.send_bytes(b"SET a 1\r\nBLPOP queue 0\r\nGET a\r\n")
        assert waiting.read().value == Status(b"OK")
        wait_for_blocked(client, 1)
        assert [client.call("SET", f"k{number}", number) for number in range(20)] == [Status(b"OK")] * 20
        assert waiting.maybe_read() is None
        client.call("RPUSH", "queue", "x")
        assert [reply.value for reply in waiting.read_many(2)] == [[b"queue", b"x"], b"1"]


def keys_of_all_shards(shards: int, name: str = "queue") -> list[bytes]:
    """A key of each shard."""
    keys = [b"%b%d" % (name.encode(), number) for number in range(100)]
    return [next(key for key in keys if shard_of_slot(slot_of(key), shards) == shard) for shard in range(shards)]


def test_over_shards_it_is_counted_once_and_its_deadline_is_kept(client: Client, shardis: Shardis) -> None:
    keys = keys_of_all_shards(3)
    client.call("CONFIG", "RESETSTAT")
    with shardis.connect() as waiting:
        waiting.send(b"BLPOP", *keys, b"100")
        wait_for_blocked(client, 1)
        assert b"total_blocking_keys:3\r\n" in client.call("INFO", "clients")
        client.call("RPUSH", keys[2], "x")
        assert waiting.read().value == [keys[2], b"x"]
        for timeout_s in (0.001, 0.05, 0.3):
            started = time.monotonic()
            assert waiting.call("BLPOP", *keys, timeout_s) is NULL_ARRAY
            assert timeout_s <= time.monotonic() - started < timeout_s + LATE_S
    assert b"cmdstat_blpop:calls=4," in client.call("INFO", "commandstats")
    assert b"total_blocking_keys:0\r\n" in client.call("INFO", "clients") and blocked_clients(client) == 0


def test_over_shards_many_are_served_in_their_order(client: Client, shardis: Shardis) -> None:
    keys = keys_of_all_shards(3)
    clients = []
    for number in range(100):
        waiting = shardis.connect()
        waiting.send(b"BLPOP", *(keys if number % 3 else keys[:1]), b"0")
        wait_for_blocked(client, number + 1)
        clients.append(waiting)
    client.call("RPUSH", keys[0], *range(100))
    assert [waiting.read().value for waiting in clients] == [[keys[0], b"%d" % number] for number in range(100)]
    assert client.call("EXISTS", *keys) == 0 and blocked_clients(client) == 0
    for waiting in clients:
        waiting.close()


@pytest.mark.parametrize("leaving", [False, True])
def test_over_shards_nothing_is_lost_or_doubled(client: Client, shardis: Shardis, leaving: bool) -> None:
    """Producers, movers and consumers on keys of all shards; if some are `leaving`, each may take one element along."""
    keys = keys_of_all_shards(3) + keys_of_all_shards(3, "other")
    taken: list[bytes] = []
    left = [0]
    done = threading.Event()

    def produce(seed: int) -> None:
        random = Random(seed)
        with shardis.connect() as producer:
            for number in range(ELEMENTS // 4):
                producer.call("RPUSH", random.choice(keys), b"%d:%d" % (seed, number))

    def work(seed: int) -> None:
        random = Random(seed)
        worker = shardis.connect()
        while not done.is_set():
            chosen = random.sample(keys, 3)
            if random.random() < 0.3:
                worker.call("BLMOVE", *chosen[:2], "LEFT", "RIGHT", 0.1)
            elif leaving and random.random() < 0.05:
                worker.send(b"BLPOP", *chosen, b"1")
                worker.close()
                left[0] += 1
                worker = shardis.connect()
            else:
                reply = worker.call(random.choice(["BLPOP", "BRPOP"]), *chosen, 0.1)
                taken.extend(reply[1:] if reply is not NULL_ARRAY else [])
        worker.close()

    producers = [threading.Thread(target=produce, args=(seed,)) for seed in range(4)]
    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in producers + workers:
        thread.start()
    for thread in producers:
        thread.join(100)
    deadline = time.monotonic() + 100
    while client.call("EXISTS", *keys) and time.monotonic() < deadline:
        time.sleep(0.05)
    done.set()
    for thread in workers:
        thread.join(100)
    found = taken + [element for key in keys for element in client.call("LRANGE", key, 0, -1)]
    pushed = {b"%d:%d" % (seed, number) for seed in range(4) for number in range(ELEMENTS // 4)}
    assert len(found) == len(set(found)) and set(found) <= pushed
    assert len(pushed) - len(found) <= left[0]
    wait_for_blocked(client, 0)


def test_waiting_is_not_slow(client: Client, shardis: Shardis) -> None:
    client.call("CONFIG", "SET", "slowlog-log-slower-than", 50_000)
    client.call("SLOWLOG", "RESET")
    assert client.call("BLPOP", "missing", 0.1) is NULL_ARRAY
    with shardis.connect() as waiting:
        waiting.send(b"BLPOP", b"queue", b"0")
        time.sleep(0.1)
        client.call("RPUSH", "queue", "x")
        waiting.read()
    assert client.call("SLOWLOG", "GET") == []
    client.call("CONFIG", "SET", "slowlog-log-slower-than", 10_000)


def test_a_shard_that_dies(start: Start) -> None:
    """Those that wait in it are told; what was served is in the log."""
    server = start(Shardis(shards=2, appendfsync="always"))
    with server.connect() as client, server.connect() as served, server.connect() as waiting, server.connect() as far:
        keys = [b"queue%d" % number for number in range(20)]
        here, there = (next(key for key in keys if shard_of_slot(slot_of(key), 2) == shard) for shard in (0, 1))
        for blocked in (served, waiting):
            blocked.send(b"BLPOP", here, b"0")
        far.send(b"BLPOP", there, b"0")
        wait_for_blocked(client, 3)
        client.call("RPUSH", here, "x")
        assert select.select([served.socket, waiting.socket], [], [], 10)[0]
        left = waiting if served.maybe_read() else served
        os.kill(roles(server)["shard 0"], signal.SIGKILL)
        assert left.read().value == Error(b"SHARDDOWN shard 0 went down, the outcome of this command is unknown")
        server.wait_ready()
        wait_for_blocked(client, 1)
        assert client.call("EXISTS", here) == 0
        left.send(b"BLPOP", here, b"0")
        wait_for_blocked(client, 2)
        client.call("RPUSH", here, "y")
        client.call("RPUSH", there, "z")
        assert left.read().value == [here, b"y"] and far.read().value == [there, b"z"]


def test_a_shard_that_dies_under_a_call_on_several(start: Start) -> None:
    server = start(Shardis(shards=3))
    keys = keys_of_all_shards(3)
    with server.connect() as client, server.connect() as waiting, server.connect() as far:
        waiting.send(b"BLPOP", *keys, b"0")
        far.send(b"BLPOP", keys[0], keys[2], b"0")
        wait_for_blocked(client, 2)
        os.kill(roles(server)["shard 1"], signal.SIGKILL)
        assert waiting.read().value == Error(b"SHARDDOWN shard 1 went down, the outcome of this command is unknown")
        client.call("RPUSH", keys[0], "x")
        assert far.read().value == [keys[0], b"x"]
        server.wait_ready()
        waiting.send(b"BLPOP", *keys, b"0")
        wait_for_blocked(client, 1)
        client.call("RPUSH", keys[1], "y")
        assert waiting.read().value == [keys[1], b"y"]


def test_a_stop_waits_for_nobody_that_is_blocked(start: Start) -> None:
    server = start(Shardis(shards=2))
    with server.connect() as client, server.connect() as waiting, server.connect() as over_shards:
        waiting.send(b"BLPOP", b"queue", b"0")
        over_shards.send(b"BLPOP", *keys_of_all_shards(2), b"0")
        wait_for_blocked(client, 2)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < LATE_S

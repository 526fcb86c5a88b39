"""kill -9 under load: what was answered is there, what was refused is not, and everybody else is served meanwhile.

The number of rounds is in the environment (CRASH_ROUNDS), so that the same tests run for hours.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import psutil  # type: ignore[import-untyped]
import pytest

from common.slot import shard_of_slot, slot_of
from tests.bench.processes import roles
from tests.process_ends import wait_ended
from tests.resp_client import Client, Error, Status
from tests.servers import Shardis
from tests.writers import NOT_DONE, UNKNOWN, faults, wait_for_progress, writing

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "1"))
SHARDS = 3
PROGRESS_MAX = 300
"""Answers that each writer gets before the next crash, at most."""
END_TIMEOUT_S = 30.0

Start = Callable[[Shardis], Shardis]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def restart(server: Shardis) -> None:
    """Kills all processes at once and starts the server again."""
    processes = [psutil.Process(pid) for pid in roles(server).values()]
    for process in processes:
        process.kill()
    server.stop()
    wait_ended(processes, END_TIMEOUT_S)
    server.launch()
    server.wait_ready()


@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
@pytest.mark.parametrize("victim", ["shard", "router"])
def test_one_of_its_processes(start: Start, victim: str, appendfsync: str) -> None:
    """The writers go on through the crash; afterwards the log alone must say the same."""
    server = start(Shardis(shards=SHARDS, appendfsync=appendfsync))
    random = Random(f"{victim} {appendfsync}")
    for number in range(ROUNDS):
        with server.connect() as client:
            client.call("FLUSHALL")
        with writing(server, seed=number) as writers:
            wait_for_progress(writers, random.randrange(PROGRESS_MAX))
            role = victim if victim == "router" else f"shard {random.randrange(SHARDS)}"
            kill(roles(server)[role])
            server.wait_ready()
            wait_for_progress(writers, random.randrange(1, PROGRESS_MAX))
        assert not faults(server, writers)
        restart(server)
        assert not faults(server, writers)


@pytest.mark.parametrize(
    ("everything", "appendfsync"), [(False, "everysec"), (True, "always")], ids=["supervisor", "everything"]
)
def test_all_of_it(start: Start, everything: bool, appendfsync: str) -> None:
    """Nothing is left running, and the next start finds all."""
    server = start(Shardis(shards=SHARDS, appendfsync=appendfsync))
    random = Random(f"{everything} {appendfsync}")
    for number in range(ROUNDS):
        with server.connect() as client:
            client.call("FLUSHALL")
        with writing(server, seed=number) as writers:
            wait_for_progress(writers, random.randrange(PROGRESS_MAX))
            processes = [psutil.Process(pid) for pid in roles(server).values()]
            assert len(processes) == SHARDS + 2
            if everything:
                for process in random.sample(processes, len(processes)):
                    process.kill()
            server.stop(signal.SIGKILL)
            wait_ended(processes, END_TIMEOUT_S)
            server.launch()
            server.wait_ready()
            wait_for_progress(writers, 1)
        assert not faults(server, writers)


# While one shard is down


def key_on(shard: int) -> bytes:
    return next(b"key:%d" % n for n in range(1000) if shard_of_slot(slot_of(b"key:%d" % n), SHARDS) == shard)


@contextmanager
def supervisor_asleep(server: Shardis) -> Iterator[None]:
    """What is killed inside stays dead until the end."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def wait_for_reply(client: Client, command: list[bytes], wanted: Callable[[object], bool]) -> object:
    deadline_s = time.monotonic() + END_TIMEOUT_S
    while not wanted(reply := client.call(*command)):
        assert time.monotonic() < deadline_s, f"{command}: still {reply!r}"
    return reply


def test_the_others_serve_while_a_shard_is_down(start: Start) -> None:
    server = start(Shardis(shards=SHARDS))
    ours, theirs, others = key_on(1), key_on(0), key_on(2)
    down = Error(b"SHARDDOWN shard 1 is down, it is being restarted")
    with server.connect() as client, server.connect() as second:
        assert client.call("MSET", ours, "1", theirs, "1") == Status(b"OK")
        with supervisor_asleep(server):
            kill(roles(server)["shard 1"])
            wait_for_reply(client, [b"GET", ours], lambda reply: reply == down)
            for each in (client, second):
                for command in (["GET", ours], ["SET", ours, "2"], ["EXISTS", ours], ["TTL", ours]):
                    assert each.call(*command) == down, command
                assert each.call("GET", theirs) == b"1"
                assert each.call("INCR", others) > 0
                assert each.call("PING") == Status(b"PONG")
            # What needs the dead shard is refused whole.
            for split in (["MSET", theirs, "2", ours, "2"], ["DEL", theirs, others, ours], ["MGET", theirs, ours]):
                assert client.call(*split) == down, split
            for every in (["DBSIZE"], ["FLUSHALL"], ["KEYS", "*"], ["RANDOMKEY"]):
                assert client.call(*every) == down, every
            assert client.call("MGET", theirs, others) == [b"1", b"2"]
            # In the middle of a pipeline it takes nobody else along.
            client.send_bytes(b"".join(b"GET %b\r\n" % key for key in (theirs, ours, others)))
            assert [reply.value for reply in client.read_many(3)] == [b"1", down, b"2"]
        wait_for_reply(client, [b"GET", ours], lambda reply: not isinstance(reply, Error))
        assert client.call("MGET", ours, theirs, others) == [b"1", b"1", b"2"]


def test_what_is_under_way_when_a_shard_dies(start: Start) -> None:
    """It was sent, so nobody knows: the client is told just that, for the part of a split command as well. Of that the
    other shard has the record, so the dead one does its part when it is back."""
    server = start(Shardis(shards=SHARDS))
    ours, theirs = key_on(1), key_on(0)
    with server.connect() as client, server.connect() as second:
        shard = roles(server)["shard 1"]
        os.kill(shard, signal.SIGSTOP)
        client.send("SET", ours, "2")
        client.send("GET", theirs)
        second.send("MSET", ours, "3", theirs, "3")
        with server.connect() as third:
            assert wait_for_reply(third, [b"GET", theirs], lambda reply: reply is not None) == b"3"
        kill(shard)
        unknown = Error(b"SHARDDOWN shard 1 went down, " + UNKNOWN)
        assert [reply.value for reply in client.read_many(2)] == [unknown, None]
        assert second.read().value == unknown
        reply = wait_for_reply(client, [b"GET", ours], lambda reply: not isinstance(reply, Error))
        assert reply == b"3"  # The shard was asleep: it never read the SET.


def test_a_long_load(start: Start) -> None:
    """A shard that reads its log answers LOADING, and then all of it."""
    server = start(Shardis(shards=SHARDS))
    ours = key_on(1)
    writes = 60_000
    with server.connect() as client:
        for _ in range(writes // 1000):
            client.send_bytes(b"INCR %b\r\n" % ours * 1000)
            client.read_many(1000)
        kill(roles(server)["shard 1"])
        seen = set()

        def is_there(reply: object) -> bool:
            seen.add(reply if isinstance(reply, Error) else b"")
            return not isinstance(reply, Error)

        assert wait_for_reply(client, [b"GET", ours], is_there) == b"%d" % writes
        print(f"answers meanwhile: {sorted(map(bytes, seen))}")
        assert all(reply.startswith(NOT_DONE) for reply in seen if reply)

"""A disk that fails under a whole server: every write and every sync of a shard, or those that make and name files.

What is promised: a write that could not be put on disk is answered by -MISCONF, and so is every one after it; reads go
on, and so do the other shards; it heals by itself once the disk works. Nothing that was answered is lost. What was
refused may be in memory (in the turn in which the disk failed it was done before that was known): it is shown after a
restart if and only if the log could be written before. What is at a key after it healed, the log says as well.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.audit import differences
from tests.crashes.acts import Promise
from tests.crashes.clients import wait_for_acts, working
from tests.crashes.disk import Disk
from tests.crashes.kills import kill_all
from tests.crashes.machine import CrashServer, Machine
from tests.resp_client import Client, Error, Status
from tests.servers import ServerFailed
from tests.test_crash import key_on, wait_for_reply
from tests.writers import encoded

SHARDS = 3
FAULTS = ("EIO sync", "ENOSPC write", "EIO write", "EIO write,sync,truncate")
REFUSED = b"MISCONF Errors writing to the AOF file: "
TEXTS = {"EIO": b"Input/output error", "ENOSPC": b"No space left on device"}
OK = Status(b"OK")
PIPELINE = 20
ROUNDS = 3


@pytest.fixture
def server(tmp_path: Path, appendfsync: str) -> Iterator[CrashServer]:
    server = CrashServer(Disk(tmp_path), SHARDS, appendfsync=appendfsync)
    with server:
        yield server
        kill_all(server)


def start_again(server: CrashServer) -> None:
    kill_all(server)
    server.disk.fail()
    server.launch()
    server.wait_ready()


def is_refusal(reply: object) -> bool:
    return isinstance(reply, Error) and reply.startswith(REFUSED)


@pytest.mark.parametrize("appendfsync", ["always"])
def test_what_fails_is_refused_and_heals(server: CrashServer) -> None:
    key, other = key_on(1), key_on(2)
    for number, fault in enumerate(FAULTS):
        text = b"%d" % number
        with server.connect() as client:
            assert client.call("MSET", key, text, other, text) == OK
            server.disk.fail(f"{fault} /shard-1/")
            refusal = Error(REFUSED + TEXTS[fault.partition(" ")[0]])
            commands = encoded([b"APPEND", key, b"x"]) + encoded([b"GET", other])
            client.send_bytes(commands * PIPELINE)
            replies = [reply.value for reply in client.read_many(2 * PIPELINE)]
            assert replies == [refusal, text] * PIPELINE, fault
            assert client.call("MSET", key, "y", other, "y") == refusal
            assert client.call("DEL", key, other) == refusal
            assert client.call("GET", other) == text
            assert client.call("GET", key).startswith(text)
            assert client.call("SET", other, "z") == OK
            server.disk.fail()
            # Nobody writes: the shard has to look by itself whether the disk works again.
            wait_for_reply(client, [b"MSET", key, b"healed", other, b"healed"], lambda reply: reply == OK)
        start_again(server)
        with server.connect() as client:
            assert client.call("MGET", key, other) == [b"healed"] * 2, fault


@pytest.mark.parametrize("appendfsync", ["always"])
def test_what_was_refused_is_not_shown_after_a_crash(server: CrashServer) -> None:
    """It never was in the log, or was cut off again. Where that fails, too, it may be there."""
    key, other = key_on(1), key_on(2)
    for fault in FAULTS:
        with server.connect() as client:
            assert client.call("MSET", key, "1", other, "1") == OK
            server.disk.fail(f"{fault} /shard-1/")
            assert is_refusal(client.call("SET", key, "2"))
            assert is_refusal(client.call("MSET", key, "3", other, "3"))
            assert is_refusal(client.call("SET", key, "4"))
        start_again(server)
        with server.connect() as client:
            assert client.call("GET", other) == b"1", fault
            assert client.call("GET", key) in ((b"1", b"2") if "truncate" in fault else (b"1",)), fault


@pytest.mark.parametrize("appendfsync", ["everysec"])
def test_a_sync_in_the_background_fails(server: CrashServer) -> None:
    """What was answered before anybody knew is in the log: a kill of the processes does not take it."""
    key = key_on(1)
    with server.connect() as client:
        server.disk.fail("EIO sync /shard-1/")
        done = 0
        deadline_s = time.monotonic() + 30
        while not is_refusal(reply := client.call("APPEND", key, "x")):
            assert type(reply) is int, reply
            assert time.monotonic() < deadline_s
            done = reply
        assert done
        kill_all(server)
        server.disk.fail()
        server.launch()
        server.wait_ready()
    with server.connect() as client:
        assert len(client.call("GET", key)) in (done, done + 1)


@pytest.mark.parametrize("appendfsync", ["always"])
@pytest.mark.parametrize("fault", ["EIO sync", "ENOSPC create", "EROFS rename"])
def test_a_first_start_on_a_disk_that_fails(tmp_path: Path, fault: str, appendfsync: str) -> None:
    """It says why in one line, and leaves nothing that would keep the next start from succeeding."""
    server = CrashServer(Disk(tmp_path), SHARDS, appendfsync=appendfsync)
    server.disk.fail(f"{fault} /data/")
    with pytest.raises(ServerFailed) as raised:
        server.start()
    assert "Traceback" not in str(raised.value)
    assert "shardis: " in str(raised.value)
    server.disk.fail()
    with server, server.connect() as client:
        assert client.call("SET", "k", "1") == OK
        kill_all(server)


@pytest.mark.parametrize("appendfsync", ["always"])
def test_a_later_start_on_a_disk_that_fails(server: CrashServer, appendfsync: str) -> None:
    """It does not serve what it can't keep, and loses nothing."""
    with server.connect() as client:
        assert client.call("SET", "k", "1") == OK
    kill_all(server)
    server.disk.fail("EIO sync /shard-")
    server.launch()
    with pytest.raises(ServerFailed):
        server.wait_ready()
    assert "Traceback" not in server.log()
    start_again(server)
    with server.connect() as client:
        assert client.call("GET", "k") == b"1"


@pytest.mark.parametrize("crash", ["healed", "failing"])
def test_under_load(crash: str) -> None:
    """Faults come and go while clients write everywhere; then the power is cut, on a disk that works or that fails."""
    random = Random(crash)
    with Machine(1, "always", SHARDS, power=True) as machine:
        server = machine.fresh()
        assert not machine.begin()
        clients = machine.clients(random)
        with working(clients):
            for _ in range(ROUNDS):
                wait_for_acts(clients, random.randrange(1, 50))
                server.disk.fail(f"{random.choice(FAULTS)} /shard-{random.randrange(SHARDS)}/")
                wait_for_refusal(server)
                if crash == "healed":
                    server.disk.fail()
                    wait_for_health(server)
            if crash == "failing":
                kill_all(server)
        surprises = [surprise for client in clients for surprise in client.surprises]
        assert not surprises, "\n".join(surprises)
        promise = Promise(SHARDS)
        if crash == "healed":
            assert not (faults := machine.judge(promise)), "\n".join(faults)
            before = machine.audit()
            kill_all(server)
            machine.restart(random, promise)
            assert not (found := differences(before, machine.audit())), "\n".join(found)
        else:
            server.disk.fail()
            machine.restart(random, promise)
            assert not (faults := machine.judge(promise)), "\n".join(faults)


def wait_for_refusal(server: CrashServer) -> None:
    """Until a shard has met the fault: clients may write to others for a while."""
    keys = [key_on(shard) for shard in range(SHARDS)]
    with server.connect() as client:
        wait(lambda: any(is_refusal(client.call("SET", key, "x")) for key in keys))


def wait_for_health(server: CrashServer) -> None:
    keys = [key_on(shard) for shard in range(SHARDS)]
    with server.connect() as client:
        wait(lambda: all(_succeeds(client, key) for key in keys))


def _succeeds(client: Client, key: bytes) -> bool:
    return bool(client.call("SET", key, "x") == OK)


def wait(happened: object) -> None:
    assert callable(happened)
    deadline_s = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline_s

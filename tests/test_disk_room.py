"""A disk that is full, for a whole server: a small file system of its own, which the kernel itself says is full.

To mount one needs root; where that is refused these tests say so and are skipped. tests/test_disk_full.py has what a
single shard does at the limit of a file.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.audit import Audit, audit, differences
from tests.crashes.kills import kill_all
from tests.crashes.machine import reading
from tests.resp_client import Client, Error, Status
from tests.servers import Shardis
from tests.test_crash import key_on, wait_for_reply

SHARDS = 3
SIZE_BYTES = 4 << 20
BALLAST_BYTES = 2 << 20
VALUE = b"x" * 20_000
FULL = Error(b"MISCONF Errors writing to the AOF file: No space left on device")
OK = Status(b"OK")


class RoomServer(Shardis):
    """Its log is elsewhere: whoever sees to a full disk has to read it."""

    @property
    def log_path(self) -> Path:
        return self.folder.parent.with_suffix(".log")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with SIZE_BYTES of room, of which a file "ballast" takes a part."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "shardis-test", str(tmp_path)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip(f"a file system can't be mounted here, which needs root: {mounted.stderr.strip()}")
    try:
        (tmp_path / "ballast").write_bytes(bytes(BALLAST_BYTES))
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.fixture
def server(small_disk: Path, appendfsync: str) -> Iterator[RoomServer]:
    with RoomServer(SHARDS, small_disk / "data", appendfsync=appendfsync) as server:
        yield server
        kill_all(server)


def fill(client: Client) -> dict[bytes, bytes]:
    """Writes until each shard has refused a write; what was answered."""
    answered = {}
    for shard in range(SHARDS):
        number = 0
        while True:
            reply = client.call("SET", key_of(shard, number), VALUE)
            if reply == FULL:
                break
            assert reply == OK, reply
            answered[key_of(shard, number)] = VALUE
            number += 1
    assert answered
    return answered


def key_of(shard: int, number: int) -> bytes:
    """Keys of one shard, by a hash tag."""
    return b"{%b}%d" % (key_on(shard), number)


def wrong(client: Client, wanted: dict[bytes, bytes]) -> list[bytes]:
    return [key for key, value in wanted.items() if client.call("GET", key) != value]


def all_of_it(client: Client) -> Audit:
    return audit(reading(client), dbs=1)


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
def test_full_and_healed(server: RoomServer, small_disk: Path) -> None:
    ours, theirs = key_on(0), key_on(1)
    with server.connect() as client:
        assert client.call("MSET", ours, "1", theirs, "1") == OK
        answered: dict[bytes, bytes] = {ours: b"1", theirs: b"1", **fill(client)}
        # What frees memory is a write to the log like any other.
        refused: list[list[Any]] = [["SET", ours, "2"], ["DEL", ours], ["MSET", ours, "2", theirs, "2"], ["FLUSHALL"]]
        refused += [["RENAME", ours, theirs], ["INCR", "new"], ["EXPIRE", ours, "100"], ["SWAPDB", "1", "2"]]
        for argv in refused:
            assert client.call(*argv) == FULL, argv
        client.send("MULTI")
        client.send("SET", ours, "3")
        client.send("SET", theirs, "3")
        client.send("EXEC")
        *_, last = [reply.value for reply in client.read_many(4)]
        assert isinstance(last, Error), last
        assert not wrong(client, answered)
        assert client.call("PING") == Status(b"PONG")
        (small_disk / "ballast").unlink()
        wait_for_reply(client, [b"MSET", ours, b"4", theirs, b"4"], lambda reply: reply == OK)
        answered |= {ours: b"4", theirs: b"4"}
        wait_for_reply(client, [b"SET", key_on(2), b"4"], lambda reply: reply == OK)
        before = all_of_it(client)
    kill_all(server)
    server.launch()
    server.wait_ready()
    with server.connect() as client:
        assert not wrong(client, answered)
        assert not (found := differences(before, all_of_it(client))), "\n".join(found)


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
def test_killed_while_full(server: RoomServer, small_disk: Path) -> None:
    """It starts on a full disk, shows all that was answered, and heals then."""
    with server.connect() as client:
        answered = fill(client)
    kill_all(server)
    server.launch()
    server.wait_ready()
    with server.connect() as client:
        assert not wrong(client, answered)
        (small_disk / "ballast").unlink()
        wait_for_reply(client, [b"SET", key_on(0), b"4"], lambda reply: reply == OK)
        assert not wrong(client, answered)

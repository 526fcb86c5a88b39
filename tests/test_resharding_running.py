"""A server that is started with another number of shards than its data: the same data, and every way to stop it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shard.layout import Layout
from shard.log_buffer import encode
from shard.log_files import read_layout
from tests.audit import audit, differences
from tests.crashes.kills import kill_all
from tests.log_folder import write_log
from tests.log_sets import config_of, contents, every_type, write_set
from tests.resp_client import Client, Status
from tests.servers import ROOT, START_TIMEOUT_S, Shardis
from tests.test_disk_room import BALLAST_BYTES, RoomServer, small_disk
from tests.test_shutdown import refusal

__all__ = ["small_disk"]

Start = Callable[[Shardis], Shardis]

OK = Status(b"OK")
DEBUG = {"enable_debug_command": "yes"}


class AsItIs(Shardis):
    """Started without a word of the number of shards."""

    def command(self) -> list[str]:
        argv = super().command()
        at = argv.index("--shards")
        return argv[:at] + argv[at + 2 :]


def fill(client: Client) -> None:
    for db, argv in every_type():
        client.call("SELECT", db)
        client.call(*argv)


@pytest.mark.parametrize("old, new", [(1, 3), (3, 1), (2, 7)])
def test_the_same_data(start: Start, old: int, new: int, tmp_path: Path) -> None:
    """With writes over shards before, as many as there are shards, and the log as a crash leaves it."""
    server = start(Shardis(old, tmp_path, **DEBUG))
    with server.connect() as client:
        fill(client)
        client.call("SELECT", 0)
        assert client.call("MSET", *(word for number in range(50) for word in (f"m{number}", number))) == OK
        assert client.call("RENAME", "m1", "renamed") == OK
        digest = client.call("DEBUG", "DIGEST")
        before = audit(client.call)
    kill_all(server)
    server.stop()
    server.shards = new
    server.launch()
    server.wait_ready()
    with server.connect() as client:
        assert client.call("DEBUG", "DIGEST") == digest
        assert not differences(before, audit(client.call))
        assert client.call("CONFIG", "GET", "shards") == [b"shards", b"%d" % new]
    assert re.search(rf"re-hashing notice: re-hashed .* into {new}: [\d,]+ keys in [\d.]+ s", server.log())
    assert read_layout(tmp_path) == Layout(new, True, 2)


def test_other_hash_tags_and_once_more(start: Start, tmp_path: Path) -> None:
    """Three starts, each with other settings, and writes between them."""
    server = start(Shardis(4, tmp_path, **DEBUG))
    with server.connect() as client:
        fill(client)
        before = audit(client.call)
    for shards, hash_tags in ((4, "no"), (4, "yes"), (3, "no")):
        server.stop()
        server.shards = shards
        server.options["hash-tags"] = hash_tags
        server.launch()
        server.wait_ready()
        with server.connect() as client:
            assert not differences(before, audit(client.call))
            client.call("SET", "{new}", hash_tags)
            client.call("INCR", f"of {shards}")
            before = audit(client.call)
    assert read_layout(tmp_path) == Layout(3, False, 4)


def test_what_is_not_said_is_as_the_data_has_it(start: Start, tmp_path: Path) -> None:
    """A re-hash takes its time, and is for those who ask for it."""
    write_set(tmp_path, 1, every_type(), hash_tags=False)
    server = start(AsItIs(0, tmp_path))
    with server.connect() as client:
        assert client.call("CONFIG", "GET", "shards") == [b"shards", b"1"]
        assert client.call("CONFIG", "GET", "hash-tags") == [b"hash-tags", b"no"]
    assert read_layout(tmp_path) == Layout(1, False)
    cores = len(os.sched_getaffinity(0))
    hint = f"the data is spread over 1 shard; with --shards {cores} it would be spread over all {cores} cores"
    assert (hint in server.log()) == (cores > 1)


def test_what_a_stopped_one_left_is_removed_at_the_next_start(start: Start, tmp_path: Path) -> None:
    write_set(tmp_path, 2, [(db, argv) for db, argv in every_type() if b"gone" not in argv])  # Which a server expires.
    before = contents(tmp_path)
    (tmp_path / "generation-2" / "parts").mkdir(parents=True)
    (tmp_path / "generation-2" / "parts" / "0-1").write_bytes(b"half a ke")
    (tmp_path / "temp-4711-layout.json").touch()
    server = start(Shardis(2, tmp_path))
    server.stop()
    assert not (tmp_path / "generation-2").exists() and not list(tmp_path.glob("temp-*"))
    assert contents(tmp_path) == before


def test_a_shard_that_is_started_alone_says_what_to_do(tmp_path: Path) -> None:
    write_set(tmp_path, 2, every_type())
    argv = [sys.executable, "-m", "shard", "--index", "0", "--shards", "3", "--dir", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=START_TIMEOUT_S)
    assert done.returncode == 1
    assert "re-hash it first, with the command shardis or with python -m shard.resharding" in done.stderr


def test_a_damaged_log(tmp_path: Path) -> None:
    """One line, and nothing is started or changed."""
    write_set(tmp_path, 2, every_type())
    path = tmp_path / "shard-1" / "appendonlydir" / "appendonly.aof.1.incr.aof"
    path.write_bytes(path.read_bytes()[:-4] + b"!!!!")
    damaged = path.read_bytes()
    assert refusal(tmp_path, "--shards", "3").startswith(f"{path} is damaged at byte ")
    assert path.read_bytes() == damaged
    assert json.loads((tmp_path / "layout.json").read_text())["shards"] == 2


def test_stopped_in_the_middle(start: Start, tmp_path: Path) -> None:
    """By whoever stops the server: at once, and as if it had not been begun."""
    write_set(tmp_path, 2, every_type())
    text = b"".join(encode([b"HSET", b"{b}counted", b"f%d" % (number % 1000), b"v"]) for number in range(200_000))
    write_log(tmp_path / "shard-0" / "appendonlydir", text)
    before = contents(tmp_path)
    server = Shardis(3, tmp_path)
    server.port = 1  # Which it never comes to listen on.
    server.launch()
    while not (tmp_path / "generation-2" / "parts").is_dir():
        assert server.process is not None and server.process.poll() is None, server.log()
        time.sleep(0.005)
    assert server.stop(signal.SIGTERM) == 0
    assert "the re-hash was stopped; the data is as it was" in server.log()
    assert not (tmp_path / "generation-2").exists()
    assert contents(tmp_path) == before


@pytest.mark.parametrize("appendfsync", ["everysec"])
def test_a_full_disk(small_disk: Path, appendfsync: str) -> None:
    """It says so, and all is as before; with room it succeeds."""
    data = small_disk / "data"
    values = [(0, [b"SET", b"k%d" % number, os.urandom(20_000)]) for number in range(60)]
    write_set(data, 2, values)
    before = contents(data)
    (small_disk / "ballast").write_bytes(bytes(BALLAST_BYTES))
    said = refusal(data, "--shards", "3")
    assert "there is no room to re-hash the data, which is as it was: No space left on device" in said
    assert sorted(path.name for path in data.iterdir() if path.is_dir()) == ["run", "shard-0", "shard-1"]
    assert contents(data) == before
    (small_disk / "ballast").unlink()
    with RoomServer(3, data) as server, server.connect() as client:
        assert client.call("DBSIZE") == len(values)
    assert contents(data) == before
    assert config_of(data, 3)["shards"] == 3

"""SAVE, BGSAVE, save points and SHUTDOWN: one moment of all shards in one file, and what fails leaves the old one."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from deploy.supervisor import ECHO_S
from tests.bench.processes import roles
from tests.reference import Reference
from tests.resp_client import Client, Error, Status
from tests.saves import (
    entries_of,
    everything,
    fill,
    key_of,
    persistence,
    reference_with,
    saved_in_background,
    temporary_files,
    wait_until,
)
from tests.servers import POLL_S, STOP_TIMEOUT_S, Server, Shardis

SHARDS = 3
ROUNDS = int(os.environ.get("SAVES", "4"))
OK = Status(b"OK")
MISCONF = b"MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk."
IN_PROGRESS = Error(b"ERR Background save already in progress")

Start = Callable[[Server], Server]


def test_the_reference_loads_what_is_saved(start: Start, client: Client) -> None:
    server = start(Shardis(SHARDS))
    with server.connect() as client:
        fill(client)
        assert client.call("SAVE") == OK
        expected = everything(client)
        with reference_with(server.folder / "dump.rdb") as loaded:
            assert everything(loaded) == expected


@pytest.mark.parametrize("shards", [1, SHARDS])
def test_no_keys_and_no_checksum(start: Start, shards: int) -> None:
    server = start(Shardis(shards, rdbchecksum="no", rdbcompression="no", dbfilename="my.rdb"))
    path = server.folder / "my.rdb"
    with server.connect() as client:
        assert client.call("SAVE") == OK
        assert not entries_of(path)
        client.call("SET", "k", "x" * 1000)
        saved_in_background(client)
    data = path.read_bytes()
    assert data.endswith(bytes(8)) and b"x" * 1000 in data
    with reference_with(path) as loaded:
        assert loaded.call("KEYS", "*") == [b"k"]
    assert not temporary_files(server)


class PairWriter(threading.Thread):
    """Writes to all shards at once: numbers that are equal everywhere at every moment, and a token that moves."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.keys = [key_of(shard, SHARDS, "pair") for shard in range(SHARDS)]
        self.counters = [key_of(shard, SHARDS, "exec") for shard in range(SHARDS)]
        self.tokens = [key_of(shard, SHARDS, "token") for shard in range(SHARDS)]
        self.stopping = threading.Event()
        self.written = 0

    def run(self) -> None:
        with self.server.connect() as client:
            client.call("SET", self.tokens[0], "here")
            while not self.stopping.is_set():
                number = self.written + 1
                client.call("MSET", *(word for key in self.keys for word in (key, str(number))))
                client.call("MULTI")
                for key in self.counters:
                    client.call("INCR", key)
                client.call("EXEC")
                client.call("RENAME", self.tokens[(number - 1) % SHARDS], self.tokens[number % SHARDS])
                self.written = number


def test_a_file_is_of_one_moment(start: Start) -> None:
    server = start(Shardis(SHARDS, enable_debug_command="yes"))
    writer = PairWriter(server)
    with server.connect() as client:
        client.call("DEBUG", "POPULATE", "3000")
        writer.start()
        for _ in range(ROUNDS):
            before = writer.written
            while writer.written == before:
                assert client.call("PING") == Status(b"PONG")
            assert saved_in_background(client)["rdb_last_bgsave_status"] == "ok"
            found = entries_of(server.folder / "dump.rdb")
            for keys in (writer.keys, writer.counters):
                values = {found[0, key.encode()][2] for key in keys}
                assert len(values) == 1
                assert int(values.pop()) >= before
            assert sum((0, key.encode()) in found for key in writer.tokens) == 1
            assert len(found) >= 3000 + 2 * SHARDS + 1
        writer.stopping.set()
        writer.join()


def test_what_is_sent_before_is_in_it_and_what_is_sent_behind_is_not(start: Start) -> None:
    server = start(Shardis(SHARDS))
    path = server.folder / "dump.rdb"
    keys = [key_of(shard, SHARDS, "k").encode() for shard in range(SHARDS)]
    for command in (b"SAVE", b"BGSAVE"):
        with server.connect() as client:
            client.call("FLUSHALL")
            client.send_bytes(
                b"".join(b"SET %b 1\r\n" % key for key in keys) + command + b"\r\nFLUSHALL\r\nSET late 1\r\nDBSIZE\r\n"
            )
            replies = [client.read().value for _ in range(SHARDS + 4)]
            assert replies[-1] == 1 and replies[-2] == OK
            wait_until(client, rdb_bgsave_in_progress="0")
        assert set(entries_of(path)) == {(0, key) for key in keys}


# What fails: told as the reference tells it


def failing(client: Client, server: Server) -> list[object]:
    """What a server says while it can't save, and when it can again."""
    target = server.folder / "dump.rdb"
    replies: list[object] = [client.call("SET", "k", "1"), client.call("SAVE")]
    saves = int(persistence(client)["rdb_saves"])
    target.unlink()
    target.mkdir()

    def say(*lines: str) -> None:
        replies.extend(client.call(*line.split(" ")) for line in lines)
        info = persistence(client)
        names = ("rdb_last_bgsave_status", "rdb_changes_since_last_save", "rdb_bgsave_in_progress")
        replies.extend(info[name] for name in names)
        replies.append(int(info["rdb_saves"]) - saves)

    say("SET k 2", "SAVE", "SET k 3")
    replies.append(client.call("BGSAVE"))
    wait_until(client, rdb_bgsave_in_progress="0")
    say("SET k 4", "PING")
    replies.append(client.call("CONFIG", "SET", "save", "1000 1"))
    say("SET k 5", "PING", "GET k", "DEL k", "PUBLISH channel message", "FLUSHALL", "ECHO x", "NOSUCH", "SET k")
    say("MULTI", "GET k", "EXEC", "MULTI", "SET k 6", "EXEC", "DEBUG RELOAD", "SHUTDOWN", "SHUTDOWN SAVE")
    say("CONFIG SET stop-writes-on-bgsave-error no", "SET k 7", "PING")
    with server.connect() as other:
        replies += [client.call("MULTI"), client.call("SET", "k", "8")]
        replies.append(other.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes"))
    say("EXEC", "SET k 9")
    target.rmdir()
    say("SAVE", "SET k 10", "PING", "CONFIG RESETSTAT")
    replies.append(client.call("CONFIG", "SET", "save", ""))
    return replies


def test_a_save_that_fails(start: Start) -> None:
    replies = []
    for server in (start(Reference()), start(Shardis(SHARDS, appendonly="no", enable_debug_command="yes"))):
        with server.connect() as client:
            replies.append(failing(client, server))
    expected, found = replies
    assert found == expected
    assert any(isinstance(reply, Error) and bytes(reply).startswith(MISCONF) for reply in found)


@pytest.mark.parametrize("victim", ["shard 0", "shard 1", "router"])
def test_a_process_dies_in_the_middle(start: Start, victim: str) -> None:
    """A shard that stands still keeps the save from its end."""
    server = start(Shardis(SHARDS))
    path = server.folder / "dump.rdb"
    with server.connect() as client, server.connect() as other:
        client.call("SET", "k", "1")
        assert client.call("SAVE") == OK
        before = path.read_bytes()
        client.call("SET", "k", "2")
        found = roles(server)
        halted = found[victim] if victim != "router" else found["shard 1"]
        os.kill(halted, signal.SIGSTOP)
        client.send(b"SAVE")
        while not temporary_files(server):
            time.sleep(POLL_S)
        assert other.call("BGSAVE", "SCHEDULE") == IN_PROGRESS
        assert other.call("SAVE") == IN_PROGRESS
        os.kill(found[victim], signal.SIGKILL)
        if victim == "router":
            os.kill(halted, signal.SIGCONT)
            server.wait_ready()
        else:
            assert client.read().value == Error(b"ERR")
            server.wait_ready()
        assert path.read_bytes() == before
    with server.connect() as client:
        while (reply := client.call("SAVE")) != OK:
            assert bytes(reply).startswith((b"SHARDDOWN", b"LOADING"))
        assert entries_of(path)[0, b"k"][2] == b"2"
    assert not temporary_files(server)


def test_left_overs_are_removed_by_a_start(start: Start) -> None:
    server = start(Shardis(SHARDS))
    server.stop()
    kept = server.folder / "temp-other.rdb"
    for name in ("temp-save-a.1-0.rdb", "temp-save-a.1-2.rdb", "temp-save-a.1-7.rdb", kept.name):
        (server.folder / name).write_bytes(b"x")
    server.launch()
    server.wait_ready()
    assert temporary_files(server) == [kept.name]


# Beside others


def test_a_rewrite_of_the_log_beside_it(start: Start) -> None:
    """One snapshot at a time on each shard: a save waits for a rewrite, and a rewrite for a save."""
    server = start(Shardis(SHARDS, enable_debug_command="yes"))
    with server.connect() as client:
        client.call("DEBUG", "POPULATE", "20000")
        for number in range(ROUNDS):
            client.call("SET", "k", str(number))
            client.send_bytes(b"BGREWRITEAOF\r\nBGSAVE\r\nBGSAVE SCHEDULE\r\nBGREWRITEAOF\r\nINFO persistence\r\n")
            replies = [client.read().value for _ in range(5)]
            assert b"Background append only file rewriting" in bytes(replies[0])
            wait_until(
                client,
                rdb_bgsave_in_progress="0",
                aof_rewrite_in_progress="0",
                aof_rewrite_scheduled="0",
                rdb_changes_since_last_save="0",
                rdb_last_bgsave_status="ok",
                aof_last_bgrewrite_status="ok",
            )
            assert entries_of(server.folder / "dump.rdb")[0, b"k"][2] == b"%d" % number
            client.send_bytes(b"BGREWRITEAOF\r\nSET k last\r\nSAVE\r\n")
            assert [client.read().value for _ in range(3)][1:] == [OK, OK]
            assert entries_of(server.folder / "dump.rdb")[0, b"k"][2] == b"last"
            wait_until(client, aof_rewrite_in_progress="0", aof_rewrite_scheduled="0")


def test_cancel(start: Start) -> None:
    server = start(Shardis(SHARDS, enable_debug_command="yes"))
    with server.connect() as client, server.connect() as other:
        client.call("SET", "k", "1")
        halted = roles(server)["shard 2"]
        os.kill(halted, signal.SIGSTOP)
        client.send(b"BGSAVE")
        while not temporary_files(server):
            time.sleep(POLL_S)
        assert other.call("BGSAVE") == IN_PROGRESS
        assert other.call("BGSAVE", "CANCEL") == Status(b"Background saving cancelled")
        assert other.call("BGSAVE", "CANCEL") == Error(
            b"ERR Background saving is currently not in progress or scheduled"
        )
        os.kill(halted, signal.SIGCONT)
        assert client.read().value == Status(b"Background saving started")
        info = persistence(client)
        assert (info["rdb_bgsave_in_progress"], info["rdb_last_bgsave_status"]) == ("0", "ok")
        assert not (server.folder / "dump.rdb").exists()
        assert client.call("SAVE") == OK
    assert not temporary_files(server)


# Save points, and the end


def test_save_points(start: Start) -> None:
    server = start(Shardis(SHARDS, save="1 2", appendonly="no"))
    with server.connect() as client:
        client.call("MSET", "a", "1", "b", "2", "c", "3")
        wait_until(client, rdb_saves="1", rdb_changes_since_last_save="0")
        assert len(entries_of(server.folder / "dump.rdb")) == 3
        client.call("CONFIG", "SET", "save", "")
        client.call("MSET", "a", "1", "b", "2", "c", "3", "d", "4")
        client.call("CONFIG", "SET", "save", "10000 1 1 4")
        wait_until(client, rdb_saves="2", rdb_changes_since_last_save="0")


def ended(server: Server) -> int:
    assert server.process is not None
    status = server.process.wait(STOP_TIMEOUT_S)
    server.stop()
    return status


@pytest.mark.parametrize(
    ("how", "save", "saved"),
    [
        ("SHUTDOWN", "1000 1", True),
        ("SHUTDOWN NOSAVE", "1000 1", False),
        ("SHUTDOWN SAVE", "", True),
        ("SIGTERM", "", False),
        ("SIGTERM", "1000 1", True),
    ],
)
def test_the_last_file(start: Start, how: str, save: str, saved: bool) -> None:
    server = start(Shardis(SHARDS, save=save, appendonly="no"))
    with server.connect() as client:
        client.call("MSET", "a", "1", "b", "2", "c", "3")
        if how.startswith("SIG"):
            os.kill(server.pid, signal.Signals[how])
        else:
            client.send(*how.encode().split())
        assert ended(server) == 0
    assert (server.folder / "dump.rdb").exists() is saved
    server.launch()
    server.wait_ready()
    with server.connect() as client:
        assert client.call("MGET", "a", "b", "c") == ([b"1", b"2", b"3"] if saved else [None] * 3)


def test_a_stop_that_cannot_save_is_none(start: Start) -> None:
    server = start(Shardis(SHARDS, save="1000 1", appendonly="no"))
    target = server.folder / "dump.rdb"
    target.mkdir()
    with server.connect() as client:
        client.call("SET", "k", "1")
        os.kill(server.pid, signal.SIGTERM)
        while "going on" not in server.log():
            assert client.call("PING") == Status(b"PONG")
        for shard in range(SHARDS):  # They are looked after as before.
            os.kill(roles(server)[f"shard {shard}"], signal.SIGKILL)
        server.wait_ready()
        assert client.call("SET", "k", "2") == OK
        client.send(b"SHUTDOWN", b"FORCE")
        assert ended(server) == 0


def test_a_second_signal_does_not_wait_for_the_file(start: Start) -> None:
    server = start(Shardis(SHARDS, save="1000 1", appendonly="no"))
    with server.connect() as client:
        client.call("SET", "k", "1")
        halted = roles(server)["shard 1"]
        os.kill(halted, signal.SIGSTOP)
        os.kill(server.pid, signal.SIGTERM)
        while "saves a file" not in server.log():
            time.sleep(POLL_S)
        time.sleep(ECHO_S)  # So long a signal counts as the echo of the one before.
        os.kill(server.pid, signal.SIGTERM)
        while "stopping all at once" not in server.log():
            time.sleep(POLL_S)
        os.kill(halted, signal.SIGCONT)
        ended(server)
    assert not (server.folder / "dump.rdb").exists()

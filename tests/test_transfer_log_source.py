"""`shardis import` of logs: folders with a manifest, single files with and without an RDB at their beginning."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shard.log_reader import LogReader
from tests.reference import Reference
from tests.resp_client import Client, encode_command
from tests.servers import Shardis
from tests.transfers import ask, assert_same, digest, fill, run, url
from transfer.batches import BATCH_KEYS
from transfer.log_source import LogSource
from transfer.progress import Progress

GROUPS = 150
COUNTED = 3000


def write(client: Client) -> None:
    """Commands that may be done once only, and groups, in several dbs."""
    for number in range(COUNTED):
        client.send("INCR", f"count:{number % 7}")
    client.read_many(COUNTED)
    for number in range(GROUPS):
        ask(client, "MULTI")
        ask(client, "RPUSH", "queue", number)
        ask(client, "SELECT", number % 3)
        ask(client, "INCRBY", "sum", number)
        ask(client, "SELECT", 0)
        ask(client, "EXEC")
    ask(client, "SWAPDB", 0, 1)
    ask(client, "SET", "after the swap", 1)
    ask(client, "SWAPDB", 1, 0)
    ask(client, "SPOP", "set:5")


def rewrite(client: Client) -> None:
    ask(client, "BGREWRITEAOF")
    while b"aof_rewrite_in_progress:1" in client.call("INFO", "persistence"):
        pass


@pytest.fixture(scope="module", params=["yes", "no"])
def source(request: pytest.FixtureRequest) -> Iterator[Reference]:
    """With a base that is an RDB, and one that is none."""
    preamble = str(request.param)
    with Reference(appendonly="yes", aof_use_rdb_preamble=preamble, appendfsync="always") as server:
        with server.connect() as client:
            fill(client)
            rewrite(client)
            write(client)
        yield server


def parts(server: Reference) -> list[Path]:
    """Base and increment."""
    folder = server.folder / "appendonlydir"
    return [next(folder.glob(f"*{kind}*")) for kind in (".base.", ".incr.")]


def old_log(path: Path, server: Reference) -> Path:
    """As a Redis before 7 writes one."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts(server)))
    return path


@pytest.mark.parametrize("named", ["folder above", "folder", "manifest", "single file"])
def test_all_that_a_log_has(source: Reference, target: Shardis, there: Client, tmp_path: Path, named: str) -> None:
    folder = source.folder / "appendonlydir"
    path = {
        "folder above": source.folder,
        "folder": folder,
        "manifest": folder / "appendonly.aof.manifest",
        "single file": old_log(tmp_path / "appendonly.aof", source),
    }[named]
    done = run("import", path, "--to", url(target))
    assert (done.status, done.err) == (0, "")
    assert "commands of the log done; keys there: db 0: " in done.out
    with source.connect() as client:
        assert_same(there, client)
    assert ask(there, "KEYS", "shardis-import*") == []
    assert not [*folder.parent.glob("*import-state"), *tmp_path.glob("*import-state"), *folder.glob("*import-state")]


def test_a_cut_tail_is_left_out_and_said(source: Reference, target: Shardis, there: Client, tmp_path: Path) -> None:
    path = old_log(tmp_path / "appendonly.aof", source)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"*1\r\n$5\r\nMULTI\r\n" + encode_command(["DEL", "sum"]))
    done = run("import", path, "--to", url(target))
    assert done.status == 0, done
    assert f"its last 37 bytes, from {size} on, are an unfinished command or group and are left out" in done.err
    with source.connect() as client:
        assert digest(there) == digest(client)


def test_damage_is_refused_before_anything_is_sent(
    source: Reference, target: Shardis, there: Client, tmp_path: Path
) -> None:
    path = old_log(tmp_path / "appendonly.aof", source)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"*3\r\n$6\r\nINCRBY")
    data[place] = ord("+")
    path.write_bytes(data)
    done = run("import", path, "--to", url(target))
    assert done.status == 1
    assert f"{path} is damaged at byte {place}" in done.err
    assert ask(there, "DBSIZE") == 0


def test_a_log_wants_an_empty_server_and_all_of_its_dbs(source: Reference, target: Shardis, there: Client) -> None:
    for option in (["--replace"], ["--db", "1"]):
        done = run("import", source.folder, "--to", url(target), *option)
        assert (done.status, option[0] in done.err) == (2, True)
    ask(there, "SET", "mine", 1)
    assert "has 1 keys" in run("import", source.folder, "--to", url(target)).err
    assert run("import", source.folder, "--to", url(target), "--flush").status == 0
    assert ask(there, "EXISTS", "mine") == 0


def test_a_command_that_the_target_refuses_ends_it_with_its_name(
    target: Shardis, there: Client, tmp_path: Path
) -> None:
    path = tmp_path / "appendonly.aof"
    path.write_bytes(encode_command(["SET", "k", 1]) + encode_command(["NEVERHEARD", "k"]))
    done = run("import", path, "--to", url(target))
    assert done.status == 1
    assert "refuses a command of the log, NEVERHEARD 'k': unknown command" in done.err
    assert ask(there, "DBSIZE") == 0  # It was one transaction.
    path.write_bytes(encode_command(["SET", "k", 1]) + encode_command(["LPUSH", "k", 1]))
    done = run("import", path, "--to", url(target), "--flush")
    assert done.status == 1
    assert "refuses a command of the log, LPUSH 'k'" in done.err


def test_what_is_no_data_is_left_out(target: Shardis, there: Client, tmp_path: Path) -> None:
    path = tmp_path / "appendonly.aof"
    words = [["ECHO", "a record"], ["PING", "room"], ["FUNCTION", "LOAD", "#!lua"], ["SCRIPT", "LOAD", "return 1"]]
    words.append(["SET", "k", "1"])
    path.write_bytes(b"#TS:1700000000\r\n" + b"".join(map(encode_command, words)))
    done = run("import", path, "--to", url(target))
    assert done.status == 0, done
    assert done.out.startswith("1 commands of the log done")
    assert "2 commands about functions and scripts are left out" in done.err
    assert ask(there, "GET", "k") == b"1"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "has no manifest of a log"),
        (lambda folder: (folder / "appendonly.aof.manifest").write_text(""), "Found an empty AOF manifest"),
        (lambda folder: (folder / "a.manifest").write_text("file a.1.incr.aof seq 1 type i\n"), "No such file"),
        (lambda folder: [(folder / f"{name}.manifest").write_text("#") for name in "ab"], "name the manifest of one"),
    ],
)
def test_folders_that_have_no_log(tmp_path: Path, target: Shardis, make: object, says: str) -> None:
    make(tmp_path)  # type: ignore[operator]
    done = run("import", tmp_path, "--to", url(target))
    assert done.status == 1
    assert says in done.err
    assert done.err.count("\n") == 1


def test_it_goes_on_between_any_two_batches_and_cuts_no_group(source: Reference) -> None:
    log = LogSource(source.folder)
    log.check(Progress())
    whole = list(log.batches([]))
    assert len(whole) > 20
    for number in range(0, len(whole), 7):
        rest = [command for batch in log.batches(whole[number].position) for command in batch.commands]
        assert rest == [command for batch in whole[number + 1 :] for command in batch.commands]
    increment = parts(source)[1].read_bytes()
    reader = LogReader()
    reader.feed(increment)
    for batch in whole:
        if batch.commands and batch.position[0] == len(log.parts) - 1:
            part = LogReader()
            part.feed(increment[: batch.position[1]])
            assert part.whole_bytes == batch.position[1]
            assert len(batch.commands) < BATCH_KEYS + 4


def test_a_group_larger_than_a_batch_is_one(tmp_path: Path) -> None:
    path = tmp_path / "appendonly.aof"
    group = [["RPUSH", "l", number] for number in range(3 * BATCH_KEYS)]
    words = [["SELECT", 2], ["MULTI"], *group, ["SELECT", 1], ["EXEC"], ["SET", "k", 1]]
    path.write_bytes(b"".join(map(encode_command, words)))
    log = LogSource(path)
    log.check(Progress())
    first, second = log.batches([])
    assert len(first.commands) == 3 * BATCH_KEYS + 2
    assert (first.db, second.db) == (0, 1)
    assert second.commands == [[b"SET", b"k", b"1"]]
    assert second.position == [0, os.path.getsize(path), 1]

"""`shardis check`: what it says of data that are whole, torn, damaged or in use, and what `--fix` does."""

import fcntl
import json
import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from common import record
from deploy.__main__ import LOCK as LOCK_OF_THE_SERVER
from shard.first_logs import MARK
from tests.log_folder import contents, write_log
from tests.reference import Reference
from tests.resp_client import encode_command
from tests.servers import ROOT, Server, Shardis
from tests.transfers import ask, command, fill, run
from transfer.inspection import LOCK

SET = encode_command(["SET", "k", "v"])
GROUP = b"".join(map(encode_command, [["MULTI"], ["SET", "a", "1"], ["SET", "b", "1"], ["EXEC"]]))
UNFINISHED = encode_command(["SET", "k", "w"])[:-4]

Start = Callable[[Server], Server]


def make_folder(folder: Path, *logs: list[bytes], base: bytes | None = None) -> list[list[Path]]:
    """A data folder of a shard for each of `logs`, which are the increments of its log; their paths."""
    (folder / "layout.json").write_text(json.dumps({"version": 1, "shards": len(logs), "hash-tags": "yes"}))
    return [write_log(folder / f"shard-{index}" / "appendonlydir", *log, base=base) for index, log in enumerate(logs)]


def cells(out: str, shard: int) -> list[list[str]]:
    """The lines about a shard, in words."""
    return [words for line in out.splitlines() if (words := line.split())[:1] == [str(shard)]]


def test_what_a_server_leaves(start: Start, tmp_path: Path) -> None:
    server = start(Shardis(shards=2, folder=tmp_path))
    with server.connect() as client:
        fill(client)
        ask(client, "MULTI")
        ask(client, "SET", "{x}1", "v")
        ask(client, "SET", "{x}2", "v")
        ask(client, "EXEC")
    done = run("check", tmp_path)
    assert (done.status, done.err) == (2, f"shardis check: {in_use(tmp_path)}\n")
    server.stop()
    done = run("check", tmp_path)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"{tmp_path}: shards 2, hash-tags yes, generation 1\nshard  file")
    assert done.out.endswith("The data are whole.\n")
    rows = [cells(done.out, shard)[0] for shard in (0, 1)]
    assert all(row[1:3] == ["appendonlydir/appendonly.aof.1.incr.aof", "increment"] for row in rows)
    sizes = [(tmp_path / f"shard-{shard}" / row[1]).stat().st_size for shard, row in enumerate(rows)]
    assert [row[3] for row in rows] == [f"{size:,}" for size in sizes]


def in_use(folder: Path) -> str:
    return f"a server runs on these data ({folder / LOCK} is locked): stop it first"


def test_the_lock_is_the_servers() -> None:
    assert LOCK == LOCK_OF_THE_SERVER


def test_a_shard_without_a_supervisor_is_seen(tmp_path: Path) -> None:
    """Under systemd nobody holds the lock of the folder, but each shard holds that of its log."""
    ((path,),) = make_folder(tmp_path, [SET])
    holder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        done = run("check", tmp_path)
    finally:
        os.close(holder)
    assert (done.status, f"({path.parent} is locked)" in done.err) == (2, True)


def test_commands_groups_and_records_are_counted(tmp_path: Path) -> None:
    echo = encode_command(["ECHO", record.whole(7, 1, {0: [], 1: []})])
    whole = encode_command(["MULTI"]) + echo + SET + encode_command(["EXEC"])
    make_folder(tmp_path, [SET, SET + GROUP + whole], [whole])
    done = run("check", tmp_path)
    assert done.status == 0, done
    assert [row[4:] for row in cells(done.out, 0)] == [["1", "0", "0", "whole"], ["4", "2", "1", "whole"]]
    assert [row[4:] for row in cells(done.out, 1)] == [["1", "1", "1", "whole"]]


def test_a_write_over_shards_that_one_lacks_is_said(tmp_path: Path) -> None:
    """It is no damage: the next start does it again."""
    both = {0: [], 1: []}
    wholes = [encode_command(["ECHO", record.whole(id_, 1, both)]) for id_ in (5, 6, 7, 8)]
    settled = encode_command(["ECHO", record.settled(5)])
    make_folder(tmp_path, wholes + [settled], [wholes[1] + encode_command(["ECHO", record.done(7)])])
    done = run("check", tmp_path)
    assert done.status == 0
    assert "shard 1: lacks its part of write 8 over several shards; shard 0 has a record of it" in done.out
    assert "1 parts of writes over several shards are done at the next start" in done.out


def test_a_torn_tail_and_its_end(tmp_path: Path) -> None:
    tail = encode_command(["MULTI"]) + SET + UNFINISHED
    (_, last), (other,) = make_folder(tmp_path, [SET, SET + tail], [GROUP])
    before = last.read_bytes()
    done = run("check", tmp_path)
    assert done.status == 1
    assert f"{last}: torn tail at byte {len(SET)}: its last {len(tail)} bytes are an unfinished command" in done.out
    assert done.out.endswith("A torn tail in shard 0: a start cuts it off and goes on, nothing else is lost.\n")
    assert last.read_bytes() == before

    done = run("check", tmp_path, "--fix")
    assert done.status == 0
    kept = last.with_name(f"{last.name}.cut-at-{len(SET)}")
    assert f"{last}: cut from {len(before)} to {len(SET)} bytes; the rest is {kept}\n" in done.out
    assert (last.read_bytes(), kept.read_bytes(), other.read_bytes()) == (SET, tail, GROUP)
    done = run("check", tmp_path)
    assert (done.status, f"shard 0: no part of the log: {kept.name}" in done.out) == (0, True)
    assert contents(last.parent) == [(0, [b"SET", b"k", b"v"])] * 2


def test_a_tail_of_zeros(tmp_path: Path) -> None:
    ((path,),) = make_folder(tmp_path, [SET + bytes(1000)])
    assert run("check", tmp_path).status == 1
    assert run("check", tmp_path, "--fix").status == 0
    assert path.read_bytes() == SET


def test_what_was_cut_before_is_not_overwritten(tmp_path: Path) -> None:
    ((path,),) = make_folder(tmp_path, [SET + UNFINISHED])
    kept = path.with_name(f"{path.name}.cut-at-{len(SET)}")
    kept.write_bytes(b"mine")
    done = run("check", tmp_path, "--fix")
    assert (done.status, "File exists" in done.err) == (2, True)
    assert (kept.read_bytes(), path.read_bytes()) == (b"mine", SET + UNFINISHED)


@pytest.mark.parametrize("fix", [False, True])
def test_damage_is_named_and_never_touched(tmp_path: Path, fix: bool) -> None:
    (first, last), (other,) = make_folder(tmp_path, [SET + UNFINISHED, SET], [SET + b"+" + SET + UNFINISHED])
    before = [path.read_bytes() for path in (first, last, other)]
    done = run("check", tmp_path, *["--fix"] * fix)
    assert done.status == 2
    assert f"{first}: damaged at byte {len(SET)}: its last" in done.out
    assert (
        f"and it is not the last file. Bring it back from a backup; cutting it there (truncate -s {len(SET)})"
        in done.out
    )
    assert f"would lose what follows: {len(UNFINISHED)} bytes, and {last.name}." in done.out
    assert f"{other}: damaged at byte {len(SET)}: a command should follow" in done.out
    assert done.out.endswith("Damage in shards 0, 1: a start is refused.\n")
    assert [path.read_bytes() for path in (first, last, other)] == before


def test_a_base_that_is_an_rdb(tmp_path: Path, start: Start) -> None:
    server = start(Reference())
    with server.connect() as client:
        fill(client)
        keys = ask(client, "DBSIZE")
        ask(client, "SELECT", 2)
        keys += ask(client, "DBSIZE")  # type: ignore[operator]
        ask(client, "SAVE")
    data = (server.folder / "dump.rdb").read_bytes()
    make_folder(tmp_path, [SET], base=data)
    done = run("check", tmp_path)
    assert done.status == 0, done
    assert cells(done.out, 0)[0][2:] == ["base,", "RDB", f"{len(data):,}", str(keys), "whole"]

    base = tmp_path / "shard-0" / "appendonlydir" / "appendonly.aof.1.base.aof"
    base.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    done = run("check", tmp_path, "--fix")
    assert done.status == 2
    assert f"{base}: damaged at byte" in done.out
    assert "its checksum is another. An RDB is whole or nothing: bring it back from a backup." in done.out


def test_files_and_manifests_that_are_missing(tmp_path: Path) -> None:
    (_, second), (only,), (torn,) = make_folder(tmp_path, [SET, SET], [SET], [SET])
    second.unlink()
    (only.parent / "appendonly.aof.manifest").unlink()
    (torn.parent / "appendonly.aof.manifest").write_text("file a seq 1 type x\n")
    done = run("check", tmp_path)
    assert done.status == 2
    assert f"{second}: damaged at byte 0: the manifest names it, but there is none. Bring it back" in done.out
    assert "there is appendonlydir/appendonly.aof.1.incr.aof, but no manifest" in done.out
    assert "'file a seq 1 type x': Unknown AOF file type" in done.out


def test_a_shard_that_has_not_written_yet(tmp_path: Path) -> None:
    make_folder(tmp_path, [SET], [SET])
    shutil.rmtree(tmp_path / "shard-1")
    done = run("check", tmp_path)
    assert (done.status, "no log: this shard has never written one" in done.out) == (0, True)


def test_logs_that_do_not_count_yet(tmp_path: Path) -> None:
    """They are being made of an RDB file."""
    make_folder(tmp_path, [SET], [SET])
    (tmp_path / MARK).touch()
    done = run("check", tmp_path)
    assert (done.status, done.err) == (0, "")
    assert f"{tmp_path / MARK}: a start with an RDB file was stopped" in done.out
    assert done.out.endswith("The logs are whole, and do not count.\n")


def test_a_later_generation(tmp_path: Path) -> None:
    make_folder(tmp_path, [SET + b"+"])
    layout = {"version": 2, "shards": 1, "hash-tags": "yes", "generation": 2}
    (tmp_path / "layout.json").write_text(json.dumps(layout))
    write_log(tmp_path / "generation-2" / "shard-0" / "appendonlydir", SET)
    done = run("check", tmp_path)
    assert (done.status, "generation 2" in done.out) == (0, True)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder.rmdir(), "is no folder"),
        (lambda folder: None, "has no layout.json"),
        (lambda folder: (folder / "layout.json").write_text("{"), "layout.json is damaged at byte 0: no JSON"),
    ],
)
def test_folders_that_are_none(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder)
    done = run("check", folder)
    assert (done.status, says in done.err, done.err.count("\n")) == (2, True, 1)


def test_the_command_as_it_is_called(tmp_path: Path) -> None:
    """In the current folder, with a table on a terminal."""
    make_folder(tmp_path, [SET + GROUP + UNFINISHED])
    controlling, terminal = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "160", "TERM": "xterm"}
    with subprocess.Popen(command("check"), cwd=tmp_path, env=environment, stdout=terminal) as process:
        os.close(terminal)
        text = b""
        while data := read(controlling):
            text += data
    os.close(controlling)
    assert process.returncode == 1
    assert "torn tail" in text.decode()
    assert "shards 1, hash-tags yes" in text.decode()


def read(fd: int) -> bytes:
    """What a terminal shows next; nothing when the last process has closed it."""
    try:
        return os.read(fd, 1 << 16)
    except OSError:
        return b""


@pytest.mark.parametrize("name", ["import", "export", "check"])
def test_each_command_explains_itself(name: str) -> None:
    found = subprocess.run(
        command(name, "--help"), cwd="/", env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert found.returncode == 0
    assert found.stdout.startswith(f"usage: shardis {name} ")
    assert f"\n  shardis {name} " in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 120
    for argv in ([name, "--never"], [name, "a", "b", "c"]):
        done = run(*argv)
        assert (done.status, done.err.count("\n")) == (2, 1)


def test_other_words() -> None:
    assert run().status == 2
    assert run("imports").status == 2

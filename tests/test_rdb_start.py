"""A start from an RDB file: whose keys are there, when the log counts, and what is refused."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.config import Config
from shard import first_logs, rdb_start
from shard.first_logs import FileReplaced, FirstLogs
from shard.log_reading import read_manifest
from shard.server import Shard
from tests.bench.processes import roles
from tests.rdb_files import written
from tests.reference import Reference
from tests.resp_client import Error
from tests.saves import entries_of, everything, fill, persistence, temporary_files, wait_until
from tests.servers import POLL_S, STOP_TIMEOUT_S, Server, Shardis, free_port
from tests.test_crash import restart

SHARDS = 3

Start = Callable[[Server], Server]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[object, object]]:
    """A file of the reference, and what is in it."""
    folder = tmp_path_factory.mktemp("saved")
    with Reference(folder) as server, server.connect() as client:
        fill(client)
        client.call("SAVE")
        return folder / "dump.rdb", everything(client)


def with_file(path: Path, folder: Path, shards: int = SHARDS, **options: str) -> Shardis:
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / options.get("dbfilename", "dump.rdb"))
    return Shardis(shards, folder, **options)


@pytest.mark.parametrize("shards", [1, SHARDS])
def test_without_a_log(start: Start, saved: tuple[Path, dict[object, object]], tmp_path: Path, shards: int) -> None:
    path, expected = saved
    server = start(with_file(path, tmp_path / "data", shards, appendonly="no", dbfilename="its.rdb"))
    with server.connect() as client:
        assert everything(client) == expected
        info = persistence(client)
        assert info["rdb_changes_since_last_save"] == "0"
        assert (info["rdb_last_load_keys_loaded"], info["rdb_last_load_keys_expired"]) == (str(len(expected)), "0")
        client.call("SET", "later", "1")
        client.send("SHUTDOWN", "SAVE")
        assert server.process is not None and server.process.wait(STOP_TIMEOUT_S) == 0
    server.stop()
    assert len(entries_of(tmp_path / "data" / "its.rdb")) == len(expected) + 1
    assert not list((tmp_path / "data").glob("shard-*"))


def test_the_first_start_with_a_log(start: Start, saved: tuple[Path, dict[object, object]], tmp_path: Path) -> None:
    """The file's keys are the first base: nothing of it is looked at any more."""
    path, expected = saved
    server = start(with_file(path, tmp_path / "data"))
    assert isinstance(server, Shardis)
    with server.connect() as client:
        assert everything(client) == expected
        client.call("SET", "later", "1")
        client.call("DEL", "string1")
        changed = everything(client)
    for _ in range(2):
        restart(server)
        with server.connect() as client:
            assert everything(client) == changed
        (server.folder / "dump.rdb").unlink(missing_ok=True)
    with server.connect() as client:
        client.call("FLUSHALL")
    shutil.copy(path, server.folder)
    restart(server)
    with server.connect() as client:
        assert client.call("DBSIZE") == 0


def test_a_base_of_commands(start: Start, saved: tuple[Path, dict[object, object]], tmp_path: Path) -> None:
    path, expected = saved
    server = start(with_file(path, tmp_path / "data", aof_use_rdb_preamble="no"))
    assert isinstance(server, Shardis)
    assert len(list(server.folder.glob("shard-*/*/*.base.aof"))) == SHARDS
    restart(server)
    with server.connect() as client:
        assert client.call("DBSIZE") == sum(1 for db, _ in expected if db == 0)  # type: ignore[misc]


@pytest.mark.parametrize("finished", [False, True])
def test_one_shard_has_no_log(
    start: Start, saved: tuple[Path, dict[object, object]], tmp_path: Path, finished: bool
) -> None:
    """A first start that was stopped before the logs counted is done anew, by all; else the file is too old."""
    path, expected = saved
    server = start(with_file(path, tmp_path / "data", enable_debug_command="yes"))
    with server.connect() as client:
        client.call("FLUSHALL")
        client.call("DEBUG", "POPULATE", "100")
    server.stop()
    shutil.rmtree(server.folder / "shard-1")
    mark = server.folder / first_logs.MARK
    if not finished:
        mark.touch()
    server.launch()
    server.wait_ready()
    with server.connect() as client:
        if finished:
            assert 0 < client.call("DBSIZE") < 100
            assert "other shards have logs, and this one has none" in server.log()
        else:
            assert everything(client) == expected
    assert not mark.exists()


def first_logs_of(folder: Path, shards: int = 2) -> list[FirstLogs]:
    config = {"dir": str(folder), "appendfilename": "log", "appenddirname": "logs", "shards": shards}
    return [FirstLogs(config, index) for index in range(shards)]


def test_logs_count_when_all_are_begun_with_one_file(tmp_path: Path) -> None:
    """A shard that starts again does not count meanwhile, nor does one that has read a file which is gone."""
    file = tmp_path / "dump.rdb"
    file.write_bytes(b"one")
    zero, one = first_logs_of(tmp_path)
    assert zero.begin(file) and not zero.finish() and not zero.finish()
    assert zero.begin(file) and one.begin(file) and not one.finish()
    assert zero.finish() and one.finish() and zero.finish()
    assert not first_logs.are_unfinished(tmp_path)
    assert zero.begin(file) and not zero.finish()
    other = tmp_path / "other"
    other.write_bytes(b"two")
    other.replace(file)
    assert one.begin(file) and not one.finish()
    with pytest.raises(FileReplaced):
        zero.finish()
    assert first_logs_of(tmp_path)[0].begin(file) and not one.finish()
    assert first_logs.are_unfinished(tmp_path)


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"file": 1}', b'{"file": [], "begun": [1]}'])
def test_a_mark_that_can_t_be_read_says_nothing(tmp_path: Path, damaged: bytes) -> None:
    file = tmp_path / "dump.rdb"
    file.write_bytes(b"one")
    zero, one = first_logs_of(tmp_path)
    assert one.begin(file) and not one.finish()
    (tmp_path / first_logs.MARK).write_bytes(first_logs.TEXT + damaged)
    assert zero.begin(file) and not zero.finish()
    assert one.begin(file) and one.finish()


def test_a_stop_in_the_middle_and_then_no_log(
    start: Start, saved: tuple[Path, dict[object, object]], tmp_path: Path
) -> None:
    """What was begun does not count later either."""
    path, expected = saved
    server = start(with_file(path, tmp_path / "data"))
    server.stop()
    (server.folder / first_logs.MARK).touch()
    server.options["appendonly"] = "no"
    server.launch()
    server.wait_ready()
    with server.connect() as client:
        assert everything(client) == expected
        assert not (server.folder / first_logs.MARK).exists()
        client.call("SET", "later", "1")
        client.call("CONFIG", "SET", "appendonly", "yes")
        client.call("DEL", "later")
        wait_until(client, aof_rewrite_in_progress="0", aof_rewrite_scheduled="0")
    server.stop()
    (server.folder / "dump.rdb").unlink()
    del server.options["appendonly"]
    server.launch()
    server.wait_ready()
    with server.connect() as client:
        assert everything(client) == expected


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_a_stop_in_the_middle_and_then_another_number_of_shards(
    start: Start, saved: tuple[Path, dict[object, object]], tmp_path: Path, shards: int
) -> None:
    path, expected = saved
    server = start(with_file(path, tmp_path / "data"))
    assert isinstance(server, Shardis)
    server.stop()
    shutil.rmtree(server.folder / "shard-0")
    (server.folder / first_logs.MARK).touch()
    server.shards = shards
    for _ in range(2):
        server.launch()
        server.wait_ready()
        with server.connect() as client:
            assert everything(client) == expected
        server.stop()
        (server.folder / "dump.rdb").unlink(missing_ok=True)


def test_at_every_step_the_log_is_whole_or_none(saved: tuple[Path, dict[object, object]], tmp_path: Path) -> None:
    """What is in the folder between any two steps, and in the end."""
    path, expected = saved
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(path, folder / "dump.rdb")
    log = folder / "shard-0" / "appendonlydir"
    arguments = ["--dir", str(folder), "--rundir", str(tmp_path), "--shards", "1", "--index", "0"]

    async def main() -> int:
        shard = Shard(Config.from_arguments(arguments), 0)
        steps = 0
        assert rdb_start.is_due(shard)
        for _ in rdb_start.load(shard):
            steps += 1
            assert first_logs.are_unfinished(folder)
            assert not read_manifest(log, "appendonly.aof").files
        assert [file.name for file in read_manifest(log, "appendonly.aof").files] == [
            "appendonly.aof.1.base.rdb",
            "appendonly.aof.1.incr.aof",
        ]
        assert not rdb_start.is_due(shard)
        shard.aof.close()
        return steps

    assert asyncio.run(main()) > 1
    assert len(entries_of(log / "appendonly.aof.1.base.rdb")) == len(expected)
    assert (log / "appendonly.aof.1.incr.aof").stat().st_size == 0
    assert not list(log.glob("temp-*"))


def test_killed_while_it_loads(start: Start, tmp_path: Path) -> None:
    """Again and again, at any moment of the first start; in the end all is there."""
    keys = 20_000
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "dump.rdb").write_bytes(written([(0, b"k%d" % number, b"v" * 100, -1) for number in range(keys)]))
    (folder / "temp-1-1-unfinished-logs").write_text("of one that was killed while it wrote it")
    server = Shardis(SHARDS, folder)
    for wanted in ("there is no log yet", "is loading", "is loaded"):
        server.port = free_port()
        size_bytes = server.log_size_bytes()
        server.launch()
        while wanted not in server.log(size_bytes):
            time.sleep(POLL_S)
        for pid in roles(server).values():
            os.kill(pid, signal.SIGKILL)
        server.stop()
    with start(server).connect() as client:
        assert client.call("DBSIZE") == keys
    assert not temporary_files(server)


# What is refused, and what is left out


def refused(folder: Path, **options: str) -> str:
    """The last line of a server that does not start."""
    server = Shardis(SHARDS, folder, **options)
    server.port = free_port()
    result = subprocess.run(
        [*server.command()], cwd=server.working_folder(), capture_output=True, text=True, timeout=STOP_TIMEOUT_S
    )
    assert result.returncode == 1
    return next(line for line in result.stderr.splitlines() if line.startswith("shardis: "))


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_a_damaged_file(saved: tuple[Path, dict[object, object]], tmp_path: Path, appendonly: str) -> None:
    data = saved[0].read_bytes()
    path = tmp_path / "dump.rdb"
    twice = written([(0, b"k", b"v", -1), (0, b"k", b"w", -1)])
    for damaged in (data[: len(data) // 2], data[:3000] + bytes([data[3000] ^ 1]) + data[3001:], twice, b"x"):
        path.write_bytes(damaged)
        line = refused(tmp_path, appendonly=appendonly)
        assert str(path) in line and "damaged at byte" in line
        assert path.read_bytes() == damaged
    if appendonly == "yes":
        assert first_logs.are_unfinished(tmp_path)
    path.write_bytes(data)
    with Shardis(SHARDS, tmp_path, appendonly=appendonly) as server, server.connect() as client:
        assert everything(client) == saved[1]


def test_expired_keys_are_left_out(start: Start, tmp_path: Path) -> None:
    entries = [(number % 16, b"k%d" % number, b"v", (-1, 1, 9_000_000_000_000)[number % 3]) for number in range(60)]
    (tmp_path / "dump.rdb").write_bytes(written(entries))  # type: ignore[arg-type]
    server = start(Shardis(SHARDS, tmp_path))
    with server.connect() as client:
        info = persistence(client)
        assert (info["rdb_last_load_keys_loaded"], info["rdb_last_load_keys_expired"]) == ("40", "20")
        assert len(everything(client)) == 40


def test_clients_are_told_that_it_is_loading(tmp_path: Path) -> None:
    """Until all is there, and not as if there were nothing."""
    keys = 50_000
    (tmp_path / "dump.rdb").write_bytes(written([(0, b"k%d" % number, b"v", -1) for number in range(keys)]))
    server = Shardis(SHARDS, tmp_path, appendonly="no")
    with server, server.connect() as client:
        os.kill(roles(server)["shard 0"], signal.SIGKILL)
        found = set()
        while (reply := client.call("DBSIZE")) != keys:
            assert isinstance(reply, Error)
            found.add(bytes(reply).split()[0])
        assert found <= {b"SHARDDOWN", b"LOADING"}

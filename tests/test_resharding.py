"""A re-hash without a server: nothing is lost and nothing moves, whatever crashes when.

How many random moments are tried is in the environment (REHASHES), so that the same tests run for hours.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psutil  # type: ignore[import-untyped]
import pytest

from common.frame import DB_SHIFT
from common.record import COMMAND, done, whole
from common.slot import Owners
from shard import first_logs
from shard.aof import Aof
from shard.layout import Layout
from shard.log_buffer import encode
from shard.log_files import read_layout, write_layout
from shard.log_reader import LogDamaged
from shard.resharding import main, settle
from shard.task_pool import Stopped
from tests.crashes.disk import Disk
from tests.log_folder import write_log
from tests.log_sets import Contents, config_of, contents, every_type, write_set
from tests.servers import ROOT

REHASHES = int(os.environ.get("REHASHES", "5"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two shards with every type."""
    write_set(tmp_path / "data", 2, every_type())
    return tmp_path / "data"


def rehash(folder: Path, shards: int, **directives: str) -> None:
    settle(config_of(folder, shards, **directives))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("old, new", [(1, 3), (3, 1), (2, 7), (7, 2), (4, 8)])
def test_another_number_of_shards(old: int, new: int, preamble: str, tmp_path: Path) -> None:
    write_set(tmp_path, old, every_type())
    before = contents(tmp_path)
    rehash(tmp_path, new, aof_use_rdb_preamble=preamble)
    assert contents(tmp_path) == before
    assert names(tmp_path) == ["generation-2", "layout.json"]
    assert names(tmp_path / "generation-2") == sorted(f"shard-{index}" for index in range(new))
    for index in range(new):
        base = f"appendonly.aof.1.base.{'rdb' if preamble == 'yes' else 'aof'}"
        found = names(tmp_path / "generation-2" / f"shard-{index}" / "appendonlydir")
        assert found == [base, "appendonly.aof.1.incr.aof", "appendonly.aof.manifest"]


@pytest.mark.parametrize("shards", [1, 4])
def test_keys_by_other_slots(shards: int, tmp_path: Path) -> None:
    write_set(tmp_path, shards, every_type())
    before = contents(tmp_path)
    rehash(tmp_path, shards, hash_tags="no")
    assert contents(tmp_path) == before
    rehash(tmp_path, shards, hash_tags="yes")
    assert contents(tmp_path) == before
    assert read_layout(tmp_path) == Layout(shards, True, 3)


def test_one_after_the_other_with_writes_between(data: Path) -> None:
    """The base of one re-hash, and the increment behind it, are what the next one reads."""
    wanted = contents(data)
    for number, shards in enumerate([5, 3, 2, 1, 6], 2):
        rehash(data, shards, aof_use_rdb_preamble="no" if number == 3 else "yes")
        assert read_layout(data) == Layout(shards, True, number)
        assert contents(data) == wanted
        log = Aof.of_shard(config_of(data, shards), Owners(shards, True).of(b"new"))
        log.files.take()
        log.close()
        path = log.files.path / "appendonly.aof.1.incr.aof"
        assert path.read_bytes() == b""
        path.write_bytes(encode([b"SET", b"new", b"%d" % number]))
        wanted[0, b"new"] = (b"%d" % number, -1)


def test_what_lies_as_it_is_wanted_is_left(data: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    rehash(data, 2)
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


def test_nothing_is_made_of_nothing(tmp_path: Path) -> None:
    rehash(tmp_path, 2)
    assert names(tmp_path) == []
    write_layout(tmp_path, Layout(3, True))
    rehash(tmp_path, 2)
    assert names(tmp_path) == ["layout.json"]
    assert read_layout(tmp_path) == Layout(2, True)


def test_other_names_for_folder_and_file(tmp_path: Path) -> None:
    write_set(tmp_path, 2, every_type())
    before = contents(tmp_path)
    for index in range(2):
        log = tmp_path / f"shard-{index}" / "appendonlydir"
        (log / "appendonly.aof.manifest").rename(log / "it's.manifest")
        log.rename(tmp_path / f"shard-{index}" / "my logs")
    with pytest.raises(LogDamaged, match="appenddirname or appendfilename"):
        rehash(tmp_path, 3)
    rehash(tmp_path, 3, appenddirname="my logs", appendfilename="it's")
    for index in range(3):
        log = tmp_path / "generation-2" / f"shard-{index}"
        (log / "my logs").rename(log / "appendonlydir")
        manifest = (log / "appendonlydir" / "it's.manifest").read_bytes()
        (log / "appendonlydir" / "appendonly.aof.manifest").write_bytes(manifest)
    assert contents(tmp_path) == before


# What it reads


def test_a_cut_tail_is_as_aof_load_truncated_says(data: Path, tmp_path: Path) -> None:
    before = contents(data)
    path = data / "shard-1" / "appendonlydir" / "appendonly.aof.1.incr.aof"
    torn = path.read_bytes() + b"*3\r\n$3\r\nSET\r\n$1"
    path.write_bytes(torn)
    with pytest.raises(LogDamaged, match="aof-load-truncated is no"):
        rehash(data, 3, aof_load_truncated="no")
    assert path.read_bytes() == torn
    rehash(data, 3)
    assert contents(data) == before


@pytest.mark.parametrize("shard", [0, 1])
def test_a_damaged_log_refuses_all(shard: int, data: Path) -> None:
    path = data / f"shard-{shard}" / "appendonlydir" / "appendonly.aof.1.incr.aof"
    text = bytearray(path.read_bytes())
    text[100:104] = b"!!!!"
    path.write_bytes(text)
    files = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    with pytest.raises(LogDamaged) as found:
        rehash(data, 3)
    assert found.value.file == str(path)
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == files
    assert names(data) == ["layout.json", "shard-0", "shard-1"]


def test_the_advice_for_a_damaged_log(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data / "shard-1" / "appendonlydir" / "appendonly.aof.1.incr.aof"
    path.write_bytes(b"*1\r\n$4\r\nNONE\r\n")
    assert main(["--dir", str(data), "--shards", "3"]) == 1
    assert f"shardis: {path} is damaged at byte " in (said := capsys.readouterr().err)
    assert said.rstrip().endswith(f"redis-check-aof --fix {path.parent / 'appendonly.aof.manifest'}")


KEY_OF_0, KEY_OF_1 = b"b", b"a"
NOW_MS = 1_700_000_000_000


def test_a_write_over_shards_that_one_of_them_lacks(tmp_path: Path) -> None:
    """As at a start: whoever has no trace of it gets the record from another, and does its part last."""
    owners = Owners(2, True)
    assert (owners.of(KEY_OF_0), owners.of(KEY_OF_1)) == (0, 1)
    parts = [
        {
            0: [["runs", [[0, [[b"SET", KEY_OF_0, b"%d" % id_]]]]]],
            1: [["runs", [[2 << DB_SHIFT, [[b"APPEND", KEY_OF_1, b"%d" % id_]]]]]],
        }
        for id_ in (1, 2, 3)
    ]
    records = [whole(id_, NOW_MS, parts[id_ - 1]) for id_ in (1, 2, 3)]
    mine = [grouped(records[id_ - 1], [b"SET", KEY_OF_0, b"%d" % id_]) for id_ in (1, 2, 3)]
    theirs = encode([b"SELECT", b"2"]) + grouped(records[0], [b"APPEND", KEY_OF_1, b"1"])
    ends = {0: b"".join(mine), 1: theirs + encode([COMMAND, b"somebody's own"])}
    write_set(tmp_path, 2, [(0, [b"SET", KEY_OF_0, b"0"]), (2, [b"SET", KEY_OF_1, b"0"])], ends=ends)
    rehash(tmp_path, 3)
    assert contents(tmp_path) == {(0, KEY_OF_0): (b"3", -1), (2, KEY_OF_1): (b"0123", -1)}


def test_a_part_without_effect_is_not_lacked(tmp_path: Path) -> None:
    record = whole(7, NOW_MS, {0: [["runs", [[0, [[b"SET", KEY_OF_0, b"1"]]]]]], 1: [["runs", []]]})
    ends = {0: grouped(record, [b"SET", KEY_OF_0, b"1"]), 1: encode([COMMAND, done(7)])}
    write_set(tmp_path, 2, [], ends=ends)
    rehash(tmp_path, 1)
    assert contents(tmp_path) == {(0, KEY_OF_0): (b"1", -1)}


def grouped(record: bytes, *effects: list[bytes]) -> bytes:
    """A record with the effects of a shard's own part, as it stands in a log."""
    return b"".join(map(encode, [[b"MULTI"], [COMMAND, record], *effects, [b"EXEC"]]))


def test_logs_that_do_not_count_yet(data: Path) -> None:
    """Of a first start from a dump.rdb that was cut short: the keys are those of the file, for any number of shards."""
    (data / first_logs.MARK).touch()
    (data / "dump.rdb").touch()
    rehash(data, 3)
    assert read_layout(data) == Layout(3, True)
    assert names(data) == sorted(["dump.rdb", "layout.json", first_logs.MARK])


# What crashes


def test_a_crash_between_any_two_steps(data: Path, tmp_path: Path) -> None:
    """The folder is copied at each step, and of the copies that differ each is started with the old number of shards
    and with another one."""
    before = contents(data)
    copies: dict[str, Path] = {}

    def copy(step: str) -> None:
        copies[step] = tmp_path / f"copy-{len(copies)}" if step not in copies else copies[step]
        shutil.rmtree(copies[step], ignore_errors=True)
        copy_while_it_changes(data, copies[step])

    settle(config_of(data, 3), noticed=copy)
    assert set(copies) == {
        "tidied", "begun", "spreading", "spread", "joining", "joined", "swapped", "removed the old set"
    }  # fmt: skip
    for step, folder in copies.items():
        layout = read_layout(folder)
        assert layout == (Layout(3, True, 2) if step in ("swapped", "removed the old set") else Layout(2, True))
        check_left(folder, before, tmp_path / "other")


def copy_while_it_changes(source: Path, target: Path) -> None:
    """Files that go meanwhile are as if they had gone before."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        try:
            if path.is_dir():
                copy_while_it_changes(path, target / path.name)
            else:
                shutil.copyfile(path, target / path.name)
        except FileNotFoundError:
            continue


def check_left(folder: Path, before: Contents, other: Path) -> None:
    """Asserts that all is there, for a start with the same number of shards and for one with another."""
    layout = read_layout(folder)
    assert layout is not None
    assert contents(folder) == before
    shutil.copytree(folder, other)
    for path, shards in ((folder, layout.shards), (other, 4)):
        rehash(path, shards)
        assert contents(path) == before
        now = read_layout(path)
        assert now is not None
        assert names(path) == sorted(["layout.json", *{now.folder_of(index).split("/")[0] for index in range(shards)}])
    shutil.rmtree(other)


@contextmanager
def process(folder: Path, shards: int, **environment: str) -> Iterator[psutil.Popen]:
    """A re-hash by a process of its own."""
    argv = [sys.executable, "-m", "shard.resharding", "--dir", str(folder), "--shards", str(shards)]
    running = psutil.Popen(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | environment
    )
    with running:
        yield running


def test_killed_at_any_moment(data: Path, tmp_path: Path) -> None:
    """All its processes at once, or a worker, or the parent alone, whose workers then end by themselves."""
    before = contents(data)
    random = Random(1)
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    started = time.monotonic()
    with process(copy, 3) as one:
        assert one.wait() == 0
    whole_s = time.monotonic() - started
    for _ in range(REHASHES):
        shutil.rmtree(copy)
        shutil.copytree(data, copy)
        with process(copy, 3) as one:
            time.sleep(random.uniform(0.2, 1) * whole_s)  # The moment is what is random here.
            workers = [] if one.poll() is not None else one.children()
            victims = random.choice([[one], [one, *workers], workers[:1]])
            for victim in victims:
                kill(victim)
            if victims == workers[:1]:
                assert one.wait() in (0, 1)
            one.stdout.read()  # To its end: all that write there are gone.
        check_left(copy, before, tmp_path / "other")


def kill(victim: psutil.Process) -> None:
    try:
        victim.kill()
    except psutil.NoSuchProcess:
        return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped(number: signal.Signals, data: Path) -> None:
    """As soon as it has begun to write."""
    before = contents(data)
    write_log(data / "shard-0" / "appendonlydir", large(data / "shard-0"))
    with process(data, 3) as one:
        while not (data / "generation-2" / "parts").is_dir() and one.poll() is None:
            time.sleep(0.001)
        one.send_signal(number)
        said = one.stdout.read().decode()
        assert one.wait() == 1
    assert "the re-hash was stopped; the data is as it was" in said
    assert names(data) == ["layout.json", "shard-0", "shard-1"]
    found = contents(data)
    assert {place: value for place, value in found.items() if place in before} == before


def large(shard: Path) -> bytes:
    """A log that takes a second to read."""
    text = (shard / "appendonlydir" / "appendonly.aof.1.incr.aof").read_bytes()
    return text + b"".join(
        encode([b"HSET", b"{b}counted", b"f%d" % (number % 1000), b"v"]) for number in range(100_000)
    )


def test_a_stop_before_it_begins(data: Path) -> None:
    readable, writable = os.pipe()
    os.close(writable)
    before = contents(data)
    with pytest.raises(Stopped):
        settle(config_of(data, 3), [readable])
    os.close(readable)
    assert contents(data) == before
    assert names(data) == ["layout.json", "shard-0", "shard-1"]


def test_a_power_cut_at_any_moment(data: Path, tmp_path: Path) -> None:
    """What was not synced is gone, or there in part, or zeros."""
    before = contents(data)
    random = Random(2)
    for number in range(REHASHES):
        disk = Disk(tmp_path / f"disk-{number}")
        shutil.copytree(data, disk.data, dirs_exist_ok=True)
        disk.begin()
        with process(disk.data, 3, **disk.environment()) as one:
            if number:
                await_files(disk.data, one, random.randrange(20))
                workers = [] if one.poll() is not None else one.children()
                for victim in [one, *workers]:
                    kill(victim)
            one.stdout.read()
        disk.crash(random)
        check_left(disk.data, before, tmp_path / "other")


def await_files(folder: Path, one: psutil.Popen, count: int) -> None:
    """Returns when so many files have been made in the new set, or it is over."""
    while one.poll() is None and sum(len(names) for _, _, names in os.walk(folder / "generation-2")) < count:
        time.sleep(0.002)


# Who else is there


def test_what_others_put_there_stays(data: Path) -> None:
    before = contents(data)
    mine = [data / "dump.rdb", data / "generation-x" / "f", data / "shard-0" / "notes", data / "shard-1x"]
    mine.append(data / "shard-1" / "appendonlydir" / "appendonly.aof.1.incr.aof.old")
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
    (data / "shard-1" / "appendonlydir" / "temp-rewrite").write_bytes(b"not mine")
    for shards in (3, 2, 2):
        rehash(data, shards)
        assert contents(data) == before
    assert [path.read_bytes() for path in mine] == [b"mine"] * len(mine)
    assert not (data / "shard-1" / "appendonlydir" / "temp-rewrite").exists()


@pytest.mark.parametrize("folder", [".", "shard-1/appendonlydir"])
def test_a_folder_that_is_in_use(folder: str, data: Path) -> None:
    with locked_by_another(data / folder), pytest.raises(OSError, match="another process uses this log"):
        rehash(data, 3)
    assert names(data) == ["layout.json", "shard-0", "shard-1"]


@contextmanager
def locked_by_another(folder: Path) -> Iterator[None]:
    import fcntl

    fd = os.open(folder, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(fd)


Seen = Callable[[str], object]


def test_a_layout_that_is_not_of_this_data(data: Path) -> None:
    """Its set is not there: to remove what it does not name would be to remove the data."""
    rehash(data, 3)
    before = contents(data)
    write_layout(data, Layout(2, True))
    for shards in (2, 4):
        with pytest.raises(LogDamaged, match="generation 1 counts, which is not there, but there is .*generation-2"):
            rehash(data, shards)
    write_layout(data, Layout(3, True, 2))
    assert contents(data) == before


def test_progress(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "shardis")
    rehash(data, 3)
    keys = len(contents(data))
    assert f"re-hashed 2 shards into 3: {keys} keys in " in caplog.messages[-1]

"""The log on disk: written and read back, in several files, and as real tools see it."""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from shard.aof import Aof
from shard.log_buffer import encode
from shard.log_reading import SLICE_BYTES
from tests.log_folder import GROUP, Commands, contents, contents_of_copy, write_log
from tests.reference import RedisServer, Reference
from tests.servers import Server

# Written and read back


def test_what_was_appended_is_there_after_a_start(folder: Path, opened: Callable[..., Aof]) -> None:
    log = opened()
    log.append(0, [b"SET", b"k", b"v"])
    log.append_group(GROUP)
    assert log.flush()
    log.append(2, [b"PEXPIREAT", b"n", b"1"])
    log.close()
    log.close()
    assert contents(folder) == [(0, [b"SET", b"k", b"v"]), *GROUP, (2, [b"PEXPIREAT", b"n", b"1"])]
    assert sorted(path.name for path in folder.iterdir()) == ["appendonly.aof.1.incr.aof", "appendonly.aof.manifest"]


def test_each_start_goes_on_in_the_same_file_with_a_select(folder: Path, opened: Callable[..., Aof]) -> None:
    for number in range(3):
        log = opened()
        log.append(5, [b"SET", b"k", b"%d" % number])
        log.close()
    assert contents(folder) == [(5, [b"SET", b"k", b"%d" % number]) for number in range(3)]


def test_nothing_is_in_the_file_before_the_flush_and_all_after_it(folder: Path, opened: Callable[..., Aof]) -> None:
    log = opened(fsync="no")
    log.append(0, [b"INCR", b"n"])
    path = folder / "appendonly.aof.1.incr.aof"
    assert path.stat().st_size == 0
    log.flush()
    assert path.read_bytes() == encode([b"SELECT", b"0"]) + encode([b"INCR", b"n"])
    assert log.size_bytes == log.written_bytes == path.stat().st_size
    assert log.synced_bytes == 0


def test_other_names_for_folder_and_file(tmp_path: Path) -> None:
    settings = {
        "dir": str(tmp_path),
        "appenddirname": "my logs",
        "appendfilename": "it's one",
        "appendfsync": "always",
        "appendonly": True,
        "aof-load-truncated": True,
        "databases": 16,
    }
    log = Aof.of_shard(settings, 3)
    list(log.load(lambda db, argv: None))
    log.append(0, [b"INCR", b"n"])
    log.close()
    assert (tmp_path / "shard-3" / "my logs" / "it's one.1.incr.aof").stat().st_size > 0
    assert contents(tmp_path / "shard-3" / "my logs", name="it's one") == [(0, [b"INCR", b"n"])]


def test_a_log_that_is_not_enabled_takes_everything_and_writes_nothing(folder: Path) -> None:
    log = Aof(folder, enabled=False)
    log.append(0, [b"INCR", b"n"])
    log.append_group(GROUP)
    assert log.flush()
    log.close()
    assert not folder.exists()
    assert log.buffer.empty


def test_a_second_process_cannot_have_the_folder(folder: Path, opened: Callable[..., Aof]) -> None:
    first = opened()
    with pytest.raises(OSError, match="another process uses this log"):
        opened()
    first.close()
    opened()


def test_a_crash_gives_the_folder_free(folder: Path) -> None:
    """And what was flushed before a kill -9 is there, in the turn's order, with the last group whole."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom shard.aof import Aof\n"
        "log = Aof(Path(sys.argv[1]))\nlist(log.load(lambda db, argv: None))\n"
        "for number in range(1000):\n    log.append(0, [b'SET', b'k', b'%d' % number])\n"
        "log.append_group([(0, [b'DEL', b'a']), (2, [b'INCR', b'n'])])\nlog.flush()\n"
        "log.append(0, [b'SET', b'k', b'not flushed'])\nos.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", program, str(folder)], cwd=root, timeout=60).returncode == -9
    assert contents(folder) == [(0, [b"SET", b"k", b"%d" % number]) for number in range(1000)] + GROUP


def test_loading_goes_slice_by_slice(folder: Path) -> None:
    commands = [[b"SET", b"key:%06d" % number, b"x" * 40] for number in range(5000)]
    data = b"".join(map(encode, commands))
    write_log(folder, data)
    log = Aof(folder)
    seen: list[bytes] = []
    steps = list(log.load(lambda db, argv: seen.append(argv[1])))
    log.close()
    assert len(steps) == -(-len(data) // SLICE_BYTES)
    assert steps == sorted(steps)
    assert steps[-1] == len(seen) == 5000


# Several files


def test_a_base_and_increments_load_in_order_and_history_is_deleted(folder: Path) -> None:
    one, two, three = (encode([b"SET", b"k", b"%d" % number]) for number in range(3))
    write_log(folder, encode([b"SELECT", b"4"]) + two, three, base=one)
    with open(folder / "appendonly.aof.manifest", "a") as file:
        file.write("file old.aof seq 1 type h\nfile gone.aof seq 2 type h\n")
    (folder / "old.aof").write_bytes(b"not even a log")
    # Each file begins in db 0, as with Redis.
    assert contents(folder) == [(0, [b"SET", b"k", b"0"]), (4, [b"SET", b"k", b"1"]), (0, [b"SET", b"k", b"2"])]
    assert not (folder / "old.aof").exists()
    assert b"type h" not in (folder / "appendonly.aof.manifest").read_bytes()


def test_a_new_increment_and_a_new_base(folder: Path, opened: Callable[..., Aof]) -> None:
    log = opened()
    log.append(3, [b"SET", b"old", b"1"])
    first = log.open_increment()
    assert first == 2
    log.append(3, [b"SET", b"new", b"2"])
    assert log.flush()
    assert log.size_bytes == sum(path.stat().st_size for path in folder.glob("*.aof"))
    assert contents_of_copy(folder) == [(3, [b"SET", b"old", b"1"]), (3, [b"SET", b"new", b"2"])]
    (folder / "temp-base").write_bytes(encode([b"SET", b"base", b"0"]))
    log.replace_base(folder / "temp-base", first)
    assert sorted(path.name for path in folder.iterdir()) == [
        "appendonly.aof.1.base.aof",
        "appendonly.aof.2.incr.aof",
        "appendonly.aof.manifest",
    ]
    assert log.base_size_bytes == log.size_bytes, "what comes from now on is growth"
    assert log.size_bytes == sum(path.stat().st_size for path in folder.glob("*.aof"))
    log.append(3, [b"SET", b"later", b"3"])
    log.close()
    expected = [(0, [b"SET", b"base", b"0"]), (3, [b"SET", b"new", b"2"]), (3, [b"SET", b"later", b"3"])]
    assert contents(folder) == expected
    log = opened()
    assert (log.size_bytes, log.base_size_bytes) == (
        sum(path.stat().st_size for path in folder.glob("*.aof")),
        len(encode([b"SET", b"base", b"0"])),
    )


def test_an_increment_that_cannot_be_opened_leaves_the_old_one_in_use(folder: Path, opened: Callable[..., Aof]) -> None:
    log = opened()
    (folder / "appendonly.aof.2.incr.aof").write_bytes(b"whose is this?")
    with pytest.raises(FileExistsError):
        log.open_increment()
    log.append(0, [b"INCR", b"n"])
    log.close()
    assert contents(folder) == [(0, [b"INCR", b"n"])]


def test_a_crash_at_any_step_of_a_rewrite_leaves_a_whole_log(
    folder: Path, opened: Callable[..., Aof], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder as it is at each rename, unlink and sync of a folder, loaded as a start would."""
    log = opened()
    log.append(0, [b"SET", b"k", b"1"])
    log.flush()
    states: list[Commands] = []

    def watched(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **kwargs: object) -> object:
            result = call(*args, **kwargs)
            if not watching.is_set():
                watching.set()
                states.append(contents_of_copy(folder))
                watching.clear()
            return result

        return wrapper

    watching = threading.Event()
    for name in ("rename", "fsync"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    first = log.open_increment()
    (folder / "temp-base").write_bytes(encode([b"SET", b"k", b"1"]))
    log.replace_base(folder / "temp-base", first)
    monkeypatch.undo()
    assert len(states) >= 8
    assert all(state == [(0, [b"SET", b"k", b"1"])] for state in states)


# As real tools see it

needs_check_aof = pytest.mark.skipif(not shutil.which("redis-check-aof"), reason="redis-check-aof is not installed")


def written(folder: Path) -> Path:
    """A log with a base, two increments, groups and odd values. Gives the path of its manifest."""
    log = Aof(folder)
    list(log.load(lambda db, argv: None))
    log.append(0, [b"SET", b"replaced", b"x"])
    first = log.open_increment()
    (folder / "temp-base").write_bytes(encode([b"SET", b"base", b"1"]))
    log.replace_base(folder / "temp-base", first)
    log.append(0, [b"SET", b"odd", b"a\r\nb\0\xff"])
    log.append_group([(1, [b"RPUSH", b"list", b"1", b"2", b"3"]), (2, [b"SET", b"n", b"5"]), (2, [b"INCR", b"n"])])
    log.open_increment()
    log.append(0, [b"SET", b"big", b"x" * 3_000_000])
    log.append(9, [b"SET", b"last", b"1"])
    log.close()
    return folder / "appendonly.aof.manifest"


@needs_check_aof
def test_redis_check_aof_finds_it_valid(folder: Path) -> None:
    result = subprocess.run(["redis-check-aof", written(folder)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout
    assert "All AOF files and manifest are valid" in result.stdout


@needs_check_aof
def test_redis_check_aof_finds_a_new_log_valid(folder: Path) -> None:
    log = Aof(folder)
    list(log.load(lambda db, argv: None))
    log.append(0, [b"INCR", b"n"])
    log.close()
    argv = ["redis-check-aof", str(folder / "appendonly.aof.manifest")]
    assert "All AOF files and manifest are valid" in subprocess.run(argv, capture_output=True, text=True).stdout


@pytest.mark.parametrize("kind", [Reference, RedisServer])
def test_a_real_server_loads_it_and_we_load_what_it_adds(folder: Path, kind: type[Server]) -> None:
    if kind is RedisServer and not RedisServer.is_installed():
        pytest.skip("redis-server is not installed")
    written(folder)
    options = {"appendonly": "yes", "aof-timestamp-enabled": "yes", "auto-aof-rewrite-percentage": "0"}
    with kind(folder.parent, **options) as server, server.connect() as client:
        assert client.call("GET", "base") == b"1"
        assert client.call("GET", "replaced") is None
        assert client.call("GET", "odd") == b"a\r\nb\0\xff"
        assert client.call("STRLEN", "big") == 3_000_000
        client.call("SELECT", "1")
        assert client.call("LRANGE", "list", "0", "-1") == [b"1", b"2", b"3"]
        client.call("SELECT", "2")
        assert client.call("GET", "n") == b"6"
        client.call("SELECT", "9")
        assert client.call("GET", "last") == b"1"
        for argv in (["MULTI"], ["SELECT", "3"], ["SET", "theirs", "1"], ["SET", "too", "2"], ["EXEC"]):
            client.call(*argv)
    commands = contents(folder)
    assert (0, [b"SET", b"base", b"1"]) in commands
    assert commands[-2:] == [(3, [b"SET", b"theirs", b"1"]), (3, [b"SET", b"too", b"2"])]


def test_the_lock_is_the_folders_own(folder: Path, opened: Callable[..., Aof]) -> None:
    """No file of ours lies beside those of the log, where a real server would not know it."""
    log = opened()
    fd = os.open(folder, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        log.close()
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(fd)

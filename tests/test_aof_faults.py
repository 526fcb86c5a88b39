"""The log on disk when something is wrong: cut, damaged, a full disk, a slow one."""

import errno
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from common.errors import RedisError
from shard.aof import BUFFER_BYTES_MAX, Aof
from shard.log_buffer import Piece, encode
from shard.log_files import Disk, write_atomically
from shard.log_reader import LogDamaged
from tests.log_folder import GROUP, Commands, contents, contents_of_copy, write_log

# Cut and damaged


def test_a_log_cut_at_every_byte_loads_what_is_whole(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = Aof(folder)
    list(log.load(lambda db, argv: None))
    ends: list[tuple[int, int]] = [(0, 0)]  # (bytes, commands) at the end of each piece that is whole or not there
    expected: Commands = []
    for entries in (
        [(0, [b"SET", b"k", b"a\r\nb"])],
        GROUP,
        [(3, [b"DEL", b"k"])],
        [(0, [b"RPUSH", b"l", *[b"e"] * 5])],
    ):
        log.append_group(entries)
        expected += entries
        log.flush()
        ends.append((log.size_bytes, len(expected)))
    log.close()
    path = folder / "appendonly.aof.1.incr.aof"
    whole = path.read_bytes()
    # A cut behind a SELECT of its own keeps that: it is a command as well.
    selects = [
        at + len(encode([b"SELECT", b"0"])) for at, _ in ends[:-1] if whole[at:].startswith(b"*2\r\n$6\r\nSELECT")
    ]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        caplog.clear()
        end, count = max(end for end in ends if end[0] <= size)
        end = max([end, *(at for at in selects if at <= size)])
        assert contents(folder) == expected[:count], f"cut at {size}"
        assert path.read_bytes() == whole[:end], f"cut at {size}"
        warned = f"{path}: the unfinished end is cut off: {size - end} bytes at {end}" in caplog.text
        assert warned == (size != end), f"cut at {size}"
        path.write_bytes(whole[:size])
        if size != end:
            with pytest.raises(LogDamaged, match="aof-load-truncated is no") as raised:
                contents(folder, load_truncated=False)
            assert (raised.value.file, raised.value.offset) == (str(path), end)
            assert path.stat().st_size == size


def test_after_a_cut_the_log_goes_on_where_it_was_cut(folder: Path, opened: Callable[..., Aof]) -> None:
    (path,) = write_log(folder, encode([b"INCR", b"n"]) + b"*3\r\n$3\r\nSE" + b"\0" * 100_000)
    log = opened()
    log.append(0, [b"INCR", b"m"])
    log.close()
    assert path.read_bytes() == encode([b"INCR", b"n"]) + encode([b"SELECT", b"0"]) + encode([b"INCR", b"m"])


def test_damage_in_the_middle_is_refused_with_file_and_offset(folder: Path) -> None:
    good = encode([b"SET", b"k", b"v"])
    paths = write_log(folder, good * 3000, good * 2000 + b"!" + good * 10)
    with pytest.raises(LogDamaged) as raised:
        contents(folder)
    assert str(raised.value) == (
        f"{paths[1]} is damaged at byte {len(good) * 2000}: a command should follow, not '!*3'"
    )
    assert paths[1].stat().st_size == len(good) * 2010 + 1


def test_only_the_last_file_may_be_cut(folder: Path) -> None:
    good = encode([b"SET", b"k", b"v"])
    for tail in (good[:-1], encode([b"MULTI"]) + good):
        paths = write_log(folder, good + tail, b"", base=good)
        with pytest.raises(LogDamaged, match="is not the last file") as raised:
            contents(folder)
        assert (raised.value.file, raised.value.offset) == (str(paths[0]), len(good))
    write_log(folder, good + b"\0\0", good)
    with pytest.raises(LogDamaged, match="is not the last file"):
        contents(folder)


def test_a_command_that_cannot_be_done_again_is_damage(folder: Path) -> None:
    (path,) = write_log(folder, encode([b"NOSUCH", b"k"]))

    def apply(db: int, argv: list[bytes]) -> None:
        raise RedisError("ERR unknown command 'NOSUCH'")

    log = Aof(folder)
    with pytest.raises(LogDamaged, match="'NOSUCH', can't be done again: ERR unknown command") as raised:
        list(log.load(apply))
    log.close()
    assert raised.value.file == str(path)


def test_a_db_that_is_not_there_is_damage(folder: Path) -> None:
    write_log(folder, encode([b"SELECT", b"9"]) + encode([b"INCR", b"n"]))
    assert contents(folder, databases=10) == [(9, [b"INCR", b"n"])]
    with pytest.raises(LogDamaged, match="no such db"):
        contents(folder, databases=9)


def test_a_file_that_is_missing_is_named(folder: Path) -> None:
    paths = write_log(folder, b"", b"")
    paths[1].unlink()
    with pytest.raises(LogDamaged, match=r"2.incr.aof is damaged at byte 0: the manifest names this file"):
        contents(folder)


def test_a_log_without_its_manifest_is_not_overwritten(folder: Path) -> None:
    """Valkey 9.1 begins anew here, and truncates the file."""
    (path,) = write_log(folder, encode([b"INCR", b"n"]))
    (folder / "appendonly.aof.manifest").unlink()
    with pytest.raises(LogDamaged, match="but no manifest"):
        contents(folder)
    assert path.stat().st_size > 0


def test_what_a_crash_leaves_before_a_file_counts_is_no_hindrance(folder: Path, opened: Callable[..., Aof]) -> None:
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.1.incr.aof").touch()
    (folder / "temp-99-appendonly.aof.manifest").write_bytes(b"half a li")
    opened().close()
    assert sorted(path.name for path in folder.iterdir()) == ["appendonly.aof.1.incr.aof", "appendonly.aof.manifest"]


# A disk that fails


class BadDisk(Disk):
    """Writes `room_bytes` more at most, `step_bytes` at a time, and syncs when it is told to."""

    def __init__(self) -> None:
        self.room_bytes = 1 << 60
        self.step_bytes = 1 << 60
        self.writes = 0
        self.syncs = 0
        self.good_syncs = 0
        """So many succeed before `sync_error` is raised."""
        self.sync_error: OSError | None = None
        self.truncate_error: OSError | None = None

    def writev(self, fd: int, buffers: list[Piece]) -> int:
        data = b"".join(buffers)[: min(self.step_bytes, self.room_bytes)]
        if not data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room_bytes -= len(data)
        self.writes += 1
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        self.syncs += 1
        if self.sync_error is not None:
            if not self.good_syncs:
                raise self.sync_error
            self.good_syncs -= 1
        super().sync(fd)

    def truncate(self, fd: int, size_bytes: int) -> None:
        if self.truncate_error is not None:
            raise self.truncate_error
        super().truncate(fd, size_bytes)


@pytest.mark.parametrize("room_bytes", [0, 1, 7, 23, 24, 50, 60])
def test_a_full_disk_loses_and_doubles_nothing(
    folder: Path, opened: Callable[..., Aof], room_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    disk = BadDisk()
    log = opened(disk=disk)
    disk.room_bytes = room_bytes
    expected: Commands = []
    for number in range(5):  # several turns fail before there is room again
        expected.append((number % 2, [b"SET", b"k", b"%d" % number]))
        log.append(*expected[-1])
        assert log.flush() == log.buffer.empty == (log.last_write_error is None)
        assert log.info()["aof_last_write_status"] == ("ok" if log.buffer.empty else "err")
    assert not log.buffer.empty
    assert log.size_bytes == room_bytes
    assert caplog.text.count("can't be written") == 1
    disk.room_bytes = 1 << 60
    disk.step_bytes = 3
    assert log.flush()
    assert log.last_write_error is None
    assert caplog.text.count("can be written again") == 1
    assert log.info()["aof_last_write_status"] == "ok"
    log.close()
    assert contents(folder) == expected


def test_a_crash_on_a_full_disk_keeps_what_was_whole(folder: Path, opened: Callable[..., Aof]) -> None:
    disk = BadDisk()
    log = opened(disk=disk)
    log.append(0, [b"SET", b"k", b"1"])
    log.flush()
    disk.room_bytes = 10
    log.append(0, [b"SET", b"k", b"2"])
    assert not log.flush()
    assert contents_of_copy(folder) == [(0, [b"SET", b"k", b"1"])]


def test_seeded_faults(folder: Path, opened: Callable[..., Aof]) -> None:
    random = Random(5)
    disk = BadDisk()
    log = opened(disk=disk, fsync="no")
    expected: Commands = []
    for turn in range(300):
        disk.room_bytes = random.choice([0, 5, 50, 5000, 200_000, 1 << 20])
        disk.step_bytes = random.choice([500, 50_000, 1 << 20])
        for _ in range(random.randrange(4)):
            entries = [(random.randrange(3), [b"SET", b"%d" % turn, b"x" * random.choice([1, 200, 70_000])])]
            entries *= random.choice([1, 1, 3])
            log.append_group(entries)
            expected += entries
        log.flush()
    disk.room_bytes = disk.step_bytes = 1 << 60
    log.close()
    assert contents(folder) == expected


def test_a_real_limit_of_the_kernel(folder: Path) -> None:
    """A short write and then EFBIG from the kernel itself, not from a stand-in for it. In a process of its own: the
    limit holds for every file of a process."""
    program = """
import resource, sys
from pathlib import Path
from shard.aof import Aof
log = Aof(Path(sys.argv[1]))
list(log.load(lambda db, argv: None))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
for number in range(40):
    log.append(0, [b"SET", b"%d" % number, b"x" * 5000])
    if not log.flush():
        assert number >= 19, number
        assert "File too large" in str(log.last_write_error)
assert log.size_bytes == 100_000, log.size_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert log.flush()
log.close()
"""
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", program, str(folder)], cwd=root, timeout=60, check=True)
    assert contents(folder) == [(0, [b"SET", b"%d" % number, b"x" * 5000]) for number in range(40)]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_the_limit_of_what_may_wait(folder: Path, opened: Callable[..., Aof]) -> None:
    disk = BadDisk()
    log = opened(disk=disk, fsync="no")
    disk.room_bytes = 0
    head = len(encode([b"SELECT", b"0"])) + len(encode([b"SET", b"k", b""])) + len(b"%d" % BUFFER_BYTES_MAX) - 1
    log.append(0, [b"SET", b"k", b"x" * (BUFFER_BYTES_MAX - head - 1)])
    assert not log.buffer_full
    log.flush()
    assert log.buffer.bytes_count == BUFFER_BYTES_MAX - 1
    assert not log.buffer_full
    log.append(0, [b"DEL", b"k"])
    assert log.buffer_full
    disk.room_bytes = 1 << 60
    log.flush()
    assert not log.buffer_full


def test_always_syncs_once_a_flush_and_not_when_nothing_was_written(folder: Path, opened: Callable[..., Aof]) -> None:
    disk = BadDisk()
    log = opened(disk=disk, fsync="always")
    disk.syncs = 0
    for _ in range(3):
        log.append(0, [b"INCR", b"n"])
        log.append(0, [b"INCR", b"n"])
        assert log.flush()
        assert log.flush()
        assert log.synced_bytes == log.written_bytes
    assert disk.syncs == 3


def test_always_tells_when_a_sync_failed_and_tries_again(folder: Path, opened: Callable[..., Aof]) -> None:
    disk = BadDisk()
    log = opened(disk=disk, fsync="always")
    disk.sync_error = OSError(errno.EIO, "no")
    log.append(0, [b"INCR", b"n"])
    assert not log.flush()
    assert not log.flush()
    assert log.last_write_error is disk.sync_error
    disk.sync_error = None
    assert log.flush()
    assert log.last_write_error is None
    log.close()
    assert contents(folder) == [(0, [b"INCR", b"n"])]


def test_always_never_syncs_the_same_bytes_twice(folder: Path, opened: Callable[..., Aof]) -> None:
    """After a sync that failed the kernel takes the bytes for written: only new ones are worth a sync."""
    disk = BadDisk()
    log = opened(disk=disk, fsync="always")
    log.append(0, [b"SET", b"k", b"1"])
    assert log.flush()
    size_bytes = log.size_bytes
    disk.sync_error = OSError(errno.EIO, "no")
    disk.step_bytes = 7
    for number in range(2, 5):
        log.append(0, [b"SET", b"k", b"%d" % number])
        assert not log.flush()
        assert log.size_bytes == size_bytes == (folder / "appendonly.aof.1.incr.aof").stat().st_size
        assert contents_of_copy(folder) == [(0, [b"SET", b"k", b"1"])]
        if number == 2:
            writes = disk.writes
        assert disk.writes == writes, "written where a crash would leave it, and no sync succeeds"
    disk.truncate_error = OSError(errno.EIO, "nor that")
    disk.good_syncs = 1
    assert not log.flush()
    disk.sync_error, syncs = None, disk.syncs
    assert not log.flush()
    assert disk.syncs == syncs
    assert log.last_write_error is disk.truncate_error
    disk.truncate_error = None
    assert log.flush()
    log.close()
    assert contents(folder) == [(0, [b"SET", b"k", b"%d" % number]) for number in range(1, 5)]


def test_everysec_syncs_without_being_asked_again(folder: Path, opened: Callable[..., Aof]) -> None:
    synced = threading.Semaphore(0)

    class Watched(Disk):
        def sync(self, fd: int) -> None:
            super().sync(fd)
            synced.release()

    log = opened(disk=Watched(), fsync="everysec")
    for _ in range(3):
        log.append(0, [b"INCR", b"n"])
        assert log.flush()
    deadline = time.monotonic() + 30
    while log.synced_bytes != log.written_bytes and time.monotonic() < deadline:
        assert synced.acquire(timeout=30)
        threading.Event().wait(0.01)  # the thread notes it right after the call
    assert log.synced_bytes == log.written_bytes > 0


def test_the_policy_can_change(folder: Path, opened: Callable[..., Aof]) -> None:
    disk = BadDisk()
    log = opened(disk=disk, fsync="no")
    log.append(0, [b"INCR", b"n"])
    log.flush()
    before = disk.syncs
    log.set_fsync("always")
    log.flush()
    assert disk.syncs == before + 1
    with pytest.raises(ValueError, match="sometimes"):
        log.set_fsync("sometimes")
    assert log.fsync == "always"


def test_a_write_while_a_sync_hangs_is_made_and_counted(folder: Path, opened: Callable[..., Aof]) -> None:
    began, may_end = threading.Event(), threading.Event()
    late_s = 0.0

    class Hanging(Disk):
        def sync(self, fd: int) -> None:
            if threading.current_thread().name == "log-syncer":
                began.set()
                assert may_end.wait(30)
            super().sync(fd)

    log = opened(disk=Hanging(), clock_s=lambda: time.monotonic() + late_s)
    log.append(0, [b"INCR", b"n"])
    log.flush()
    assert began.wait(30)
    assert log.info()["aof_pending_bio_fsync"] == 1
    late_s = 3.0
    for _ in range(3):
        log.append(0, [b"INCR", b"n"])
        assert log.flush()
    assert log.info()["aof_delayed_fsync"] == 1
    assert len(contents_of_copy(folder)) == 4
    may_end.set()
    log.close()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    path.with_name("folder").mkdir()
    with pytest.raises(OSError):
        write_atomically(path.with_name("folder"), b"new")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]

"""The room in a log for one very large write, at every moment of its filling, and after a power cut at each."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from shard import reservation
from shard.aof import Aof
from shard.log_buffer import LogBuffer, Piece
from shard.log_files import Disk
from shard.log_reader import LogReader
from shard.reservation import Reservation, empty_head, filled_head, padding
from tests.log_folder import Commands, contents, contents_of_copy
from tests.reference import Reference

SECTOR = reservation.SECTOR_BYTES
WRITE: Commands = [(3, [b"DEL", b"old"]), (3, [b"SET", b"large", b"*1\r\n$8\r\nFLUSHALL\r\n" * 50])]
BEFORE: Commands = [(0, [b"SET", b"a", b"1"])]


class Careful(Disk):
    """Notes what is written in place and not synced; fails when it is told to."""

    def __init__(self) -> None:
        self.unsynced: list[tuple[int, bytes]] = []
        """Where in the file, and what was there before."""
        self.good_appends = self.good_writes = 1 << 30
        self.truncate_error: OSError | None = None

    def writev(self, fd: int, buffers: list[Piece]) -> int:
        if not self.good_appends:
            raise OSError(errno.ENOSPC, "no room")
        self.good_appends -= 1
        return os.write(fd, b"".join(buffers)[:20])

    def pwrite(self, fd: int, data: Piece, at: int) -> int:
        if not self.good_writes:
            raise OSError(errno.ENOSPC, "no room")
        self.good_writes -= 1
        with open(f"/proc/self/fd/{fd}", "rb") as file:
            file.seek(at)
            self.unsynced.append((at, file.read(len(data))))
        return super().pwrite(fd, data[:70], at)

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self.unsynced.clear()

    def truncate(self, fd: int, size_bytes: int) -> None:
        if self.truncate_error is not None:
            raise self.truncate_error
        super().truncate(fd, size_bytes)


@pytest.fixture
def disk() -> Careful:
    return Careful()


@pytest.fixture
def log(opened: Callable[..., Aof], disk: Careful, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aof]:
    """One whose jobs are done when the test says so, see Jobs, and at the end."""
    monkeypatch.setattr(reservation, "PIECE_BYTES", 100)
    monkeypatch.setattr(reservation, "SYNC_BYTES", 300)
    log = opened(disk=disk)
    for db, argv in BEFORE:
        log.append(db, argv)
    yield log
    do = log._syncer.do
    while isinstance(jobs := getattr(do, "__self__", None), Jobs) and jobs:
        jobs.step()


class Jobs(list[Callable[[], None]]):
    """What the log's thread would do; syncs of the log among it."""

    def __init__(self, log: Aof) -> None:
        self.done = 0
        log._syncer.do = self.append  # type: ignore[method-assign]

    def step(self) -> None:
        self.pop(0)()

    def hear(self) -> None:
        self.done += 1


def large() -> LogBuffer:
    buffer = LogBuffer()
    buffer.append_group(WRITE)
    return buffer


def test_at_every_moment_all_of_it_counts_or_nothing(log: Aof, folder: Path) -> None:
    jobs = Jobs(log)
    made = log.reserve_for(large(), jobs.hear)
    assert made is not None and log.reserving
    behind: Commands = []
    steps = 0
    while not made.is_over:
        assert contents_of_copy(folder) == BEFORE + behind
        behind.append((steps % 3, [b"SET", b"k", b"%d" % steps]))
        log.append(*behind[-1])
        assert log.flush()
        assert contents_of_copy(folder) == BEFORE + behind
        jobs.step()
        steps += 1
    assert steps > 10 and jobs.done == 1 and made.error is None
    assert contents_of_copy(folder) == BEFORE + WRITE + behind
    assert log.finish(made) and not log.reserving
    log.append(0, [b"DEL", b"k"])
    log.flush()
    assert log.size_bytes == (folder / "appendonly.aof.1.incr.aof").stat().st_size
    log.close()
    assert contents(folder) == BEFORE + WRITE + behind + [(0, [b"DEL", b"k"])]


@pytest.mark.parametrize("seed", range(8))
def test_what_a_power_cut_leaves_can_be_read(log: Aof, folder: Path, disk: Careful, seed: int) -> None:
    """Of what was written in place since the last sync some is there, and what came behind it is."""
    random = Random(seed)
    jobs = Jobs(log)
    made = log.reserve_for(large(), jobs.hear)
    assert made is not None
    behind: Commands = [(1, [b"SET", b"k", b"v"])]
    log.append(*behind[0])
    log.flush()
    head_at = (folder / "appendonly.aof.1.incr.aof").read_bytes().index(b"*2\r\n$4\r\nPING")
    log._syncer.sync_now()
    for _ in range(100):
        copy = folder.parent / "copy"
        shutil.copytree(folder, copy)
        with open(copy / "appendonly.aof.1.incr.aof", "r+b") as file:
            for at, before in random.sample(disk.unsynced, random.randint(0, len(disk.unsynced))):
                file.seek(at)
                file.write(before)
        found = contents(copy)
        shutil.rmtree(copy)
        assert found in (BEFORE + behind, BEFORE + WRITE + behind)
        assert made.is_over or found == BEFORE + behind or any(at == head_at for at, _ in disk.unsynced)
        if made.is_over:
            assert found == BEFORE + WRITE + behind
            break
        jobs.step()
    assert made.is_over


def test_what_is_cut_off_in_it_is_an_unfinished_end(log: Aof, folder: Path) -> None:
    jobs = Jobs(log)
    made = log.reserve_for(large(), jobs.hear)
    assert made is not None
    for _ in range(9):
        jobs.step()
    data = (folder / "appendonly.aof.1.incr.aof").read_bytes()
    begin = data.index(b"*2\r\n$4\r\nPING")
    assert len(data) - begin > 900
    copy = Path(shutil.copytree(folder, folder.parent / "copy"))
    for size in range(begin, len(data), 5):
        (copy / "appendonly.aof.1.incr.aof").write_bytes(data[:size])
        assert contents(copy) == BEFORE


@pytest.mark.parametrize("steps", [0, 5, 100])
def test_the_reference_reads_it_filled_or_not(log: Aof, folder: Path, tmp_path: Path, steps: int) -> None:
    jobs = Jobs(log)
    made = log.reserve_for(large(), jobs.hear)
    assert made is not None
    log.append(1, [b"SET", b"k", b"v"])
    log.flush()
    for _ in range(steps):
        if not made.is_over:
            jobs.step()
    data = tmp_path / "reference"
    shutil.copytree(folder, data / "appendonlydir")
    with Reference(dir=data, appendonly="yes") as server, server.connect() as client:
        assert client.call("GET", "a") == b"1"
        client.call("SELECT", 1)
        assert client.call("GET", "k") == b"v"
        client.call("SELECT", 3)
        assert client.call("GET", "large") == (WRITE[1][1][2] if made.is_over else None)


@pytest.mark.parametrize("good_writes", [0, 1, 3, 7, 12])
def test_what_can_not_be_filled_goes_the_usual_way(
    log: Aof, folder: Path, disk: Careful, good_writes: int, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = Jobs(log)
    disk.good_writes = good_writes
    made = log.reserve_for(large(), jobs.hear)
    assert made is not None
    log.append(1, [b"SET", b"k", b"v"])
    assert log.flush()
    while not made.is_over:
        jobs.step()
    assert jobs.done == 1 and isinstance(made.error, OSError)
    assert not log.finish(made) and not log.finish(made)
    assert "goes the usual way: [Errno 28] no room" in caplog.text
    assert log.flush()
    log.append(2, [b"DEL", b"k"])
    log.close()
    assert contents(folder) == BEFORE + [(1, [b"SET", b"k", b"v"])] + WRITE + [(2, [b"DEL", b"k"])]


@pytest.mark.parametrize("good_appends", [0, 1, 2])
def test_where_no_room_can_be_made_nothing_is_left_of_it(
    log: Aof, folder: Path, disk: Careful, good_appends: int
) -> None:
    jobs = Jobs(log)
    assert log.flush()
    disk.good_appends = good_appends
    assert log.reserve_for(large(), jobs.hear) is None
    disk.good_appends = 1 << 30
    assert not log.reserving and not [job for job in jobs if not job.__name__.startswith("_plan")]
    log.append(1, [b"SET", b"k", b"v"])
    assert log.flush()
    assert contents_of_copy(folder) == BEFORE + [(1, [b"SET", b"k", b"v"])]
    assert log.size_bytes == (folder / "appendonly.aof.1.incr.aof").stat().st_size


def test_nothing_is_written_behind_what_can_not_be_taken_back(log: Aof, folder: Path, disk: Careful) -> None:
    Jobs(log)
    assert log.flush()
    disk.good_appends, disk.truncate_error = 2, OSError(errno.EIO, "nor that")
    assert log.reserve_for(large(), lambda: None) is None
    disk.good_appends = 1 << 30
    log.append(1, [b"SET", b"k", b"v"])
    assert not log.flush() and log.last_write_error is disk.truncate_error
    disk.truncate_error = None
    assert log.flush()
    assert contents_of_copy(folder) == BEFORE + [(1, [b"SET", b"k", b"v"])]


@pytest.mark.parametrize("good_writes", [1 << 30, 9])
def test_a_log_that_is_closed_has_it(folder: Path, opened: Callable[..., Aof], disk: Careful, good_writes: int) -> None:
    """Here with the thread."""
    log = opened(disk=disk)
    disk.good_writes = good_writes
    heard: list[bool] = []
    made = log.reserve_for(large(), lambda: heard.append(True))
    assert made is not None
    log.close()
    assert heard == [True] and log.finish(made) == (made.error is None)
    assert contents(folder) == WRITE


def test_where_each_turn_is_synced_it_goes_the_usual_way(opened: Callable[..., Aof]) -> None:
    log = opened(fsync="always")
    assert not log.reserves and log.reserve_for(large(), lambda: None) is None


@pytest.mark.parametrize("size_bytes", [12, 101, 1 << 22, 1 << 29])
def test_a_head_lies_within_a_sector(size_bytes: int) -> None:
    assert len(empty_head(size_bytes)) == len(filled_head(size_bytes))
    for at in range(2 * SECTOR):
        filler = padding(at, len(empty_head(size_bytes)))
        begin = at + len(filler)
        assert begin // SECTOR == (begin + len(empty_head(size_bytes)) - 1) // SECTOR
        reader = LogReader()
        assert reader.feed(filler + filled_head(size_bytes)) == [] and reader.whole_bytes == reader.fed_bytes


def test_it_says_when_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"")
    heard: list[bool] = []
    made = Reservation(Disk(), path, 0, [b"*1\r\n$4\r\nPING\r\n"], lambda: heard.append(made.is_over))
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    made.begin(fd)
    os.close(fd)
    while made.fill():
        assert not made.is_over and not heard
    made.wait()
    assert heard == [True] and path.stat().st_size == made.end

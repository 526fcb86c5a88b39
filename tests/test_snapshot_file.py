"""Files of snapshots: what is in them, how they end, and that the loop never waits for the disk."""

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shard.keyspace import Store
from shard.log_buffer import Piece
from shard.log_syncer import LogSyncer
from shard.rdb.crc64 import crc64
from shard.snapshot_file import CHUNK_BYTES, SYNC_BYTES, UNWRITTEN_BYTES_MAX, Busy, SnapshotFile, SnapshotFiles, Sync
from shard.value import Value

VALUE = b"v" * 1000
PLAIN = Sync(incremental=True)


class SlowDisk:
    """A disk that does nothing until it may, and fails when it is told to."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()
        self.error: OSError | None = None
        self.short = False
        self.syncs: list[int] = []
        """How much the file had at each sync."""

    def writev(self, fd: int, buffers: list[Piece], /) -> int:
        assert self.may.wait(timeout=30)
        if self.error is not None:
            raise self.error
        if self.short:
            buffers = [bytes(buffers[0][: len(buffers[0]) // 2 + 1])]
        return os.writev(fd, buffers)

    def sync(self, fd: int, /) -> None:
        self.syncs.append(os.fstat(fd).st_size)
        os.fdatasync(fd)


class Desk:
    """A keyspace, and what makes files of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "file"
        self.disk = SlowDisk()
        self.store = Store()
        self.syncer = LogSyncer(os.fdatasync, lambda: (0, -1), lambda: 0.0)
        self.files = SnapshotFiles(self.store, asyncio.get_running_loop(), self.syncer.do, self.disk)
        self.ended = asyncio.Event()
        self.errors: list[OSError | None] = []

    def fill(self, keys: int) -> bytes:
        """Puts keys in; what is written of them, sorted."""
        for number in range(keys):
            self.store.dbs[0].set(b"%07d" % number, VALUE)
        return b"".join(sorted(encode(0, b"%07d" % number, VALUE, -1) for number in range(keys)))

    def begin(self, sync: Sync = PLAIN, **options: bytes | Callable[[SnapshotFile], bytes]) -> SnapshotFile:
        return self.files.begin(self.path, Encoder(), self.done, sync=sync, **options)  # type: ignore[arg-type]

    def done(self, file: SnapshotFile, error: OSError | None) -> None:
        assert self.files.current is None
        self.errors.append(error)
        self.ended.set()

    def content(self) -> bytes:
        """What is in the file, sorted by key."""
        size = len(encode(0, b"0000000", VALUE, -1))
        data = self.path.read_bytes()
        return b"".join(sorted(data[at : at + size] for at in range(0, len(data), size)))

    async def idle(self) -> None:
        """Returns when the thread has done all that it has, and the loop has heard of it."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.syncer.do(lambda: loop.call_soon_threadsafe(done.set) and None)
        await asyncio.wait_for(done.wait(), 30)


def encode(db: int, key: bytes, value: Value, at_ms: int) -> bytes:
    assert isinstance(value, bytes)
    return b"%d %b %b %d\n" % (db, key, value, at_ms)


class Encoder:
    """What each key says of itself."""

    def entry(self, db: int, key: bytes, value: Value, at_ms: int) -> bytes:
        return encode(db, key, value, at_ms)

    def entry_in_pieces(self, db: int, key: bytes, value: Value, at_ms: int) -> Iterator[bytes]:
        yield encode(db, key, value, at_ms)


class Faulty(Encoder):
    def entry(self, db: int, key: bytes, value: Value, at_ms: int) -> bytes:
        raise ZeroDivisionError


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Desk]:
    desk = Desk(folder)
    yield desk
    desk.disk.may.set()
    desk.syncer.stop()


def run(folder: Path, test: "Callable[[Desk], object]") -> None:
    async def main() -> None:
        async with opened(folder) as desk:
            await asyncio.wait_for(test(desk), 60)  # type: ignore[arg-type]

    asyncio.run(main())


@pytest.mark.parametrize("keys", [0, 1, 3000])
def test_what_was_there_is_in_the_file(tmp_path: Path, keys: int) -> None:
    async def test(desk: Desk) -> None:
        expected = desk.fill(keys)
        file = desk.begin()
        desk.store.dbs[0].set(b"0000000", b"later")
        desk.store.dbs[0].clear(later=True)
        desk.store.dbs[0].set(b"new", b"later")
        await desk.ended.wait()
        assert desk.errors == [None]
        assert desk.content() == expected
        assert (file.keys, file.keys_total, file.size_bytes) == (keys, keys, len(expected))
        assert file.checksum == crc64(desk.path.read_bytes())
        assert desk.disk.syncs[-1] == len(expected)

    run(tmp_path, test)


def test_head_and_end(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        expected = desk.fill(1)
        desk.begin(head=b"head", end=lambda file: b"%d %x" % (file.size_bytes, file.checksum))
        await desk.ended.wait()
        body = b"head" + expected
        assert desk.path.read_bytes() == body + b"%d %x" % (len(body), crc64(body))

    run(tmp_path, test)


def test_short_writes_are_gone_on_with(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        expected = desk.fill(500)
        desk.disk.short = True
        desk.begin()
        await desk.ended.wait()
        assert desk.content() == expected

    run(tmp_path, test)


def test_a_sync_every_now_and_then_or_only_at_the_end_or_never(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        size = len(desk.fill(3 * SYNC_BYTES // len(VALUE)))
        for sync, counts in (
            (Sync(incremental=True), (3, 4)),
            (Sync(incremental=False), (1,)),
            (Sync(incremental=True, at_end=False), (0,)),
        ):
            desk.ended.clear()
            desk.disk.syncs.clear()
            desk.begin(sync)
            await desk.ended.wait()
            assert len(desk.disk.syncs) in counts
            assert desk.path.stat().st_size == size

    run(tmp_path, test)


def test_one_at_a_time(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.fill(1)
        desk.begin()
        with pytest.raises(Busy):
            desk.begin()
        await desk.ended.wait()
        desk.ended.clear()
        desk.begin()
        await desk.ended.wait()
        assert desk.errors == [None, None]

    run(tmp_path, test)


def test_a_file_that_cannot_be_made_is_no_snapshot(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.fill(1)
        desk.path.mkdir()
        with pytest.raises(IsADirectoryError):
            desk.begin()
        assert desk.files.current is None
        assert desk.store.dbs[0].snapshot is None
        desk.path.rmdir()
        desk.begin()
        await desk.ended.wait()
        assert desk.errors == [None]

    run(tmp_path, test)


def test_a_full_disk_ends_it_and_the_file_is_gone(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.fill(1000)
        desk.disk.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        desk.begin()
        await desk.ended.wait()
        await desk.idle()
        assert [error.errno for error in desk.errors if error] == [errno.ENOSPC]
        assert not desk.path.exists()
        assert desk.store.dbs[0].snapshot is None

    run(tmp_path, test)


def test_stopped_in_the_middle(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.fill(1000)
        desk.disk.may.clear()
        file = desk.begin()
        while not desk.path.exists():
            await asyncio.sleep(0)
        file.stop()
        file.stop()
        assert desk.files.current is None
        assert desk.store.dbs[0].snapshot is None
        desk.disk.may.set()
        await desk.idle()
        assert not desk.path.exists()
        assert not desk.errors

    run(tmp_path, test)


def test_a_slow_disk_holds_up_the_reading_out_and_not_the_loop(tmp_path: Path) -> None:
    """What is on its way to the disk is bounded, and the loop runs on."""

    async def test(desk: Desk) -> None:
        expected = desk.fill(2 * UNWRITTEN_BYTES_MAX // len(VALUE))
        desk.disk.may.clear()
        file = desk.begin()
        seen = -1
        while seen != file.size_bytes:
            seen = file.size_bytes
            for _ in range(10):
                await asyncio.sleep(0)
        assert UNWRITTEN_BYTES_MAX < seen <= UNWRITTEN_BYTES_MAX + 4 * CHUNK_BYTES
        assert not desk.ended.is_set()
        desk.store.dbs[0].set(b"0000000", b"later")
        desk.disk.may.set()
        await desk.ended.wait()
        assert desk.content() == expected

    run(tmp_path, test)


def test_a_bug_ends_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(desk: Desk) -> None:
        desk.store.dbs[0].set(b"k", b"not 0" * 10)
        desk.files.begin(desk.path, Faulty(), desk.done, sync=PLAIN)
        await desk.ended.wait()
        await desk.idle()
        assert isinstance(desk.errors[0], OSError)
        assert not desk.path.exists()

    run(tmp_path, test)
    assert "ZeroDivisionError" in caplog.text

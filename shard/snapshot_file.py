"""Snapshots on their way into files, beside all that a shard does: for a save, and for the base of a log.

Rule 1: one at a time, whoever wants it: who comes second is told that it is `Busy`.
Rule 2: the loop reads the keyspace out, a slice between two turns, and the log's thread writes and syncs: the loop
        never waits for the disk. While much waits to be written nothing more is read out, but for pre-images.
Rule 3: whoever began it hears its end once, in the loop: all is on disk, or why not. Then the file is whole, or it is
        gone. What its name is after that is not decided here.
"""

import errno
import logging
import os
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from shard.log_buffer import Piece
from shard.rdb.crc64 import crc64
from shard.snapshot import Encoder, Snapshot

if TYPE_CHECKING:
    from shard.keyspace import Store

logger = logging.getLogger("shardis")

SLICE_S = 0.0002
"""How long the reading out may hold the loop at once."""
REST = 6
"""While clients are served it rests for so many times as long as a slice took: it takes a seventh of a core, and leaves
them the rest. With 0.5 ms and a third of a core the p99 of half of the GETs that are possible on two cores was five
times what it is without (tests.bench --rewrite); so it is twice that, and 1 M keys take 8 s beside them."""
CHUNK_BYTES = 1 << 18
"""What is handed to the thread at once: small enough to be copied in 0.1 ms, large enough for few system calls."""
SYNC_BYTES = 1 << 22
"""As Redis, with `*-incremental-fsync`: a sync of some GB at the end would keep the disk busy for seconds."""
UNWRITTEN_BYTES_MAX = 1 << 24
"""With 16 MB on their way to a disk that is slow, what is to come waits in the keyspace."""


class Disk(Protocol):
    """The calls that wait for a disk or fail with it, as the log has them."""

    def writev(self, fd: int, buffers: list[Piece], /) -> int: ...
    def sync(self, fd: int, /) -> None: ...


Job = Callable[[], None]


class Busy(Exception):
    """There is a snapshot already."""


class SnapshotFiles:
    """Where a shard makes files of snapshots."""

    def __init__(self, store: "Store", loop: AbstractEventLoop, do: Callable[[Job], None], disk: Disk) -> None:
        """`do` has something done in the log's thread, one job after the other."""
        self.store = store
        self.loop = loop
        self.do = do
        self.disk = disk
        self.turns: Callable[[], int] = lambda: 0
        """How much was done for clients: while that grows, they are served."""
        self.changed: Callable[[], None] = lambda: None
        """Hears that one is being written, or is not any more."""
        self.current: SnapshotFile | None = None
        """The one that is being written."""

    def begin(
        self, path: Path, encoder: Encoder, done: "Done", *, head: bytes = b"", end: "End | None" = None, sync: "Sync"
    ) -> "SnapshotFile":
        """Has the keyspace as it is now written to `path`, between `head` and what `end` gives when all was read out.
        `done` hears how that ended, unless it is stopped.  Raises Busy, and OSError if the file can't be made."""
        if self.current is not None:
            raise Busy()
        self.current = SnapshotFile(self, path, done, end, sync)
        self.current.begin(encoder, head)
        self.changed()
        return self.current

    def end(self) -> None:
        """None is being written any more."""
        self.current = None
        self.changed()


class Sync:
    """How a file is synced, and whether its sum is wanted: what the directives say."""

    def __init__(self, *, incremental: bool, at_end: bool = True, checksum: bool = True) -> None:
        self.every_bytes = SYNC_BYTES if incremental and at_end else 0
        self.at_end = at_end
        self.checksum = checksum


class SnapshotFile:
    """The keyspace as it was at one moment, on its way into a file."""

    def __init__(self, files: SnapshotFiles, path: Path, done: "Done", end: "End | None", sync: Sync) -> None:
        self.path = path
        self.size_bytes = 0
        self.checksum = 0
        """CRC-64 of these bytes, if that is wanted."""
        self.over = False
        self.keys_total = sum(db.size for db in files.store.dbs)
        """How many keys it will have."""
        self._files = files
        self._done = done
        self._end = end
        self._sync = sync
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._chunk: list[bytes] = []
        self._chunk_bytes = 0
        self._unsynced_bytes = 0
        self._unwritten_bytes = 0
        self._paused = False
        self._turns = 0
        self._error: OSError | None = None
        """Why the thread gave up: what is handed to it after that is not written."""

    @property
    def keys(self) -> int:
        """How many were read out."""
        return self._snapshot.keys

    def stop(self) -> None:
        """Gives it up, in the middle: the file goes. Nobody hears of it."""
        if not self.over:
            self._close(OSError(errno.ECANCELED, "stopped"))

    # In the loop

    def begin(self, encoder: Encoder, head: bytes) -> None:
        """Takes the snapshot."""
        self._snapshot = Snapshot(self._files.store, encoder)
        self._add(head)
        self._files.loop.call_soon(self._slice)

    def _slice(self) -> None:
        """Reads out a slice, and comes again behind what has come meanwhile."""
        if self.over:
            return
        started_s = time.perf_counter()
        try:
            if self._read_out():
                self._paused = self._unwritten_bytes > UNWRITTEN_BYTES_MAX
                if not self._paused:
                    self._come_again(time.perf_counter() - started_s)
        except Exception as error:  # Else nobody would hear that it does not end.
            logger.exception("internal error in the writing of %s", self.path)
            self._fail(OSError(errno.EIO, f"internal error: {error}"))

    def _come_again(self, spent_s: float) -> None:
        turns, self._turns = self._turns, self._files.turns()
        if turns == self._turns:
            self._files.loop.call_soon(self._slice)
        else:
            self._files.loop.call_later(REST * spent_s, self._slice)

    def _read_out(self) -> bool:
        """Reads out a slice, and ends the file behind the last one; whether there is more."""
        until_s = time.perf_counter() + SLICE_S
        more = self._step()
        while more and time.perf_counter() < until_s:
            more = self._step()
        if not more:
            self._snapshot.end()
            if self._end is not None:
                self._add(self._end(self))
            self._hand_over()
            self._files.do(self._finish)
        return more

    def _step(self) -> bool:
        snapshot = self._snapshot
        more = snapshot.step()
        pieces, snapshot.pieces = snapshot.pieces, []
        self._add(b"".join(pieces))
        return more

    def _add(self, data: bytes) -> None:
        self.size_bytes += len(data)
        if self._sync.checksum:
            self.checksum = crc64(data, self.checksum)
        self._chunk.append(data)
        self._chunk_bytes += len(data)
        if self._chunk_bytes >= CHUNK_BYTES:
            self._hand_over()

    def _hand_over(self) -> None:
        data = b"".join(self._chunk)
        self._chunk.clear()
        self._chunk_bytes = 0
        self._unwritten_bytes += len(data)
        self._unsynced_bytes += len(data)
        sync = 0 < self._sync.every_bytes <= self._unsynced_bytes
        if sync:
            self._unsynced_bytes = 0
        self._files.do(lambda: self._write(data, sync=sync))

    def _written(self, size_bytes: int) -> None:
        self._unwritten_bytes -= size_bytes
        if self._error is not None:
            self._fail(self._error)
        elif self._paused and self._unwritten_bytes <= UNWRITTEN_BYTES_MAX // 2:
            self._paused = False
            self._slice()

    def _finished(self) -> None:
        if self._error is not None:
            self._fail(self._error)
        elif not self.over:
            self.over = True
            self._files.end()
            self._done(self, None)

    def _fail(self, error: OSError) -> None:
        if not self.over:
            self._close(error)
            self._done(self, error)

    def _close(self, error: OSError) -> None:
        self.over = True
        self._error = self._error or error
        self._snapshot.end()
        self._files.end()
        self._files.do(self._drop)

    # In the thread

    def _write(self, data: bytes, *, sync: bool) -> None:
        if self._error is None:
            try:
                left = memoryview(data)
                while left:
                    count = self._files.disk.writev(self._fd, [left])
                    if not count:
                        raise OSError(errno.EIO, "nothing was written")
                    left = left[count:]
                if sync:
                    self._files.disk.sync(self._fd)
            except OSError as error:
                self._error = error
        self._files.loop.call_soon_threadsafe(self._written, len(data))

    def _finish(self) -> None:
        if self._error is None:
            try:
                if self._sync.at_end:
                    self._files.disk.sync(self._fd)
                fd, self._fd = self._fd, -1
                os.close(fd)
            except OSError as error:
                self._error = error
        self._files.loop.call_soon_threadsafe(self._finished)

    def _drop(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self.path.unlink(missing_ok=True)


Done = Callable[[SnapshotFile, OSError | None], None]
End = Callable[[SnapshotFile], bytes]

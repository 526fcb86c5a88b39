"""The log of a shard on disk: a folder with a manifest, a base and increments, as Redis 7 lays it out.

    <dir>/shard-2/appendonlydir/appendonly.aof.manifest           names the files that count, see shard/manifest.py
                                appendonly.aof.1.base.aof         made by a rewrite; there is none before the first
                                appendonly.aof.1.incr.aof         what came since, in RESP; the last one is appended to

Rule 1: a file counts from the moment that a manifest naming it was renamed into place, and is synced before that. So
        whatever moment the power goes, there is one whole set of files.
Rule 2: only the last increment may end in the middle of something. It is the only one that is written to: the one
        before it was synced before the manifest named the next.
Rule 3: what `append` took is written exactly once and in order, whatever `write` says: a short or refused one is gone
        on with where it stopped. Nothing is appended past what is refused, nor past what `always` could not sync.
Rule 4: everything is written in the turn that `flush` ends, also while a sync runs. Redis puts writing off for up to
        2 s then, because some kernels made it wait; a client that has its +OK could lose its write by a crash of the
        process. Measured on ext4 with writes of 20 KB: median 77 instead of 63 µs, 14 ms at most.
Rule 5: one write of very many bytes is written beside the loop, and what comes after it meanwhile stands behind it, see
        reservation.py. It is over before the log is closed.
Rule 6: a folder has one user: it is locked, so that a second process can't append to the same file.
"""

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from shard.log_buffer import BUFFERS_MAX, LogBuffer, Piece
from shard.log_files import Disk, cut, folder_of_shard
from shard.log_folder import LogFolder, NextIncrement
from shard.log_reading import Apply, Put, do_slice, read_log
from shard.log_swap import Swap
from shard.log_syncer import LogSyncer
from shard.reservation import Reservation

logger = logging.getLogger("shardis")

BUFFER_BYTES_MAX = 1 << 26
"""While the disk is full clients' writes are refused, so only what nobody asked for (expiry, eviction) still comes.
From 64 MB on the shard stops that as well, see `Aof.buffer_full`: over a million expired keys."""


class Fsync(StrEnum):
    """`appendfsync`: when what is written is made sure to survive a crash of the machine."""

    ALWAYS = "always"
    EVERYSEC = "everysec"
    NO = "no"


class Settings(Protocol):
    """What `Aof.of_shard` needs of a configuration: redis.conf's directives by name."""

    def __getitem__(self, name: str, /) -> Any: ...


class Aof:
    """The log of one shard: `load` it, then `append` and `flush` once a turn, `close` at the end.

    `append` and `append_group` are LogBuffer's own, bound here: a call between them would cost 0.05 µs per command.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "appendonly.aof",
        fsync: str = Fsync.EVERYSEC,
        *,
        enabled: bool = True,
        load_truncated: bool = True,
        databases: int = 16,
        disk: Disk | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.files = LogFolder(folder, name)
        self.enabled = enabled
        self.load_truncated = load_truncated
        self.databases = databases
        self.fsync = Fsync(fsync)
        self.buffer = LogBuffer()
        self.append = self.buffer.append if enabled else _ignore
        self.append_group = self.buffer.append_group if enabled else _ignore
        self.base_size_bytes = 0
        self.written_bytes = 0
        """Appended to the log by this process. `synced_bytes` follows it."""
        self.loaded_bytes = 0
        self.total_bytes = 0
        """What a load has come to, and what it will come to."""
        self.delayed_fsyncs = 0
        self.put_off = False
        """Whether syncs wait, because a snapshot is being written (`no-appendfsync-on-rewrite`): until then the log is
        left to the kernel, also with `always`."""
        self._write_error: OSError | None = None
        self._unsynced: list[Piece] = []
        """With `always`, what was written since the last sync."""
        self._sync_failed = False
        """Whether `_unsynced` has to be taken back before anything is written behind it."""
        self._doubtful = False
        """Whether the last sync failed. Then what is there is synced first: until that can be done nothing is written
        which a crash would leave there, refused as it was."""
        self._disk = disk or Disk()
        self._syncer = LogSyncer(self._sync_file, lambda: (self.written_bytes, self._fd), clock_s)
        self._reservations: list[Reservation] = []
        """Those that are being filled."""
        self._names_sure = False
        """Whether the manifest that counts for this process does so after a power cut, too."""
        self.provisional = False
        """Whether this log begins to count only when it gets its base: until then what it takes goes to a file that no
        manifest names, and the files of the log before it count."""
        self._fd = -1
        self._closed_files_bytes = 0
        self._file_bytes = 0

    @classmethod
    def of_shard(cls, settings: Settings, index: int) -> "Aof":
        """The log of shard `index`, where redis.conf's directives and the layout put it.  Raises LogDamaged."""
        return cls(
            folder_of_shard(Path(settings["dir"]), index) / settings["appenddirname"],
            settings["appendfilename"],
            settings["appendfsync"],
            enabled=settings["appendonly"],
            load_truncated=settings["aof-load-truncated"],
            databases=settings["databases"],
        )

    # What is known of it

    @property
    def size_bytes(self) -> int:
        """Of all files that count."""
        return self._closed_files_bytes + self._file_bytes

    @property
    def synced_bytes(self) -> int:
        """How much of `written_bytes` is known to be on disk; -1 while it would not be read."""
        return -1 if self.provisional else self._syncer.synced_bytes

    def hear_syncs(self, heard: Callable[[], None]) -> None:
        """Has `heard` called after each sync that succeeds, in any thread."""
        self._syncer.heard = heard

    @property
    def last_write_error(self) -> OSError | None:
        """Why the log can't be trusted to be written now; None in health. While it is set, `flush` tries again."""
        return self._write_error or self._syncer.error

    @property
    def buffer_full(self) -> bool:
        """Whether so much waits for a disk that is full that the shard must stop expiring and evicting."""
        return self._write_error is not None and self.buffer.bytes_count >= BUFFER_BYTES_MAX

    def info(self) -> dict[str, int | str]:
        """Its lines of INFO persistence, which are shown when it is enabled."""
        return {
            "aof_last_write_status": "ok" if self.last_write_error is None else "err",
            "aof_current_size": self.size_bytes,
            "aof_base_size": self.base_size_bytes,
            "aof_buffer_length": self.buffer.bytes_count,
            "aof_pending_bio_fsync": int(self._syncer.running_since_s is not None),
            "aof_delayed_fsync": self.delayed_fsyncs,
        }

    # Start and end

    def load(self, apply: Apply, put: Put | None = None, config: dict[str, Any] | None = None) -> Iterator[int]:
        """Does again what the log says, and opens it for appending. `put` takes the keys of a base that is an RDB file,
        which is read by the directives of `config`. Yields the number of commands and keys so far, after each slice.
        Raises LogDamaged, OSError; a RedisError that `apply` raises, or `put`, makes it damage."""
        files = self.files
        files.take()
        commands = 0
        for part in read_log(files.path, files.manifest, self.load_truncated, self.databases, config):
            commands += do_slice(part, apply, put)
            self.loaded_bytes, self.total_bytes = part.loaded_bytes, part.total_bytes
            if part.dropped_bytes:
                cut(Path(part.file), part.offset)
            yield commands
        self._open()

    def close(self) -> None:
        """Writes and syncs what there is, and gives the folder free. A second call does nothing."""
        for reservation in self._reservations[:]:
            self.finish(reservation)
        if self._fd >= 0:
            self.flush()
            if not self.buffer.empty:
                logger.error("%d bytes could not be written to the log and are lost", self.buffer.bytes_count)
            try:
                self._syncer.sync_now()
            except OSError as error:
                logger.error("the log can't be synced: %s", error)
        self._syncer.stop()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            if self.provisional:
                self.files.provisional.unlink(missing_ok=True)
        self.files.release()

    # A turn

    def flush(self) -> bool:
        """Writes what was appended, and syncs it as `fsync` says. Whether that is done: if not, `last_write_error` says
        why, what waits is kept, and the next call goes on where this one stopped."""
        if self._fd < 0:
            return not self.enabled
        syncer = self._syncer
        try:
            if self._sync_failed:
                self._take_back()
            if self._doubtful:
                self._sync_file(self._fd)
                self._doubtful = False
            if not self.buffer.empty:
                if syncer.found_delayed():
                    self.delayed_fsyncs += 1
                    logger.warning("a sync of the log takes more than 2 seconds; the disk may be busy")
                self._write()
            if self.written_bytes != syncer.synced_bytes and not self.put_off:
                if self.fsync is Fsync.EVERYSEC:
                    syncer.ask()
                elif self.fsync is Fsync.ALWAYS:
                    self._sync()
        except OSError as error:
            if self._write_error is None:
                logger.error("the log can't be written, writes are refused: %s", error)
            self._write_error = error
            return False
        if self._write_error is not None:
            logger.warning("the log can be written again")
            self._write_error = None
        return True

    # Very large writes

    @property
    def reserves(self) -> bool:
        """Whether one could go beside the loop now. With `always` everybody would wait for its sync all the same."""
        return self._fd >= 0 and not self.provisional and self.fsync is not Fsync.ALWAYS

    @property
    def reserving(self) -> bool:
        """Whether some are under way."""
        return bool(self._reservations)

    def reserve_for(self, write: LogBuffer, done: Callable[[], None]) -> Reservation | None:
        """Has the thread write what waits in `write`, and call `done` when that is on disk or has failed: then `finish`
        is to be called. None if it has to be appended, the usual way."""
        if not self.reserves or not self.flush():
            return None
        path = self.files.path_of(self.files.manifest.increments[-1])
        reservation = Reservation(self._disk, path, self._file_bytes, write.gather(), done)
        try:
            reservation.begin(self._fd)
        except OSError as error:
            logger.warning("no room can be made in the log, a large write goes the usual way: %s", error)
            self._sync_failed = True  # What was made of it is taken back.
            return None
        self.written_bytes += reservation.end - self._file_bytes
        self._file_bytes = reservation.end
        self.buffer.forget_db()
        self._reservations.append(reservation)
        self._fill_later(reservation)
        return reservation

    def _fill_later(self, reservation: Reservation) -> None:
        self._syncer.do(partial(self._fill, reservation))

    def _fill(self, reservation: Reservation) -> None:
        """A piece of it: syncs of the log come between."""
        if reservation.fill():
            self._fill_later(reservation)

    def finish(self, reservation: Reservation) -> bool:
        """Goes on once it is over, which may have to be waited for; whether it was filled. If not, it is appended."""
        reservation.wait()
        if reservation in self._reservations:
            self._reservations.remove(reservation)
            if reservation.error is not None:
                logger.warning("a large write goes the usual way: %s", reservation.error)
                self.buffer.take(reservation.write)
            reservation.write = []  # It may be kept by who asked for it.
        return reservation.error is None

    def set_fsync(self, fsync: str) -> None:
        """Changes the policy, from the next `flush` on.  Raises ValueError for an unknown one."""
        self.fsync = Fsync(fsync)
        if self.fsync is not Fsync.ALWAYS:
            self._doubtful = False
        if self.fsync is Fsync.NO:
            self._syncer.error = None
        if self.fsync is not Fsync.ALWAYS and not self._sync_failed:
            self._unsynced.clear()

    def _write(self) -> None:
        buffers = self.buffer.gather()
        while buffers:
            count = self._disk.writev(self._fd, buffers[:BUFFERS_MAX])
            if not count:
                raise OSError(errno.EIO, "nothing was written")
            dropped = self.buffer.drop(count)
            if self.fsync is Fsync.ALWAYS and not self.put_off:
                self._unsynced += dropped
            self._file_bytes += count
            self.written_bytes += count

    def _sync(self) -> None:
        """Syncs what was written. Where that fails it is cut off again and waits to be written once more: the kernel
        forgets what it could not sync, and the next sync of the same bytes would succeed without them being on disk."""
        try:
            self._syncer.sync_now()
        except OSError:
            self._sync_failed = self._doubtful = True
            self._take_back()
            raise
        self._unsynced.clear()

    def _take_back(self) -> None:
        """Cuts off what was written and could not be synced.  Raises OSError."""
        size_bytes = sum(map(len, self._unsynced))
        self._disk.truncate(self._fd, self._file_bytes - size_bytes)
        self._file_bytes -= size_bytes
        self.written_bytes -= size_bytes
        self.buffer.put_back(self._unsynced)
        self._unsynced = []
        self._sync_failed = False

    def _sync_file(self, fd: int) -> None:
        """Has what was written survive a power cut, and the names by which it would be found.  Raises OSError."""
        if not self._names_sure:
            self._disk.sync_folder(self.files.path)
            self._names_sure = True
        self._disk.sync(fd)

    # Rewriting, in this order: the cut, which is `open_increment` or `begin_anew`; somebody writes a base with all that
    # was true then; `swap_for` says how that takes the place of all before the cut, and `adopt` that it has

    def do(self, job: Callable[[], None]) -> None:
        """Has something done in the log's thread, that of `close` included."""
        self._syncer.do(job)

    def sync_ahead(self) -> None:
        """Has the thread sync what was written, as soon as it comes to it."""
        if self._fd >= 0:
            self._syncer.sync_soon(promised=self.fsync is not Fsync.NO)

    def open_increment(self, prepared: NextIncrement | None = None) -> int:
        """Has what comes from now on written into a new increment, and gives its number. What of it waits for the disk
        may be `prepared`.  Raises OSError; then the log goes on in the old one."""
        if self._fd >= 0:
            self._flush_or_raise()
            if self.written_bytes != self._syncer.synced_bytes:
                self._syncer.sync_now()
        fd = self.files.cut(prepared or self.files.prepare_increment())
        # Sure with the first sync of what is in it: there is nothing to lose before that.
        self._names_sure = False
        # First this, then the close: the thread may begin a sync between the two.
        before, self._fd = self._fd, fd
        if before >= 0:
            self._close_later(before)
        self._closed_files_bytes += self._file_bytes
        self._file_bytes = 0
        self.buffer.forget_db()
        return self.files.manifest.increments[-1].number

    def reserve(self) -> None:
        """Takes the folder, for a log or a base that is about to begin.  Raises OSError, LogDamaged."""
        self.files.take()
        self.files.begin()
        self._closed_files_bytes = self.files.size_of(*self.files.manifest.files)

    def begin_anew(self) -> int:
        """Begins a provisional log in the reserved folder, or begins it once more; gives the number that its increment
        will have.  Raises OSError."""
        if self._fd < 0:
            self._fd = self.files.open_provisional()
        else:
            self._flush_or_raise()
            self._disk.truncate(self._fd, 0)
            self._file_bytes = 0
            self.buffer.forget_db()
        self.provisional = True
        return self.files.manifest.with_increment(self.files.name).increments[-1].number

    def swap_for(self, base: Path, first_number: int, form: str = "aof") -> Swap:
        """How `base`, a synced temporary file in the folder, takes the place of all before increment `first_number`."""
        return self.files.swap_for(base, first_number, form, provisional=self.provisional)

    def adopt(self, swap: Swap) -> None:
        """Goes on with the files that a swap has put in force."""
        self.files.manifest = swap.manifest
        self._names_sure = False
        if self._fd >= 0:
            self._closed_files_bytes = self.files.size_of(*swap.manifest.files[:-1])
        # As Redis counts: what was written since the cut is no growth.
        self.base_size_bytes = self.size_bytes
        if self.provisional:
            self.provisional = False
            self._syncer.heard()

    def replace_base(self, base: Path, first_number: int, form: str = "aof") -> None:
        """Has `base` take the place of all before increment `first_number`, here and now.  Raises OSError."""
        swap = self.swap_for(base, first_number, form)
        swap.run()
        if swap.in_force:
            self.adopt(swap)
        if swap.error is not None:
            raise swap.error

    def _flush_or_raise(self) -> None:
        if not self.flush():
            assert self._write_error is not None
            raise self._write_error

    def _close_later(self, fd: int) -> None:
        self._syncer.do(lambda: os.close(fd))

    def _open(self) -> None:
        """Opens the last increment, or the first, after a load."""
        files, manifest = self.files, self.files.manifest
        self._closed_files_bytes = files.size_of(*manifest.files)
        if manifest.base is not None:
            self.base_size_bytes = files.size_of(manifest.base)
        if manifest.increments:
            last = manifest.increments[-1]
            self._fd = os.open(files.path_of(last), os.O_WRONLY | os.O_APPEND)
            self._file_bytes = files.size_of(last)
            self._closed_files_bytes -= self._file_bytes
        else:
            self.open_increment()
        self._sync_file(self._fd)  # What a process before this one has written counts as synced from here on.
        files.delete_history(self._close_later)


def _ignore(*_: object) -> None:
    """What a log that is not enabled appends."""

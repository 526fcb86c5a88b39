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
Rule 5: a folder has one user: it is locked, so that a second process can't append to the same file.
"""

import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from common.errors import RedisError
from shard import layout as layouts
from shard import manifest as manifests
from shard.layout import Layout
from shard.log_buffer import BUFFERS_MAX, LogBuffer, Piece
from shard.log_reader import LogDamaged, LogSlice, read_slices
from shard.log_syncer import LogSyncer
from shard.manifest import Manifest

logger = logging.getLogger("shardis")

SLICE_BYTES = 1 << 16
"""Read between two moments at which the shard answers others: about 900 small commands, 1 to 3 ms with doing them."""
BUFFER_BYTES_MAX = 1 << 26
"""While the disk is full clients' writes are refused, so only what nobody asked for (expiry, eviction) still comes.
From 64 MB on the shard stops that as well, see `Aof.buffer_full`: over a million expired keys."""
TEMPORARY = "temp-"
"""How Redis, too, begins the names of files that don't count yet; what a crash left is deleted at the next start."""

Apply = Callable[[int, list[bytes]], None]


class Fsync(StrEnum):
    """`appendfsync`: when what is written is made sure to survive a crash of the machine."""

    ALWAYS = "always"
    EVERYSEC = "everysec"
    NO = "no"


class Settings(Protocol):
    """What `Aof.of_shard` needs of a configuration: redis.conf's directives by name."""

    def __getitem__(self, name: str, /) -> Any: ...


class Disk:
    """The calls that wait for a disk or fail with it. A test puts a bad disk in its place."""

    def writev(self, fd: int, buffers: list[Piece]) -> int:
        """Appends; how many bytes it took, perhaps not all.  Raises OSError."""
        return os.writev(fd, buffers)

    def sync(self, fd: int) -> None:
        """Returns once the data is on disk.  Raises OSError."""
        os.fdatasync(fd)

    def truncate(self, fd: int, size_bytes: int) -> None:
        """Cuts off the end of a file.  Raises OSError."""
        os.ftruncate(fd, size_bytes)


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
        self.folder = folder
        self.name = name
        self.enabled = enabled
        self.load_truncated = load_truncated
        self.databases = databases
        self.fsync = Fsync(fsync)
        self.buffer = LogBuffer()
        self.append = self.buffer.append if enabled else _ignore
        self.append_group = self.buffer.append_group if enabled else _ignore
        self.manifest = Manifest()
        self.base_size_bytes = 0
        self.written_bytes = 0
        """Appended to the log by this process. `synced_bytes` follows it."""
        self.loaded_bytes = 0
        self.total_bytes = 0
        """What a load has come to, and what it will come to."""
        self.delayed_fsyncs = 0
        self._write_error: OSError | None = None
        self._unsynced: list[Piece] = []
        """With `always`, what was written since the last sync."""
        self._sync_failed = False
        """Whether `_unsynced` has to be taken back before anything is written behind it."""
        self._disk = disk or Disk()
        self._syncer = LogSyncer(self._disk.sync, lambda: (self.written_bytes, self._fd), clock_s)
        self._fd = -1
        self._lock_fd = -1
        self._closed_files_bytes = 0
        self._file_bytes = 0

    @classmethod
    def of_shard(cls, settings: Settings, index: int) -> "Aof":
        """The log of shard `index`, where redis.conf's directives put it."""
        return cls(
            Path(settings["dir"]) / f"shard-{index}" / settings["appenddirname"],
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
        """How much of `written_bytes` is known to be on disk."""
        return self._syncer.synced_bytes

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

    def load(self, apply: Apply) -> Iterator[int]:
        """Does again what the log says, and opens it for appending. Yields the number of commands so far, after each
        slice of SLICE_BYTES.  Raises LogDamaged, OSError; a RedisError that `apply` raises makes it damage."""
        self._lock()
        for left_over in self.folder.glob(TEMPORARY + "*"):
            left_over.unlink()
        self.manifest = read_manifest(self.folder, self.name)
        commands = 0
        for part in read_log(self.folder, self.manifest, self.load_truncated, self.databases):
            for db, run in part.runs:
                for argv in run:
                    try:
                        apply(db, argv)
                    except RedisError as error:
                        name = argv[0].decode("latin-1")
                        reason = f"a command before it, {name!r}, can't be done again: {error}"
                        raise LogDamaged(part.offset, reason, part.file) from error
                commands += len(run)
            self.loaded_bytes, self.total_bytes = part.loaded_bytes, part.total_bytes
            if part.dropped_bytes:
                _cut(Path(part.file), part.offset)
            yield commands
        self._open()

    def close(self) -> None:
        """Writes and syncs what there is, and gives the folder free. A second call does nothing."""
        if self._fd >= 0:
            self.flush()
            if not self.buffer.empty:
                logger.error("%d bytes could not be written to the log and are lost", self.buffer.bytes_count)
            try:
                self._syncer.sync_now()
            except OSError as error:
                logger.error("the log can't be synced: %s", error)
            self._syncer.stop()
            os.close(self._fd)
            self._fd = -1
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

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
            if not self.buffer.empty:
                if syncer.found_delayed():
                    self.delayed_fsyncs += 1
                    logger.warning("a sync of the log takes more than 2 seconds; the disk may be busy")
                self._write()
            if self.written_bytes != syncer.synced_bytes:
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

    def set_fsync(self, fsync: str) -> None:
        """Changes the policy, from the next `flush` on.  Raises ValueError for an unknown one."""
        self.fsync = Fsync(fsync)
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
            if self.fsync is Fsync.ALWAYS:
                self._unsynced += dropped
            self._file_bytes += count
            self.written_bytes += count

    def _sync(self) -> None:
        """Syncs what was written. Where that fails it is cut off again and waits to be written once more: the kernel
        forgets what it could not sync, and the next sync of the same bytes would succeed without them being on disk."""
        try:
            self._syncer.sync_now()
        except OSError:
            self._sync_failed = True
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

    # Rewriting: `open_increment`; somebody writes a base with all that the files before it say; `replace_base`

    def open_increment(self) -> int:
        """Has what comes from now on written into a new increment, and gives its number.  Raises OSError; then the log
        goes on in the old one."""
        if self._fd >= 0:
            if not self.flush():
                assert self._write_error is not None
                raise self._write_error
            self._syncer.sync_now()
        manifest = self.manifest.with_increment(self.name)
        fd = _create(self.folder / manifest.increments[-1].name)
        try:
            self._write_manifest(manifest)
        except OSError:
            os.close(fd)
            raise
        if self._fd >= 0:
            self._close_later(self._fd)
        self._fd = fd
        self._closed_files_bytes += self._file_bytes
        self._file_bytes = 0
        self.buffer.forget_db()
        return manifest.increments[-1].number

    def replace_base(self, base: Path, first_number: int) -> None:
        """Puts `base`, a synced temporary file in the folder, in the place of all before increment `first_number`."""
        manifest = self.manifest.with_base(self.name, first_number)
        assert manifest.base is not None
        os.rename(base, self.folder / manifest.base.name)
        self._write_manifest(manifest)
        self.base_size_bytes = self._size_of(manifest.base)
        self._closed_files_bytes = sum(map(self._size_of, manifest.files[:-1]))
        self._delete_history()

    def _delete_history(self) -> None:
        if not self.manifest.history:
            return
        for file in self.manifest.history:
            # The last close of a deleted file is what takes long (0.3 s for some GB), so the thread does that.
            try:
                fd = os.open(self.folder / file.name, os.O_RDONLY)
            except FileNotFoundError:
                continue
            self._close_later(fd)
            os.unlink(self.folder / file.name)
        self._write_manifest(self.manifest.without_history())

    def _write_manifest(self, manifest: Manifest) -> None:
        write_atomically(self.folder / f"{self.name}.manifest", manifest.encode())
        self.manifest = manifest

    def _close_later(self, fd: int) -> None:
        self._syncer.do(lambda: os.close(fd))

    def _size_of(self, file: manifests.LogFile) -> int:
        return (self.folder / file.name).stat().st_size

    # Opening

    def _lock(self) -> None:
        """Makes the folder this process's alone, until `close` or the process's end.  Raises OSError."""
        make_folder(self.folder)
        self._lock_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_fd)
            self._lock_fd = -1
            raise OSError(errno.EBUSY, "another process uses this log", str(self.folder)) from None

    def _open(self) -> None:
        self._closed_files_bytes = sum(map(self._size_of, self.manifest.files))
        if self.manifest.base is not None:
            self.base_size_bytes = self._size_of(self.manifest.base)
        if self.manifest.increments:
            last = self.manifest.increments[-1]
            self._fd = os.open(self.folder / last.name, os.O_WRONLY | os.O_APPEND)
            self._file_bytes = self._size_of(last)
            self._closed_files_bytes -= self._file_bytes
            self._disk.sync(self._fd)  # What a process before this one has written counts as synced from here on.
        else:
            self.open_increment()
        self._delete_history()


# Reading


def read_manifest(folder: Path, name: str) -> Manifest:
    """The manifest of the log `name` in `folder`; an empty one if there is no log.  Raises LogDamaged."""
    path = folder / f"{name}.manifest"
    try:
        return manifests.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        pass
    for file in folder.glob("*"):
        # Redis would begin a new log here and overwrite what lies there.
        if file.name.startswith(f"{name}.") and file.stat().st_size:
            raise LogDamaged(0, f"there is {file.name}, but no manifest", str(path))
    return Manifest()


def read_log(folder: Path, manifest: Manifest, load_truncated: bool, databases: int) -> Iterator[LogSlice]:
    """The log in slices; changes nothing.  Raises LogDamaged."""
    paths = [folder / file.name for file in manifest.files]
    for path in paths:
        if not path.exists():
            raise LogDamaged(0, "the manifest names this file, but there is none", str(path))
    total_bytes = sum(path.stat().st_size for path in paths)
    loaded_bytes = 0
    for path in paths:
        size_bytes = path.stat().st_size
        with open(path, "rb", buffering=0) as file:
            try:
                for part in read_slices(file, size_bytes, SLICE_BYTES, databases):
                    part.file = str(path)
                    part.loaded_bytes += loaded_bytes
                    part.total_bytes = total_bytes
                    if part.dropped_bytes:
                        _refuse_tail(part, last=path == paths[-1], load_truncated=load_truncated)
                    yield part
            except LogDamaged as damage:
                damage.file = damage.file or str(path)
                raise
        loaded_bytes += size_bytes


def _refuse_tail(part: LogSlice, *, last: bool, load_truncated: bool) -> None:
    """Raises LogDamaged unless the unfinished end of `part` may be cut off."""
    if not last:
        raise LogDamaged(part.offset, "it ends in the middle of a command or group, and is not the last file")
    if not load_truncated:
        reason = "it ends in the middle of a command or group, and aof-load-truncated is no"
        raise LogDamaged(part.offset, reason)
    logger.warning("%s: the unfinished end is cut off: %d bytes at %d", part.file, part.dropped_bytes, part.offset)


# Files


def read_layout(folder: Path) -> Layout | None:
    """With what settings the data in `folder`, a `--dir`, was written; None if there is none.  Raises LogDamaged."""
    path = folder / layouts.FILE_NAME
    try:
        return layouts.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None


def write_layout(folder: Path, layout: Layout) -> None:
    """Says so. All shards of a first start may do it at once: they write the same."""
    make_folder(folder)
    write_atomically(folder / layouts.FILE_NAME, layout.encode())


def write_atomically(path: Path, data: bytes) -> None:
    """Gives `path` the content `data`: whatever crashes when, it has the old content or the new.  Raises OSError."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Makes `folder` and what is missing above it, so that it survives a power cut."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _create(path: Path) -> int:
    """Makes a file to append to. One that a crash left before a manifest named it is empty, and taken."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    if os.fstat(fd).st_size:
        os.close(fd)
        raise FileExistsError(errno.EEXIST, "a file that no manifest names is in the way", str(path))
    return fd


def _cut(path: Path, size_bytes: int) -> None:
    """Cuts off the end of a file, for good."""
    with open(path, "r+b") as file:
        file.truncate(size_bytes)
        os.fsync(file.fileno())


def _ignore(*_: object) -> None:
    """What a log that is not enabled appends."""

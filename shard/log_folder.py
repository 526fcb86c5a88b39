"""The folder of a log: whose it is, which of its files count, and how another set of files comes to count."""

import errno
import fcntl
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shard.log_files import TEMPORARY, create, make_folder, move, sync_folder, write_atomically, write_beside
from shard.log_reading import read_manifest
from shard.log_swap import Swap
from shard.manifest import LogFile, Manifest

logger = logging.getLogger("shardis")

EMPTY_MANIFEST = b"# no files yet\n"
SET_ASIDE = ".unnamed"
"""The end of the name of an increment that was written to and never counted."""


@dataclass(slots=True)
class NextIncrement:
    """What a cut needs, made ready: the manifest that names one increment more, in a file, and that increment, open."""

    manifest: Manifest
    fd: int
    temporary: Path

    def drop(self) -> None:
        """Says that it will not be used. The empty increment stays: the next one takes it."""
        os.close(self.fd)
        self.temporary.unlink(missing_ok=True)


class LogFolder:
    """The files of the log `name` in the folder `path`."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.manifest = Manifest()
        self.provisional = path / f"{TEMPORARY}{name}.incr"
        """What a log is written to that will count only when it has its base. Redis names it so, too."""
        self._manifest_path = path / f"{name}.manifest"
        self._lock_fd = -1

    # Whose it is

    def take(self) -> None:
        """Makes the folder this process's alone until `release` or the process's end, and learns what is in it. What
        was not brought to an end there is removed.  Raises OSError, LogDamaged."""
        make_folder(self.path)
        self._lock_fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise OSError(errno.EBUSY, "another process uses this log", str(self.path)) from None
        for left_over in self.path.glob(TEMPORARY + "*"):
            left_over.unlink()
        self.manifest = read_manifest(self.path, self.name)
        self._set_aside()

    def release(self) -> None:
        """Gives it free."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _set_aside(self) -> None:
        """Gets increments out of the way that a crash left between their name and the manifest's."""
        named = {file.name for file in (*self.manifest.files, *self.manifest.history)}
        for path in self.path.iterdir():
            ours = path.name.startswith(f"{self.name}.") and path.name.endswith(".incr.aof")
            if ours and path.name not in named and path.stat().st_size:
                logger.warning("no manifest names %s: it does not count, and is set aside as *%s", path, SET_ASIDE)
                path.rename(path.with_name(path.name + SET_ASIDE))

    # What is in it

    def path_of(self, file: LogFile) -> Path:
        return self.path / file.name

    def size_of(self, *files: LogFile) -> int:
        """Of all these, in bytes; of one that is not there, nothing."""
        return sum(path.stat().st_size for path in map(self.path_of, files) if path.exists())

    def begin(self) -> None:
        """Makes a manifest if there is none: from now on it is plain that files which it does not name are of a
        beginning that came to nothing.  Raises OSError."""
        if not self._manifest_path.exists():
            write_atomically(self._manifest_path, EMPTY_MANIFEST)

    def open_provisional(self) -> int:
        """A file to append to that no manifest names.  Raises OSError."""
        return os.open(self.provisional, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    # Another set

    def prepare_increment(self) -> NextIncrement:
        """Does what of `cut` waits for the disk; in any thread.  Raises OSError."""
        manifest = self.manifest.with_increment(self.name)
        fd = create(self.path_of(manifest.increments[-1]))
        try:
            return NextIncrement(manifest, fd, write_beside(self._manifest_path, manifest.encode()))
        except OSError:
            os.close(fd)
            raise

    def cut(self, prepared: NextIncrement) -> int:
        """Has one increment more count, and gives its fd. It is sure once the folder is synced.  Raises OSError."""
        try:
            move(prepared.temporary, self._manifest_path)
        except OSError:
            os.close(prepared.fd)
            raise
        self.manifest = prepared.manifest
        return prepared.fd

    def swap_for(self, base: Path, first_number: int, form: str, *, provisional: bool) -> Swap:
        """How `base`, a synced temporary file in the folder, takes the place of all before increment `first_number`.
        That one is still named as `provisional`, or has its name."""
        manifest = self.manifest
        moves = []
        if provisional:
            manifest = manifest.with_increment(self.name)
            moves.append((self.provisional, self.path_of(manifest.increments[-1])))
        manifest = manifest.with_base(self.name, first_number, form)
        assert manifest.base is not None
        moves.append((base, self.path_of(manifest.base)))
        return Swap(self.path, self._manifest_path.name, manifest, moves)

    def delete_history(self, close: Callable[[int], None]) -> None:
        """Deletes what a rewrite before this start has replaced.  Raises OSError."""
        if not self.manifest.history:
            return
        sync_folder(self.path)
        for file in self.manifest.history:
            # The last close of a deleted file is what takes long (0.3 s for some GB): that is left to `close`.
            try:
                fd = os.open(self.path_of(file), os.O_RDONLY)
            except FileNotFoundError:
                continue
            close(fd)
            self.path_of(file).unlink()
        self.manifest = self.manifest.without_history()
        write_atomically(self._manifest_path, self.manifest.encode())

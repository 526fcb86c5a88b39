"""The logs of all shards where they begin with the keys of an RDB file: they count from one moment on, all at once.

    <dir>/unfinished-logs           while it is there, no log of a shard counts: the keys are those of the RDB file

A shard that finds no log anywhere, and a file, makes it. It says which file that is, and which shards have begun their
logs with it. When all have it is removed, and only then are clients served. So whatever crashes when, whatever shard
refuses the file, and whoever puts another one in its place: there are all logs, of one file, or none.

Rule: what is decided by looking at the logs of several shards is decided under a lock, of the folder.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shard.log_files import TEMPORARY, folder_of_shard, make_folder, sync_folder, write_atomically
from shard.log_folder import EMPTY_MANIFEST
from shard.log_reading import read_manifest

logger = logging.getLogger("shardis")

MARK = "unfinished-logs"
TEXT = b"The logs of the shards do not count yet: they are being made of the RDB file in this folder.\n"


class FileReplaced(Exception):
    """Another RDB file is there than the one that this shard's log was begun with."""


class FirstLogs:
    """The logs of all shards, as shard `index` sees them."""

    def __init__(self, config: Mapping[str, Any], index: int) -> None:
        self._folder = Path(config["dir"])
        self._mark = self._folder / MARK
        self._name: str = config["appendfilename"]
        self._index = index
        self._logs = [
            folder_of_shard(self._folder, other) / config["appenddirname"] for other in range(config["shards"])
        ]
        self._file: list[int] = []
        """What tells the file that this shard's log is begun with from all others; and how many shards there are."""

    def begin(self, file: Path) -> bool:
        """Whether this shard's log has to begin with the keys of `file`. Then what it may have does not count, and is
        given up.  Raises OSError, LogDamaged."""
        with locked(self._folder):
            if not self._mark.exists():
                if not file.is_file() or self._has_log(self._index):
                    return False
                if any(map(self._has_log, range(len(self._logs)))):
                    logger.warning("other shards have logs, and this one has none: %s is older, and not loaded", file)
                    return False
            self._file = [len(self._logs), *_identity(file)]
            marked, begun = self._read_mark()
            self._write_mark(begun - {self._index} if marked == self._file else set())
            self._give_up()
            return True

    def finish(self) -> bool:
        """Whether the logs count: they do as soon as every shard has begun its own.  Raises OSError, FileReplaced."""
        if not self._mark.exists():
            return True
        with locked(self._folder):
            if not self._mark.exists():
                return True
            marked, begun = self._read_mark()
            if marked != self._file:
                raise FileReplaced()
            if len(begun | {self._index}) == len(self._logs):
                self._remove_mark()
                return True
            if self._index not in begun:
                self._write_mark(begun | {self._index})
            return False

    def forget(self) -> None:
        """Gives up what does not count, because this shard has no log.  Raises OSError, LogDamaged."""
        if not self._mark.exists():
            return
        with locked(self._folder):
            if self._mark.exists():
                self._give_up()
                if not any(map(self._has_log, range(len(self._logs)))):
                    self._remove_mark()

    def _read_mark(self) -> tuple[list[int], set[int]]:
        """Of which file it speaks, and which shards have begun with that; of none if it can't be read."""
        try:
            said = json.loads(self._mark.read_bytes().removeprefix(TEXT))
            return said["file"], set(said["begun"])
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            return [], set()

    def _write_mark(self, begun: set[int]) -> None:
        write_atomically(self._mark, TEXT + json.dumps({"file": self._file, "begun": sorted(begun)}).encode())

    def _has_log(self, index: int) -> bool:
        return bool(read_manifest(self._logs[index], self._name).files)

    def _give_up(self) -> None:
        if self._has_log(self._index):
            write_atomically(self._logs[self._index] / f"{self._name}.manifest", EMPTY_MANIFEST)

    def _remove_mark(self) -> None:
        for left_over in self._folder.glob(f"{TEMPORARY}*-{MARK}"):  # Of a shard that was killed while it wrote one.
            left_over.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)
        sync_folder(self._folder)


def _identity(file: Path) -> list[int]:
    """That of its content, if anybody replaces it as files are replaced; nothing for no file."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return []
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def are_unfinished(folder: Path) -> bool:
    """Whether the logs of the data in `folder`, a `--dir`, do not count."""
    return (folder / MARK).exists()


def end(folder: Path) -> None:
    """Says that the logs count, because one of them begins in another way.  Raises OSError."""
    if are_unfinished(folder):
        (folder / MARK).unlink(missing_ok=True)
        sync_folder(folder)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else decides anything meanwhile."""
    make_folder(folder)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)

"""The logs of all shards where they begin with the keys of an RDB file: they count from one moment on, all at once.

    <dir>/unfinished-logs           while it is there, no log of a shard counts: the keys are those of the RDB file

A shard that finds no log anywhere, and a file, makes it. When each shard has begun its log it is removed, and only then
are clients served. So whatever crashes when, or whatever shard refuses the file: there are all logs, or none.

Rule: what is decided by looking at the logs of several shards is decided under a lock, of the folder.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shard.log_files import folder_of_shard, make_folder, sync_folder, write_atomically
from shard.log_folder import EMPTY_MANIFEST
from shard.log_reading import read_manifest

logger = logging.getLogger("shardis")

MARK = "unfinished-logs"
TEXT = b"The logs of the shards do not count yet: they are being made of the RDB file in this folder.\n"


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

    def begin(self, file: Path) -> bool:
        """Whether this shard's log has to begin with the keys of `file`. Then what it may have does not count, and is
        given up.  Raises OSError, LogDamaged."""
        with locked(self._folder):
            if self._mark.exists():
                self._give_up()
                return True
            if not file.is_file() or self._has_log(self._index):
                return False
            if any(map(self._has_log, range(len(self._logs)))):
                logger.warning("other shards have logs, and this one has none: %s is older, and is not loaded", file)
                return False
            write_atomically(self._mark, TEXT)
            return True

    def finish(self) -> bool:
        """Whether the logs count: they do as soon as every shard has one.  Raises OSError, LogDamaged."""
        with locked(self._folder):
            if self._mark.exists():
                if not all(map(self._has_log, range(len(self._logs)))):
                    return False
                self._remove_mark()
            return True

    def forget(self) -> None:
        """Gives up what does not count, because this shard has no log.  Raises OSError, LogDamaged."""
        if not self._mark.exists():
            return
        with locked(self._folder):
            if self._mark.exists():
                self._give_up()
                if not any(map(self._has_log, range(len(self._logs)))):
                    self._remove_mark()

    def _has_log(self, index: int) -> bool:
        return bool(read_manifest(self._logs[index], self._name).files)

    def _give_up(self) -> None:
        if self._has_log(self._index):
            write_atomically(self._logs[self._index] / f"{self._name}.manifest", EMPTY_MANIFEST)

    def _remove_mark(self) -> None:
        self._mark.unlink(missing_ok=True)
        sync_folder(self._folder)


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

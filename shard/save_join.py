"""The parts of an RDB file, put one behind the other in the log's thread.

Rule 1: it is done a slice at a time, each a job of its own: a sync of the log that is due meanwhile is not held up.
Rule 2: the file gets its name when all of it is on disk, and its folder is synced after that.
"""

import errno
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NamedTuple

from shard.log_files import move, sync_folder

COPIED_BYTES = 1 << 23
"""Copied at once: some milliseconds."""
NO_COPYING = frozenset((errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM))
"""What a kernel or a file system says that does not copy by itself."""

Job = Callable[[], None]


class Part(NamedTuple):
    """The keys of one shard: `size_bytes` of the file `path`, behind the first `skipped_bytes`."""

    path: Path
    skipped_bytes: int
    size_bytes: int


class Join:
    """Puts `others` and `end` behind the keys in the file `first`, which then becomes `final`. The others go."""

    def __init__(self, first: Part, others: list[Part], end: bytes, final: Path, sync_bytes: int) -> None:
        """It is synced after every `sync_bytes`, or at the end only with 0."""
        self.first = first
        self.others = others
        self.end = end
        self.final = final
        self.sync_bytes = sync_bytes
        self.error: OSError | None = None
        """Why it came to nothing; to be read once it is over."""
        self.stopped = False
        """Set by whoever wants it no more, from any thread."""

    def begin(self, do: Callable[[Job], None], then: Callable[[], None]) -> None:
        """Has it done by jobs, each of which hands the next one to `do`; the last calls `then`, however it ended."""
        steps = self._steps()

        def step() -> None:
            try:
                if self.stopped:
                    raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
                next(steps)
            except StopIteration:
                then()
            except OSError as error:
                self.error = error
                steps.close()
                self._remove()
                then()
            else:
                do(step)

        do(step)

    def _steps(self) -> Generator[None, None, None]:
        fd = os.open(self.first.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            size_bytes = os.fstat(fd).st_size
            if size_bytes != self.first.size_bytes:
                raise too_short(self.first)
            unsynced_bytes = 0
            for part in self.others:
                for count in copy(part, fd, size_bytes):
                    size_bytes += count
                    unsynced_bytes += count
                    if 0 < self.sync_bytes <= unsynced_bytes:
                        os.fdatasync(fd)
                        unsynced_bytes = 0
                    yield
                part.path.unlink()
            os.pwrite(fd, self.end, size_bytes)
            if os.fstat(fd).st_size != size_bytes + len(self.end):
                raise too_short(self.first)
            os.fsync(fd)
        finally:
            os.close(fd)
        move(self.first.path, self.final)
        sync_folder(self.final.parent)

    def _remove(self) -> None:
        """Removes what was to be put together."""
        for part in (self.first, *self.others):
            try:
                part.path.unlink(missing_ok=True)
            except OSError:
                continue  # The next save tries again.


def copy(part: Part, target_fd: int, offset: int) -> Iterator[int]:
    """Copies `part` to the place `offset` of a file, within the kernel; how many bytes, step by step.  Raises OSError
    if it is not all there."""
    fd = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
    by_itself = True
    at, until = part.skipped_bytes, part.skipped_bytes + part.size_bytes
    try:
        while at < until:
            wanted = min(until - at, COPIED_BYTES)
            if by_itself:
                try:
                    count = os.copy_file_range(fd, target_fd, wanted, at, offset)
                except OSError as error:
                    if error.errno not in NO_COPYING:
                        raise
                    by_itself = False
                    continue
            else:
                os.lseek(target_fd, offset, os.SEEK_SET)
                count = os.sendfile(target_fd, fd, at, wanted)
            if not count:
                raise too_short(part)
            at += count
            offset += count
            yield count
    finally:
        os.close(fd)


def too_short(part: Part) -> OSError:
    return OSError(errno.EIO, "it has not the size that was written", str(part.path))

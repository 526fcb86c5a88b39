"""A stretch of the log for one write of very many bytes, filled while the log goes on behind it.

    *2 $4 PING $<n>          until it is filled: a command that does nothing, and all that follows is its argument
    #written-------          from then on, in the same place: a comment, and what follows it is done
    <n + 2 bytes>            the write; the line end that it ends with ends the argument, too

Rule 1: whatever moment the process ends or the power goes, the log can be read, by Valkey as well, and has all of the
        write or nothing: the head is written over once all that it announces is on disk. It lies within a sector, which
        a disk writes as a whole.
Rule 2: it is filled and synced in small pieces. A file is locked for as long as a piece of it is written, and much that
        is not synced would have the kernel hold up who writes to it.
Rule 3: who can't fill it leaves it as it is, and the write goes behind all else instead, the usual way. So nothing that
        came meanwhile may build on it: see beside.py.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

from shard.log_buffer import Piece
from shard.log_files import Disk

PIECE_BYTES = 1 << 18
SYNC_BYTES = 1 << 23
"""So much is written between two syncs."""
SECTOR_BYTES = 512
LINE_END = b"\r\n"


def empty_head(size_bytes: int) -> bytes:
    """What stands before so many bytes that are not all written."""
    return b"*2\r\n$4\r\nPING\r\n$%d\r\n" % (size_bytes - len(LINE_END))


def filled_head(size_bytes: int) -> bytes:
    """What stands there once they are. It is as long."""
    return comment(len(empty_head(size_bytes)), b"written")


def comment(size_bytes: int, text: bytes = b"") -> bytes:
    """A line that is skipped, of at least three bytes."""
    return (b"#" + text).ljust(size_bytes - len(LINE_END), b"-") + LINE_END


def padding(at: int, size_bytes: int) -> bytes:
    """What has to come first, at this place of a file, so that a head of so many bytes lies within a sector.

    >>> padding(400, 30), padding(500, 30), padding(510, 30)
    (b'', b'#---------\\r\\n', b'#--\\r\\n')
    """
    left = -at % SECTOR_BYTES
    return comment(max(left, 3)) if 0 < left < size_bytes else b""


class Reservation:
    """One such stretch. `begin` it, then have a thread call `fill` until it is over."""

    def __init__(self, disk: Disk, path: Path, at: int, write: Sequence[Piece], done: Callable[[], None]) -> None:
        """`at` is how long the file is, `write` what is to stand there: it ends in a line end. `done` is called in the
        thread when it is over."""
        self.write = list(write)
        self.error: Exception | None = None
        """Why it could not be filled."""
        self._disk = disk
        self._path = path
        self._done = done
        self._over = Event()
        self._size_bytes = sum(map(len, self.write))
        empty = empty_head(self._size_bytes)
        self._head = padding(at, len(empty)) + empty
        self._start = at + len(self._head)
        """Of the write itself."""
        self.end = self._start + self._size_bytes
        self._fd = -1
        self._steps = self._fill()

    @property
    def is_over(self) -> bool:
        """Whether it is filled, or can't be."""
        return self._over.is_set()

    def begin(self, fd: int) -> None:
        """Makes room for it at the end of its file, to which `fd` appends: what comes behind it is behind it on the
        disk, too.  Raises OSError; then the file may be longer than it was."""
        self._append(fd, self._head)
        self._disk.truncate(fd, self.end - len(LINE_END))
        self._append(fd, LINE_END)
        self._fd = os.open(self._path, os.O_WRONLY)

    def _append(self, fd: int, data: Piece) -> None:
        while len(data):
            data = data[_some(self._disk.writev(fd, [data])) :]

    def fill(self) -> bool:
        """Writes the next piece, or syncs what was written; whether there is more to do. To be called in a thread."""
        try:
            next(self._steps)
        except StopIteration:
            self._end(None)
        except Exception as error:  # Somebody waits for the end.
            self._end(error)
        return not self.is_over

    def wait(self) -> None:
        """Returns once it is over."""
        self._over.wait()

    def _end(self, error: Exception | None) -> None:
        self.error = error
        os.close(self._fd)
        self._over.set()
        self._done()

    def _fill(self) -> Iterator[None]:
        at, unsynced_bytes = self._start, 0
        for part in self.write:
            view = memoryview(part)
            for begin in range(0, len(view), PIECE_BYTES):
                piece = view[begin : begin + PIECE_BYTES]
                self._put(piece, at)
                at += len(piece)
                unsynced_bytes += len(piece)
                yield
                if unsynced_bytes >= SYNC_BYTES:
                    self._disk.sync(self._fd)
                    unsynced_bytes = 0
                    yield
        self._disk.sync(self._fd)
        filled = filled_head(self._size_bytes)
        self._put(filled, self._start - len(filled))
        self._disk.sync(self._fd)

    def _put(self, data: Piece, at: int) -> None:
        """Writes all of it at that place of the file."""
        while len(data):
            count = _some(self._disk.pwrite(self._fd, data, at))
            data = memoryview(data)[count:]
            at += count


def _some(count: int) -> int:
    if not count:
        raise OSError(errno.EIO, "nothing was written")
    return count

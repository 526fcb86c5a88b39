"""Files and folders that are there after a power cut, whole: how they are made, replaced and cut.

Rule: a name is sure once its folder is synced, and what it names once the file is. So a file is synced before it gets
      its name, and its folder after that.
"""

import errno
import os
from itertools import count
from pathlib import Path

from shard import layout as layouts
from shard.layout import Layout
from shard.log_buffer import Piece
from shard.log_reader import LogDamaged

TEMPORARY = "temp-"
"""How Redis, too, begins the names of files that don't count yet; what a crash left is deleted at the next start."""

_numbers = count(1)
"""One for each temporary file: of two for one path, the removal of the first must not take the second."""


class Disk:
    """The calls that wait for a disk or fail with it. A test puts a bad disk in its place."""

    def writev(self, fd: int, buffers: list[Piece]) -> int:
        """Appends; how many bytes it took, perhaps not all.  Raises OSError."""
        return os.writev(fd, buffers)

    def pwrite(self, fd: int, data: Piece, at: int) -> int:
        """Writes over what is there, or where there is only room; how many bytes it took.  Raises OSError."""
        return os.pwrite(fd, data, at)

    def sync(self, fd: int) -> None:
        """Returns once the data is on disk.  Raises OSError."""
        os.fdatasync(fd)

    def truncate(self, fd: int, size_bytes: int) -> None:
        """Cuts off the end of a file.  Raises OSError."""
        os.ftruncate(fd, size_bytes)

    def sync_folder(self, folder: Path) -> None:
        """Returns once the names in `folder` are on disk.  Raises OSError."""
        sync_folder(folder)


def read_layout(folder: Path) -> Layout | None:
    """With what settings the data in `folder`, a `--dir`, was written; None if there is none.  Raises LogDamaged."""
    path = folder / layouts.FILE_NAME
    try:
        return layouts.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        pass
    for file in folder.glob(f"{layouts.GENERATION}-*"):
        if layouts.generation_of(file.name):  # Who began anew here would take it for a left-over and remove it.
            raise LogDamaged(0, f"there is {file.name}, but no layout", str(path))
    return None


def folder_of_shard(folder: Path, index: int) -> Path:
    """Where shard `index` keeps its data in `folder`, a `--dir`.  Raises LogDamaged."""
    layout = read_layout(folder)
    return folder / (layout.folder_of(index) if layout else f"shard-{index}")


def write_layout(folder: Path, layout: Layout) -> None:
    """Says so. All shards of a first start may do it at once: they write the same."""
    make_folder(folder)
    write_atomically(folder / layouts.FILE_NAME, layout.encode())


def write_atomically(path: Path, data: bytes) -> None:
    """Gives `path` the content `data`: whatever crashes when, it has the old content or the new.  Raises OSError."""
    move(write_beside(path, data), path)
    sync_folder(path.parent)


def write_beside(path: Path, data: bytes) -> Path:
    """A synced temporary file with that content, to be moved to `path`.  Raises OSError."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{next(_numbers)}-{path.name}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def move(temporary: Path, path: Path) -> None:
    """Gives a temporary file its name, which is sure once the folder is synced; or removes it.  Raises OSError."""
    try:
        os.rename(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def make_folder(folder: Path) -> None:
    """Makes `folder` and what is missing above it, so that it survives a power cut."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def create(path: Path) -> int:
    """Makes a file to append to. One that a crash left before a manifest named it is empty, and taken."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    if os.fstat(fd).st_size:
        os.close(fd)
        raise FileExistsError(errno.EEXIST, "a file that no manifest names is in the way", str(path))
    return fd


def cut(path: Path, size_bytes: int) -> None:
    """Cuts off the end of a file, for good."""
    with open(path, "r+b") as file:
        file.truncate(size_bytes)
        os.fsync(file.fileno())

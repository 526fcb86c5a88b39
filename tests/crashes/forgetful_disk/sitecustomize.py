"""A disk that can forget, as far as a process can be one: it notes what became durable, and fails when it is told to.

Python imports this module before anything else where its folder is in PYTHONPATH. With CRASHES_DISK and CRASHES_ROOT in
the environment it stands between the process and the calls of `os` that make, name, sync and remove files in the folder
CRASHES_ROOT, and writes a line of JSON for each into CRASHES_DISK/journal. tests/crashes/disk.py reads them and builds
what a disk could hold after a power cut.

Rule 1: only what was told to the disk *before* a sync began is made durable by it: the size of the file, or the names
        in the folder, are read at the beginning, and noted when the call has returned.
Rule 2: no content is lost that a disk may still have: what is removed, or renamed over, is kept under the number of its
        inode in CRASHES_DISK/kept, and so is what a truncation cuts off, and what is written over.
Rule 3: a sync makes durable what it is called for and nothing else. POSIX promises no more, though ext4 does more.
Rule 4: while there is a file CRASHES_DISK/faults, calls fail as its lines say: "EIO sync shard-1" has fsync and
        fdatasync fail for whatever has shard-1 in its path. The calls are write, sync, truncate, create and rename.

It cannot see what C code does by itself. What is written over is seen where os.pwrite does it.
"""

import builtins
import errno
import io
import json
import os
import stat
import time
from typing import Any

DISK = os.environ.get("CRASHES_DISK", "")
ROOT = os.environ.get("CRASHES_ROOT", "")
FAULTS = f"{DISK}/faults"

real_open, real_os_open, real_write, real_writev = builtins.open, os.open, os.write, os.writev
real_pwrite = os.pwrite
real_fsync, real_fdatasync, real_ftruncate = os.fsync, os.fdatasync, os.ftruncate
real_rename, real_replace, real_link = os.rename, os.replace, os.link
real_unlink, real_remove, real_mkdir, real_rmdir = os.unlink, os.remove, os.mkdir, os.rmdir

journal_fd = -1


def watched(path: str) -> bool:
    return path == ROOT or path.startswith(f"{ROOT}/")


def whole_path(path: Any, dir_fd: int | None = None) -> str:
    text = os.fsdecode(path)
    folder = os.getcwd() if dir_fd is None else path_of(dir_fd)
    return os.path.normpath(os.path.join(folder, text))


def path_of(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def note(op: str, **values: Any) -> None:
    """One write of a whole line, so that those of several processes don't mix."""
    global journal_fd
    if journal_fd < 0:
        journal_fd = real_os_open(f"{DISK}/journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    real_write(journal_fd, json.dumps({"op": op, **values}).encode() + b"\n")


def fail(call: str, path: str) -> None:
    """Raises the OSError that somebody asked for."""
    try:
        with real_open(FAULTS) as file:
            lines = file.read().split("\n")
    except FileNotFoundError:
        return
    for line in lines:
        name, calls, *parts = line.split() or ["", ""]
        if call in calls.split(",") and all(part in path for part in parts):
            number = getattr(errno, name)
            raise OSError(number, os.strerror(number))


def fail_fd(call: str, fd: int) -> None:
    if os.path.exists(FAULTS) and watched(path := path_of(fd)):
        fail(call, path)


# Data


def synced(real: Any, fd: int) -> None:
    path = path_of(fd)
    if not watched(path.removesuffix(" (deleted)")):
        real(fd)
        return
    begin_s = time.monotonic()
    before = os.fstat(fd)
    names = {entry.name: entry.inode() for entry in os.scandir(path)} if stat.S_ISDIR(before.st_mode) else None
    fail("sync", path)
    real(fd)
    times = {"begin_s": begin_s, "end_s": time.monotonic()}
    if names is None:
        note("sync", path=path, inode=before.st_ino, size=before.st_size, **times)
    else:
        note("sync-folder", inode=before.st_ino, names=names, **times)


def fsync(fd: Any) -> None:
    synced(real_fsync, fd if isinstance(fd, int) else fd.fileno())


def fdatasync(fd: Any) -> None:
    synced(real_fdatasync, fd if isinstance(fd, int) else fd.fileno())


def write(fd: int, data: Any) -> int:
    fail_fd("write", fd)
    return real_write(fd, data)


def writev(fd: int, buffers: Any) -> int:
    fail_fd("write", fd)
    return real_writev(fd, buffers)


def pwrite(fd: int, data: Any, at: int) -> int:
    """Keeps what is about to be written over, in what it takes at once; nothing for zeros."""
    path = path_of(fd)
    if not watched(path):
        return real_pwrite(fd, data, at)
    fail("write", path)
    size = len(data)
    with real_open(path, "rb") as file:
        file.seek(at)
        before = file.read(size)
    kept = ""
    if before.strip(b"\0"):
        kept = f"{DISK}/kept/over-{os.fstat(fd).st_ino}-{time.monotonic_ns()}"
        with real_open(kept, "wb") as file:
            file.write(before)
    count = real_pwrite(fd, data, at)
    # Behind it: a sync that began before this is noted is not known to have it.
    note("overwrite", inode=os.fstat(fd).st_ino, at=at, size=count, kept=kept, end_s=time.monotonic())
    return count


def ftruncate(fd: int, size: int) -> None:
    path = path_of(fd)
    if not watched(path):
        real_ftruncate(fd, size)
        return
    fail("truncate", path)
    cut(path, size)
    real_ftruncate(fd, size)


def cut(path: str, size: int) -> None:
    """Keeps what a truncation is about to cut off."""
    found = os.stat(path)
    tail = f"{DISK}/kept/tail-{found.st_ino}-{time.monotonic_ns()}"
    with real_open(path, "rb") as file, real_open(tail, "wb") as kept:
        file.seek(size)
        kept.write(file.read())
    note("cut", inode=found.st_ino, size=size, tail=tail)


class WatchedFile(io.FileIO):
    """What a binary file that is opened for writing has below its buffer."""

    def write(self, data: Any) -> int:
        fail_fd("write", self.fileno())
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        fail_fd("truncate", self.fileno())
        size = self.tell() if size is None else size
        cut(path_of(self.fileno()), size)
        return super().truncate(size)


# Names


def made(path: str) -> None:
    found = os.stat(path)
    kind = "folder" if stat.S_ISDIR(found.st_mode) else "file"
    note("create", folder=folder_inode(path), name=os.path.basename(path), inode=found.st_ino, kind=kind)


def folder_inode(path: str) -> int:
    return os.stat(os.path.dirname(path)).st_ino


def keep(path: str) -> int:
    """Has a file that loses its name kept under another one; its inode."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return 0
    kept = f"{DISK}/kept/{found.st_ino}"
    if stat.S_ISREG(found.st_mode) and not os.path.exists(kept):
        real_link(path, kept)
    return found.st_ino


def os_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    if not flags & os.O_CREAT or not watched(whole := whole_path(path, dir_fd)):
        return real_os_open(path, flags, mode, dir_fd=dir_fd)
    new = not os.path.exists(whole)
    if new:
        fail("create", whole)
    fd = real_os_open(path, flags, mode, dir_fd=dir_fd)
    if new:
        made(whole)
    return fd


def open_(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **options: Any) -> Any:
    writing = set(mode) & set("wax+")
    if not writing or isinstance(file, int) or not watched(whole := whole_path(file)):
        return real_open(file, mode, buffering, *args, **options)
    new = not os.path.exists(whole)
    if new:
        fail("create", whole)
    elif "w" in mode:
        cut(whole, 0)
    if "b" in mode:
        raw = WatchedFile(file, mode.replace("b", ""))
        opened: Any = raw
        if buffering:
            opened = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    else:
        opened = real_open(file, mode, buffering, *args, **options)
    if new:
        made(whole)
    return opened


def renamed(real: Any, source: Any, target: Any, source_fd: int | None, target_fd: int | None) -> None:
    old, new = whole_path(source, source_fd), whole_path(target, target_fd)
    if not watched(old) and not watched(new):
        real(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)
        return
    fail("rename", new)
    inode = keep(old)
    keep(new)
    real(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd)
    places = [[folder_inode(path), os.path.basename(path)] for path in (old, new)]
    note("rename", source=places[0], target=places[1], inode=inode)


def rename(src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
    renamed(real_rename, src, dst, src_dir_fd, dst_dir_fd)


def replace(src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
    renamed(real_replace, src, dst, src_dir_fd, dst_dir_fd)


def link(src: Any, dst: Any, **options: Any) -> None:
    real_link(src, dst, **options)
    if watched(whole := whole_path(dst, options.get("dst_dir_fd"))):
        made(whole)


def removed(real: Any, path: Any, dir_fd: int | None) -> None:
    if not watched(whole := whole_path(path, dir_fd)):
        real(path, dir_fd=dir_fd)
        return
    inode = keep(whole)
    real(path, dir_fd=dir_fd)
    note("remove", folder=folder_inode(whole), name=os.path.basename(whole), inode=inode)


def unlink(path: Any, *, dir_fd: int | None = None) -> None:
    removed(real_unlink, path, dir_fd)


def remove(path: Any, *, dir_fd: int | None = None) -> None:
    removed(real_remove, path, dir_fd)


def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
    whole = whole_path(path, dir_fd)
    if watched(whole):
        fail("create", whole)
    real_mkdir(path, mode, dir_fd=dir_fd)
    if watched(whole):
        made(whole)


def rmdir(path: Any, *, dir_fd: int | None = None) -> None:
    """Moves an empty folder away, so that nothing else is given its inode."""
    if not watched(whole := whole_path(path, dir_fd)):
        real_rmdir(path, dir_fd=dir_fd)
        return
    if os.listdir(whole):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))
    inode = os.stat(whole).st_ino
    real_rename(whole, f"{DISK}/kept/{inode}")
    note("remove", folder=folder_inode(whole), name=os.path.basename(whole), inode=inode)


def stand_between() -> None:
    names = "write writev pwrite fsync fdatasync ftruncate rename replace link unlink remove mkdir rmdir"
    for name in names.split():
        setattr(os, name, globals()[name])
    os.open = os_open
    builtins.open = io.open = open_


if DISK:
    stand_between()

"""A file that is replaced as a whole: whoever reads it, and after a crash, it is the old or the new one."""

import os
import stat
from contextlib import suppress


def write(path: str, text: str) -> None:
    """Gives the file that text; its mode and its owner stay. One that is new is its owner's alone.  Raises OSError."""
    path = os.path.realpath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    found = os.stat(path) if os.path.exists(path) else None
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            if found is not None:
                with suppress(PermissionError):  # Only root may give a file away.
                    os.fchown(fd, found.st_uid, found.st_gid)
                os.fchmod(fd, stat.S_IMODE(found.st_mode))
            os.fsync(fd)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""The file that a Shardis on this machine saves, copied: the state of one moment, which SCAN can't give.

Rule: whatever keeps us from that file, a line says it and the keys are read one by one instead. That the folder which
      the server names is the one that we see (it may be another, inside of a container) is known by the file: it is
      another one after the save than before.
"""

import os
import time
from pathlib import Path

from redis.exceptions import ResponseError

from transfer.progress import Progress
from transfer.server import Server
from transfer.to_file import FileTarget

POLL_S = 0.05
LOCAL = ("redis://127.", "redis://localhost:", "redis://[::1]", "rediss://127.", "rediss://localhost:", "unix://")
SAVING = "rdb_bgsave_in_progress"
BUSY = ("already in progress", "Another child process")
"""What a server says that saves or rewrites its log just now."""


class NotSaved(Exception):
    """Why there is no file to copy."""


def export_saved(server: Server, target: FileTarget, progress: Progress) -> list[str] | None:
    """Has the server save, and copies the file; the lines to show at the end. None if it has to be done otherwise.
    Raises Stopped."""
    if not server.is_shardis or not server.name.startswith(LOCAL):
        return None
    try:
        path = _saved_file(server)
        if path.resolve() == target.path.resolve():
            raise NotSaved(f"{path} is the server's own")
        before = _identity(path)
        progress.begin("saving", 0, "bytes")
        _save(server)
        if _identity(path) == before:
            raise NotSaved(f"{path} is not what the server has saved, or not on this machine")
        with open(path, "rb") as file:
            counts = target.copy(file)
    except NotSaved as why:
        progress.say(f"no state of one moment, the keys are read one by one: {why}")
        return None
    except OSError as error:
        progress.say(f"no state of one moment, the keys are read one by one: {path}: {error.strerror}")
        return None
    lines = [f"db {db}: {count:,} keys written, as they were at one moment" for db, count in sorted(counts.items())]
    return lines or ["no keys"]


def _saved_file(server: Server) -> Path:
    """Where the server says that it saves to.  Raises NotSaved."""
    words = []
    for name in (b"dir", b"dbfilename"):
        reply = server.ask(b"CONFIG", b"GET", name)
        if not isinstance(reply, list) or len(reply) != 2:
            raise NotSaved(f"the server does not tell its {name.decode()}")
        words.append(os.fsdecode(reply[1]))
    return Path(*words)


def _save(server: Server) -> None:
    """Returns when the server has saved what it had when this was called.  Raises NotSaved, Stopped."""
    while isinstance(reply := server.ask(b"BGSAVE"), ResponseError):
        if not any(word in str(reply) for word in BUSY):
            raise NotSaved(f"the server answers BGSAVE with: {reply}")
        time.sleep(POLL_S)
    while (found := server.section("persistence")).get(SAVING) == "1":
        time.sleep(POLL_S)
    if found.get("rdb_last_bgsave_status") != "ok":
        raise NotSaved("the server could not save; its log says why")


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from the one that was there before."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns

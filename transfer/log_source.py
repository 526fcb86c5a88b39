"""The commands of a log: the folder of a Redis from 7 on, with a manifest, or an appendonly.aof of one before.

Its base may be an RDB file, and the single file may begin with one. The keys of an RDB are restored; the commands that
follow are effects and are sent as they stand there.

Rule 1: all of it is read before anything is sent, by the readers that a start goes by. Damage is refused, and its
        place named; the cut tail of the last file is left out, and that is said.
Rule 2: a position is [part, keys of an RDB] or [part, byte, db]: between two commands, never within a group.
Rule 3: INCR must not be sent twice, so whoever sends commands keeps the position beside them, see courier.py.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from shard.log_reader import LogDamaged, read_slices
from shard.log_reading import read_manifest
from transfer import rdb_source
from transfer.batches import Batch, Position
from transfer.faults import Stopped
from transfer.progress import Progress

logger = logging.getLogger("shardis")

MANIFEST_SUFFIX = ".manifest"
FOLDER_NAME = "appendonlydir"
"""Where Redis keeps it, inside of the `dir` that may have been named."""
SLICE_BYTES = 1 << 18
ANY_DATABASE = 1 << 31
NO_EFFECTS = frozenset((b"ECHO", b"PING"))
"""What a Shardis writes about writes over several shards, and room that it did not fill; nobody needs it any more."""
NO_DATA = frozenset((b"FUNCTION", b"SCRIPT"))
"""What a log may have that is neither a key nor of one."""


@dataclass(slots=True)
class Part:
    """A file of the log, or of a single file what follows the RDB in it."""

    path: Path
    start: int
    end: int
    """Up to where it is whole, once it was checked."""
    is_rdb: bool = False


class LogSource:
    """A log, given by its folder, its manifest or its only file."""

    unit = "bytes"
    replayed = True

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.parts = parts_of(path)
        self.identity = {
            "log": str(path.resolve()),
            "parts": [[part.path.name, part.start, part.path.stat().st_size] for part in self.parts],
        }
        self.total = sum(part.end - part.start for part in self.parts)
        self._left_out = 0

    def check(self, progress: Progress) -> None:
        """Reads all of it.  Raises Stopped."""
        progress.begin("checking the log", self.total, self.unit)
        for part in self.parts:
            with rdb_source.opened_rdb(part.path) as file:
                if part.is_rdb:
                    for entries, done in rdb_source.slices(file, str(part.path)):
                        progress.advance(done, len(entries))
                else:
                    self._check_commands(part, file, progress)

    def _check_commands(self, part: Part, file: BinaryIO, progress: Progress) -> None:
        try:
            loaded = 0
            tail: Any = Tail(file, part.start)  # All that read_slices asks of a file.
            for slice_ in read_slices(tail, part.end - part.start, SLICE_BYTES, ANY_DATABASE):
                progress.advance(slice_.loaded_bytes - loaded, sum(len(run) for _, run in slice_.runs))
                loaded = slice_.loaded_bytes
                if not slice_.dropped_bytes:
                    continue
                offset = part.start + slice_.offset
                if part is not self.parts[-1]:
                    reason = "it ends in the middle of a command or group, and is not the last file"
                    raise LogDamaged(slice_.offset, reason)
                progress.say(
                    f"{part.path}: its last {slice_.dropped_bytes} bytes, from {offset} on, are an unfinished"
                    " command or group and are left out"
                )
                part.end = offset
        except LogDamaged as damage:
            damage.file = damage.file or str(part.path)
            damage.offset += part.start
            raise Stopped(str(damage)) from None

    def batches(self, position: Position) -> Iterator[Batch]:
        """What comes after `position`.  Raises Stopped."""
        first, *place = position or [0]
        for number in range(first, len(self.parts)):
            part = self.parts[number]
            with rdb_source.opened_rdb(part.path) as file:
                if part.is_rdb:
                    batches = rdb_source.batches_of(file, str(part.path), (), place[0] if place else 0)
                else:
                    at, db = place or (part.start, 0)
                    batches = self._commands(file, at, db, part.end)
                for batch in batches:
                    batch.position.insert(0, number)
                    yield batch
            place = []
        if self._left_out:
            logger.warning("%s: %d commands about functions and scripts are left out", self.name, self._left_out)

    def _commands(self, file: BinaryIO, at: int, db: int, end: int) -> Iterator[Batch]:
        """Whole groups and single commands, as many as make a batch."""
        file.seek(at)
        batch = Batch(db=db, position=[at, db])
        group: list[list[bytes]] | None = None
        while at < end:
            argv, size = next_command(file)
            at += size
            batch.done += size
            name = argv[0].upper() if argv else b""
            if name == b"MULTI":
                group = []
                continue
            if name == b"EXEC" and group is not None:
                batch.commands += group
                group = None
            elif self._is_sent(name):
                (batch.commands if group is None else group).append(argv)
                batch.size_bytes += size
                if name == b"SELECT":
                    db = int(argv[1])
            if group is None:
                batch.position = [at, db]
                if batch.is_full:
                    yield batch
                    batch = Batch(db=db, position=[at, db])
        yield batch

    def _is_sent(self, name: bytes) -> bool:
        self._left_out += name in NO_DATA
        return bool(name) and name not in NO_EFFECTS and name not in NO_DATA


class Tail:
    """A file without its beginning."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self._start = start

    def seek(self, at: int) -> None:
        self._file.seek(self._start + at)

    def read(self, size: int) -> bytes:
        return self._file.read(size)


def next_command(file: BinaryIO) -> tuple[list[bytes], int]:
    """The command that comes next in a log known to be whole, empty for an annotation, and how many bytes it has."""
    line = file.readline()
    size = len(line)
    argv: list[bytes] = []
    if line[:1] == b"*":
        for _ in range(int(line[1:])):
            head = file.readline()
            text = file.read(int(head[1:]) + 2)
            size += len(head) + len(text)
            argv.append(text[:-2])
    return argv, size


def parts_of(path: Path) -> list[Part]:
    """The files of the log that `path` names, in order.  Raises Stopped."""
    try:
        if path.is_file() and not path.name.endswith(MANIFEST_SUFFIX):
            return parts_of_file(path)
        manifest = manifest_of(path)
        found = read_manifest(manifest.parent, manifest.name.removesuffix(MANIFEST_SUFFIX))
        parts = [part for file in found.files for part in parts_of_file(manifest.parent / file.name)]
    except LogDamaged as damage:
        raise Stopped(str(damage)) from None
    except OSError as error:
        raise Stopped(f"{error.filename or path}: {error.strerror}") from None
    if not parts:
        raise Stopped(f"{manifest} names no files")
    return parts


def parts_of_file(path: Path) -> list[Part]:
    """One, or two where commands follow an RDB.  Raises Stopped."""
    if not rdb_source.is_rdb(path):
        return [Part(path, 0, path.stat().st_size)]
    size_bytes = path.stat().st_size
    end = rdb_source.rdb_end(path) if rdb_source.may_have_commands(path) else size_bytes
    return [Part(path, 0, end, is_rdb=True), *([Part(path, end, size_bytes)] if end < size_bytes else [])]


def manifest_of(path: Path) -> Path:
    """The manifest that `path` is, or that is in it.  Raises Stopped, OSError."""
    if path.is_file():
        return path
    for folder in (path, path / FOLDER_NAME):
        if not folder.is_dir():
            continue
        found = sorted(file for file in folder.iterdir() if file.name.endswith(MANIFEST_SUFFIX))
        if len(found) > 1:
            raise Stopped(
                f"{folder} has several logs: name the manifest of one: {', '.join(each.name for each in found)}"
            )
        if found:
            return found[0]
    raise Stopped(
        f"{path}: no such file" if not path.exists() else f"{path} has no manifest of a log (*{MANIFEST_SUFFIX})"
    )

"""The keys of an RDB file, as Redis or Valkey or a Shardis wrote it.

Rule 1: the file is read to its end, and its checksum compared, before the first key is handed out: nothing of a
        damaged file reaches a server.
Rule 2: a position is how many keys have been handed out. To go on means to walk over those once more, which is fast.
"""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from shard.log_reader import LogDamaged
from shard.rdb.dump import FOREIGN_VERSIONS
from shard.rdb.file import raw_entries
from shard.rdb.objects import HASH_2
from transfer.batches import Batch, Entry, Position
from transfer.faults import Stopped
from transfer.payloads import Unsendable, sealed
from transfer.progress import Progress

MAGICS = (b"REDIS", b"VALKEY")
PREAMBLE = re.compile(rb"\xfa(?:\x0caof-preamble|\x08aof-base)\xc0\x01")
"""What Redis 4 to 6, and 7 on, write into an RDB that is the beginning of a log."""
HEAD_BYTES = 4096
VERSION_END = 9
"""The header is REDIS0011 or VALKEY080."""


def is_rdb(path: Path) -> bool:
    """Whether a file begins as an RDB does.  Raises Stopped."""
    try:
        with open(path, "rb") as file:
            return file.read(VERSION_END).startswith(MAGICS)
    except OSError as error:
        raise Stopped(f"{path}: {error.strerror}") from None


def rdb_end(path: Path) -> int:
    """Where the RDB ends that a file begins with: behind it the commands of a log may follow.  Raises Stopped."""
    with opened_rdb(path) as file:
        for _ in slices(file, str(path)):
            pass
        return file.tell()


def may_have_commands(path: Path) -> bool:
    """Whether commands can follow the RDB in a file: it says so itself, in one of its first fields."""
    with opened_rdb(path) as file:
        return PREAMBLE.search(file.read(HEAD_BYTES)) is not None


def identity(path: Path) -> dict[str, Any]:
    """What a file is known by when an import goes on.  Raises Stopped."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise Stopped(f"{path}: {error.strerror}") from None
    return {"file": os.path.abspath(path), "size": found.st_size, "mtime_ns": found.st_mtime_ns}


class RdbSource:
    """One file. `dbs` are those wanted, all if there are none."""

    unit = "bytes"
    replayed = False

    def __init__(self, path: Path, dbs: Collection[int] = ()) -> None:
        self.name = str(path)
        self.dbs = dbs
        self._path = path
        self.identity = identity(path) | {"dbs": sorted(dbs)}
        self.total = self.identity["size"]

    def check(self, progress: Progress) -> None:
        """Reads all of it.  Raises Stopped."""
        progress.begin(f"checking {self._path.name}", self.total, self.unit)
        with opened_rdb(self._path) as file:
            for entries, done in slices(file, self.name):
                progress.advance(done, len(entries))

    def batches(self, position: Position) -> Iterator[Batch]:
        """What comes after `position`.  Raises Stopped."""
        with opened_rdb(self._path) as file:
            yield from batches_of(file, self.name, self.dbs, position[0] if position else 0)


def opened_rdb(path: Path) -> BinaryIO:
    """Raises Stopped."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise Stopped(f"{path}: {error.strerror}") from None


def batches_of(file: BinaryIO, name: str, dbs: Collection[int], skipped: int) -> Iterator[Batch]:
    """The keys of an open file, without the first `skipped`.  Raises Stopped."""
    digits = file.read(VERSION_END)[-4:].lstrip(b"Y")
    file.seek(0)
    foreign = digits.isdigit() and int(digits) in FOREIGN_VERSIONS
    number = done = 0
    batch = Batch()
    for entries, size in slices(file, name):
        done += size
        for db, key, kind, data, at_ms in entries:
            number += 1
            if number <= skipped or (dbs and db not in dbs):
                continue
            if batch.read and (batch.is_full or batch.db != db):
                yield batch
                batch = Batch()
            batch.db = db
            batch.read += 1
            try:
                if foreign and kind >= HASH_2:
                    raise Unsendable(f"a value of type {kind}, which only Redis has")
                batch.add(Entry(key, sealed(kind, data), at_ms))
            except Unsendable as why:
                batch.refusals.append((key, str(why)))
            batch.position = [number]
        batch.done += done
        done = 0
    batch.position = [number]
    yield batch


def slices(file: BinaryIO, name: str) -> Iterator[tuple[list[Any], int]]:
    """Keys as they stand in the file, and how many bytes of it these are.  Raises Stopped."""
    before = 0
    try:
        for entries in raw_entries(file):
            at = file.tell()
            yield entries, at - before
            before = at
    except LogDamaged as damage:
        damage.file = damage.file or name
        raise Stopped(str(damage)) from None
    except OSError as error:
        raise Stopped(f"{name}: {error.strerror}") from None

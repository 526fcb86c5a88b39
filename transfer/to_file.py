"""The keys of a server as an RDB file, which any Redis or Valkey that knows their types loads.

Rule 1: a file of that name counts only when it is whole: it is written under another name beside it, synced, read back
        with its checksum, and then takes its name. An existing one is not touched unless that was asked for.
Rule 2: a key is in the file once, though SCAN may name it twice: a server would refuse the file. What has been written
        is remembered for that; of a Shardis only for the slot under way, since its SCAN goes slot by slot.
"""

import os
import time
from pathlib import Path
from typing import IO, BinaryIO

from common.config import Config
from common.cursor import place_of
from shard.log_files import sync_folder
from shard.rdb.crc64 import crc64
from shard.rdb.dump import CHECKSUM_BYTES
from shard.rdb.encoding import length
from shard.rdb.file import FileWriter, aux_fields
from shard.rdb.file_writer import EXPIRES_AT_MS, NO_TIME, SELECT_DB
from transfer import rdb_source
from transfer.batches import Batch, Position
from transfer.faults import Stopped
from transfer.payloads import Unsendable, opened
from transfer.progress import Progress
from transfer.server_source import ServerSource
from transfer.state import Tally

TIME_BYTES = 8
COPIED_BYTES = 1 << 20
SUFFIX = ".unfinished"
REFUSALS_SHOWN = 10


class FileTarget:
    """A file that is being written. Use it in a `with`: what is not finished is removed."""

    def __init__(self, path: Path, *, replace: bool) -> None:
        if path.is_dir():
            raise Stopped(f"{path} is a folder")
        if not replace and path.exists():
            raise Stopped(f"{path} exists: --replace overwrites it")
        self.path = path
        self._replace = replace
        self._temporary = path.with_name(path.name + SUFFIX)
        self._checksum = 0
        self._db = -1
        try:
            self._file: IO[bytes] = open(self._temporary, "wb")  # noqa: SIM115 (__exit__ closes it)
        except OSError as error:
            raise Stopped(f"{self._temporary}: {error.strerror}") from None
        self._writer = FileWriter(Config().values)

    def __enter__(self) -> "FileTarget":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def begin(self) -> None:
        """Before the first key.  Raises Stopped."""
        self.write(self._writer.header(aux_fields(time.time_ns() // 1_000_000, 0, aof_base=False)))

    def write(self, data: bytes) -> None:
        """Raises Stopped."""
        self._checksum = crc64(data, self._checksum)
        self._write(data)

    def put(self, db: int, key: bytes, kind: int, data: bytes, at_ms: int) -> None:
        """A key and its object.  Raises Stopped."""
        select = b"" if db == self._db else SELECT_DB + length(db)
        time_ = b"" if at_ms == NO_TIME else EXPIRES_AT_MS + at_ms.to_bytes(TIME_BYTES, "little", signed=True)
        self._db = db
        self.write(b"".join((select, time_, b"%c" % kind, length(len(key)), key, data)))

    def finish(self, expected: dict[int, int], progress: Progress) -> None:
        """After the last key: gives the file its name, having seen that it says what was put.  Raises Stopped."""
        self.write(self._writer.footer())
        self._write(self._checksum.to_bytes(CHECKSUM_BYTES, "little"))
        found = self._synced_and_counted(progress)
        if found != expected:
            raise Stopped(f"{self._temporary} was read back with {found} keys by db, and {expected} were written")
        self._name()

    def copy(self, file: BinaryIO, progress: Progress) -> dict[int, int]:
        """Takes all of a file that is an RDB, instead of keys; how many keys it has by db.  Raises Stopped."""
        progress.begin("copying", os.fstat(file.fileno()).st_size, "bytes")
        while data := file.read(COPIED_BYTES):
            self._write(data)
            progress.advance(len(data), 0)
        counts = self._synced_and_counted(progress)
        self._name()
        return counts

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise Stopped(f"{self._temporary}: {error.strerror}") from None

    def _synced_and_counted(self, progress: Progress) -> dict[int, int]:
        """What the file says, as it is on disk."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise Stopped(f"{self._temporary}: {error.strerror}") from None
        return self._count(progress)

    def _name(self) -> None:
        try:
            if self._replace:
                os.replace(self._temporary, self.path)
            else:
                os.link(self._temporary, self.path)  # Which does not overwrite one that was made meanwhile.
            sync_folder(self.path.parent)
        except FileExistsError:
            raise Stopped(f"{self.path} exists: --replace overwrites it") from None
        except OSError as error:
            raise Stopped(f"{self.path}: {error.strerror}") from None

    def _count(self, progress: Progress) -> dict[int, int]:
        counts: dict[int, int] = {}
        progress.begin("reading it back", os.path.getsize(self._temporary), "bytes")
        with rdb_source.opened_rdb(self._temporary) as file:
            for entries, done in rdb_source.slices(file, str(self._temporary)):
                for db, *_ in entries:
                    counts[db] = counts.get(db, 0) + 1
                progress.advance(done, len(entries))
        return counts


class Once:
    """Tells which keys of a source come for the second time."""

    def __init__(self, *, in_slot_order: bool) -> None:
        self._in_slot_order = in_slot_order
        self._seen: set[bytes] = set()
        self._db = -1

    def is_new(self, key: bytes) -> bool:
        before = len(self._seen)
        self._seen.add(key)
        return len(self._seen) > before

    def pass_on(self, position: Position) -> None:
        """Says that the source goes on there: what can't come again is forgotten."""
        db, cursor = position
        if db != self._db or (self._in_slot_order and not place_of(cursor)[1]):
            self._seen.clear()
            self._db = db


def export(source: ServerSource, target: FileTarget, progress: Progress) -> list[str]:
    """Writes all keys of the source; the lines to show at the end.  Raises Stopped."""
    tallies: dict[int, Tally] = {}
    once = Once(in_slot_order=source.server.is_shardis)
    shown: list[str] = []
    target.begin()
    progress.begin("exporting", source.total, source.unit)
    for batch in source.batches([]):
        tally = tallies.setdefault(batch.db, Tally())
        written = _write(batch, target, once, tally, shown)
        once.pass_on(batch.position)
        progress.advance(batch.done, written)
        while shown and tally.refused <= REFUSALS_SHOWN:
            progress.say(shown.pop(0))
        shown.clear()
    expected = {db: tally.sent for db, tally in tallies.items() if tally.sent}
    target.finish(expected, progress)
    return _lines(tallies) or ["no keys"]


def _write(batch: Batch, target: FileTarget, once: Once, tally: Tally, shown: list[str]) -> int:
    refusals: list[tuple[bytes, str]] = list(batch.refusals)
    written = 0
    for key, payload, at_ms in batch.entries:
        if not once.is_new(key):
            continue
        try:
            kind, data, _ = opened(payload)
        except Unsendable as why:
            refusals.append((key, str(why)))
        else:
            target.put(batch.db, key, kind, data, at_ms)
            written += 1
    tally.read += batch.read
    tally.sent += written
    tally.vanished += batch.vanished
    tally.refused += len(refusals)
    shown += [f"not exported: db {batch.db}, key {key[:80]!r}: {why}" for key, why in refusals]
    return written


def _lines(tallies: dict[int, Tally]) -> list[str]:
    found = []
    for db, tally in sorted(tallies.items()):
        parts = {"vanished before they were read": tally.vanished, "not exported": tally.refused}
        line = f"db {db}: {tally.read:,} keys read, {tally.sent:,} written"
        found.append(line + "".join(f", {count:,} {what}" for what, count in parts.items() if count))
    return found

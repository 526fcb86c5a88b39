"""What the processes of a re-hash do: `survey` the records of the old shards, `spread` each of these over the new ones,
`join` what became of a new one.

Rule 1: the old set is only read here.
Rule 2: a task is a generator, see task_pool.py: what it yields is how far it is.
Rule 3: time does not pass. What has expired is written as it lies: that it goes is for the shard to log that serves it.
"""

import mmap
import os
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, cast

from common.errors import RedisError
from common.record import COMMAND, MAGIC
from common.slot import SLOTS, Owners, shard_of_slot, slot_function, slots_of_shard
from shard import save_join
from shard.commands.table import TABLE
from shard.execute import Executor
from shard.keyspace import Keyspace, Store
from shard.late import Room
from shard.layout import Layout
from shard.log_files import make_folder, write_atomically
from shard.log_reader import LogDamaged
from shard.log_reading import do_slice, read_log, read_manifest
from shard.manifest import Kind, LogFile, Manifest
from shard.rdb.crc64 import crc64
from shard.rdb.file import FileWriter, aux_fields
from shard.redo import Book, redo
from shard.rewrite import CommandWriter
from shard.save import end_of
from shard.states import fill
from shard.value import Value

LOAD_SHARE = 0.5
"""Of the time that a shard takes, what is gone when its log is read."""
UNWRITTEN_BYTES_MAX = 1 << 25
"""What waits in memory for the part files of all new shards together."""
KEYS_AT_ONCE = 1024
"""Written between two moments at which a stop is heard."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is: from 0 to 1, and how many keys it has written."""

    share: float
    keys: int


@dataclass(frozen=True, slots=True)
class Part:
    """A file with the keys that an old shard has for a new one."""

    path: Path
    size_bytes: int
    checksum: int
    keys: int


class Encoder(Protocol):
    """What makes a file's bytes of keys."""

    def entry(self, db: int, key: bytes, value: Value, at_ms: int, /) -> bytes:
        """A key with its value, and its expiry in ms or -1."""


# An old shard


def survey(config: Any, log: Path) -> Generator[Progress, None, Book]:
    """The records of writes over several shards that a log has.  Raises LogDamaged, OSError."""
    book = Book()
    increments = Manifest(increments=read_manifest(log, config["appendfilename"]).increments)
    if any(map(_may_have_records, (log / file.name for file in increments.files))):
        for part in read_log(log, increments, config["aof-load-truncated"], config["databases"]):
            for _, run in part.runs:
                for argv in run:
                    if argv[0] == COMMAND:
                        book.read(argv)
            yield Progress(0.0, 0)
    try:
        book.participants()
    except ValueError as error:
        raise LogDamaged(0, f"a record of a write over several shards can't be read: {error}", str(log)) from error
    return book


def _may_have_records(path: Path) -> bool:
    """A look at the bytes, which is a hundred times as fast as reading the commands."""
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return view.find(MAGIC) >= 0


def spread(
    config: Any, index: int, log: Path, old: Layout, new: Layout, lacked: list[bytes], folder: Path
) -> Generator[Progress, None, dict[int, Part]]:
    """Reads the log of the old shard `index`, does what it lacks, and writes its keys into a part file in `folder` for
    each new shard that gets some.  Raises LogDamaged, OSError."""
    shard = OldShard(config, index, old)
    for share in shard.load(log):
        yield Progress(share * LOAD_SHARE, 0)
    for record in lacked:
        shard.redo(record)
    store = shard.store
    parts = PartFiles(config, folder, index, new)
    keys = sum(db.size for db in store.dbs)
    for written in _walk(store, old, new, parts):
        yield Progress(LOAD_SHARE + (1 - LOAD_SHARE) * written / keys, written)
    return parts.close()


class OldShard:
    """A shard that is only read. It has the parts of shard/server.py's that a log and its records are done with."""

    def __init__(self, config: Any, index: int, layout: Layout) -> None:
        self.config = config
        self.index = index
        self.store = Store(
            databases=config["databases"],
            slot_of=slot_function(layout.hash_tags),
            slots_owned=slots_of_shard(index, layout.shards),
            config=config.values,
        )
        self.store.logging = False
        self.executor = Executor(self.store, TABLE, _nowhere, _nowhere, time.perf_counter_ns)
        self.room = Room(self.executor, lambda message, place: None, set())
        self.book = Book()
        self.executor.heard_record = self.book.read

    def load(self, log: Path) -> Iterator[float]:
        """Does what the log in that folder says; yields how much of it is read.  Raises LogDamaged."""
        config, executor = self.config, self.executor
        executor.state(loading=True, refusal=None)
        self.store.begin_replay(time.time_ns() // 1_000_000)
        manifest = read_manifest(log, config["appendfilename"])
        put = partial(fill, self.store)
        for part in read_log(log, manifest, config["aof-load-truncated"], config["databases"], config.values):
            do_slice(part, executor.replay, put)
            yield part.loaded_bytes / max(part.total_bytes, 1)

    def redo(self, record: bytes) -> None:
        """Does its part of a write over several shards that is not in its log."""
        self.store.expiring = True
        try:
            redo(cast(Any, self), record)
        except (ValueError, RedisError) as error:
            raise LogDamaged(0, f"a write over several shards can't be done: {error}", f"shard {self.index}") from error


def _nowhere(*_: object) -> None:
    """Where effects are logged."""


def _walk(store: Store, old: Layout, new: Layout, parts: "PartFiles") -> Iterator[int]:
    """Writes all keys, some at a time; how many so far."""
    written = 0
    owners = Owners(new.shards, new.hash_tags)
    for db in store.dbs:
        for slot in range(SLOTS) if db.size else ():
            keys = iter(db.slots[slot])
            while some := list(islice(keys, KEYS_AT_ONCE)):
                if old.hash_tags == new.hash_tags:
                    _write(db, slot, some, parts.of(shard_of_slot(slot, new.shards)))
                else:
                    for key in some:
                        _write(db, slot, [key], parts.of(owners.of(key)))
                written += len(some)
                yield written


def _write(db: Keyspace, slot: int, keys: list[bytes], part: "PartFile") -> None:
    values, times = db.slots[slot], db.expiries.slots[slot]
    for key in keys:
        part.add(db.index, key, values[key], times.get(key, -1))


class PartFiles:
    """The part files that are made of one old shard."""

    def __init__(self, config: Any, folder: Path, index: int, new: Layout) -> None:
        self._config = config
        self._folder = folder
        self._index = index
        self._unwritten_bytes_max = UNWRITTEN_BYTES_MAX // new.shards
        self._files: dict[int, PartFile] = {}

    def of(self, shard: int) -> "PartFile":
        """The one for a new shard."""
        file = self._files.get(shard)
        if file is None:
            path = self._folder / f"{self._index}-{shard}"
            file = self._files[shard] = PartFile(path, encoder(self._config), self._unwritten_bytes_max)
        return file

    def close(self) -> dict[int, Part]:
        """What there is when all is written, by new shard."""
        for file in self._files.values():
            file.flush()
        return {
            shard: Part(file.path, file.size_bytes, file.checksum, file.keys) for shard, file in self._files.items()
        }


class PartFile:
    """A file that keys are added to. It is open only while it is written: there may be thousands."""

    __slots__ = ("path", "size_bytes", "checksum", "keys", "_encoder", "_pieces", "_unwritten_bytes", "_max")

    def __init__(self, path: Path, encoder: Encoder, unwritten_bytes_max: int) -> None:
        self.path = path
        self.size_bytes = 0
        self.checksum = 0
        self.keys = 0
        self._encoder = encoder
        self._pieces: list[bytes] = []
        self._unwritten_bytes = 0
        self._max = unwritten_bytes_max

    def add(self, db: int, key: bytes, value: Value, at_ms: int) -> None:
        """Puts a key behind those that are there."""
        piece = self._encoder.entry(db, key, value, at_ms)
        self._pieces.append(piece)
        self.keys += 1
        self._unwritten_bytes += len(piece)
        if self._unwritten_bytes >= self._max:
            self.flush()

    def flush(self) -> None:
        """Writes what waits.  Raises OSError."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._unwritten_bytes = 0
        self.checksum = crc64(data, self.checksum)
        self.size_bytes += len(data)
        with open(self.path, "ab") as file:
            file.write(data)


# Encodings


def encoder(config: Any) -> Encoder:
    """What the base of a log is written with."""
    return FileWriter(config.values) if config["aof-use-rdb-preamble"] else CommandWriter()


# A new shard


def join(config: Any, log: Path, parts: list[Part]) -> Generator[Progress, None, None]:
    """Makes the log of a new shard of what the old ones have for it: a base, and an empty increment. Each part goes
    when it is copied. All is on disk in the end.  Raises OSError."""
    make_folder(log)
    name = config["appendfilename"]
    as_rdb = config["aof-use-rdb-preamble"]
    base = LogFile(f"{name}.1.base.{'rdb' if as_rdb else 'aof'}", 1, Kind.BASE)
    increment = LogFile(f"{name}.1.incr.aof", 1, Kind.INCREMENT)
    head = b""
    if as_rdb:
        head = FileWriter(config.values).header(aux_fields(time.time_ns() // 1_000_000, 0, aof_base=True))
    pieces = [(len(head), crc64(head)), *((part.size_bytes, part.checksum) for part in parts)]
    end = end_of(pieces, config.values) if as_rdb else b""
    size_bytes = sum(size for size, _ in pieces)
    with open(log / base.name, "wb") as file:
        file.write(head)
        file.flush()
        at = len(head)
        for part in parts:
            for count in save_join.copy(save_join.Part(part.path, 0, part.size_bytes), file.fileno(), at):
                at += count
                yield Progress(at / size_bytes, 0)
            part.path.unlink()
        file.seek(at)
        file.write(end)
        file.flush()
        os.fsync(file.fileno())
    with open(log / increment.name, "wb") as file:
        os.fsync(file.fileno())
    write_atomically(log / f"{name}.manifest", Manifest(base, (increment,)).encode())

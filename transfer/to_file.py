"""The keys of a server as an RDB file, which any Redis or Valkey that knows their types loads.

Rule 1: a file of that name counts only when it is whole: it is written under another name beside it, synced, read back
        with its checksum, and then takes its name. An existing one is not touched unless that was asked for.
Rule 2: a key is in the file once, though SCAN may name it twice: a server would refuse the file. What has been written
        is remembered for that; of a Shardis only for the slot under way, since its SCAN goes slot by slot.
Rule 3: what was written key by key outlives whoever wrote it, with a state beside it (transfer/state.py). That says
        how many bytes of the file count, and is written when these are synced. Whoever goes on reads them back, with
        their checksum, and cuts off what follows them.
Rule 4: one process at a time has the file that is not finished: it is locked.
"""

import fcntl
import os
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from common.config import Config
from common.cursor import place_of
from shard.log_files import sync_folder
from shard.rdb.crc64 import crc64
from shard.rdb.dump import CHECKSUM_BYTES
from shard.rdb.encoding import length
from shard.rdb.file import FileWriter, aux_fields
from shard.rdb.file_writer import END, EXPIRES_AT_MS, NO_TIME, SELECT_DB
from transfer import rdb_source
from transfer.batches import Batch, Position
from transfer.courier import Source
from transfer.faults import Stopped
from transfer.payloads import Unsendable, opened
from transfer.progress import Progress
from transfer.state import State, StateFile, Tally, Written

TIME_BYTES = 8
COPIED_BYTES = 1 << 20
SUFFIX = ".unfinished"
STATE_SUFFIX = ".export-state"
REFUSALS_SHOWN = 10
NOTHING = Written(size_bytes=0, checksum=0, db=-1, recent=0)


class KeySource(Source, Protocol):
    """Where keys come from."""

    in_slot_order: bool


def export(source: KeySource, target: "FileTarget", progress: Progress) -> list[str]:
    """Writes all keys of the source; the lines to show at the end.  Raises Stopped."""
    target.begin()
    return _carry(source, target, State(source.identity, str(target.path)), Once(source.in_slot_order), progress)


def resume(source: KeySource, path: Path, progress: Progress, *, replace: bool) -> list[str]:
    """The same, from where an earlier run stopped.  Raises Stopped."""
    file = StateFile(_beside(path, STATE_SUFFIX))
    state = file.load_of(source.name, source.identity)
    written = state.written
    if written is None:
        raise Stopped(f"{file.path} is not about a file")
    if _has_its_name(path, written):
        if _beside(path, SUFFIX).exists() and path.samefile(_beside(path, SUFFIX)):
            _beside(path, SUFFIX).unlink()
        file.remove()
        return _lines(state.tallies)
    with FileTarget(path, progress, replace=replace, written=written) as target:
        once = Once(source.in_slot_order)
        once.remember(state.position, written.db, target.read_back(_sent(state)))
        return _carry(source, target, state, once, progress)


def _carry(source: KeySource, target: "FileTarget", state: State, once: "Once", progress: Progress) -> list[str]:
    """From where the state is to the end.  Raises Stopped."""
    try:
        target.save(state, once)
        progress.begin("exporting", source.total, source.unit, done=sum(each.read for each in state.tallies.values()))
        shown: list[str] = []
        for batch in source.batches(state.position):
            tally = state.tally(batch.db)
            progress.advance(batch.done, _write(batch, target, once, tally, shown))
            while shown and tally.refused <= REFUSALS_SHOWN:
                progress.say(shown.pop(0))
            shown.clear()
            if batch.position != state.position:
                state.position = batch.position
                once.pass_on(batch.position)
                target.save_now_and_then(state, once)
        target.save(state, once)
        target.finish(_sent(state))
    except (Stopped, KeyboardInterrupt) as fault:
        path = target.state_file.path
        hint = f". What was written is noted in {path}: the same command with --resume goes on" if path.exists() else ""
        raise Stopped(f"{str(fault) or 'interrupted'}{hint}") from None
    return _lines(state.tallies)


class FileTarget:
    """A file that is being written. Use it in a `with`: what is not finished is removed, unless there is a state of it.

    With `written` it is one that an earlier run began, else it is begun anew.  Raises Stopped.
    """

    def __init__(self, path: Path, progress: Progress, *, replace: bool, written: Written | None = None) -> None:
        if path.is_dir():
            raise Stopped(f"{path} is a folder")
        if not replace and path.exists():
            raise Stopped(f"{path} exists: --replace overwrites it")
        self.path = path
        self.state_file = StateFile(_beside(path, STATE_SUFFIX))
        self._progress = progress
        self._replace = replace
        self._temporary = _beside(path, SUFFIX)
        self._written = written or NOTHING
        self._size_bytes, self._checksum, self._db = 0, 0, -1
        self._has_name = False
        self._has_told = False
        if written is not None and not self._temporary.exists():
            raise Stopped(f"{self._temporary} is gone: begin anew")
        try:
            self._file = self._open_anew() if written is None else self._open("r+b")
        except OSError as error:
            raise self._fault(error) from None
        self._writer = FileWriter(Config().values)

    def __enter__(self) -> "FileTarget":
        return self

    def __exit__(self, *_: object) -> None:
        if not self._has_name and not self.state_file.path.exists():
            self._temporary.unlink(missing_ok=True)
        with suppress(OSError):  # Where the disk is full, the last bytes can't be written now either: that was said.
            self._file.close()

    def begin(self) -> None:
        """Before the first key.  Raises Stopped."""
        self._cut(0)
        self.write(self._writer.header(aux_fields(time.time_ns() // 1_000_000, 0, aof_base=False)))

    def read_back(self, expected: dict[int, int]) -> list[bytes]:
        """Instead: makes sure that what was written is there, and cuts off the rest; the keys that the source may name
        once more, which are the last ones.  Raises Stopped."""
        written = self._written
        size_bytes = os.fstat(self._file.fileno()).st_size
        if size_bytes < written.size_bytes:
            raise Stopped(f"{self._temporary} lacks {written.size_bytes - size_bytes:,} of its bytes: begin anew")
        # With an end it is a file that can be read as any other. That is cut off again.
        self._cut(written.size_bytes)
        self._write(_end(written.checksum))
        self._sync()
        recent: deque[bytes] = deque(maxlen=written.recent)
        try:
            found = self._count(recent)
        except Stopped as fault:
            raise Stopped(f"{fault}: begin anew") from None
        if found != expected:
            raise Stopped(f"{self._temporary} has {found} keys by db, and {expected} were written: begin anew")
        self._cut(written.size_bytes)
        self._size_bytes, self._checksum, self._db = written.size_bytes, written.checksum, written.db
        return list(recent)

    def write(self, data: bytes) -> None:
        """Raises Stopped."""
        self._checksum = crc64(data, self._checksum)
        self._size_bytes += len(data)
        self._write(data)

    def put(self, db: int, key: bytes, kind: int, data: bytes, at_ms: int) -> None:
        """A key and its object.  Raises Stopped."""
        select = b"" if db == self._db else SELECT_DB + length(db)
        time_ = b"" if at_ms == NO_TIME else EXPIRES_AT_MS + at_ms.to_bytes(TIME_BYTES, "little", signed=True)
        self._db = db
        self.write(b"".join((select, time_, b"%c" % kind, length(len(key)), key, data)))

    def save_now_and_then(self, state: State, once: "Once") -> None:
        """Says in the state how far the file came, if that is long ago.  Raises Stopped."""
        if self.state_file.is_due:
            self.save(state, once)

    def save(self, state: State, once: "Once") -> None:
        """Says in the state how far the file came.  Raises Stopped."""
        self._sync()
        state.written = Written(self._size_bytes, self._checksum, self._db, once.written)
        self.state_file.save(state)
        if self.state_file.unwritable and not self._has_told:
            self._has_told = True
            self._progress.say(f"can't be resumed from here on: {self.state_file.unwritable}")

    def finish(self, expected: dict[int, int]) -> None:
        """After the last key: gives the file its name, having seen that it says what was put.  Raises Stopped."""
        self._write(_end(self._checksum))
        found = self._synced_and_counted()
        if found != expected:
            raise Stopped(f"{self._temporary} was read back with {found} keys by db, and {expected} were written")
        self._name()

    def copy(self, file: BinaryIO) -> dict[int, int]:
        """Takes all of a file that is an RDB, instead of keys; how many keys it has by db.  Raises Stopped."""
        self._progress.begin("copying", os.fstat(file.fileno()).st_size, "bytes")
        while data := file.read(COPIED_BYTES):
            self._write(data)
            self._progress.advance(len(data), 0)
        counts = self._synced_and_counted()
        self._name()
        return counts

    # Inside

    def _open_anew(self) -> IO[bytes]:
        """Raises Stopped, OSError."""
        with suppress(FileNotFoundError), self._open("rb"):
            if self.state_file.path.exists():
                self._progress.say(
                    f"begun anew: what an interrupted run has written is dropped ({self.state_file.path} was there:"
                    " --resume would have gone on)"
                )
            self.state_file.remove()
            # Not overwritten: it is the file itself, if a run was killed between giving it that name and taking this.
            self._temporary.unlink()
        self.state_file.remove()
        return self._open("xb")

    def _open(self, mode: str) -> IO[bytes]:
        """The file that is not finished, when no other process has it.  Raises Stopped, OSError."""
        file: IO[bytes] = open(self._temporary, mode)  # noqa: SIM115 (__exit__ closes it)
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(self._temporary)):
                raise BlockingIOError  # The other one has just finished it, or removed it.
        except BlockingIOError:
            file.close()
            raise Stopped(f"{self._temporary} is being written by another run") from None
        except OSError:
            file.close()
            raise
        return file

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._fault(error) from None

    def _sync(self) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._fault(error) from None

    def _cut(self, size_bytes: int) -> None:
        try:
            self._file.truncate(size_bytes)
            self._file.seek(size_bytes)
        except OSError as error:
            raise self._fault(error) from None

    def _fault(self, error: OSError) -> Stopped:
        return Stopped(f"{self._temporary}: {error.strerror}")

    def _synced_and_counted(self) -> dict[int, int]:
        """What the file says, as it is on disk."""
        self._sync()
        return self._count(deque(maxlen=0))

    def _name(self) -> None:
        try:
            if self._replace:
                os.replace(self._temporary, self.path)
            else:
                os.link(self._temporary, self.path)  # Which does not overwrite one that was made meanwhile.
                self._temporary.unlink()
            self._has_name = True
            sync_folder(self.path.parent)
            self.state_file.remove()
        except FileExistsError:
            raise Stopped(f"{self.path} exists: --replace overwrites it") from None
        except OSError as error:
            raise Stopped(f"{self.path}: {error.strerror}") from None

    def _count(self, recent: deque[bytes]) -> dict[int, int]:
        """The keys by db; the last of them stay in `recent`."""
        counts: dict[int, int] = {}
        self._progress.begin("reading it back", os.path.getsize(self._temporary), "bytes")
        with rdb_source.opened_rdb(self._temporary) as file:
            for entries, done in rdb_source.slices(file, str(self._temporary)):
                for db, key, *_ in entries:
                    counts[db] = counts.get(db, 0) + 1
                    recent.append(key)
                self._progress.advance(done, len(entries))
        return counts


class Once:
    """Tells which keys of a source come for the second time."""

    def __init__(self, in_slot_order: bool) -> None:
        self.written = 0
        """How many of the keys that are remembered are in the file."""
        self._in_slot_order = in_slot_order
        self._seen: set[bytes] = set()
        self._db = -1
        self._position: Position = []

    def remember(self, position: Position, db: int, keys: list[bytes]) -> None:
        """What another one had remembered when the source was there, and what it had written of that."""
        self._position, self._db = position, db
        self._seen = set(keys)
        self.written = len(keys)

    def is_new(self, db: int, key: bytes) -> bool:
        if db != self._db:
            self._forget()
            self._db = db
        before = len(self._seen)
        self._seen.add(key)
        return len(self._seen) > before

    def pass_on(self, position: Position) -> None:
        """Says that the source goes on there: what can't come again is forgotten."""
        if position == self._position:
            return  # It is in the middle of what one SCAN has named.
        db, cursor = self._position = position
        if db != self._db or (self._in_slot_order and not place_of(cursor)[1]):
            self._forget()

    def _forget(self) -> None:
        self._seen.clear()
        self.written = 0


def _write(batch: Batch, target: FileTarget, once: Once, tally: Tally, shown: list[str]) -> int:
    refusals: list[tuple[bytes, str]] = list(batch.refusals)
    written = 0
    for key, payload, at_ms in batch.entries:
        if not once.is_new(batch.db, key):
            continue
        try:
            kind, data, _ = opened(payload)
        except Unsendable as why:
            refusals.append((key, str(why)))
        else:
            target.put(batch.db, key, kind, data, at_ms)
            written += 1
    once.written += written
    tally.read += batch.read
    tally.sent += written
    tally.vanished += batch.vanished
    tally.refused += len(refusals)
    shown += [f"not exported: db {batch.db}, key {key[:80]!r}: {why}" for key, why in refusals]
    return written


def _lines(tallies: dict[int, Tally]) -> list[str]:
    found = []
    for db, tally in sorted(tallies.items()):
        if not tally.read:
            continue
        parts = {"vanished before they were read": tally.vanished, "not exported": tally.refused}
        line = f"db {db}: {tally.read:,} keys read, {tally.sent:,} written"
        found.append(line + "".join(f", {count:,} {what}" for what, count in parts.items() if count))
    return found or ["no keys"]


def _sent(state: State) -> dict[int, int]:
    """How many keys by db the file has."""
    return {db: tally.sent for db, tally in state.tallies.items() if tally.sent}


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _end(checksum: int) -> bytes:
    """What stands behind the last key, if all before has that checksum."""
    return END + crc64(END, checksum).to_bytes(CHECKSUM_BYTES, "little")


def _has_its_name(path: Path, written: Written) -> bool:
    """Whether the file was finished by a run that was killed before it removed the state: it ends as it must then."""
    try:
        with open(path, "rb") as file:
            file.seek(written.size_bytes)
            return file.read(len(END) + CHECKSUM_BYTES + 1) == _end(written.checksum)
    except OSError:
        return False

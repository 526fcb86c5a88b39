"""What the files of a data folder say of themselves, read without a server: `shardis check` shows it.

Nothing is changed here but by `trim`.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from common import record
from common.config import Config
from shard.first_logs import are_unfinished
from shard.layout import Layout
from shard.log_files import cut, read_layout, sync_folder
from shard.log_reader import LogDamaged, read_slices
from shard.log_reading import read_manifest
from shard.manifest import Kind, Manifest
from shard.rdb.file import read_entries
from transfer.faults import Stopped
from transfer.log_source import ANY_DATABASE, MANIFEST_SUFFIX, SLICE_BYTES, next_command
from transfer.progress import Progress
from transfer.rdb_source import is_rdb

LOCK = "shardis.lock"
"""In the data folder; the processes of a server hold it while any of them runs."""
CUT_SUFFIX = ".cut-at-"


class State(IntEnum):
    """Of a file, a shard, a folder: the worst of all that is in it. The numbers are exit statuses."""

    WHOLE = 0
    TORN = 1
    """The last thing in the last file is cut: what a crash does. Nothing else is lost."""
    DAMAGED = 2


@dataclass(slots=True)
class FileReport:
    """One file that the manifest names."""

    path: Path
    kind: str
    size_bytes: int = 0
    keys: int = 0
    """Of an RDB."""
    commands: int = 0
    groups: int = 0
    records: int = 0
    """Of writes over several shards, whole ones."""
    state: State = State.WHOLE
    at_byte: int = 0
    """Where it is torn or damaged."""
    problem: str = ""
    remedy: str = ""


@dataclass(slots=True)
class ShardReport:
    """One shard: its manifest and its files."""

    index: int
    folder: Path
    files: list[FileReport] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Files that no manifest names."""
    wholes: dict[int, list[int]] = field(default_factory=dict)
    """The writes over several shards that it has a record of, with the shards that took part."""
    done: set[int] = field(default_factory=set)
    settled: int = 0

    @property
    def state(self) -> State:
        return max((file.state for file in self.files), default=State.WHOLE)


@dataclass(slots=True)
class FolderReport:
    """A data folder."""

    folder: Path
    layout: Layout
    counts: bool = True
    """Whether the next start takes the data from these logs. If not, they are just being made of an RDB file."""
    shards: list[ShardReport] = field(default_factory=list)

    @property
    def state(self) -> State:
        return max(shard.state for shard in self.shards)

    def lacking(self) -> Iterator[tuple[int, int, int]]:
        """The writes over several shards that one of them has not got: their id, that shard, and one that has it. The
        next start does them there. Those settled are on disk everywhere, whoever still has a record of them."""
        settled = max((shard.settled for shard in self.shards), default=0)
        for shard in self.shards:
            for id_, indices in shard.wholes.items():
                for index in indices:
                    if id_ <= settled or not 0 <= index < len(self.shards):
                        continue
                    other = self.shards[index]
                    if id_ not in other.wholes and id_ not in other.done:
                        yield id_, index, shard.index


def inspect(folder: Path, progress: Progress) -> FolderReport:
    """Reads all of it.  Raises Stopped if there is nothing to read, or the layout is not readable."""
    try:
        layout = read_layout(folder)
    except LogDamaged as damage:
        raise Stopped(str(damage)) from None
    except OSError as error:
        raise Stopped(f"{folder}: {error.strerror}") from None
    if layout is None:
        raise Stopped(f"{folder} has no layout.json: it is no data folder of a shardis, or nothing was written there")
    report = FolderReport(folder, layout, counts=not are_unfinished(folder))
    folders = [folder / layout.folder_of(index) for index in range(layout.shards)]
    progress.begin("reading the logs", sum(map(_size, folders)), "bytes")
    with ExitStack() as stack:
        for index, path in enumerate(folders):
            report.shards.append(_inspect_shard(index, path, stack, progress))
    return report


def _inspect_shard(index: int, folder: Path, stack: ExitStack, progress: Progress) -> ShardReport:
    report = ShardReport(index, folder)
    manifests = sorted(folder.glob(f"*/*{MANIFEST_SUFFIX}"))
    if not manifests:
        left = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
        missing = FileReport(folder, "log")
        if left:
            missing.state, missing.problem = State.DAMAGED, f"there is {left[0]}, but no manifest"
            missing.remedy = "bring the manifest back from a backup"
        else:
            missing.problem = "no log: this shard has never written one"
        report.files.append(missing)
        return report
    for path in manifests:
        stack.enter_context(locked(path.parent))
        _inspect_log(report, path, progress)
    return report


def _inspect_log(report: ShardReport, path: Path, progress: Progress) -> None:
    folder = path.parent
    try:
        manifest = read_manifest(folder, path.name.removesuffix(MANIFEST_SUFFIX))
    except LogDamaged as damage:
        report.files.append(
            FileReport(
                path, "manifest", _size(path), state=State.DAMAGED, at_byte=damage.offset, problem=damage.reason,
                remedy="write it anew by the names of the files, or bring it back from a backup",
            )
        )  # fmt: skip
        return
    named = {file.name for file in (*manifest.files, *manifest.history)}
    report.others += sorted(each.name for each in folder.iterdir() if each.name not in named and each != path)
    for file in manifest.files:
        kind = "base" if file.kind is Kind.BASE else "increment"
        found = FileReport(folder / file.name, kind)
        report.files.append(found)
        _inspect_file(found, manifest, report, progress)


def _inspect_file(found: FileReport, manifest: Manifest, report: ShardReport, progress: Progress) -> None:
    try:
        found.size_bytes = found.path.stat().st_size
        if found.size_bytes and is_rdb(found.path):
            found.kind += ", RDB"
            _read_rdb(found, progress)
        else:
            _read_commands(found, progress)
            _count_groups(found, report)
    except LogDamaged as damage:
        found.state, found.at_byte, found.problem = State.DAMAGED, damage.offset, damage.reason
        found.remedy = _remedy(found, manifest)
    except FileNotFoundError:
        found.state, found.problem = State.DAMAGED, "the manifest names it, but there is none"
        found.remedy = "bring it back from a backup"
    except OSError as error:
        found.state, found.problem = State.DAMAGED, f"it can't be read: {error.strerror}"
    else:
        if found.state is State.TORN and found.path.name != manifest.files[-1].name:
            found.state, found.remedy = State.DAMAGED, _remedy(found, manifest)
            found.problem += ", and it is not the last file"


def _remedy(found: FileReport, manifest: Manifest) -> str:
    """What a person can do about damage that is not a torn tail."""
    if found.kind.endswith("RDB"):
        return "an RDB is whole or nothing: bring it back from a backup"
    behind = found.size_bytes - found.at_byte
    later = [file.name for file in manifest.files]
    later = later[later.index(found.path.name) + 1 :]
    lost = f"{behind:,} bytes" + (f", and {', '.join(later)}" if later else "")
    return (
        f"bring it back from a backup; cutting it there (truncate -s {found.at_byte}) would lose what follows: {lost}"
    )


def _read_rdb(found: FileReport, progress: Progress) -> None:
    """Raises LogDamaged, OSError."""
    with open(found.path, "rb") as file:
        before = 0
        for entries in read_entries(file, Config().values):
            found.keys += len(entries)
            progress.advance(file.tell() - before, len(entries))
            before = file.tell()


def _read_commands(found: FileReport, progress: Progress) -> None:
    """Raises LogDamaged, OSError."""
    with open(found.path, "rb") as file:
        before = 0
        for part in read_slices(file, found.size_bytes, SLICE_BYTES, ANY_DATABASE):
            count = sum(len(run) for _, run in part.runs)
            found.commands += count
            progress.advance(part.loaded_bytes - before, count)
            before = part.loaded_bytes
            if part.dropped_bytes:
                found.state, found.at_byte = State.TORN, part.offset
                found.problem = f"its last {part.dropped_bytes:,} bytes are an unfinished command or group"
                found.remedy = "a start cuts them off, and so does --fix"


def _count_groups(found: FileReport, report: ShardReport) -> None:
    """What is whole is read once more, for what a replay does not see."""
    end = found.at_byte if found.state is State.TORN else found.size_bytes
    with open(found.path, "rb") as file:
        at = 0
        while at < end:
            argv, size = next_command(file)
            at += size
            if len(argv) == 1:
                found.groups += argv[0].upper() == b"MULTI"
            elif len(argv) == 2 and argv[0].upper() == record.COMMAND:
                found.commands -= 1
                _note(argv[1], found, report)


def _note(blob: bytes, found: FileReport, report: ShardReport) -> None:
    kind = record.kind_of(blob)
    if kind == record.WHOLE:
        found.records += 1
        try:
            report.wholes[record.id_of(blob)] = record.shards_of(blob)
        except ValueError:
            raise LogDamaged(0, "a record of a write over several shards is cut short", str(found.path)) from None
    elif kind == record.DONE:
        report.done.add(record.id_of(blob))
    elif kind == record.SETTLED:
        report.settled = max(report.settled, record.id_of(blob))


# Mending, and who else is there.


def trim(found: FileReport) -> Path:
    """Cuts off a torn tail, and gives the file beside it that keeps what was cut off.  Raises OSError."""
    assert found.state is State.TORN
    kept = found.path.with_name(f"{found.path.name}{CUT_SUFFIX}{found.at_byte}")
    with open(found.path, "rb") as file:
        file.seek(found.at_byte)
        with open(kept, "xb") as copy:
            while data := file.read(SLICE_BYTES):
                copy.write(data)
            copy.flush()
            os.fsync(copy.fileno())
    sync_folder(kept.parent)
    cut(found.path, found.at_byte)
    found.state = State.WHOLE
    found.size_bytes = found.at_byte
    return kept


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps servers away while it is read.  Raises Stopped if one is there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield  # A folder that no server has used since it was copied.
        return
    except OSError as error:
        raise Stopped(f"{path}: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Stopped(f"a server runs on these data ({path} is locked): stop it first") from None
    try:
        yield
    finally:
        os.close(fd)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())

"""A log's folder read from the first file to the last: what its manifest names, in slices. Nothing is changed here."""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from common.errors import RedisError
from shard import manifest as manifests
from shard.layout import OtherLayout
from shard.log_reader import LogDamaged, LogSlice, read_slices
from shard.manifest import Kind, Manifest
from shard.rdb.file import read_entries
from shard.rdb.file_reader import REDIS_MAGIC, VALKEY_MAGIC

logger = logging.getLogger("shardis")

Apply = Callable[[int, list[bytes]], None]
"""Does a command again, by the number of its db."""
Put = Callable[[list[Any]], None]
"""Takes keys: [(db, key, value, expiry in ms or -1), ...]."""

RDB_SUFFIX = ".rdb"
SLICE_BYTES = 1 << 14
"""Read between two moments at which the shard answers others: about 250 small commands, 1 ms with doing them. They also
stay in a core's cache until they are done: slices of 64 KB were measured to take 10 % longer."""


def read_manifest(folder: Path, name: str) -> Manifest:
    """The manifest of the log `name` in `folder`; an empty one if there is no log.  Raises LogDamaged."""
    path = folder / f"{name}.manifest"
    try:
        return manifests.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        pass
    for file in folder.glob("*"):
        # Redis would begin a new log here and overwrite what lies there.
        if file.name.startswith(f"{name}.") and file.stat().st_size:
            raise LogDamaged(0, f"there is {file.name}, but no manifest", str(path))
    return Manifest()


def read_log(
    folder: Path, manifest: Manifest, load_truncated: bool, databases: int, config: dict[str, Any] | None = None
) -> Iterator[LogSlice]:
    """The log in slices; changes nothing. `config` are the directives by which a base is read that is an RDB file; the
    log can't have one without them.  Raises LogDamaged."""
    paths = {folder / file.name: file for file in manifest.files}
    for path in paths:
        if not path.exists():
            raise LogDamaged(0, "the manifest names this file, but there is none", str(path))
    total_bytes = sum(path.stat().st_size for path in paths)
    loaded_bytes = 0
    for path, named in paths.items():
        size_bytes = path.stat().st_size
        # A base counts once it is whole, so one that is not was damaged.
        last = named is manifest.files[-1] and named.kind is not Kind.BASE
        with open(path, "rb", buffering=0) as file:
            try:
                for part in _slices(file, path, databases, config):
                    part.file = str(path)
                    part.loaded_bytes += loaded_bytes
                    part.total_bytes = total_bytes
                    if part.dropped_bytes:
                        _refuse_tail(part, last=last, load_truncated=load_truncated)
                    yield part
            except LogDamaged as damage:
                damage.file = damage.file or str(path)
                raise
        loaded_bytes += size_bytes


def do_slice(part: LogSlice, apply: Apply, put: Put | None) -> int:
    """Does what a slice of a log says; how many commands and keys that is.  Raises LogDamaged if it can't be done."""
    done = 0
    if part.entries:
        assert put is not None
        try:
            put(part.entries)
        except RedisError as error:
            raise LogDamaged(part.offset, f"a key before it can't be loaded: {error}", part.file) from error
        done += len(part.entries)
    for db, run in part.runs:
        for argv in run:
            try:
                apply(db, argv)
            except RedisError as error:
                name = argv[0].decode("latin-1")
                reason = f"a command before it, {name!r}, can't be done again: {error}"
                raise LogDamaged(part.offset, reason, part.file) from error
        done += len(run)
    return done


def advice(error: Exception) -> str:
    """What to do about why a log can't be read, where that is not plain."""
    if not isinstance(error, LogDamaged) or isinstance(error, OtherLayout):
        return ""
    if error.offset and error.file.endswith(".incr.aof"):
        # The tool does not know a base that is an RDB file, not even its own server's: then it gets this file alone.
        has_rdb_base = any(Path(error.file).parent.glob(f"*.base{RDB_SUFFIX}"))
        name = error.file if has_rdb_base else re.sub(r"\.\d+\.incr\.aof$", ".manifest", error.file)
        return f"; restore a backup, or give up what follows there with: redis-check-aof --fix {name}"
    return "; restore a backup"


def _slices(file: BinaryIO, path: Path, databases: int, config: dict[str, Any] | None) -> Iterator[LogSlice]:
    """One file of it. It is an RDB file if it begins like one, too, whatever its name."""
    size_bytes = path.stat().st_size
    begins = file.read(len(VALKEY_MAGIC))
    if config is None or (begins not in (VALKEY_MAGIC, REDIS_MAGIC) and path.suffix != RDB_SUFFIX):
        yield from read_slices(file, size_bytes, SLICE_BYTES, databases)
        return
    file.seek(0)
    keys = read_entries(file, config | {"databases": databases}, slice_bytes=SLICE_BYTES)
    for entries in keys:
        yield LogSlice([], keys.offset, keys.offset, size_bytes, entries=entries)


def _refuse_tail(part: LogSlice, *, last: bool, load_truncated: bool) -> None:
    """Raises LogDamaged unless the unfinished end of `part` may be cut off."""
    if not last:
        raise LogDamaged(part.offset, "it ends in the middle of a command or group, and is not the last file")
    if not load_truncated:
        reason = "it ends in the middle of a command or group, and aof-load-truncated is no"
        raise LogDamaged(part.offset, reason)
    logger.warning("%s: the unfinished end is cut off: %d bytes at %d", part.file, part.dropped_bytes, part.offset)

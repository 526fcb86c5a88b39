"""A start from an RDB file: the keys of a shard whose log does not say them, because it is off or has not begun yet.

Rule 1: where there is a log, the file is not looked at: the log is younger.
Rule 2: a log that begins here counts once those of all shards have their keys, see first_logs.py, and nobody is served
        before that. Who is stopped in the middle begins anew with the file.
"""

import logging
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from shard import walk
from shard.first_logs import FileReplaced
from shard.log_files import TEMPORARY
from shard.rdb.crc64 import crc64
from shard.rdb.file import FileWriter, aux_fields
from shard.rdb_loading import Loading
from shard.rewrite import CommandWriter
from shard.save import end_of

if TYPE_CHECKING:
    from shard.server import Shard

logger = logging.getLogger("shardis")

SLICE_S = 0.001
"""How long the loop is held at once."""
OTHERS_LOOK_S = 0.005
"""Between two looks whether the others are as far."""


def is_due(shard: "Shard") -> bool:
    """Whether the keys are to be found in an RDB file; then `load` has to follow.  Raises LogDamaged, OSError."""
    if shard.aof.enabled:
        return shard.first_logs.begin(shard.saves.final)
    shard.first_logs.forget()
    return shard.saves.final.is_file()


def load(shard: "Shard") -> Iterator[float]:
    """Loads the keys of the shard, and begins its log with them if it has one, a slice at a time; yields how many
    seconds it has nothing to do.  Raises LogDamaged, OSError."""
    started_s = time.monotonic()
    path, aof = shard.saves.final, shard.aof
    if aof.enabled:
        logger.info("there is no log yet: it begins with the keys of %s", path)
        aof.reserve()
    loading = Loading(shard.store, path, shard.config.values, time.time_ns() // 1_000_000)
    for _ in loading.load() if path.is_file() else ():
        aof.loaded_bytes, aof.total_bytes = loading.loaded_bytes, loading.total_bytes
        yield 0
    shard.saves.count(loading)
    if aof.enabled:
        yield from _begin_log(shard)
        try:
            while not shard.first_logs.finish():
                yield OTHERS_LOOK_S
        except FileReplaced:
            logger.warning("%s was replaced by another file meanwhile: starting again", path)
            shard.stop(failed=True)
            yield 0
    seconds = time.monotonic() - started_s
    keys, expired = loading.keys_loaded, len(loading.expired)
    logger.info("loaded %s in %.3f seconds: %d keys, %d expired ones left out", path, seconds, keys, expired)


def _begin_log(shard: "Shard") -> Iterator[float]:
    """Has the log begin with a base that says what there is.  Raises OSError."""
    config, aof = shard.config, shard.aof
    path = aof.files.path / f"{TEMPORARY}base-{os.getpid()}"
    is_rdb: bool = config["aof-use-rdb-preamble"]
    writer = FileWriter(config.values)
    size_bytes = crc = 0
    until_s = time.monotonic() + SLICE_S
    with open(path, "wb") as file:
        if is_rdb:
            now_ms, used_bytes = time.time_ns() // 1_000_000, shard.process_info()["rss_bytes"]
            head = writer.header(aux_fields(now_ms, used_bytes, aof_base=True))
            size_bytes, crc = file.write(head), crc64(head)
        for data in walk.pieces(shard.store, writer.entry if is_rdb else CommandWriter().entry):
            size_bytes += file.write(data)
            crc = crc64(data, crc) if is_rdb else 0
            if time.monotonic() > until_s:
                yield 0
                until_s = time.monotonic() + SLICE_S
        if is_rdb:
            file.write(end_of([(size_bytes, crc)], config.values))
        file.flush()
        os.fsync(file.fileno())
    aof.replace_base(path, aof.begin_anew(), "rdb" if is_rdb else "aof")

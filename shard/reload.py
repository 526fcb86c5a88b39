"""DEBUG RELOAD: data thrown away and read again from an RDB file, in one turn.

Rule 1: nothing is thrown away before all that replaces it was read: a file that is damaged or can't be written costs
        nothing.
Rule 2: the log says afterwards what the keyspace does. What was only written and read again needs no word in it.
"""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import RedisError
from shard import listeners, walk
from shard.control import control, whole
from shard.log_reader import LogDamaged
from shard.rdb.crc64 import crc64, crc64_combine
from shard.rdb.file import Entry, FileWriter
from shard.rdb_loading import Loading
from shard.save import JOINER, Written, end_of
from shard.states import effects_of, unheard

if TYPE_CHECKING:
    from shard.server import Shard

logger = logging.getLogger("shardis")

NOT_SAVED = "ERR"
"""The whole of what Redis says where it can't save."""
NOT_LOADED = "ERR Error trying to load the RDB dump, check server logs."


@control
@whole
def reload_saved(shard: "Shard", id_: str, flush: bool, merge: bool) -> None:
    """Writes this shard's part of the save `id_`, and reads it again. How that ended is an event."""
    path = shard.saves.open(id_)
    try:
        part = _write(shard, path)
        entries = _Entries(shard, path, everything=True)
        with open(path, "r+b") as file:
            file.truncate(sum(part[:2]))
        entries.take_the_place(flush=flush, merge=merge)
    except OSError as error:
        logger.warning("%s can't be written: %s", path, error.strerror)
        shard.saves.failed(NOT_SAVED)
    except RedisError as error:
        shard.saves.failed(str(error))
    else:
        shard.executor.take_expired()
        shard.saves.written("", part)


@control
@whole
def reload_file(shard: "Shard", flush: bool, merge: bool) -> None:
    """Reads this shard's keys from the file that a save made.  Raises RedisError."""
    try:
        entries = _Entries(shard, shard.saves.final)
    except OSError as error:
        logger.warning("%s can't be read: %s", shard.saves.final, error.strerror)
        raise RedisError(NOT_LOADED) from None
    entries.take_the_place(flush=flush, merge=merge)
    shard.executor.take_expired()
    if flush:
        shard.executor.log(0, [b"FLUSHALL"])
    for index, key in entries.places():
        shard.executor.log_group(effects_of(shard.store, (index, key)))


def _write(shard: "Shard", path: Path) -> Written:
    """Writes a file of all keys; bytes before the first key, bytes of the keys, and their checksum. That of shard 0 has
    its header among them, as in every save.  Raises OSError."""
    config = shard.config
    writer = FileWriter(config.values)
    head = shard.saves.header(writer)
    head_crc, size_bytes, crc = crc64(head), 0, 0
    with open(path, "wb") as file:
        file.write(head)
        for data in walk.pieces(shard.store, writer.entry):
            file.write(data)
            size_bytes += len(data)
            crc = crc64(data, crc)
        file.write(end_of([(len(head), head_crc), (size_bytes, crc)], config.values))
    if shard.index == JOINER:
        return [0, len(head) + size_bytes, crc64_combine(head_crc, crc, size_bytes)]
    return [len(head), size_bytes, crc]


class _Entries:
    """All keys of this shard in a file, which is whole."""

    def __init__(self, shard: "Shard", path: Path, *, everything: bool = False) -> None:
        """Raises RedisError if the file is damaged, OSError."""
        self.shard = shard
        self.loading = Loading(shard.store, path, shard.config.values, time.time_ns() // 1_000_000)
        try:
            self.entries: list[Entry] = [entry for some in self.loading.read(everything=everything) for entry in some]
        except LogDamaged as damage:
            logger.warning("%s", damage)
            raise RedisError(NOT_LOADED) from None

    def places(self) -> Iterator[tuple[int, bytes]]:
        """Db and key of those that were loaded."""
        expired = set(self.loading.expired)
        return ((index, key) for index, key, _, _ in self.entries if (index, key) not in expired)

    def take_the_place(self, *, flush: bool, merge: bool) -> None:
        """Puts them in the place of what is there, with `flush` of all of it.  Raises RedisError for one that is there,
        unless it may be replaced (`merge`)."""
        shard, store, entries = self.shard, self.shard.store, self.entries
        kept = () if flush else ((index, key) for index, key, _, _ in entries if store.dbs[index].held(key) is not None)
        twice = len({entry[:2] for entry in entries}) < len(entries)
        if twice or (not merge and any(True for _ in kept)):
            logger.warning("%s: a key comes twice, or is there already", self.loading.path)
            raise RedisError(NOT_LOADED)
        if flush:
            for db in store.dbs:
                db.clear(later=True)
            listeners.flushed(store)
        expiring, store.expiring = store.expiring, False
        with unheard(store):
            self.loading.put(entries, merge=True)
        store.expiring = expiring
        for db in store.dbs:
            if db.heard:
                listeners.signal_all(db)
        store.changes = 0
        store.expired += self.loading.expired
        shard.saves.count(self.loading)

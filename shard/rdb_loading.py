"""Keys out of an RDB file into a keyspace: at a start, and for DEBUG RELOAD.

Rule 1: of a file nothing counts before all of it was read: who loads it serves nobody before that, or keeps what was
        read until then.
Rule 2: every shard reads the whole file, so that every one sees whether it is whole, and takes the keys of its slots.
Rule 3: a key whose time has come is left out, as the reference does.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from shard.keyspace import Store
from shard.log_reader import LogDamaged
from shard.rdb.file import Entry, read_entries


class Loading:
    """One RDB file on its way into a keyspace."""

    def __init__(self, store: Store, path: Path, config: dict[str, Any], now_ms: int) -> None:
        self.store = store
        self.path = path
        self.config = config
        self.now_ms = now_ms
        self.keys_loaded = 0
        self.expired: list[tuple[int, bytes]] = []
        """Db and key of those that were left out because their time has come."""
        self.loaded_bytes = 0
        self.total_bytes = 0
        self._offset = 0

    def read(self, *, everything: bool = False) -> Iterator[list[Entry]]:
        """The keys of this shard, a list per slice, perhaps an empty one; or `everything`, if the file has no others.
        Raises LogDamaged, OSError."""
        slot_of, owned = self.store.slot_of, self.store.slots_owned

        def wanted(key: bytes) -> bool:
            return slot_of(key) in owned

        with open(self.path, "rb", buffering=0) as file:
            self.total_bytes = os.fstat(file.fileno()).st_size
            entries = read_entries(file, self.config, wanted=None if everything else wanted)
            for some in entries:
                self.loaded_bytes = entries.offset
                yield some
            self.loaded_bytes = self.total_bytes

    def load(self) -> Iterator[None]:
        """Puts all keys into the keyspace, a slice at a time.  Raises LogDamaged, OSError."""
        for some in self.read():
            self.put(some)
            yield

    def put(self, entries: Iterable[Entry], *, merge: bool = False) -> None:
        """Puts keys into the keyspace, which must not have them, or with `merge` may.  Raises LogDamaged."""
        dbs, now_ms = self.store.dbs, self.now_ms
        for index, key, value, at_ms in entries:
            db = dbs[index]
            if 0 <= at_ms < now_ms:
                self.expired.append((index, key))
                continue
            if not merge and db.held(key) is not None:
                raise LogDamaged(
                    self.loaded_bytes, f"a key of db {index} comes twice before this place", str(self.path)
                )
            db.set(key, value, False, at_ms)
            self.keys_loaded += 1

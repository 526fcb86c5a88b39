"""The keys of a server that runs: SCAN names them, DUMP gives the value and PEXPIRETIME the end of its life.

What that promises is what SCAN promises. A key that is there from the first moment to the last arrives, once at least,
with a value that it had meanwhile; one that is made, changed, renamed or removed meanwhile may arrive in any of its
states, or not. It is no image of one moment: for that, stop the writers, or take an RDB file.

Rule 1: value and time of a key are of one moment: those of a batch are read in one MULTI.
Rule 2: a position is [db, cursor]: where the next SCAN begins. It is taken only when all that the last one named has
        been handed out: a batch before that has the position of the one before it.
"""

from collections.abc import Collection, Iterator
from typing import Any

from redis.exceptions import ResponseError

from shard.rdb.dump import VERSION
from transfer.batches import BATCH_BYTES, BATCH_KEYS, NO_TIME, Batch, Entry, Position
from transfer.faults import Stopped
from transfer.payloads import Unsendable, fitted
from transfer.progress import Progress
from transfer.server import Server

KEYS_FIRST = 16
"""The first values are read so few at a time: how large they are is not known yet."""
GONE = -2


class ServerSource:
    """A server. `dbs` are those wanted, all if there are none; `rdb_version` is up to where the target reads."""

    unit = "keys"
    replayed = False

    def __init__(self, server: Server, dbs: Collection[int] = (), rdb_version: int = VERSION) -> None:
        self.name = server.name
        self.dbs = dbs
        self.server = server
        self._rdb_version = rdb_version
        sizes = server.sizes()
        self._wanted = [db for db in sizes if not dbs or db in dbs]
        self.total = sum(sizes[db] for db in self._wanted)
        # Shardis's cursors are places in an order that stays; Redis's are good for the life of the process.
        self.identity: dict[str, Any] = {"server": server.name, "dbs": sorted(dbs)}
        if not server.is_shardis:
            self.identity["run_id"] = server.run_id
        self.in_slot_order = server.is_shardis
        """Whether SCAN is done with a slot before it names keys of the next one."""
        self._has_times = not isinstance(server.ask(b"PEXPIRETIME", b""), ResponseError)
        self._keys_per_read = KEYS_FIRST
        self._db = -1

    def check(self, progress: Progress) -> None:
        """There is nothing to check before."""

    def batches(self, position: Position) -> Iterator[Batch]:
        """What comes after `position`.  Raises Stopped."""
        first, cursor = position or (-1, 0)
        for db in self._wanted:
            if db >= first:
                yield from self._batches_of(db, cursor if db == first else 0, position)
                position = [db + 1, 0]

    def _batches_of(self, db: int, cursor: int, here: Position) -> Iterator[Batch]:
        """What `cursor` and those behind it name; `here` is the position until something was handed out."""
        self._select(db)
        while True:
            cursor, keys = self._scan(cursor)
            there = [db, cursor] if cursor else [db + 1, 0]
            at = 0
            while at < len(keys):
                some = keys[at : at + self._keys_per_read]
                at += len(some)
                batch = self._read(db, some)
                batch.position = there if at == len(keys) else here
                yield batch
            if not keys:
                yield Batch(db=db, position=there)
            if not cursor:
                return
            here = there

    def _scan(self, cursor: int) -> tuple[int, list[bytes]]:
        found, keys = self.server.call(b"SCAN", b"%d" % cursor, b"COUNT", b"%d" % BATCH_KEYS)
        return int(found), keys

    def _read(self, db: int, keys: list[bytes]) -> Batch:
        """The values of keys, and until when they live.  Raises Stopped."""
        asked = b"PEXPIRETIME" if self._has_times else b"PTTL"
        commands = [command for key in keys for command in ((b"DUMP", key), (asked, key))]
        self.server.send([(b"MULTI",), (b"TIME",), *commands, (b"EXEC",)])
        *queued, values = self.server.receive(len(commands) + 3)
        fault = next((reply for reply in (*queued, values) if isinstance(reply, ResponseError)), None)
        if fault is not None:
            raise Stopped(f"{self.name} answers DUMP with: {fault}")
        now_ms = 0 if self._has_times else int(values[0][0]) * 1000 + int(values[0][1]) // 1000
        batch = Batch(db=db, read=len(keys), done=len(keys))
        for number, key in enumerate(keys):
            self._add(batch, key, values[1 + 2 * number], values[2 + 2 * number], now_ms)
        # So many that a reply comes to about a batch: it is all in memory, here and at the server.
        size = max(1, sum(len(each) for each in values[1::2] if isinstance(each, bytes)))
        self._keys_per_read = max(1, min(2 * BATCH_KEYS, 2 * self._keys_per_read, len(keys) * BATCH_BYTES // size))
        return batch

    def _add(self, batch: Batch, key: bytes, payload: Any, at_ms: Any, now_ms: int) -> None:
        for reply in (payload, at_ms):
            if isinstance(reply, ResponseError):
                raise Stopped(f"{self.name} answers DUMP with: {reply}")
        if payload is None or at_ms == GONE:
            batch.vanished += 1
            return
        try:
            fit = fitted(payload, self._rdb_version)
        except Unsendable as why:
            batch.refusals.append((key, str(why)))
        else:
            batch.add(Entry(key, fit, NO_TIME if at_ms < 0 else now_ms + at_ms))

    def _select(self, db: int) -> None:
        if self._db != db:
            self.server.call(b"SELECT", b"%d" % db)
            self._db = db

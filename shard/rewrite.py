"""Rewriting the log of a shard: a base that says what is there takes the place of all that led to it.

    preparing   the log's thread syncs what was written so far, and makes the next increment ready
    waiting     for the moment at which memory and log say the same: nobody holds a key
    writing     that moment is the cut. What comes goes into the next increment, and a snapshot of what is there into
                the base, a slice between two turns
    swapping    the log's thread has base and increment take the place of all before, see log_swap.py

Rule 1: whatever fails, and whenever a crash comes, the log that was there is there, whole.
Rule 2: a log that CONFIG SET has turned on begins with a rewrite, too. Until that is done what it takes does not count
        (Aof.provisional), so it is tried until it succeeds.
Rule 3: the new increment begins with the records that other shards may still ask for (redo.py), and they are on disk
        before those are gone that are replaced.
"""

import logging
import os
import time
from collections.abc import Iterator
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from shard import log_switch
from shard.late import LateRun, Room, Waiting
from shard.log_buffer import Piece, encoded
from shard.log_files import TEMPORARY
from shard.log_folder import NextIncrement
from shard.log_reader import LogDamaged
from shard.log_swap import Swap
from shard.rdb.crc64 import crc64
from shard.rdb.file import FileWriter, aux_fields, in_pieces
from shard.snapshot_file import Busy, SnapshotFile, Sync
from shard.states import each_command_of
from shard.value import Value

if TYPE_CHECKING:
    from shard.rewriter import Rewriter

logger = logging.getLogger("shardis")

UNSYNCED_LOOK_S = 0.05
"""How often it is seen whether what the new increment begins with is on disk, where the base is there before that."""
CRC_BYTES = 8


class Stage(Enum):
    """How far a rewrite is."""

    PREPARING = "preparing"
    WAITING = "waiting"
    WRITING = "writing"
    SWAPPING = "swapping"
    OVER = "over"


MOVES = {
    Stage.PREPARING: {Stage.WAITING, Stage.OVER},
    Stage.WAITING: {Stage.WRITING, Stage.OVER},
    Stage.WRITING: {Stage.SWAPPING, Stage.OVER},
    Stage.SWAPPING: {Stage.OVER},
    Stage.OVER: {Stage.OVER},
}


class Rewrite:
    """One of them."""

    def __init__(self, rewriter: "Rewriter", number: int) -> None:
        self.rewriter = rewriter
        self.shard = shard = rewriter.shard
        self.aof = shard.aof
        self.stage = Stage.PREPARING
        self.started_s = time.monotonic()
        self.path = self.aof.files.path / f"{TEMPORARY}rewriteaof-bg-{os.getpid()}-{number}.aof"
        self.is_rdb: bool = shard.config["aof-use-rdb-preamble"]
        self.keys = 0
        self.first_number = 0
        """Of the increment that begins with the cut."""
        self.carried_until = 0
        """How far the log has to be synced before the base counts, Rule 3."""
        self.prepared: NextIncrement | None = None
        self.ticket: Cut | None = None
        self.file: SnapshotFile | None = None
        self.swap: Swap | None = None
        self.error: Exception | None = None

    def _move(self, stage: Stage) -> None:
        assert stage in MOVES[self.stage], f"{self.stage} to {stage}"
        self.stage = stage

    def exact_s(self) -> float:
        return time.monotonic() - self.started_s

    def duration_s(self) -> int:
        """How long it takes so far."""
        return int(self.exact_s())

    def begin(self) -> None:
        logger.info("rewriting the log")
        if self.aof.enabled and not self.aof.provisional:
            self.aof.sync_ahead()
        self.aof.do(self._prepare)

    def stop(self) -> None:
        """Gives it up; if the base is about to count, waits until that is decided."""
        stage = self.stage
        self._move(Stage.OVER)
        if stage is Stage.SWAPPING:
            assert self.swap is not None
            self.swap.join()
            self._adopt()
        elif stage is Stage.WRITING and self.file is not None:
            self.file.stop()
        elif stage is Stage.WAITING and self.ticket is not None:
            self.ticket.run = None  # Nobody waits for an answer.
            self.shard.room.leave(self.ticket)
            self.shard.room.settle()
        self._let_go()
        if stage is not Stage.OVER:
            logger.warning("rewriting the log was given up")
            self.rewriter.over()

    def fail(self, error: Exception) -> None:
        """Ends it: the log stays as it is."""
        self._move(Stage.OVER)
        self._let_go()
        self.rewriter.ended(self, error)

    def _let_go(self) -> None:
        """Gives the folder free that was only taken for this."""
        if not self.aof.enabled:
            self.aof.files.release()
        prepared, self.prepared = self.prepared, None
        if prepared is not None:
            prepared.drop()

    # In the log's thread

    def _prepare(self) -> None:
        try:
            if not self.aof.enabled:
                self.aof.reserve()
            elif not self.aof.provisional:
                self.prepared = self.aof.files.prepare_increment()
        except (OSError, LogDamaged) as error:
            self.error = error
        self.shard.loop.call_soon_threadsafe(self._is_prepared)

    def _swap(self) -> None:
        assert self.swap is not None
        self.swap.run()
        self.shard.loop.call_soon_threadsafe(self._is_swapped)

    # In the loop

    def _is_prepared(self) -> None:
        if self.stage is Stage.OVER:
            self._let_go()
        elif self.error is not None:
            self.fail(self.error)
        else:
            self._move(Stage.WAITING)
            self.ticket = Cut(self)
            shard = self.shard
            shard.executor.turn(time.time_ns() // 1_000_000)
            shard.room.park(self.ticket, LateRun(None, -1, 0, shard.store.now_ms, [[]]), 0)
            if self.ticket.granted:
                self.ticket.go(shard.room)
                shard.room.leave(self.ticket)
                shard.room.settle()
            shard.send_late(None if shard.flush() else shard.misconf())

    def cut(self) -> None:
        """Has what comes go into another increment, and takes the snapshot for the base."""
        shard, aof = self.shard, self.aof
        if self.stage is not Stage.WAITING:
            return
        if shard.snapshots.current is not None:  # A save was faster.
            self.stop()
            self.rewriter.schedule()
            return
        try:
            self._begin_increment()
            carried = shard.book.carried()
            for db, argv in carried:
                aof.append(db, argv)
            self.carried_until = aof.written_bytes + aof.buffer.bytes_count if carried else 0
            self._begin_base()
        except (OSError, Busy) as error:
            self.fail(error)
        else:
            self._move(Stage.WRITING)

    def _begin_increment(self) -> None:
        aof = self.aof
        if not aof.enabled:
            self.first_number = aof.files.manifest.with_increment(aof.files.name).increments[-1].number
        elif aof.provisional:
            self.first_number = aof.begin_anew()
        else:
            prepared, self.prepared = self.prepared, None
            self.first_number = aof.open_increment(prepared)

    def _begin_base(self) -> None:
        shard, config = self.shard, self.shard.config
        incremental = config["aof-rewrite-incremental-fsync"]
        begin = partial(shard.snapshots.begin, self.path, done=self._is_written)
        if not self.is_rdb:
            self.file = begin(CommandWriter(), sync=Sync(incremental=incremental, checksum=False))
            return
        writer = FileWriter(config.values)
        rss_bytes = shard.process_info()["rss_bytes"]
        head = writer.header(aux_fields(time.time_ns() // 1_000_000, rss_bytes, aof_base=True))
        sync = Sync(incremental=incremental, checksum=config["rdbchecksum"])
        self.file = begin(writer, head=head, end=partial(_end_of, writer, checksum=sync.checksum), sync=sync)

    def _is_written(self, file: SnapshotFile, error: OSError | None) -> None:
        self.keys = file.keys
        if error is not None:
            self.fail(error)
        else:
            self._swap_when_synced()

    def _swap_when_synced(self) -> None:
        if self.stage is not Stage.WRITING:
            return
        aof = self.aof
        if self.carried_until and not aof.provisional and aof.synced_bytes < self.carried_until:
            aof.sync_ahead()
            self.shard.loop.call_later(UNSYNCED_LOOK_S, self._swap_when_synced)
            return
        self._move(Stage.SWAPPING)
        self.swap = aof.swap_for(self.path, self.first_number, "rdb" if self.is_rdb else "aof")
        aof.do(self._swap)

    def _is_swapped(self) -> None:
        if self.stage is not Stage.SWAPPING:
            return
        assert self.swap is not None
        if self.swap.error is not None:
            if self.swap.in_force:
                self._adopt()
            else:
                self.aof.do(partial(self.path.unlink, missing_ok=True))
            self.fail(self.swap.error)
            return
        self._adopt()
        self._move(Stage.OVER)
        self._let_go()
        self.rewriter.ended(self, None)

    def _adopt(self) -> None:
        assert self.swap is not None
        if self.swap.in_force:
            begins = self.aof.provisional
            self.aof.adopt(self.swap)
            if begins:
                log_switch.note(self.shard)


class Cut(Waiting):
    """The place of a rewrite in the line of all that touches the whole keyspace: who holds keys has changed them, and
    the log does not say so before they are given free."""

    __slots__ = ("rewrite",)

    def __init__(self, rewrite: Rewrite) -> None:
        super().__init__(None)
        self.rewrite = rewrite

    def go(self, room: Room) -> None:
        self.rewrite.cut()

    def done(self, room: Room, reply: Any) -> None:
        """Nobody asked for it."""


# What a base consists of


class CommandWriter:
    """A base as commands (aof-use-rdb-preamble no)."""

    __slots__ = ("_db",)

    def __init__(self) -> None:
        self._db = -1

    def entry(self, db: int, key: bytes, value: Value, at_ms: int) -> bytes:
        """The commands that make a key what it is. O(n) in its value."""
        return b"".join(self.entry_in_pieces(db, key, value, at_ms))

    def entry_in_pieces(self, db: int, key: bytes, value: Value, at_ms: int) -> Iterator[Piece]:
        """The same, a command at a time, or a piece of one that has a long word; the value must not change meanwhile.
        What is asked for between two pieces stands behind the last."""
        if db != self._db:
            self._db = db
            yield from encoded([b"SELECT", b"%d" % db])
        for argv in each_command_of(key, value, at_ms):
            for part in encoded(argv):
                yield from in_pieces(part)


def _end_of(writer: FileWriter, file: SnapshotFile, *, checksum: bool) -> bytes:
    footer = writer.footer()
    return footer + (crc64(footer, file.checksum) if checksum else 0).to_bytes(CRC_BYTES, "little")

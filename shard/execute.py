"""Executing runs: the heart of a shard. Request in, reply out, effects to the log, times to the statistics.

Rule 1: a RedisError becomes a reply here and nowhere else. Any other exception is a bug of ours: it is logged with its
        traceback, and the client gets `-ERR internal error`.
Rule 2: what a command did is in the log before its reply leaves: `run` hands the effects to `log`; whoever calls it
        flushes the log and then sends what it returned.
Rule 3: this file knows no client and no socket, and reads no clock but the one it is given.
Rule 4: a call that finds nothing and would wait (see blocking.py) is handed to `park`, if it is alone in its run. After
        each command `wake` serves whoever waited for what it did.
"""

import logging
from collections.abc import Callable
from typing import Any

from common.command import Command, Flag, Table
from common.command_stats import CommandStats, count_kind
from common.errors import Loading, RedisError
from common.frame import DB_SHIFT, JOINED, LARGE_SIZE_BYTES, NO_TOUCH, RESP3, VALUES
from common.record import COMMAND as RECORD
from common.resp import (
    ENCODERS,
    HEADS,
    HEADS_COUNT,
    INTEGERS,
    INTEGERS_COUNT,
    LINE_END,
    OK,
    Chunks,
    encode,
    error_reply,
)
from shard.blocking import Blocked
from shard.commands.as_sent import AsSent
from shard.events import class_of_group
from shard.keyspace import Store
from shard.listeners import hear

logger = logging.getLogger("shardis")

OK_LINE = encode(OK, 2)
"""What most writes answer, ready made."""
INTERNAL_ERROR = "ERR internal error"

Log = Callable[[int, list[bytes]], None]
LogGroup = Callable[[list[tuple[int, list[bytes]]]], None]
Park = Callable[[Blocked, int, list[list[bytes]]], list[Any] | None]
"""Keeps a call that would wait, by the header and the requests of its run; what `run` gives for the run."""


class Entry:
    """A command as `run` needs it: what of the declaration matters per call, and the counts."""

    __slots__ = ("command", "handler", "words", "stats", "nanoseconds", "histogram", "parts", "event", "event_class")

    def __init__(self, command: Command) -> None:
        assert command.handler is not None
        self.command = command
        self.handler = command.handler
        self.words = command.words
        self.stats = CommandStats()
        self.nanoseconds = 0
        self.histogram = self.stats.histogram
        self.parts = 0
        """Calls that were a part of a command on several shards: the router counts that command, once."""
        self.event = command.event
        self.event_class = class_of_group(command.group)


class Executor:
    """Runs commands on a store."""

    def __init__(self, store: Store, table: Table, log: Log, log_group: LogGroup, clock_ns: Callable[[], int]) -> None:
        self.store = store
        self.table = table
        self.log = log
        self.log_group = log_group
        self.clock_ns = clock_ns
        self.entries = {command.name: Entry(command) for command in table.each() if command.handler is not None}
        lookup = table.lookup.items()
        self.known = {name: self.entries[command.name] for name, command in lookup if command.handler is not None}
        """By name in both cases, what one look-up finds."""
        self.usual: dict[bytes, Entry] = {}
        """What of these runs without a question: all, or none while there is one (loading, a refusal, told events)."""
        self.slow_ns = 10_000_000
        """From which duration on a command is reported as slow; -1 for never."""
        self.slow: list[tuple[int, int, int]] = []
        """Commands that took at least `slow_ns`: number of the run, place in it, µs; until somebody takes them."""
        self.number = 0
        """The number of the run that is executed, in its link's stream."""
        self.internal_errors = 0
        self.errors: dict[str, int] = {}
        """Error replies, by their first word; those of parts are the router's to count."""
        self.detour: Callable[[int, list[list[bytes]]], bytes | list[Any] | None] | None = None
        """What runs in the place of `run` while keys are held: commands that touch them have to wait."""
        self.park: Park | None = None
        """None where nothing may wait."""
        self.wake: Callable[[], None] | None = None
        """Serves who waits for what is in `store.ready`; None where that comes later."""
        self.heard_record: Callable[[list[bytes]], None] = lambda argv: None
        """Takes note of the records that stand in the log."""
        self.loading = False
        self.refusal: RedisError | None = None
        self.state(loading=False, refusal=None)

    def state(self, *, loading: bool, refusal: RedisError | None) -> None:
        """Says whether all runs. `refusal` is why writes are refused: the log cannot be written; None in health."""
        self.loading = loading
        self.refusal = refusal
        self.usual = self.known if not loading and refusal is None and not self.store.notices.classes else {}

    def notify(self, wanted: str) -> None:
        """Takes over the directive notify-keyspace-events."""
        self.store.notices.configure(wanted)
        for db in self.store.dbs:
            hear(db)
        self.state(loading=self.loading, refusal=self.refusal)

    def turn(self, now_ms: int) -> None:
        """Begins a batch, at the router's time."""
        store = self.store
        store.now_ms = now_ms
        store.clock_s = now_ms // 1000

    def run(self, header: int, requests: list[list[bytes]]) -> bytes | list[Any] | None:
        """The replies of a run, one a request: encoded, joined into one, or as values, as its header asks.
        Chunks are in the place of bytes where what is encoded is large.

        None if a command of it has to wait, for a held key or because it blocks: then the run is answered late.
        """
        if self.detour is not None:
            return self.detour(header, requests)
        store = self.store
        store.number = self.number
        store.touching = not header & NO_TOUCH
        db = store.dbs[header >> DB_SHIFT]
        protocol = 3 if header & RESP3 else 2
        values = header & VALUES
        joined = header & JOINED
        usual = self.usual
        clock_ns = self.clock_ns
        slow_ns = self.slow_ns
        replies: list[Any] = []
        long_bytes = 0  # Of all but the shortest replies.
        started = clock_ns()
        for place, argv in enumerate(requests):
            entry = usual.get(argv[0])
            try:
                if entry is None:
                    entry = self._unusual(argv)
                # Most calls have one or two arguments: passing them one by one saves a slice and a tuple, 0.1 µs.
                if entry.words == 1 and len(argv) == 2:
                    reply = entry.handler(db, argv[1])
                elif entry.words == 1 and len(argv) == 3:
                    reply = entry.handler(db, argv[1], argv[2])
                else:
                    reply = entry.handler(db, *argv[entry.words :])
            except RedisError as error:
                reply = error.told(argv[entry.words - 1]) if type(error) is AsSent and entry is not None else error
                if not values:
                    self._count_error(entry, str(error))
            except Exception:
                reply = self._bug(entry, argv, values)
            if store.changes:
                if store.explicit or store.expired:
                    self._log_effects(db.index, argv)
                else:  # Nearly always: the request as it came.
                    store.changes_total += store.changes
                    store.changes = 0
                    self.log(db.index, argv)
            if values:
                # A string that is edited in place may change before the reply leaves: what leaves is what it was.
                replies.append(bytes(reply) if type(reply) is bytearray else reply)
                if entry is not None:
                    entry.parts += 1
            elif type(reply) is bytes:
                # A head out of a table and the parts as they are: formatting them costs three times as much.
                size = len(reply)
                if size < HEADS_COUNT:
                    head = HEADS[size]
                else:
                    head = b"$%d\r\n" % size
                    long_bytes += size
                if joined:
                    replies.append(head)
                    replies.append(reply)
                    replies.append(LINE_END)
                elif size >= LARGE_SIZE_BYTES:
                    replies.append(Chunks((head, reply, LINE_END)))
                else:
                    replies.append(head + reply + LINE_END)
            elif reply is OK:
                replies.append(OK_LINE)
            elif type(reply) is int:
                replies.append(INTEGERS[reply] if 0 <= reply < INTEGERS_COUNT else b":%d\r\n" % reply)
            elif type(reply) is Blocked:
                if self.park is not None and len(requests) == 1:
                    reply.spent_ns = clock_ns() - started
                    return self.park(reply, header, requests)
                replies.append(encode(reply.nothing, protocol))
            else:
                try:
                    text = ENCODERS[type(reply)](reply, protocol)
                    long_bytes += len(text)
                    replies.append(text)
                except TypeError:
                    replies.append(error_reply(self._bug(entry, argv, values)))
            ended = clock_ns()
            duration = ended - started
            started = ended
            if entry is not None:
                entry.nanoseconds += duration
                entry.histogram[duration.bit_length()] += 1
                if duration >= slow_ns >= 0:
                    self.slow.append((self.number, place, duration // 1000))
            if store.ready and self.wake is not None:
                self.wake()
                started = clock_ns()
        if joined:
            return Chunks(replies) if long_bytes >= LARGE_SIZE_BYTES else b"".join(replies)
        return replies

    def _unusual(self, argv: list[bytes]) -> Entry:
        """The entry of a call that one look-up does not find.  Raises RedisError where it must not run."""
        command = self.table.find(argv)
        entry = self.entries[command.name]
        if self.loading and not command.flags & Flag.LOADING:
            entry.stats.rejected_calls += 1
            raise Loading()
        if self.refusal is not None and command.flags & Flag.WRITE:
            entry.stats.rejected_calls += 1
            raise self.refusal
        notices = self.store.notices
        notices.event, notices.class_ = entry.event, entry.event_class
        return entry

    def _bug(self, entry: Entry | None, argv: list[bytes], values: int) -> RedisError:
        """What a client is told of the exception that is being handled, which is no fault of its own."""
        logger.exception("internal error in %s", argv[0].decode("latin-1"))
        self.internal_errors += 1
        if not values:
            self._count_error(entry, INTERNAL_ERROR)
        return RedisError(INTERNAL_ERROR)

    def _count_error(self, entry: Entry | None, text: str) -> None:
        """Counts an error reply; `entry` is what ran, None if nothing did."""
        if entry is not None:
            entry.stats.failed_calls += 1
        count_kind(self.errors, text)

    def entry_of(self, argv: list[bytes]) -> Entry:
        """What is counted for a call that is right."""
        return self.known.get(argv[0]) or self.entries[self.table.find(argv).name]

    def count_unserved(self, blocked: Blocked, argv: list[bytes], error: RedisError | None) -> None:
        """Counts a call that would wait or waited, and was not served: its time ran out, or `error` is why."""
        entry = self.entry_of(argv)
        entry.histogram[blocked.spent_ns.bit_length()] += 1
        entry.nanoseconds += blocked.spent_ns
        if error is not None:
            self._count_error(entry, str(error))

    def _log_effects(self, db: int, argv: list[bytes]) -> None:
        """Hands what the command did to the log: what expired first, then its own effects or the request as it came."""
        store = self.store
        changes = store.changes
        store.changes = 0
        store.changes_total += changes
        if store.expired:
            changes -= len(store.expired)
            self.log_expired()
        if store.explicit:
            store.explicit = False
            if len(store.effects) == 1:
                place, words = store.effects.pop()
                self.log(place, words)
            else:
                effects, store.effects = store.effects, []
                self.log_group(effects)
        elif changes:
            self.log(db, argv)

    def take_expired(self) -> None:
        """Counts and logs what was found expired by what is no command."""
        store = self.store
        store.changes_total += store.changes
        store.changes = 0
        self.log_expired()

    def log_expired(self) -> None:
        """Hands a DEL to the log for every key that was found expired."""
        store = self.store
        for db, key in store.expired:
            self.log(db, [b"DEL", key] if isinstance(key, bytes) else key)
        store.expired.clear()

    def replay(self, db: int, argv: list[bytes]) -> None:
        """Does again what the log says.  Raises RedisError if it cannot be done: then the log is not ours."""
        if argv[0] == RECORD:
            self.heard_record(argv)
            return
        entry = self.entry_of(argv)
        store = self.store
        try:
            # As in `run`: passing them one by one saves a slice and a tuple.
            if entry.words == 1 and len(argv) == 3:
                entry.handler(store.dbs[db], argv[1], argv[2])
            elif entry.words == 1 and len(argv) == 4:
                entry.handler(store.dbs[db], argv[1], argv[2], argv[3])
            else:
                entry.handler(store.dbs[db], *argv[entry.words :])
        except TypeError:
            self.table.find(argv)  # Says so if it is the number of words that is wrong.
            raise
        # A command that is refused while the log is read must not find these changes, and be logged for them.
        store.changes = 0
        if store.explicit:
            store.explicit = False
            store.effects.clear()

    def command_stats(self) -> dict[str, CommandStats]:
        """The counts of every command that was called or refused."""
        counted = {}
        for name, entry in self.entries.items():
            stats = entry.stats
            stats.calls, stats.nanoseconds = sum(entry.histogram) - entry.parts, entry.nanoseconds
            if stats.nanoseconds or stats.rejected_calls or stats.failed_calls:
                counted[name] = stats
        return counted

    def reset_stats(self) -> None:
        """Forgets all counts (CONFIG RESETSTAT)."""
        for entry in self.entries.values():
            entry.stats = CommandStats()
            entry.nanoseconds = entry.parts = 0
            entry.histogram = entry.stats.histogram
        self.errors.clear()

"""Brings what a source has to a server, and keeps what has arrived in a file.

Keys go as RESTORE ... ABSTTL, two batches under way. They may come twice, if what runs them is killed before it wrote
down that they had arrived: from where it goes on everything is sent with REPLACE.

The commands of a log must not come twice, so their position is kept where they take effect: each batch is a MULTI
whose last command sets a key of the target, `shardis-import:ID`, to it. It is there when the batch is, whoever died
in between, and removed at the end. The connection bears the same name, so that who goes on can end an earlier one.
"""

from array import array
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from redis.exceptions import ResponseError

from transfer.batches import BATCH_KEYS, NO_TIME, Batch, Position
from transfer.faults import Stopped
from transfer.progress import Progress
from transfer.server import Command, Server
from transfer.state import State, StateFile, Tally

REFUSALS_SHOWN = 10
KEY_BYTES_SHOWN = 80
VALUE_REFUSED = ("Bad data format", "DUMP payload version", "Unsupported foreign data type")
"""How errors begin that are about one key: the rest go on."""
BUSY = "BUSYKEY"


class Source(Protocol):
    """Where batches come from."""

    name: str
    unit: str
    total: int
    replayed: bool
    """Whether commands are among them."""
    identity: dict[str, Any]

    def check(self, progress: Progress) -> None: ...

    def batches(self, position: Position) -> Iterator[Batch]: ...


class Courier:
    """One transfer to a server."""

    def __init__(self, target: Server, state: State, file: StateFile, progress: Progress, *, replace: bool) -> None:
        self.state = state
        self.times: dict[int, array[int]] = {}
        """By db, when the keys that were sent expire: at the end some of them will have."""
        self._target = target
        self._file = file
        self._progress = progress
        self._replace = (b"REPLACE",) if replace else ()
        self._marker = f"shardis-import:{state.id}".encode()
        self._waiting: deque[tuple[Batch, int]] = deque()
        """Batches under way, and how many replies belong to each."""
        self._keys_under_way = 0
        self._since: list[tuple[int, Tally]] = []
        """What has arrived since the position last went on: it comes again if this is interrupted."""
        self._db = -1
        self._refusals_shown = 0
        self._told = False

    def carry(self, source: Source) -> None:
        """Until the source has no more.  Raises Stopped; what had arrived by then is in the file."""
        self._file.save(self.state)  # Also because the marker of a log bears its id.
        try:
            for batch in source.batches(self.state.position):
                if batch.commands:
                    self._settle()
                    self._replay(batch)
                    continue
                self._send(batch)
                while self._keys_under_way > BATCH_KEYS and len(self._waiting) > 1:
                    self._take()
            self._settle()
            self._commit(self.state.position)
        except BaseException:
            self._file.save(self.state)
            raise

    # Keys

    def _send(self, batch: Batch) -> None:
        commands: list[Command] = []
        if batch.entries and batch.db != self._db:
            self._db = batch.db
            commands.append((b"SELECT", b"%d" % batch.db))
        if self._replace and batch.entries:
            commands.append((b"EXISTS", *[entry.key for entry in batch.entries]))
        for entry in batch.entries:
            at = b"%d" % max(1, entry.at_ms) if entry.at_ms != NO_TIME else b"0"
            commands.append((b"RESTORE", entry.key, at, entry.payload, b"ABSTTL", *self._replace))
        if commands:
            self._target.send(commands)
        self._waiting.append((batch, len(commands)))
        self._keys_under_way += len(batch.entries)

    def _settle(self) -> None:
        while self._waiting:
            self._take()

    def _take(self) -> None:
        """The replies to the oldest batch.  Raises Stopped."""
        batch, count = self._waiting.popleft()
        replies = self._target.receive(count)
        self._keys_under_way -= len(batch.entries)
        there = 0
        for reply in replies[: count - len(batch.entries)]:  # To SELECT and EXISTS.
            if isinstance(reply, ResponseError):
                raise Stopped(f"{self._target.name} refuses db {batch.db}: {reply}")
            there = reply if isinstance(reply, int) else there
        arrived: list[int] = []
        refusals = list(batch.refusals)
        busy = 0
        for entry, reply in zip(batch.entries, replies[count - len(batch.entries) :], strict=True):
            if not isinstance(reply, ResponseError):
                arrived.append(entry.at_ms)
            elif str(reply).startswith(BUSY):
                busy += 1
            elif str(reply).startswith(VALUE_REFUSED):
                refusals.append((entry.key, str(reply)))
            else:
                raise Stopped(f"{self._target.name} refuses key {shown(entry.key)}: {reply}")
        volatile = [at_ms for at_ms in arrived if at_ms != NO_TIME]
        self.times.setdefault(batch.db, array("q")).extend(volatile)
        tally = Tally(
            read=batch.read,
            sent=len(arrived),
            made=max(0, len(arrived) - there),
            volatile=len(volatile),
            vanished=batch.vanished,
            refused=len(refusals),
            busy=busy,
        )
        self._show(batch.db, refusals)
        self._acknowledge(batch, tally)

    def _show(self, db: int, refusals: list[tuple[bytes, str]]) -> None:
        for key, why in refusals:
            if self._refusals_shown < REFUSALS_SHOWN:
                self._progress.say(f"not transferred: db {db}, key {shown(key)}: {why}")
            self._refusals_shown += 1

    def _acknowledge(self, batch: Batch, tally: Tally) -> None:
        self._since.append((batch.db, tally))
        if batch.position != self.state.position:
            self._commit(batch.position)
            self._file.save_now_and_then(self.state)
        self._progress.advance(batch.done, tally.sent + len(batch.commands))
        if self._file.unwritable and not self._told:
            self._told = True
            self._progress.say(f"can't be resumed if it is interrupted: {self._file.unwritable}")

    def _commit(self, position: Position) -> None:
        """Says that all before a position is there: in one step, for Ctrl-C can come between any two."""
        self.state = self.state.advanced(position, self._since)
        self._since = []

    # Commands

    def _replay(self, batch: Batch) -> None:
        """Does a batch as one transaction.  Raises Stopped."""
        done = self.state.commands + len(batch.commands)
        place = b" ".join([b"%d" % number for number in (done, *batch.position)])
        commands = [[b"SELECT", b"%d" % batch.db], *batch.commands]
        commands += [[b"SELECT", b"0"], [b"SET", self._marker, place]]
        self._target.send([[b"MULTI"], *commands, [b"EXEC"]])
        began, *queued, results = self._target.receive(len(commands) + 2)
        for argv, reply in zip([[b"MULTI"], *commands], [began, *queued], strict=True):
            if isinstance(reply, ResponseError):
                raise self._refusal(argv, reply)
        if not isinstance(results, list):
            raise Stopped(f"{self._target.name} answers EXEC with: {results}")
        self._db = 0
        self.state.commands = done
        self._acknowledge(batch, Tally())
        for argv, reply in zip(commands, results, strict=True):
            if isinstance(reply, ResponseError):
                raise self._refusal(argv, reply)

    def _refusal(self, argv: list[bytes], reply: ResponseError) -> Stopped:
        what = argv[0].decode("latin-1") + (f" {shown(argv[1])}" if len(argv) > 1 else "")
        return Stopped(f"{self._target.name} refuses a command of the log, {what}: {reply}")

    def claim(self) -> None:
        """Makes this the only connection that brings commands of this import. That of a run before, which is dead or
        not, may have a batch on its way still: it must not come behind what the marker says now.  Raises Stopped."""
        name = b"name=" + self._marker
        for line in self._target.call(b"CLIENT", b"LIST").splitlines():
            words = line.split(b" ")
            if name in words:
                self._target.ask(b"CLIENT", b"KILL", b"ID", words[0].removeprefix(b"id="))
        self._target.call(b"CLIENT", b"SETNAME", self._marker)

    def find_marker(self, dbs: int) -> None:
        """Takes the position from the target. It may be ahead of the file's, and after a crash of the target's machine
        behind it.  Raises Stopped if it is gone, and what was done with it."""
        found: list[list[int]] = []
        for db in range(dbs):
            self._target.call(b"SELECT", b"%d" % db)
            text = self._target.call(b"GET", self._marker)
            if text:
                done, *position = map(int, text.split())
                found.append([*position, done])
        self._db = -1
        if found:
            *self.state.position, self.state.commands = max(found)
        elif self.state.commands:
            raise Stopped(f"{self._target.name} has lost what was imported: begin anew, with --flush")

    def remove_marker(self, dbs: int) -> None:
        """From wherever a SWAPDB in the log has put it."""
        for db in range(dbs):
            self._target.call(b"SELECT", b"%d" % db)
            self._target.call(b"DEL", self._marker)
        self._db = -1


def shown(key: bytes) -> str:
    """A key, for a line of text."""
    text = repr(key[:KEY_BYTES_SHOWN])[1:]
    return text if len(key) <= KEY_BYTES_SHOWN else text + "..."

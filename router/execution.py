"""EXEC: the commands that a client has queued, run as one.

An EXEC is a batch within the batch: the plans that cut a client's commands for the shards cut the queued ones too. Each
shard gets its share in one message, all in one turn of the router (batch.py, Rule 1): so nobody sees a half of it, with
no lock and no second round trip. Where that is not enough, because a queued command needs keys of several shards at
once or because other shards have a say through WATCH, the keys are held first: see stages.py. So are those of a long
one, which is run in slices: see long_execution.py.

Rule 1: EXEC is refused before any part is sent if a shard would not do its part, as far as that is known.
Rule 2: what the router itself does for a queued command (PUBLISH, SELECT) is done at EXEC, in its place among those.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.command import Command
from common.errors import RedisError
from common.flags import Flag
from common.frame import CONTROL, JOINED, VALUES
from common.record import Item
from common.resp import NULL_ARRAY, encode, error_reply
from router.batch import Batch, Join, Later, Run, join_in
from router.dispatch import Deferred, check_shards, run_queued
from router.holding import Holding
from router.long_execution import LongExecution
from router.records import Record
from router.scope import Scope
from router.stages import Stages
from router.transaction import EXEC, Transaction, refused
from router.watching import Watching

if TYPE_CHECKING:
    from router.session import Session


class Unit(Batch):
    """Queued commands that are sent in one turn."""

    __slots__ = ("then", "touched")

    def __init__(self, session: "Session", then: Callable[["Unit"], None]) -> None:
        """`then` hears when all is answered."""
        super().__init__(session, session.router.shards, session.header)
        self.then = then
        self.touched = False
        """Whether a shard did nothing, because a watched key was changed."""

    def fill(self, transaction: Transaction, place: int = 0, until: int | None = None) -> None:
        """Adds the commands from `place` on, up to `until`."""
        session = self.session
        router = session.router
        first = 0
        queued = transaction.queued
        if until is not None:
            first, place, queued = place, 0, queued[place:until]
        count = len(queued)
        self.size = count - place
        while place < count:
            if session.tracking is None and not router.monitors:
                place = self.forward(queued, place, session.routes, router.owners)
                session.last_command = EXEC
                if place == count:
                    break
            argv = queued[place]
            run_queued(session, self, transaction.unusual.get(first + place) or router.table.find(argv), argv)
            place += 1

    def parts(self) -> dict[int, list[Run]]:
        """The runs of each shard."""
        runs = self.runs
        if len(runs) == 1:
            if self.plain:
                runs[0].header |= JOINED
            return {runs[0].shard: runs}
        parts: dict[int, list[Run]] = {}
        for run in runs:
            parts.setdefault(run.shard, []).append(run)
        return parts

    def begun(self) -> None:
        """Says that all its shares are under way, or will be with their batch."""
        self.dispatched = True
        if not self.waiting:
            self.answered()

    def answered(self) -> None:
        if self.dispatched:
            self.then(self)


class Share(Run):
    """What one shard does of a unit: one message, in the name of the client's batch."""

    __slots__ = ("unit", "runs", "record")

    def __init__(
        self,
        batch: Batch,
        unit: Unit,
        shard: int,
        runs: list[Run],
        hold: int | None,
        watching: Watching | None,
    ) -> None:
        self.batch = batch
        self.shard = shard
        self.header = CONTROL | VALUES
        self.unit = unit
        self.runs = runs
        message: list[Any] = ["transact", hold, None, [[run.header, run.requests] for run in runs]]
        if watching is not None:
            message[2] = watching.id
            message.append(watching.shards[shard])
        self.record: Record | None = None
        self.requests = [message]
        self.replies = ()
        unit.waiting += 1

    def add(self, record: Record, data: bytes) -> None:
        """Makes it a part of a write over several shards, whose record says what the shard is to do."""
        self.record = record
        name, hold, watch, _, *watched = self.requests[0]
        self.requests = [[name, hold, watch, [], *(watched or [None]), data]]

    def request_of(self, place: int) -> list[Any]:
        return [request for run in self.runs for request in run.requests][place]

    def join_of(self, request: list[Any]) -> Join | None:
        return join_in(self.unit.steps, request)

    def order_of(self, part: int) -> int:
        return self.runs[part].order_of(0)

    def answer(self, replies: Any) -> None:
        """An error is the answer to all; None says that nothing was run."""
        answer = replies[0]
        if answer is None:
            self.unit.touched = True
        elif isinstance(answer, RedisError):
            self.fail(answer)
            return
        else:
            for run, given in zip(self.runs, answer, strict=True):
                run.take(given)
        if self.record is not None:
            self.record.answered()
        self._done()

    def fail(self, error: RedisError) -> None:
        for run in self.runs:
            run.take(run.failure(error))
        if self.record is not None:
            self.record.lost()
        self._done()

    def _done(self) -> None:
        self.requests = []  # They answer no step of the client's.
        unit = self.unit
        unit.waiting -= 1
        if not unit.waiting:
            unit.answered()


class ShareInBatch(Share):
    """One that stands among the runs of its batch, between those before EXEC and those behind it."""

    __slots__ = ()

    def _done(self) -> None:
        self.batch.waiting -= 1  # Not the last that it waits for: that is the reply of EXEC.
        super()._done()


def item_of(runs: list[Run]) -> Item:
    """What a shard is asked to do, as a record says it."""
    return ["runs", [[run.header, run.requests] for run in runs]]


class Execution(Deferred):
    """EXEC."""

    def __init__(self, session: "Session", transaction: Transaction) -> None:
        self.session = session
        self.transaction = transaction
        self.batch: Batch
        self.step: Later

    def add(self, batch: Batch, command: Command, argv: list[bytes]) -> None:
        session, transaction, watching = self.session, self.transaction, self.session.watching
        self.batch = batch
        transaction.executing = True
        if transaction.is_long:
            self._begin()
            LongExecution(self)
            return
        if transaction.unusual or watching is not None:
            scope = Scope(session.router, transaction)
            scope.check(session)
            if watching is not None:
                check_shards(session, command, list(watching.shards))
            if self._needs_stages(scope):
                self._begin()
                Stages(self, scope)
                return
        unit = Unit(session, self._answered)
        unit.fill(transaction)
        if not transaction.unusual:
            self._check()
        self._begin()
        parts = unit.parts()
        if watching is not None:
            parts.setdefault(next(iter(watching.shards)), [])
        recorded = self._record(parts) if session.router.recording and len(parts) > 1 else {}
        for shard, runs in parts.items():
            share = ShareInBatch(batch, unit, shard, runs, None, watching)
            if shard in recorded:
                share.add(*recorded[shard])
            batch.runs.append(share)
            batch.open[shard] = None
        self.over()
        unit.begun()

    def send(
        self, then: Callable[[Unit], None], holding: Holding, place: int, until: int, parts: dict[int, list[Item]]
    ) -> None:
        """Sends the commands from `place` up to `until`, in one turn, under holds; `then` hears when they are done.
        What the shards are asked to do is added to `parts`, if they write."""
        unit = Unit(self.session, then)
        unit.fill(self.transaction, place, until)
        for shard, runs in unit.parts().items():
            # One without a hold is asked nothing about keys: it only takes over a directive, or says how it is.
            held = shard in holding.keys
            share = Share(self.batch, unit, shard, runs, holding.id if held else None, None)
            link = self.session.router.links[shard]
            if not held or holding.alive(shard):
                link.put(share)
                if self._writes(runs):
                    parts.setdefault(shard, []).append(item_of(runs))
            else:
                share.fail(link.unknown())
        unit.begun()

    def _writes(self, runs: list[Run]) -> bool:
        """Whether a command among them may write."""
        table = self.session.router.table
        requests = [request for run in runs if not run.header & CONTROL for request in run.requests]
        return any(command.flags & Flag.WRITE for command in map(table.resolve, requests) if command is not None)

    def _record(self, parts: dict[int, list[Run]]) -> dict[int, tuple[Record, bytes]]:
        """By shard, the record of it all and its bytes, if several write."""
        writing = {shard: [item_of(runs)] for shard, runs in parts.items() if self._writes(runs)}
        if len(writing) < 2:
            return {}
        records = self.session.router.records
        record = Record(records, len(writing))
        return dict.fromkeys(writing, (record, records.made(record, writing)))

    def _needs_stages(self, scope: Scope) -> bool:
        watching = self.session.watching
        if scope.lone:
            return True
        if watching is None:
            return False
        if self.session.router.monitors:  # They see what is run, so it has to be known before whether it is.
            return True
        # One shard can see by itself whether its keys were changed, and do all or nothing; if there is nothing else.
        return len(watching.shards.keys() | scope.union().keys()) > 1 or scope.asks_router()

    def _check(self) -> None:
        """Refuses usual commands if a shard would not do its part.  Raises RedisError."""
        if not self.session.router.steady:
            Scope(self.session.router, self.transaction).check(self.session)

    def _begin(self) -> None:
        self.step = Later(self.batch)
        self.batch.add_step(self.step)

    def over(self) -> None:
        """All of it is sent, or will not be: the client is in no transaction any more."""
        session = self.session
        if session.watching is not None:
            session.watching.forget()
        session.transaction = None
        session.changed()
        self.batch.header = session.header

    def _answered(self, unit: Unit) -> None:
        self.finish(None if unit.touched else [unit.replies()], unit.size)
        unit.release()

    def finish(self, replies: list[bytes] | None, count: int) -> None:
        """Gives the client its reply, from the replies of `count` commands; None if a watched key was changed."""
        if replies is None:
            self.step.finish(encode(NULL_ARRAY, self.session.protocol))
        else:
            self.step.finish(b"*%d\r\n%b" % (count, b"".join(replies)))

    def refuse(self, error: RedisError) -> None:
        """Gives the client the reason why nothing was done."""
        self.fail(refused(self.session, self.session.router.table.commands[EXEC], error))

    def fail(self, error: RedisError) -> None:
        """Gives the client an error that says what is true."""
        self.session.router.count_error(error)
        self.step.finish(error_reply(error))

"""An EXEC in several turns, under holds: one with a command that needs keys of several shards at once (RENAME), or that
depends on watched keys of other shards than do all the work.

    turn 1   to every shard concerned       hold      its keys are touched by nobody else from here on
    turn 2   to those with watched keys     watched   were they changed?
    turn 3   to the shards of some commands transact  as many as can go in one turn
             or to those of one command     lend, borrow, give_back
    ...
    last     to every shard                 release   the log gets what was done, and who waits is served

Rule 1: all keys of all its commands are held from the first turn on, and nothing is done before the watched ones are
        known to be as they were: so it is as if all had happened at once.
Rule 2: if a shard dies in the middle nothing is done: what the others did under the holds is abandoned. (Without a log
        it stays, for they would lose all.)
Rule 3: the client begins nothing else meanwhile: what comes behind EXEC may depend on it (SELECT).
"""

from typing import TYPE_CHECKING, Any

from common.command import Command
from common.errors import RedisError
from common.record import Item
from common.resp import error_reply
from router.borrow import Course, Loan, Outcome, reply_to
from router.holding import Holding
from router.long_scope import LongScope
from router.monitor import show
from router.scope import Scope
from router.slowlog import Call
from router.tracking import reads_of
from router.transaction import EXEC

if TYPE_CHECKING:
    from router.execution import Execution, Unit

CALL = [b"EXEC"]


class Stages:
    """One such EXEC, from its holds to its reply."""

    folds = False
    """Whether very many commands are run under the holds."""

    def __init__(self, execution: "Execution", scope: Scope | LongScope) -> None:
        self.execution = execution
        self.session = execution.session
        self.router = execution.session.router
        self.queued = execution.transaction.queued
        self.commands = scope.commands
        self.lone = scope.lone
        self.place = 0
        """The command that is next."""
        self.lone_command: Command
        """The one that borrows now."""
        self.replies: list[bytes] = []
        self.watching = self.session.watching
        self.unknown = len(self.watching.shards) if self.watching is not None else 0
        """How many shards have not said yet whether watched keys were changed."""
        self.touched = False
        self.session.transacting = True
        self.parts: dict[int, list[Item]] = {}
        """What each shard did, for the record of it all."""
        writes = scope.writes()
        self.holding = Holding(
            self.session,
            execution.batch,
            Call(CALL),
            scope.to_hold(self.watching),
            [self.session.db],
            writes=writes,
            recorded=scope.recorded(),
            folds=self.folds,
            granted=self._granted,
            given_up=self._refused,
        )

    def _granted(self, answers: dict[int, Any]) -> None:
        if self.watching is None:
            self._next()
            return
        for shard in list(self.watching.shards):
            self.holding.ask(shard, ["watched", self.watching.id], self._watched)

    def _watched(self, shard: int, touched: bool | None) -> None:
        """Of a shard that died nobody knows whether it was changed."""
        self.touched = self.touched or touched is not False
        self.unknown -= 1
        if self.unknown:
            return
        if self.touched:
            self._drop()
        else:
            self._next()

    def _drop(self) -> None:
        """Does nothing, since a watched key was changed."""
        self.holding.drop()
        self._over()
        self.execution.finish(None, 0)

    def _next(self) -> None:
        """Runs what comes next, or ends it all."""
        self._note()
        count = len(self.queued)
        dead = next((shard for shard in self.holding.keys if not self.holding.alive(shard)), None)
        if dead is not None and not self._lasts():
            self.holding.abandon(self._done())
            self._refused(self.router.links[dead].down())
        elif self.place == count:
            self._over()
            self.holding.release({}, dict.fromkeys(self.holding.keys, []) | self._done(), self._released)
        elif self.lone and self.place == self.lone[0]:
            self.lone_command = self.commands[self.lone.popleft()]
            if denied := self._denied():
                self.place += 1
                self.replies.append(denied)
                self.router.loop.call_soon(self._next)  # There may be very many of them, one after the other.
                return
            course = Course(self.router, self.session.db, self.lone_command, self.queued[self.place])
            course.reads = reads_of(self.session, self.lone_command, course.argv)
            self.place += 1
            if self.router.monitors:
                show(self.session, self.lone_command, course.argv)
            Loan(self.holding, course, self.session.header, self._ran, parts=self.parts)
        else:
            until = self._until(self.lone[0] if self.lone else count)
            place, self.place = self.place, until
            self.execution.send(self._answered, self.holding, place, until, self.parts)

    def _until(self, until: int) -> int:
        """The place behind the commands that are run next in one turn, up to `until`."""
        return until

    def _note(self) -> None:
        """Takes note of what was done."""

    def _done(self) -> dict[int, list[Item]]:
        """By shard, what was done there, for the record."""
        return self.parts

    def _lasts(self) -> bool:
        """Whether what was done under the holds stays, though a shard died."""
        return self.holding.record is None

    def _denied(self) -> bytes:
        """The error for the command that is next, if the client may not run it any more."""
        if self.session.user.restricted:
            try:
                self.router.users.check_queued(self.session, self.lone_command, self.queued[self.place])
            except RedisError as error:
                self.router.count_error(error)
                return error_reply(error)
        return b""

    def _ran(self, outcome: Outcome) -> None:
        self.replies.append(reply_to(self.router, self.lone_command, outcome))
        self._next()

    def _answered(self, unit: "Unit") -> None:
        self.replies.append(unit.replies())
        unit.release()
        self._next()

    def _released(self, fault: RedisError | None) -> None:
        if fault is not None:
            self.execution.fail(fault)
        else:
            self.execution.finish(self.replies, len(self.queued))

    def _refused(self, error: RedisError) -> None:
        """Nothing was done: a shard died, or will not do it."""
        self._over()
        self.execution.refuse(error)

    def _over(self) -> None:
        self.execution.over()
        self.session.transacting = False
        if self.router.monitors:
            show(self.session, self.router.table.commands[EXEC], CALL)

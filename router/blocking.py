"""A client's call that may block, from when it is begun until it is answered.

Rule 1: such a call is alone in its batch, and while it is under way nothing more of its client is begun: what was sent
        before it is answered before it, and what was sent behind it is done after it.
Rule 2: with all its keys on one shard it waits there: the shard decides whether the call waits, and answers it exactly
        once; here are the clocks and the clients. At the deadline, when the client is gone, and when another client
        wants it, the shard is asked to end the call, by a message in the stream as any other. If the call was served
        before that, the message finds nobody.
Rule 3: with keys on several shards it waits here, and is tried under holds of all its keys (borrow.py). If it finds
        nothing each shard gets a remote waiter in the step in which the holds are released: nothing that comes to a key
        is missed, and its place among those that wait for a key is that of its call. A waiter holds nothing. When one
        has its turn the call is tried again, once, with all keys, as an ordinary borrow: so there are no deadlocks.
        Whether it is served or ends is decided here, once: before the command is sent to its home by whoever comes
        first, from then on by what the home says. It is never sent for a client that is gone.
Rule 4: a client that has closed its side is gone, as in Redis: an element must not be popped for one that died. Its
        bytes are read meanwhile, up to a limit, so that the end is seen.
"""

from enum import Enum
from typing import TYPE_CHECKING, Any

from common.command import Command, Flag
from common.errors import RedisError
from common.resp import encode, error_reply
from router.batch import Batch, Later, Run
from router.borrow import Blockage, Course, Loan, Outcome, reply_to
from router.holding import Ask, Holding
from router.slowlog import Call
from router.tracking import reads_of

if TYPE_CHECKING:
    import asyncio

    from router.session import Session

READ_BYTES_MAX = 1024 * 1024
"""What is read of a client while its call is under way; what it sends beyond that waits in the kernel, and its end
behind that is not seen before the call is answered."""

TIMED_OUT = None
GONE = ""
"""Why a call ends, as the shard is told; anything else is the text of an error."""

CLOCK_MS = 1
"""By how much the loop's timers may be early."""


class Blocking:
    """One such call, with all its keys on one shard, or refused."""

    __slots__ = ("session", "run", "number", "timer", "until_ms", "bytes_in_max", "called")

    def __init__(self, batch: Batch) -> None:
        """`batch` has nothing but the call."""
        self.session: Session = batch.session
        self.run: Run | None = batch.runs[0] if type(batch.steps[0]) is int else None
        """What waits, in one shard; None for a call that does not: with keys on several shards, or refused."""
        self.number = -1
        """That of its run, once the shard says that it waits."""
        self.timer: asyncio.TimerHandle | None = None
        self.until_ms = 0
        self.bytes_in_max = self.session.bytes_in + READ_BYTES_MAX
        self.called: tuple[Command, list[bytes]] | None = None
        """The call, if it waits for keys: its user may lose the right to it."""

    @property
    def waiting(self) -> bool:
        """Whether it is known to wait, and so is the last of what its client has under way."""
        return self.number >= 0

    def waits(self, number: int, until_ms: int) -> None:
        """The shard says so; the call's deadline is `until_ms` (absolute), 0 for none."""
        self.number = number
        self.until_ms = until_ms
        if until_ms:
            router = self.session.router
            left_ms = max(0, until_ms - router.now_ms()) + CLOCK_MS
            self.timer = router.loop.call_later(left_ms / 1000, self.end, TIMED_OUT)

    def end(self, reason: str | None) -> None:
        """Has the shard end the call, if it waits."""
        if self.run is not None:
            self.session.router.links[self.run.shard].tell(self.message(reason), self._ended)

    def message(self, reason: str | None) -> list[Any]:
        """What tells the shard of `run` to do so. Its answer is whether the call was waiting."""
        number = self.number
        if number < 0 and self.run is not None:
            number = self.session.router.links[self.run.shard].number_of(self.run)
        return ["unblock", number, reason]

    def _ended(self, waited: Any) -> None:
        """A client that had sent all it would, and waited, is gone: what it sent behind the call is not done."""
        if self.session.ended and waited is True:
            self.session.backlog.clear()
            self.session.end()

    def over(self) -> None:
        """The call is answered."""
        if self.timer is not None:
            self.timer.cancel()
        budget = self.session.router.budget
        if budget.gated:
            budget.recount.note(self.session)


class Stage(Enum):
    ASKING = "waits for the holds"
    RUNNING = "is tried at its home"
    WAITING = "waits for its keys"
    OVER = "has its reply"


class AskToWait(Ask):
    """Has a shard keep a remote waiter; answered when it does no more. The shard tells by the way that it is ready."""

    __slots__ = ("blocking",)

    blocking: "BlockingOverShards"


class BlockingOverShards(Blocking):
    """One with keys on several shards, which are up."""

    __slots__ = (
        "router",
        "batch",
        "command",
        "argv",
        "reads",
        "db",
        "call",
        "id",
        "step",
        "stage",
        "holding",
        "course",
        "blockage",
        "ending",
        "asking",
    )

    def __init__(self, session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
        """Adds it to the batch of its client."""
        self.step = Later(batch)
        batch.add_step(self.step)
        super().__init__(batch)
        self.router = session.router
        self.batch = batch
        self.command = command
        self.argv = argv
        """What is run; with what a shard has made of it once it waits (XREAD's `$`)."""
        self.db = session.db
        self.call = Call(argv)
        self.id = next(self.router.borrow_ids)
        """That of its remote waiters."""
        self.reads = reads_of(session, command, argv)
        self.blockage: Blockage | None = None
        """How it waits, once it does."""
        self.ending: tuple[str | None] | None = None
        """Why it ends if it is not served now."""
        self.asking: Later | None = None
        """Who wanted it to, and hears whether it did so."""
        self._try()

    def _try(self) -> None:
        """Begins an attempt."""
        self.stage = Stage.ASKING
        self.course = Course(self.router, self.db, self.command, self.argv)
        self.course.reads = self.reads
        self.holding = Holding(
            self.session,
            self.batch,
            self.call,
            self.course.held(self.router.shards),
            self.course.dbs,
            writes=bool(self.command.flags & Flag.WRITE),
            granted=self._granted,
            given_up=self._tried,
            gives=self.course.gives(),
            waiter=self.id,
            recorded=self.course.writes_apart(),
        )

    def _granted(self, given: dict[int, Any]) -> None:
        if self._is_gone():
            self._end(GONE)
            return
        self.stage = Stage.RUNNING
        Loan(self.holding, self.course, self.batch.header, self._tried, given=given, last=True, waits=True)

    def _tried(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Blockage):
            self._finish(reply_to(self.router, self.command, outcome))
            return
        self.argv = outcome.argv
        if self.blockage is None:
            self.waits(0, outcome.until_ms)
        self.blockage = outcome
        due = 0 < self.until_ms < self.router.now_ms()
        ending = (GONE,) if self._is_gone() else self.ending or ((TIMED_OUT,) if due else None)
        if ending is None:
            self._wait(outcome)
        else:
            self.holding.release(outcome.changes, outcome.parts, ignore)
            self._end(ending[0])

    def _wait(self, blockage: Blockage) -> None:
        """Turns the holds into remote waiters, in one step."""
        holding, links = self.holding, self.router.links
        keys: dict[int, list[bytes]] = {}
        for key in blockage.keys:
            keys.setdefault(self.router.shard_of(key), []).append(key)
        lost = [shard for shard in keys if not holding.alive(shard)]
        if lost:
            self._tried(links[lost[0]].unknown())
            return
        self.stage = Stage.WAITING
        for shard, some in keys.items():
            message = ["wait", self.id, holding.id, self.db, some, blockage.kind, blockage.lasting]
            run = AskToWait(self.batch, shard, message, self.call, self._stopped)
            run.blocking = self
            links[shard].put(run)
        holding.release(blockage.changes, blockage.parts, ignore)

    def _stopped(self, shard: int, answer: Any) -> None:
        """A waiter is no more: because the call had it withdrawn, or because the shard died."""
        if answer is None and self.stage is Stage.WAITING:
            self._tried(self.router.links[shard].unknown())

    def ready(self) -> None:
        """A shard says that a key is there and the call has its turn."""
        if self.stage is Stage.WAITING:
            self._try()

    # The end

    def end(self, reason: str | None) -> None:
        """Ends it, unless it is just about to be served."""
        if self.stage is Stage.WAITING or (self.stage is Stage.ASKING and self._may_end(reason)):
            self._end(reason)
        elif self.stage is not Stage.OVER and self.ending is None:
            self.ending = (reason,)

    def _may_end(self, reason: str | None) -> bool:
        """Whether it need not be tried first: who has only closed its side gets what there is when the call comes."""
        return self.waiting or (reason == GONE and self._is_gone())

    def _is_gone(self) -> bool:
        return self.session.id not in self.router.sessions

    def unblock(self, reason: str | None, asking: Later) -> None:
        """CLIENT UNBLOCK, whose step `asking` gets its reply when it is known whether the call ended through that."""
        if not self.waiting or self.stage is Stage.OVER or self.ending is not None:
            asking.finish(NOT_ENDED)
            return
        self.asking = asking
        self.end(reason)

    def _end(self, reason: str | None) -> None:
        """Ends it unserved."""
        text = b""
        if reason == GONE:
            if self.session.ended:  # What it sent behind the call is not done.
                self.session.backlog.clear()
                self.session.end()
        else:
            self.command.count(0)
            text = self.blockage.nothing if self.blockage is not None else b""
            if reason is not TIMED_OUT:
                self.command.failed_calls += 1
                error = RedisError(reason)
                self.router.count_error(error)
                text = error_reply(error)
        if self.asking is not None:
            self.asking.finish(ENDED)
        self._finish(text)

    def _finish(self, text: bytes) -> None:
        """Gives the client its reply, and has no shard wait any more."""
        self.stage = Stage.OVER
        self.holding.drop()
        if self.blockage is not None:
            for shard in {self.router.shard_of(key) for key in self.blockage.keys}:
                self.router.links[shard].tell(["dismiss", self.id])
        if self.asking is not None:
            self.asking.finish(NOT_ENDED)
        self.step.finish(text)


ENDED, NOT_ENDED = encode(1, 2), encode(0, 2)
"""What CLIENT UNBLOCK answers."""


def ignore(fault: RedisError | None) -> None:
    """Whatever else goes wrong, nothing was done for the client."""

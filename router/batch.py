"""A batch: what one client sent in one turn, cut into runs for the shards, and put back together in its order.

Rule 1: the runs of a batch go to their links in one turn, without an `await` between, batch after batch. The router is
        one process and each link one ordered stream, so every shard sees all commands in one and the same order: that
        makes what is split over shards atomic without a lock (DESIGN 2). `dispatch` is that turn.
Rule 2: what the client gets is in the order of its steps, whatever order the shards answer in.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from common.errors import OutcomeUnknown, RedisError, done_in_part
from common.flags import Flag
from common.frame import AS_ONE, CONTROL, JOINED, VALUES
from common.resp import OK, Status, encode, error_reply
from common.slot import Owners
from router.merge import MERGES, Merge
from router.plan import InOrder, cut

if TYPE_CHECKING:
    from common.command import Command
    from router.link import Link
    from router.records import SplitRecord
    from router.server import Router
    from router.session import Session
    from router.slowlog import Call

logger = logging.getLogger("shardis")


OK_LINE = encode(OK, 2)
QUEUED_LINE = encode(Status("QUEUED"), 2)
WRITE = int(Flag.WRITE)
"""As Command has its flags: an enum's own `&` takes a microsecond."""
OPENINGS = frozenset((b"MULTI", b"multi"))
CLOSINGS = frozenset((b"EXEC", b"exec"))
"""How transactions are mostly begun and ended: any other form of the words is seen to by dispatch.py."""


class Run:
    """Commands of one batch for one shard, under one header: the unit that a frame carries and a shard answers."""

    __slots__ = ("batch", "shard", "header", "requests", "replies")

    def __init__(self, batch: "Batch", shard: int, header: int) -> None:
        self.batch = batch
        self.shard = shard
        self.header = header
        self.requests: list[list[Any]] = []
        self.replies: Any = None

    def answer(self, replies: Any) -> None:
        """Takes the shard's answer."""
        self.replies = replies
        batch = self.batch
        batch.waiting -= 1
        if not batch.waiting:
            batch.answered()

    def take(self, replies: Any) -> None:
        """Takes the shard's answer as a part of something bigger, which sees itself whether all is answered."""
        self.replies = replies

    def fail(self, error: RedisError) -> None:
        """Answers every command of the run with `error`: its shard is gone."""
        self.answer(self.failure(error))

    def failure(self, error: RedisError) -> Any:
        """An answer that tells every command of the run the `error`."""
        if self.header & JOINED:
            return error_reply(error) * len(self.requests)
        return [error if self.header & VALUES else error_reply(error)] * len(self.requests)

    def postponed(self) -> None:
        """Hears that the shard has come to it, and that the answer comes late."""

    def order_of(self, part: int) -> int:
        """Where a part of it stands among those of the same run, if it was made of several."""
        return 0

    def join_of(self, request: list[Any]) -> "Join | None":
        """The step of which the request is a part; None if it is no part of any. O(steps of the batch)."""
        return join_in(self.batch.steps, request)

    def request_of(self, place: int) -> list[Any]:
        """The request that a shard means by its place in the run."""
        request: list[Any] = self.requests[place]
        return request


class Message(Run):
    """A run of the router itself: one message to a shard, and who hears the answer."""

    __slots__ = ("then",)

    def __init__(self, shard: int, message: list[Any], then: Callable[[Any], None]) -> None:
        self.shard = shard
        self.header = CONTROL | VALUES
        self.requests = [message]
        self.then = then

    def answer(self, replies: Any) -> None:
        self.then(replies[0])


class Solo(Run):
    """A transaction that is one run, and the step that it answers: all its commands are of one shard."""

    __slots__ = ("text",)

    def __init__(self, batch: "Batch", shard: int, header: int, requests: list[list[Any]]) -> None:
        self.batch = batch
        self.shard = shard
        self.header = header | JOINED | AS_ONE
        self.requests = requests
        self.replies = ()
        self.text = b""

    def answer(self, replies: Any) -> None:
        self.text = replies
        batch = self.batch
        batch.waiting -= 1
        if not batch.waiting:
            batch.answered()

    def reply(self) -> bytes:
        """What EXEC answers."""
        return b"*%d\r\n%b" % (len(self.requests), self.text)


class Join:
    """A step whose reply is made of the values of several shards."""

    __slots__ = ("argv", "shards", "parts", "merge", "protocol", "command", "slow")

    def __init__(
        self,
        argv: list[bytes],
        shards: Sequence[int],
        parts: Sequence[list[Any]],
        merge: Merge,
        protocol: int,
        command: "Command",
    ) -> None:
        self.argv = argv
        """The call as it came."""
        self.shards = shards
        self.parts = parts
        """What each of them gets."""
        self.merge = merge
        self.protocol = protocol
        self.command = command
        self.slow: Call | None = None
        """What is known of how long it took, if a part of it took long."""

    def reply(self, answers: dict[int, Iterator[Any]], router: "Router") -> bytes:
        """The finished reply. Counts the call, once."""
        values = [next(answers[shard]) for shard in self.shards]
        try:
            for value in values:
                if isinstance(value, RedisError):
                    raise self._fault(values)
            return encode(self.merge(values), self.protocol)
        except RedisError as error:
            return self._failed(error, router)
        except Exception:
            logger.exception("internal error in the reply of %s", self.command.name)
            return self._failed(RedisError("ERR internal error"), router)
        finally:
            self.command.calls += 1

    def _fault(self, values: list[Any]) -> RedisError:
        """The error of the whole, of which some parts failed: that of the first, but it must be true of all of it.

        A shard that would not do its part is mostly known before any part is sent (dispatch.check_shards); here is what
        came up since.
        """
        errors = [value for value in values if isinstance(value, RedisError)]
        for error in errors:
            if isinstance(error, OutcomeUnknown):
                return error
        if len(errors) < len(values) and self.command.flags & WRITE:
            return done_in_part(errors[0])
        return errors[0]

    def _failed(self, error: RedisError, router: "Router") -> bytes:
        self.command.failed_calls += 1
        router.count_error(error)
        return error_reply(error)


class Later:
    """A step that somebody finishes when its time has come."""

    __slots__ = ("batch", "text")

    def __init__(self, batch: "Batch") -> None:
        self.batch = batch
        self.text: bytes | None = None
        batch.waiting += 1

    def finish(self, text: bytes) -> None:
        """Gives the step its encoded reply; a second call has no effect."""
        if self.text is None:
            self.text = text
            self.batch.waiting -= 1
            if not self.batch.waiting and self.batch.dispatched:
                self.batch.answered()


class Muted:
    """A step whose reply the client does not want (CLIENT REPLY)."""

    __slots__ = ("step",)

    def __init__(self, step: "Step") -> None:
        self.step = step


Step = int | bytes | Join | Later | Muted | Solo
"""The shard whose next reply it is, finished replies, or how one comes about."""


def join_in(steps: "list[Step]", request: list[Any]) -> Join | None:
    """The one among these steps of which the request is a part."""
    for step in steps:
        step = step.step if isinstance(step, Muted) else step
        if isinstance(step, Join) and any(part is request for part in step.parts):
            return step
    return None


NOTHING: list[Any] = []
"""What a batch that is done has; never written to."""


class Route:
    """What `Batch.forward` has to know of a command with the one key argv[1], or of one that is cut."""

    __slots__ = ("command", "shortest", "longest", "name", "start", "step")

    def __init__(self, command: "Command") -> None:
        self.command = command
        self.shortest = command.shortest
        self.longest = command.longest
        self.name = command.name
        self.start, self.step = command.cut
        """As of Command.cut; 0 for a command of one key."""


def owner_of(argv: list[bytes], route: Route, owners: Owners) -> int:
    """The shard of all keys of a call that could be cut; -1 if there are several, or it is cut short."""
    if (len(argv) - route.start) % route.step:
        return -1
    owner = owners.of(argv[route.start])
    for at in range(route.start + route.step, len(argv), route.step):
        if owners.of(argv[at]) != owner:
            return -1
    return owner


class Batch:
    """Steps in the client's order, and the runs that answer them."""

    __slots__ = (
        "session",
        "steps",
        "runs",
        "open",
        "header",
        "plain",
        "waiting",
        "dispatched",
        "size",
        "pushes",
        "record",
        "records",
    )

    def __init__(self, session: "Session", shards: int, header: int) -> None:
        self.session = session
        self.steps: list[Step] = []
        self.runs: list[Run] = []
        self.open: list[Run | None] = [None] * shards
        """The run of each shard that takes more commands."""
        self.header = header
        self.plain = True
        """Whether every step is a shard's own reply."""
        self.waiting = 0
        self.dispatched = False
        self.size = 0
        """Commands in it."""
        self.pushes: list[bytes | Callable[[], None]] = []
        """Messages that answer nothing and go behind its replies, and what is to be done then: see Session.push."""
        self.record: SplitRecord | None = None
        """That of the commands which are cut, if more of them may be added to it."""
        self.records: list[SplitRecord] = NOTHING
        """All of them."""

    def run(self, shard: int, header: int) -> Run:
        """The open run of `shard` under `header`; another header begins another run behind it."""
        run = self.open[shard]
        if run is None or run.header != header:
            run = self.open[shard] = Run(self, shard, header)
            self.runs.append(run)
        return run

    def add(self, shard: int, argv: list[bytes]) -> None:
        """A command whose reply comes from one shard and is passed through unread."""
        self.run(shard, self.header).requests.append(argv)
        self.steps.append(shard)

    def forward(self, commands: list[list[bytes]], place: int, routes: dict[bytes, Route], owners: Owners) -> int:
        """Adds the commands from `place` on while there is a route for them; the place of the first without one.

        This is the way of every usual command: one look-up, one CRC, two appends.
        """
        count = len(commands)
        header = self.header
        open_ = self.open
        steps = self.steps
        route = None
        while place < count:
            argv = commands[place]
            words = len(argv)
            found = routes.get(argv[0])
            if found is None or words < found.shortest or words > found.longest:
                break
            if found.step:
                if (words - found.start) % found.step or not self.session.router.steady:
                    break
                route = found
                self.split(argv, found.command)
                place += 1
                continue
            route = found
            shard = owners.of(argv[1])
            run = open_[shard]
            if run is None or run.header != header:
                run = self.run(shard, header)
            run.requests.append(argv)
            steps.append(shard)
            place += 1
        if route is not None:
            self.session.last_command = route.name
        return place

    def transact(self, commands: list[list[bytes]], place: int, routes: dict[bytes, Route], owners: Owners) -> int:
        """Adds a transaction that came as a whole, whose MULTI is at `place` and whose commands are usual ones with all
        keys on one shard; the place behind its EXEC, 0 if it is no such one. What most pipelines are.
        """
        count = len(commands)
        at = place + 1
        shard = -1
        argv = commands[place]
        while at < count:
            argv = commands[at]
            words = len(argv)
            route = routes.get(argv[0])
            if route is None:
                break
            if words < route.shortest or words > route.longest:
                return 0
            owner = owners.of(argv[1]) if not route.step else owner_of(argv, route, owners)
            if owner < 0 or (owner != shard and shard >= 0):
                return 0
            shard = owner
            at += 1
        if shard < 0 or at == count or argv[0] not in CLOSINGS or len(argv) > 1 or len(commands[place]) > 1:
            return 0
        queued = commands[place + 1 : at]
        run = Solo(self, shard, self.header, queued)
        self.runs.append(run)
        self.open[shard] = None
        self.plain = False
        self.steps.append(OK_LINE + QUEUED_LINE * len(queued))
        self.steps.append(run)
        return at + 1

    def split(self, argv: list[bytes], command: "Command") -> None:
        """Adds a call that is cut for the shards of its keys."""
        start, step = command.cut
        shards, parts, order = cut(argv, start, step, self.session.router.owners)
        if len(shards) == 1:
            self.add(shards[0], argv)
        else:
            self.add_join(argv, shards, parts, MERGES[command.merge] if command.merge else InOrder(order), command)

    def add_join(
        self,
        argv: list[bytes],
        shards: Sequence[int],
        parts: Sequence[list[Any]],
        merge: Merge,
        command: "Command",
        control: int = 0,
    ) -> None:
        """A call in parts, one for each shard named, whose replies `merge` joins."""
        self.plain = False
        self.steps.append(Join(argv, shards, parts, merge, self.session.protocol, command))
        # What is a part of an EXEC is recorded with that as a whole.
        if command.flags & WRITE and not control and type(self) is Batch and self.session.router.recording:
            self.session.router.records.split(self, shards, parts)
            return
        header = self.header | VALUES | control
        open_ = self.open
        for place, shard in enumerate(shards):
            run = open_[shard]
            if run is None or run.header != header:
                run = self.run(shard, header)
            run.requests.append(parts[place])

    def take_pushes(self) -> bytes:
        """The messages, which are then somebody else's to send."""
        data = b"".join([one for one in self.pushes if isinstance(one, bytes)])
        self.pushes = [one for one in self.pushes if not isinstance(one, bytes)]
        self.session.queued_bytes -= len(data)
        return data

    def sent(self) -> None:
        """Does what is to be done behind its replies."""
        acts, self.pushes = self.pushes, []
        for act in acts:
            assert callable(act)
            act()

    def add_step(self, step: Step) -> None:
        """A reply that is no shard's own."""
        self.plain = False
        self.steps.append(step)

    def dispatch(self, links: "list[Link]") -> None:
        """Puts all runs on their links: one turn, Rule 1."""
        runs = self.runs
        self.dispatched = True
        for record in self.records:
            record.seal()
        self.waiting += len(runs)
        if len(runs) == 1 and self.plain:
            runs[0].header |= JOINED
        for run in runs:
            links[run.shard].put(run)

    def answered(self) -> None:
        """Goes on when nothing is waited for any more."""
        self.session.completed()

    def replies(self) -> bytes:
        """What the client gets, all steps in order; every run has been answered."""
        runs = self.runs
        if self.plain:
            if len(runs) == 1:
                joined: bytes = runs[0].replies
                return joined
            if len(runs) == len({run.shard for run in runs}):
                following: dict[Step, Iterator[bytes]] = {run.shard: iter(run.replies) for run in runs}
                return b"".join([next(following[step]) for step in self.steps])
        answers = self._answers()
        parts = []
        for step in self.steps:
            if type(step) is bytes:
                parts.append(step)
            else:
                parts.append(self._reply(step, answers))
        return b"".join(parts)

    def release(self) -> None:
        """Lets go of what leads back here. Without it every batch is a reference cycle: the collector took a quarter
        of the router's time.
        """
        self.runs = self.open = self.steps = self.records = NOTHING
        self.record = None

    def _answers(self) -> dict[int, Iterator[Any]]:
        by_shard: dict[int, list[Any]] = {}
        for run in self.runs:
            by_shard.setdefault(run.shard, []).extend(run.replies)
        return {shard: iter(replies) for shard, replies in by_shard.items()}

    def _reply(self, step: Step, answers: dict[int, Iterator[Any]]) -> bytes:
        if type(step) is int:
            reply: bytes = next(answers[step])
            return reply
        if type(step) is bytes:
            return step
        if type(step) is Solo:
            return step.reply()
        if type(step) is Join:
            return step.reply(answers, self.session.router)
        if type(step) is Later:
            assert step.text is not None
            return step.text
        assert type(step) is Muted
        self._reply(step.step, answers)
        return b""

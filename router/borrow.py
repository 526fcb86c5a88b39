"""A command with keys on several shards that cannot be cut: it runs on one of them, which borrows those of the others.

    turn 1   to each shard concerned   hold      its keys are touched by nobody else from here on; what is away is lent
    turn 2   to the home shard         borrow    runs the command as it is, over its own keys and the borrowed ones
    turn 3   to the others             release   what became of their keys

Rule 1: all holds of a command are put on their links in one turn (DESIGN 2). So every shard sees the holds of all
        commands in one order, none waits for another in a circle, and the command has its place in the one order: what
        was sent before it comes before it, on every shard, and what was sent after it comes after.
Rule 2: every hold is released, whatever happens: the client may be gone, and a shard may die at any step. A shard that
        loses its router releases the holds itself.
Rule 3: the client gets its reply when every shard has written its part to its log. An error says what is true: before
        `borrow` is sent that nothing was done, from then on that the outcome is unknown.

A shard that dies between `borrow` and `release` can leave a command done in part, see shard/loan.py.
"""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from common.command import Command, Flag
from common.errors import RedisError
from common.frame import CONTROL, VALUES
from common.resp import error_reply
from router.batch import Batch, Later, Run
from router.slowlog import Call, Part

if TYPE_CHECKING:
    from router.session import Session

Then = Callable[[int, Any], None]
"""Hears the answer of a shard, by its index; None if the shard is gone."""


class Ask(Run):
    """A message to one shard, in the name of a client's call."""

    __slots__ = ("then",)

    def __init__(self, batch: Batch, shard: int, message: list[Any], call: Call, then: Then) -> None:
        super().__init__(batch, shard, CONTROL | VALUES)
        self.requests.append(Part(message, call))
        self.replies = ()
        self.then = then

    def answer(self, replies: Any) -> None:
        self.then(self.shard, replies[0])

    def fail(self, error: RedisError) -> None:
        self.then(self.shard, None)


class AskInBatch(Ask):
    """One that stands among the runs of its batch, between those before the command and those behind it."""

    __slots__ = ()

    def answer(self, replies: Any) -> None:
        self._heard(replies[0])

    def fail(self, error: RedisError) -> None:
        self._heard(None)

    def _heard(self, answer: Any) -> None:
        batch = self.batch
        self.requests = []  # They answer no step of the client's.
        batch.waiting -= 1
        self.then(self.shard, answer)
        if not batch.waiting:
            batch.session.completed()


class Stage(Enum):
    HOLDING = "waits for the holds"
    RUNNING = "runs at home"
    RELEASING = "waits for the others to do their part"
    OVER = "has its reply"


class Borrow:
    """One such command, from its holds to its reply."""

    def __init__(self, session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
        """Adds it to the batch of its client; its keys are on shards that are up."""
        router = session.router
        self.router = router
        self.command = command
        self.batch = batch
        self.header = batch.header
        self.argv = argv
        self.call = Call(argv)
        self.id = next(router.borrow_ids)
        databases = range(router.config["databases"])
        self.dbs = [session.db, *(db for db in command.other_dbs(argv) if db in databases and db != session.db)]
        self.keys: dict[int, list[bytes]] = {}
        """The keys of each shard."""
        for index in dict.fromkeys(command.keys_of(argv)):
            self.keys.setdefault(router.shard_of(argv[index]), []).append(argv[index])
        self.home = home_of(command, argv, router.shard_of)
        self.streams = {shard: router.links[shard].transport for shard in self.keys}
        """The connections that the holds went by: a shard that has another one by now knows nothing of them."""
        self.stage = Stage.HOLDING
        self.missing = len(self.keys)
        """How many answers this stage still waits for."""
        self.lent: list[list[Any]] = []
        self.fault: RedisError | None = None
        self.text = b""
        self._hold()
        self.step = Later(batch)
        batch.add_step(self.step)

    def _hold(self) -> None:
        writes = bool(self.command.flags & Flag.WRITE)
        for shard, keys in self.keys.items():
            message = ["hold", self.id, keys, self.dbs, shard != self.home, writes]
            self.batch.runs.append(AskInBatch(self.batch, shard, message, self.call, self._granted))
            self.batch.open[shard] = None

    def _granted(self, shard: int, lent: Any) -> None:
        if self.stage is not Stage.HOLDING:
            return
        if lent is None or isinstance(lent, RedisError):
            self._give_up(lent or self.router.links[shard].down())
            return
        self.lent += lent
        self.missing -= 1
        if not self.missing:
            self._run()

    def _run(self) -> None:
        links = self.router.links
        for shard, stream in self.streams.items():
            if links[shard].transport is not stream:
                self._give_up(links[shard].down())
                return
        self.stage = Stage.RUNNING
        away = [[db, key] for shard, keys in self.keys.items() if shard != self.home for db in self.dbs for key in keys]
        self._ask(self.home, ["borrow", self.id, self.header, [self.argv], away, self.lent], self._ran)

    def _ran(self, home: int, answer: Any) -> None:
        if answer is None or isinstance(answer, RedisError):
            self._give_up(answer or self.router.links[home].unknown())
            return
        self.stage = Stage.RELEASING
        replies, changed = answer
        self.text = b"".join(replies)
        changes: dict[int, list[Any]] = {}
        for change in changed:
            changes.setdefault(self.router.shard_of(change[1]), []).append(change)
        self.missing = len(changes)
        for shard, stream in self.streams.items():
            if shard in changes and self.router.links[shard].transport is not stream:
                self._released(shard, None)  # It died, and may be back already: it has neither the hold nor its part.
            elif shard in changes:
                self._ask(shard, ["release", self.id, changes[shard]], self._released)
            elif shard != home:
                self.router.links[shard].tell(["release", self.id, []])
        if not changes:
            self._finish()

    def _released(self, shard: int, faults: Any) -> None:
        """`faults` are why what is done may not last."""
        if faults is None:
            self.fault = self.router.links[shard].unknown()
        elif faults:
            self.fault = faults[0]
        self.missing -= 1
        if not self.missing:
            self._finish()

    def _ask(self, shard: int, message: list[Any], then: Then) -> None:
        self.router.links[shard].put(Ask(self.batch, shard, message, self.call, then))

    def _give_up(self, error: RedisError) -> None:
        """Ends it without having run, or without knowing whether it has."""
        self.fault = error
        for shard, stream in self.streams.items():
            if self.router.links[shard].transport is stream:
                self.router.links[shard].tell(["release", self.id, []])
        self._finish()

    def _finish(self) -> None:
        self.stage = Stage.OVER
        if self.fault is not None:
            self.command.rejected_calls += 1
            self.router.count_error(self.fault)
            self.text = error_reply(self.fault)
        self.step.finish(self.text)


def home_of(command: Command, argv: list[bytes], shard_of: Callable[[bytes], int]) -> int:
    """The shard where the command runs: that of most keys, so that few travel.

    Of those with as many it is the one of the key that is overwritten, since the old value of that need not travel then
    (RENAME, COPY, SINTERSTORE), else the first.
    """
    keys: dict[int, int] = {}
    overwritten: dict[int, int] = {}
    for spec, indexes in command.found_keys(argv):
        for index in indexes:
            shard = shard_of(argv[index])
            keys[shard] = keys.get(shard, 0) + 1
            overwritten[shard] = overwritten.get(shard, 0) + ("OW" in spec.flags)
    return max(keys, key=lambda shard: (keys[shard], overwritten[shard]))

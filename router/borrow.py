"""A command with keys on several shards that cannot be cut: it runs on one of them, which borrows those of the others.

    turn 1   to each shard concerned   hold      its keys are touched by nobody else from here on; what is away is lent
    turn 2   to the home shard         borrow    runs the command as it is, over its own keys and the borrowed ones
    turn 3   to all                    release   what became of their keys, and the record of it all

`Loan` is the part behind the holds: also of a command that is one of several under the same holds, as in a transaction.
There it asks for what it needs to be lent (a turn more), and gives it back instead of releasing it.

Rule 1: the client gets its reply when every shard has written its part to its log. An error says what is true: before
        `borrow` is sent that nothing was done, from then on that the outcome is unknown.
Rule 2: of a command whose first key that is there decides (LMPOP) nothing is lent: the shards say which of its keys
        they have, and it runs as it is where the first of those lives. The others it never looks at.
Rule 3: a command that forms keys of the data itself (SORT BY) has the whole of all shards held, and what it forms lent.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from common.command import Command, Flag
from common.errors import RedisError
from common.record import Parts
from common.resp import error_reply
from router.batch import Batch, Later
from router.holding import NAMES, STATES, Holding, Keys
from router.reach import reaches
from router.slowlog import Call
from router.tracking import reads_of

if TYPE_CHECKING:
    from router.server import Router
    from router.session import Session

Place = list[Any]
"""[db, key]."""


class Blockage:
    """How a call waits that found nothing: its keys, for a value of what kind, until when; what it answers then.

    `argv` is what is run when there is something; `changes` what it changed all the same, by shard, and `parts` what it
    did where it ran: the holds go on, and whoever releases them has it done.
    """

    __slots__ = ("keys", "kind", "lasting", "until_ms", "nothing", "argv", "changes", "parts")

    def __init__(self, how: list[Any], argv: list[bytes], changes: dict[int, list[Any]], parts: Parts) -> None:
        self.keys: list[bytes] = how[0]
        self.kind: str = how[1]
        self.lasting: bool = how[2]
        self.until_ms: int = how[3]
        self.nothing: bytes = how[4]
        self.argv: list[bytes] = how[5] or argv
        self.changes = changes
        self.parts = parts


Outcome = bytes | RedisError | Blockage
"""The reply, encoded; or why it is not known whether the command has run; or how it waits, for one that may."""


class Course:
    """Where the keys of a call are, what has to be held for it, and where it will run."""

    __slots__ = ("command", "argv", "dbs", "keys", "home", "reaches", "reads", "shard_of")

    def __init__(self, router: "Router", db: int, command: Command, argv: list[bytes]) -> None:
        """`db` is that of its client."""
        databases = range(router.config["databases"])
        self.command = command
        self.argv = argv
        self.dbs = [db, *(other for other in command.other_dbs(argv) if other in databases and other != db)]
        self.keys: dict[int, list[bytes]] = {}
        """The keys of each shard."""
        for index in dict.fromkeys(command.keys_of(argv)):
            self.keys.setdefault(router.shard_of(argv[index]), []).append(argv[index])
        self.reaches = reaches(command, argv, list(self.keys), router.owners)
        """Whether it may form keys of other shards; then it runs where its first key is, of which it forms them."""
        self.home = home_of(command, argv, router.shard_of)
        self.shard_of = router.shard_of
        self.reads: Sequence[bytes] = ()
        """What its client, which caches it, has to be told of when it changes."""

    def held(self, shards: int) -> dict[int, Keys]:
        """What has to be held, of each shard."""
        return dict.fromkeys(range(shards)) if self.reaches else dict(self.keys)

    def writes_apart(self) -> bool:
        """Whether it may change keys of several shards. What decides by its first key (LMPOP) changes that."""
        changed = {
            self.shard_of(self.argv[index])
            for spec, indexes in self.command.found_keys(self.argv)
            for index in indexes
            if "RO" not in spec.flags_in(self.argv)
        }
        return len(changed) > 1 and not self.command.first_of

    def gives(self) -> dict[int, str]:
        """What the shards give when they grant it."""
        if self.reaches:
            return {}
        if self.command.first_of:
            return dict.fromkeys(self.keys, NAMES)
        return {shard: STATES for shard in self.keys if shard != self.home}


class Loan:
    """One such command, under holds that were granted."""

    def __init__(
        self,
        holding: Holding,
        course: Course,
        header: int,
        then: Callable[[Outcome], None],
        *,
        given: dict[int, Any] | None = None,
        last: bool = False,
        waits: bool = False,
        parts: Parts | None = None,
    ) -> None:
        """Runs the command and calls `then`. `given` is what the shards gave when they granted the holds, as
        `course.gives()` says; without it they are asked.

        Other things may be done under the holds afterwards, unless it is the `last`: then they are released, but where
        the outcome is a Blockage, or unknown; whoever has them then ends the holding. That is so for a call that
        `waits`; any other answers at once that there is nothing. What was done is added to `parts` where it is not the
        last.
        """
        self.holding = holding
        self.router = holding.router
        self.course = course
        self.header = header
        self.then = then
        self.last = last
        self.waits = waits
        self.parts: Parts = {} if parts is None else parts
        self.home = course.home
        self.lent: list[list[Any]] = []
        self.missing = 0
        self.over = False
        if course.reaches:
            self._ask(self.home, ["formed", holding.id, header, course.argv], self._formed)
        elif given is not None:
            self._given(given)
        else:
            self._ask_all({shard: self._places(course.keys[shard]) for shard in course.gives()})

    def _places(self, keys: list[bytes]) -> list[Place]:
        return [[db, key] for db in self.course.dbs for key in keys]

    def _ask(self, shard: int, message: list[Any], then: Callable[[int, Any], None]) -> None:
        self.holding.ask(shard, message, then)

    # What is lent

    def _formed(self, home: int, keys: list[bytes] | RedisError | None) -> None:
        """The keys that the patterns form are lent as those that the call names."""
        if keys is None:
            self._fail(self.router.links[home].down())
            return
        places: dict[int, list[Place]] = {
            shard: self._places(named) for shard, named in self.course.keys.items() if shard != home
        }
        db = self.course.dbs[0]
        for key in keys if isinstance(keys, list) else ():  # A call that is wrong says so itself.
            shard = self.router.shard_of(key)
            if shard != home and [db, key] not in places.setdefault(shard, []):
                places[shard].append([db, key])
        self._ask_all(places)

    def _ask_all(self, places: dict[int, list[Place]]) -> None:
        """Has the shards give what is at these places."""
        what = NAMES if self.course.command.first_of else STATES
        given: dict[int, Any] = {}

        def heard(shard: int, answer: Any) -> None:
            given[shard] = answer
            if answer is None:
                self._fail(self.router.links[shard].down())
            elif len(given) == len(places):
                self._given(given, places)

        for shard, wanted in places.items():
            self._ask(shard, ["lend", self.holding.id, wanted, what], heard)
        if not places:
            self._given({}, places)

    def _given(self, given: dict[int, Any], places: dict[int, list[Place]] | None = None) -> None:
        if self.over:
            return
        course = self.course
        if course.command.first_of:
            there = {(db, key) for names in given.values() for db, key in names}
            self.home = self._home_of_first(there)
        else:
            places = places or {shard: self._places(keys) for shard, keys in course.keys.items() if shard != self.home}
            states = {(db, key): (value, at_ms) for lent in given.values() for db, key, value, at_ms in lent}
            away = [(db, key) for wanted in places.values() for db, key in wanted]
            self.lent = [[*place, *states.get(place, (None, -1))] for place in away]
        self._run()

    def _home_of_first(self, there: set[tuple[int, bytes]]) -> int:
        argv = self.course.argv
        for index in self.course.command.keys_of(argv):
            if (self.course.dbs[0], argv[index]) in there:
                return self.router.shard_of(argv[index])
        return self.home

    # What it does

    def _run(self) -> None:
        course = self.course
        own = self._places(course.keys.get(self.home, []))
        message = ["borrow", self.holding.id, self.header, course.argv, own, self.lent, self.last, self.waits]
        self._ask(self.home, message, self._ran)

    def _ran(self, home: int, answer: Any) -> None:
        if answer is None or isinstance(answer, RedisError):
            self._fail(answer or self.router.links[home].unknown())
            return
        if self.course.reads:
            self.router.trackers.read(self.holding.batch.session.id, self.course.reads)
        reply, changed, how, done = answer
        changes: dict[int, list[Any]] = {}
        for change in changed:
            changes.setdefault(self.router.shard_of(change[1]), []).append(change)
        parts: Parts = {home: [["held", done, []]]} if done else {}
        if how is not None:
            self._end(Blockage(how, self.course.argv, changes, parts))
        elif self.last:
            self.holding.release(
                changes,
                parts if changes else {},
                lambda fault: self._end(reply if fault is None else fault),
                ended=-1 if changes else home,
            )
        else:
            for shard, changed in changes.items():
                self.holding.tell(shard, ["give_back", self.holding.id, changed])
                parts.setdefault(shard, []).append(["held", b"", changed])
            for shard, items in parts.items():
                self.parts.setdefault(shard, []).extend(items)
            self._end(reply)

    def _fail(self, error: RedisError) -> None:
        self._end(error)

    def _end(self, outcome: Outcome) -> None:
        if not self.over:
            self.over = True
            self.then(outcome)


class Borrow:
    """One such command of a client, from its holds to its reply."""

    def __init__(self, session: "Session", batch: Batch, command: Command, argv: list[bytes]) -> None:
        """Adds it to the batch of its client; its keys are on shards that are up."""
        self.router = session.router
        self.command = command
        self.header = batch.header
        self.course = Course(session.router, session.db, command, argv)
        self.course.reads = reads_of(session, command, argv)
        self.step = Later(batch)
        batch.add_step(self.step)
        self.holding = Holding(
            session,
            batch,
            Call(argv),
            self.course.held(session.router.shards),
            self.course.dbs,
            writes=bool(command.flags & Flag.WRITE),
            granted=self._granted,
            given_up=self._finish,
            gives=self.course.gives(),
            recorded=self.course.writes_apart(),
        )

    def _granted(self, given: dict[int, Any]) -> None:
        Loan(self.holding, self.course, self.header, self._finish, given=given, last=True)

    def _finish(self, outcome: Outcome) -> None:
        self.holding.drop()
        self.step.finish(reply_to(self.router, self.command, outcome))


def reply_to(router: "Router", command: Command, outcome: Outcome) -> bytes:
    """What the client gets for an outcome that is none of waiting. Counts an error."""
    if isinstance(outcome, RedisError):
        command.rejected_calls += 1
        router.count_error(outcome)
        return error_reply(outcome)
    assert isinstance(outcome, bytes)
    return outcome


def home_of(command: Command, argv: list[bytes], shard_of: Callable[[bytes], int]) -> int:
    """The shard where the command runs: that of most keys, so that few travel.

    Of those with as many it is the one of the key that is overwritten, since the old value of that need not travel then
    (RENAME, COPY, SINTERSTORE), else the first. What can form keys of the first (SORT) runs where that is, if it does
    so or not: sorting changes how a sorted set is encoded, and of a value that is lent that would not come home.
    """
    if not all(spec.finds for spec in command.key_specs):
        return shard_of(argv[command.key_specs[0].begin])
    keys: dict[int, int] = {}
    overwritten: dict[int, int] = {}
    for spec, indexes in command.found_keys(argv):
        for index in indexes:
            shard = shard_of(argv[index])
            keys[shard] = keys.get(shard, 0) + 1
            overwritten[shard] = overwritten.get(shard, 0) + ("OW" in spec.flags)
    return max(keys, key=lambda shard: (keys[shard], overwritten[shard]))

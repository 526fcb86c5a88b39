"""Keys of several shards, held for one call: what happens to them meanwhile is nobody else's to see or to disturb.

    holding = Holding(session, batch, call, {0: [b"a"], 2: None}, [0], granted=..., given_up=..., writes=True)
    ... granted(answers) is called: holding.ask(0, ["lend", ...], then), Loan(holding, ...), one after the other ...
    holding.release(changes, parts, then)

Messages under a hold, by which a shard does something with the keys: see shard/loan.py.

Rule 1: all holds of a call are put on their links in one turn (DESIGN 2). So every shard sees the holds of all calls in
        one order, none waits for another in a circle, and the call has its place in the one order: what was sent before
        it comes before it, on every shard, and what was sent after it comes after.
Rule 2: every hold is released, whatever happens: the client may be gone, and a shard may die at any step. Whoever has
        a holding that was granted ends it by `release`, `drop` or `abandon`. A shard that loses its router releases the
        holds itself.
Rule 3: a shard that died, and is back with another connection, knows nothing of a hold: it is asked nothing under it.
"""

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from common.errors import RedisError, done_in_part
from common.frame import CONTROL, VALUES
from common.record import Item, Parts
from router.batch import Batch, Run
from router.log_sync import LogSync
from router.records import Record
from router.slowlog import Call, Part

if TYPE_CHECKING:
    from router.session import Session

Then = Callable[[int, Any], None]
"""Hears the answer of a shard, by its index; None if the shard is gone."""
Keys = list[bytes] | int | None
"""Those of one shard; None for all that it has, a number for those that were laid aside there under it."""
Changes = Mapping[int, list[list[Any]]]
"""What became of keys, by shard: [db, key, packed value or None, expiry]."""

NOTHING, NAMES, STATES = "nothing", "keys", "values"
"""What a shard gives when it grants a hold: no more than that, which of its keys are there, or what is at them."""


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
            batch.answered()


class Stage(Enum):
    ASKING = "waits until all shards have granted it"
    HELD = "has all keys"
    ENDING = "waits for its logs before it is released"
    OVER = "is released"


class Holding:
    """The holds of one call."""

    def __init__(
        self,
        session: "Session",
        batch: Batch,
        call: Call,
        keys: Mapping[int, Keys],
        dbs: list[int],
        *,
        writes: bool,
        granted: Callable[[dict[int, Any]], None],
        given_up: Callable[[RedisError], None],
        gives: Mapping[int, str] | None = None,
        waiter: int = 0,
        recorded: bool = False,
        folds: bool = False,
    ) -> None:
        """Holds `keys`, by shard, in each of `dbs`, on shards that are up.

        While `batch` is made up the holds take their place in it, behind what it has; later they are sent at once.
        `granted` gets what each shard gave, as `gives` says, NOTHING where it doesn't; `given_up` why there will be no
        holding: a shard died or refuses it, as for a call that `writes` while it cannot. One of them is called, once,
        unless it is dropped before. The remote waiters of the id `waiter` are withdrawn where it is granted. It is to
        be `recorded` if keys of several shards may be changed under it. It `folds` where very many commands will be run
        under it: what they are the shards have been told for the record when it is released.
        """
        router = session.router
        self.router = router
        self.batch = batch
        self.call = call
        self.keys = keys
        self.dbs = dbs
        self.folds = folds
        self.id = next(router.borrow_ids)
        self.stage = Stage.ASKING
        # Its place in the order is that of the holds, and so is its id.
        self.record = Record(router.records, 0) if recorded and router.recording else None
        # The shards are asked with the hold: they sync while it is worked with.
        resting = self.record is not None and router.config["appendfsync"] != "always"
        self._sync = LogSync(router, keys, self._synced, urgent=True, patient=False, asked=True) if resting else None
        self._release_later: Callable[[], None] | None = None
        router.holdings.add(self)
        self.streams = {shard: router.links[shard].transport for shard in keys}
        """The connections that the holds went by."""
        self._granted = granted
        self._given_up = given_up
        self._answers: dict[int, Any] = {}
        gives = gives or {}
        for shard, held in keys.items():
            message = ["hold", self.id, held, dbs, gives.get(shard, NOTHING), writes, waiter]
            if self.record is not None:
                message += [self.record.id, self._sync.id if self._sync else 0]
            if folds:
                message += [True] if self.record is not None else [0, 0, True]
            if batch.dispatched:
                self._send(shard, message, self._heard)
            else:
                batch.runs.append(AskInBatch(batch, shard, message, call, self._heard))
                batch.open[shard] = None

    def _heard(self, shard: int, answer: Any) -> None:
        if self.stage is not Stage.ASKING:
            return
        if answer is None or isinstance(answer, RedisError):
            self._give_up(answer or self.router.links[shard].down())
            return
        self._answers[shard] = answer
        if len(self._answers) < len(self.keys):
            return
        for held in self.keys:
            if not self.alive(held):
                self._give_up(self.router.links[held].down())
                return
        self.stage = Stage.HELD
        self._granted(self._answers)

    def _synced(self) -> None:
        """All that its shards wrote before is on disk: the end need not wait any more (records.py, Rule 3)."""
        self._sync = None
        later, self._release_later = self._release_later, None
        if later is not None:
            self.stage = Stage.HELD
            later()

    def _give_up(self, error: RedisError) -> None:
        """Releases what was or will be granted: in the next turn, for some of the holds may not be on their links yet,
        and a release must not overtake its hold."""
        self._over()
        self.router.loop.call_soon(self._let_go)
        self._given_up(error)

    def alive(self, shard: int) -> bool:
        """Whether a shard still has its hold."""
        return self.router.links[shard].transport is self.streams[shard]

    # Under the holds

    def ask(self, shard: int, message: list[Any], then: Then) -> None:
        """Sends a shard a message, whose second word is to be the hold's id: `[name, holding.id, ...]`. `then` hears
        its answer, None if the shard is gone and so what was done there unknown; at once if it is gone already."""
        if self.alive(shard):
            self._send(shard, message, then)
        else:
            then(shard, None)

    def tell(self, shard: int, message: list[Any]) -> None:
        """Sends one whose answer nobody waits for: what goes wrong with it shows in the next one."""
        if self.alive(shard):
            self.router.links[shard].tell(message)

    def _send(self, shard: int, message: list[Any], then: Then) -> None:
        self.router.links[shard].put(Ask(self.batch, shard, message, self.call, then))

    # The end

    def drop(self) -> None:
        """Releases all, whether it was granted or not. What was done under it stays."""
        if self.stage in (Stage.ASKING, Stage.HELD):
            self._over()
            self._let_go()

    def abandon(self, done: Collection[int]) -> None:
        """Ends it in the middle, since a shard died: what these have done is not to last. None of it is in a log, so
        they begin anew from theirs."""
        self._over()
        for shard in self.keys:
            self.tell(shard, ["abandon", self.id] if shard in done else ["release", self.id, []])

    def _over(self) -> None:
        if self.record is not None and not self.record.left:
            self.router.records.answered(self.record)  # There is nothing to record.
        if self._sync is not None:
            self._sync.end()
        self.stage = Stage.OVER
        self.router.holdings.discard(self)

    def _let_go(self) -> None:
        for shard in self.keys:
            self.tell(shard, ["release", self.id, []])

    def release(
        self,
        changes: Changes,
        parts: Mapping[int, list[Item]],
        then: Callable[[RedisError | None], None],
        ended: int = -1,
    ) -> None:
        """Releases all. Each shard first does what became of its keys, by `changes`, and writes what was done under the
        hold to its log. `parts` are the shards that were asked to do something, and what that was, for the record:
        where several have done or will do something, each logs the whole.

        `then` hears why not all of it may last, or None: once all `parts`, and those with changes, have said so. The
        shard `ended` has ended its hold itself.
        """
        assert self.stage is Stage.HELD
        taking = [shard for shard in self.keys if changes.get(shard) or parts.get(shard)]
        if self._sync is not None and len(taking) > 1:
            self.stage = Stage.ENDING
            self._release_later = partial(self.release, changes, parts, then, ended)
            return
        record, text = self._recorded(taking, changes, parts)
        self._over()
        waiting = {shard for shard in self.keys if shard in changes or shard in parts}
        faults: list[RedisError] = []

        def released(shard: int, answer: list[RedisError] | None) -> None:
            waiting.discard(shard)
            faults.extend([self.router.links[shard].unknown()] if answer is None else map(done_in_part, answer))
            if record is not None and shard in text:
                record.lost() if answer is None else record.answered()
            if not waiting:
                then(faults[0] if faults else None)

        for shard in self.keys:
            message = ["release", self.id, changes.get(shard, []), *text.get(shard, ())]
            if shard not in waiting:
                if shard != ended:
                    self.tell(shard, message)
            elif self.alive(shard):
                self._send(shard, message, released)
        for shard in [shard for shard in waiting if not self.alive(shard)]:
            released(shard, None)  # It died, and may be back already: it has neither the hold nor its part.
        if not waiting and not faults:
            then(None)

    def _recorded(
        self, taking: list[int], changes: Changes, parts: Mapping[int, list[Item]]
    ) -> tuple[Record | None, dict[int, list[Any]]]:
        """The record of it all, and what each shard that takes part gets of it; nothing where that is one alone."""
        if len(taking) < 2 or self.record is None:
            return None, {}
        self.record.left = len(taking)
        if self.folds:
            return self.record, dict.fromkeys(taking, [[self.record.id, self.router.turn_ms(), taking]])
        whole: Parts = {shard: list(parts.get(shard, ())) for shard in taking}
        for shard, changed in changes.items():
            whole[shard].append(["held", b"", changed])
        return self.record, dict.fromkeys(taking, [self.router.records.made(self.record, whole)])

"""A long EXEC: a million commands that are run as one while other clients, with other keys, are served.

    slices   the keys of some commands   lay       they are laid aside on their shards; nobody is kept from them yet
    turn 1   to every shard concerned    hold      now they are touched by nobody else
    slices   some commands               transact  as in stages.py, with other clients' commands between the slices
             what they are               note      for the record of it all, where several shards write
    last     to every shard              release   the log gets it all, as one group

Rule 1: it has its place in the order when it is held (DESIGN 2), and not when it came. Nobody can tell: its client has
        no answer yet, and begins nothing else.
Rule 2: there is one at a time, the next one waits before it is held: so there are never two whose keys would have to be
        compared, and none waits for another in a circle.
Rule 3: what a slice does takes about a millisecond in each process. What is left to be done at once, at the end, is to
        write the bytes of the log, and to send the reply.
"""

from typing import TYPE_CHECKING, Any

from common.errors import RedisError
from common.record import packed_item
from router.long_scope import LongScope, slice_end
from router.stages import Stages
from router.transaction import shed

if TYPE_CHECKING:
    from router.execution import Execution, Unit

PAUSE_LOOK_S = 0.005
"""How often it is seen whether a CLIENT PAUSE is over that keeps one from being held."""
DONE: list[bytes] = []
"""What stands in the queue for a command that was run."""


class LongExecution:
    """One, until it is held."""

    def __init__(self, execution: "Execution") -> None:
        self.execution = execution
        self.session = execution.session
        self.router = execution.session.router
        self.transaction = execution.transaction
        self.scope = LongScope(self.session, self.transaction, next(self.router.borrow_ids))
        self.watching = self.session.watching
        self.streams: dict[int, Any] = {}
        """The connections that the keys went by."""
        self.awaited = 0
        self.fault: RedisError | None = None
        self.session.transacting = True
        line = self.router.long_executions
        line.append(self)
        if len(line) == 1:
            self.begin()

    def begin(self) -> None:
        """Has its turn. The batch that it is a part of may not have gone out yet."""
        self.router.loop.call_soon(self._look)

    def _look(self) -> None:
        """Looks at some commands, and has their keys laid aside."""
        found = self.scope.look()
        self.awaited = len(found) + 1
        for shard, keys in found.items():
            link = self.router.links[shard]
            if self.streams.setdefault(shard, link.transport) is not link.transport:
                self.fault = link.down()
            link.tell(["lay", self.scope.number, list(keys)], self._laid)
        self._laid(None)

    def _laid(self, answer: Any) -> None:
        self.awaited -= 1
        if isinstance(answer, RedisError):
            self.fault = self.fault or answer
        if self.awaited:
            return
        if self.fault is not None:
            self._refuse(self.fault)
        elif self.scope.over:
            self._hold()
        else:
            self.router.loop.call_soon(self._look)

    def _hold(self) -> None:
        """Takes its place in the order."""
        pause = self.router.pause
        if pause.active and (pause.all_commands or self.scope.writing) and not self.session.monitoring:
            self.router.loop.call_later(PAUSE_LOOK_S, self._hold)
            return
        try:
            self.scope.check()
            if self.session.watching is not self.watching:
                raise RedisError("ERR the client is gone, and so is what it watched")
        except RedisError as error:
            self._refuse(error)
            return
        for shard, stream in self.streams.items():
            if self.scope.held[shard] is None:
                self.router.links[shard].tell(["unlay", self.scope.number])
            if self.router.links[shard].transport is not stream:
                self._refuse(self.router.links[shard].down())
                return
        LongStages(self)

    def _refuse(self, error: RedisError) -> None:
        """Nothing was done."""
        for shard in self.streams:
            self.router.links[shard].tell(["unlay", self.scope.number])
        self.execution.over()
        self.session.transacting = False
        self.end()
        self.execution.refuse(error)

    def end(self) -> None:
        """Lets go of what is queued, and lets the next one begin."""
        shed(self.router.loop.call_soon, self.transaction.queued)
        line = self.router.long_executions
        line.popleft()
        if line:
            line[0].begin()


class LongStages(Stages):
    """One that is held."""

    folds = True

    def __init__(self, long: LongExecution) -> None:
        self.long = long
        self.count = len(long.transaction.queued)
        self.first = 0
        """The first of the commands that run."""
        self.took: dict[int, list[Any]] = {}
        """The shards that were asked to do something: what that was they have noted."""
        super().__init__(long.execution, long.scope)

    def _until(self, until: int) -> int:
        self.first = self.place
        return slice_end(self.queued, self.place, until)

    def _note(self) -> None:
        """Has all shards that may write note what was done."""
        noting = self.long.scope.writing if self.holding.record is not None else ()
        for shard, items in self.parts.items():
            self.took[shard] = ["noted"]
            for item in items if noting else ():
                data = packed_item(item)
                self.router.records.weigh(data)
                for other in noting:
                    self.holding.tell(other, ["note", self.holding.id, shard, data])
        self.parts.clear()

    def _answered(self, unit: "Unit") -> None:
        self.queued[self.first : self.place] = [DONE] * (self.place - self.first)
        self.replies.append(unit.replies())
        unit.release()
        self.router.loop.call_soon(self._next)  # Not now: what other clients have sent meanwhile comes first.

    def _done(self) -> dict[int, list[Any]]:
        return self.took

    def _lasts(self) -> bool:
        """Whether what was done under the holds will stay, though a shard died: without a log it would lose all."""
        return not self.router.config["appendonly"]

    def _released(self, fault: RedisError | None) -> None:
        super()._released(fault)
        self.long.end()

    def _refused(self, error: RedisError) -> None:
        super()._refused(error)
        self.long.end()

    def _drop(self) -> None:
        super()._drop()
        self.long.end()

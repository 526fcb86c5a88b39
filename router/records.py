"""The records of writes over several shards: made here, sent to every shard that takes part, and settled at last.

Each of these shards logs the record of the whole with what it does itself (common/record.py), so that after a crash
none of them is without what another has: see recovery.py. That costs a write over shards the bytes of all its parts on
each of its links and in each of its logs.

Rule 1: ids grow in the order in which the writes are put on the links: by it they are done again.
Rule 2: a record is settled once every shard that takes part has it on disk. All that wait are settled at once, every
        PERIOD_S: the shards are asked to say when their logs are synced. Then they forget them.
Rule 3: what is done under holds says what became of keys, by what was there. So it is logged only when all that was
        written before is on disk on each of its shards (Holding.release): a shard that lost the end of its log by a
        power cut has lost nothing that the record rests on. With `always` that is so by itself. A part that is done
        again as it came (MSET, an EXEC in one turn) rests on nothing.
Rule 4: what was not answered, because a shard died, is not settled before a recovery has seen to it.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from common.errors import RedisError
from common.frame import AS_ONE, RECORDED, VALUES
from common.record import Parts, whole
from router.batch import Batch, Run
from router.link import LinkState
from router.log_sync import LogSync

if TYPE_CHECKING:
    from router.server import Router

PERIOD_S = 1.0
UNSYNCED_PERIOD_S = 30.0
"""Where `appendfsync no` leaves it to the kernel when a log is synced: so often it is asked to nevertheless."""
BYTES_MAX = 1 << 24
"""The shards keep the records that are not settled in memory. From 16 MB on they are settled before the period ends."""


class Record:
    """One of them, until all its shards have answered."""

    __slots__ = ("records", "id", "left", "failed")

    def __init__(self, records: "Records", shards: int) -> None:
        self.records = records
        self.id = records.next_id()
        self.left = shards
        self.failed = False

    def answered(self) -> None:
        """Hears that one of its shards has answered."""
        self.left -= 1
        if not self.left:
            self.records.answered(self)

    def lost(self) -> None:
        """Hears that one of its shards will not answer."""
        if not self.failed:
            self.failed = True
            self.records.unheard += 1
        self.answered()


class SplitRecord(Record):
    """That of commands of one batch which are cut: all those that make up one run for each shard."""

    __slots__ = ("header", "runs")

    def __init__(self, records: "Records", header: int) -> None:
        super().__init__(records, 0)
        self.header = header
        self.runs: dict[int, RecordedRun] = {}

    def takes(self, header: int, shards: Sequence[int], open_: list[Run | None]) -> bool:
        """Whether a command for these shards can be added: nothing else has been sent to any of them since."""
        if header != self.header:
            return False
        for shard in shards:
            run = self.runs.get(shard)
            if run is not None and open_[shard] is not run:
                return False
        return True

    def seal(self) -> None:
        """Gives the runs, which are about to be sent, their record."""
        parts: Parts = {shard: [["runs", [[run.header, run.requests]]]] for shard, run in self.runs.items()}
        data: Any = self.records.made(self, parts)
        self.left = len(self.runs)
        for run in self.runs.values():
            run.commands, run.requests = run.requests, [data]
        self.runs = {}  # Or each write would be a cycle for the collector.


class RecordedRun(Run):
    """A run that is a part of a write over several shards. What is sent of it is the record, which has its commands."""

    __slots__ = ("record", "commands")

    def __init__(self, batch: Batch, shard: int, header: int, record: SplitRecord) -> None:
        super().__init__(batch, shard, header)
        self.record = record
        self.commands: list[list[Any]] = []

    def answer(self, replies: Any) -> None:
        self.record.answered()
        Run.answer(self, replies)

    def fail(self, error: RedisError) -> None:
        self.record.lost()
        Run.answer(self, self.failure(error))

    def failure(self, error: RedisError) -> Any:
        return [error] * len(self.commands)

    def request_of(self, place: int) -> list[Any]:
        request: list[Any] = self.commands[place]
        return request


class Records:
    """All of a router's that are not settled."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.last = 0
        """The highest id that was given away."""
        self.settled = 0
        """Up to this one all are settled."""
        self.open: dict[int, None] = {}
        """Those that are not answered, in order; and those in doubt, until a recovery."""
        self.doubtful: set[int] = set()
        self.unheard = 0
        """How many there are that one shard has not done, or nobody knows, and another is still to answer."""
        self._bytes = 0
        self._settling: LogSync | None = None
        self._timed = False

    def next_id(self) -> int:
        """The id of a write that is about to be sent."""
        self.last += 1
        self.open[self.last] = None
        return self.last

    def made(self, record: Record, parts: Parts) -> bytes:
        """The record of these parts, as the logs get it."""
        data = whole(record.id, self.router.turn_ms(), parts)
        self._bytes += len(data)
        if self._bytes > BYTES_MAX:
            self._settle()
        elif not self._timed:
            self._wait()
        return data

    def weigh(self, item: bytes) -> None:
        """Counts what a record will have, which the shards keep as long."""
        self._bytes += len(item)
        if not self._timed:
            self._wait()

    def split(self, batch: Batch, shards: Sequence[int], parts: Sequence[list[Any]]) -> None:
        """Adds the parts of a command that is cut to its batch: to the record of those before it, where that is the
        last that each of its shards gets, else to a new one."""
        record = batch.record
        open_ = batch.open
        header = batch.header | VALUES | AS_ONE | RECORDED
        if record is None or not record.takes(header, shards, open_):
            record = batch.record = SplitRecord(self, header)
            batch.records = [*batch.records, record]
        for shard, part in zip(shards, parts, strict=True):
            run = record.runs.get(shard)
            if run is None:
                run = record.runs[shard] = RecordedRun(batch, shard, header, record)
                batch.runs.append(run)
                open_[shard] = run
            run.requests.append(part)

    # How they are settled

    def answered(self, record: Record) -> None:
        """Hears that no answer is missing any more."""
        if record.failed:
            self.unheard -= 1
            self.doubtful.add(record.id)
        else:
            self.open.pop(record.id, None)

    def recovered(self, last: int, doubtful: set[int]) -> None:
        """Hears that no shard lacks what another has of those that were in doubt, and of the highest id they know."""
        self.last = max(self.last, last)
        for id_ in doubtful:
            self.open.pop(id_, None)
        self.doubtful -= doubtful

    def _wait(self) -> None:
        self._timed = True
        policy = self.router.config["appendfsync"]
        self.router.loop.call_later(UNSYNCED_PERIOD_S if policy == "no" else PERIOD_S, self._due)

    def _due(self) -> None:
        self._timed = False
        self._settle()
        if self.settled < self.last:
            self._wait()

    def _settle(self) -> None:
        """Asks the shards to say when they have all on disk that was answered so far."""
        until = next(iter(self.open)) - 1 if self.open else self.last
        if self._settling is None and until > self.settled:
            self._bytes = 0
            shards = range(self.router.shards)
            self._settling = LogSync(self.router, shards, partial(self._synced, until), urgent=True)

    def _synced(self, until: int) -> None:
        self._settling = None
        self.settled = until
        for link in self.router.links:
            if link.state is LinkState.READY:
                link.tell(["settle", until])

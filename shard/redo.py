"""Redoing: what makes a write over several shards whole on all of them, or on none, also through a crash.

Each shard that takes part has the whole write in its log (common/record.py). At the start of a shard, or of a router,
the shards tell the router what they have, and whoever lacks a part gets the record from another and does it, before
any client is served (router/recovery.py). A shard that lacks one has lost the end of its log, or never got it: whatever
it had behind it is lost as well, so that the part is done at the end of its log is right.

Rule 1: a record and the effects of the shard's own part are one group in the log. So a shard has both or neither.
Rule 2: a part without an effect is recorded as well, if briefly: else it would be done again, and later than it was.
Rule 3: records are kept until the router says that they are settled. A new increment of the log begins with those that
        are not: a rewrite never drops what another shard might ask for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from common import record as records_
from common.frame import CONTROL, unpack
from common.record import COMMAND
from shard.control import control
from shard.loan import redo_effects, take_over
from shard.refusal import lifted

if TYPE_CHECKING:
    from shard.server import Shard

Effects = list[tuple[int, list[bytes]]]


class Book:
    """The records of a shard that are not settled."""

    def __init__(self) -> None:
        self.records: dict[int, bytes] = {}
        """By id, in the order in which they were logged."""
        self.settled = 0
        """Up to this id nobody will ask."""
        self.last = 0
        """The highest id that was ever seen."""
        self._unsaid = False
        """Whether the log is still to be told what is settled."""

    def read(self, argv: list[bytes]) -> None:
        """Takes note of a record that stands in the log; anything else that is echoed means nothing."""
        record = argv[1] if len(argv) == 2 else b""
        kind = records_.kind_of(record)
        if not kind:
            return
        id_ = records_.id_of(record)
        self.last = max(self.last, id_)
        if kind == records_.SETTLED:
            self._settle(id_)
        elif id_ > self.settled:
            self.records[id_] = record

    def enter(self, record: bytes, effects: Effects) -> Effects:
        """Takes note of a write that is done here, and gives what is to be logged for it, as one group."""
        id_ = records_.id_of(record)
        if not effects:
            record = records_.done(id_)
        self.records[id_] = record
        self.last = max(self.last, id_)
        db = effects[0][0] if effects else 0
        entered: Effects = [(db, [COMMAND, record]), *effects]
        if self._unsaid:
            self._unsaid = False
            entered.insert(0, (db, [COMMAND, records_.settled(self.settled)]))
        return entered

    def settle(self, id_: int) -> None:
        """Forgets what nobody will ask for. The log is told with the next record: until then it costs nothing that it
        does not know."""
        self._settle(id_)
        self._unsaid = True

    def carried(self) -> Effects:
        """What a new increment of the log begins with, Rule 3."""
        if not self.last:
            return []
        kept = [records_.settled(self.settled), *self.records.values()]
        if self.last > self.settled and self.last not in self.records:
            kept.append(records_.done(self.last))  # The next id is to be a higher one.
        return [(0, [COMMAND, record]) for record in kept]

    def participants(self) -> dict[int, list[int]]:
        """By id, the shards that had a part in what is not settled; none where nothing came of this shard's."""
        return {id_: records_.shards_of(record) for id_, record in self.records.items()}

    def _settle(self, id_: int) -> None:
        self.settled = max(self.settled, id_)
        for settled in [one for one in self.records if one <= id_]:
            del self.records[settled]


# What the router asks at a start


@control
def report(shard: "Shard") -> dict[str, Any] | None:
    """What this shard has. None while there is a link from an earlier router, by which something may still come."""
    link: Any = shard.room.origin
    if any(other is not link for other in shard.links):
        return None
    book = shard.book
    return {"last": book.last, "settled": book.settled, "has": book.participants()}


@control
def record(shard: "Shard", id_: int) -> bytes:
    """One that this shard has."""
    return shard.book.records[id_]


@control
def redo(shard: "Shard", record: bytes) -> None:
    """Does this shard's part of a write that it lacks."""
    book = shard.book
    if records_.id_of(record) in book.records:
        return
    now_ms, part = records_.part_of(record, shard.index)
    executor = shard.executor
    before_ms = shard.store.now_ms
    executor.turn(now_ms)
    with gathered(shard) as effects:
        for kind, *words in part:
            REDOERS[kind](shard, effects, *words)
    executor.turn(before_ms)
    executor.log_group(book.enter(record, effects))


@control
def admit(shard: "Shard") -> None:
    """Has the shard serve: it lacks nothing."""
    shard.admit()


@control
def settle(shard: "Shard", id_: int) -> None:
    """Forgets the records up to there."""
    shard.book.settle(id_)


# Doing it


@contextmanager
def gathered(shard: "Shard") -> Iterator[Effects]:
    """What is done inside is done as if the shard served, and would be logged is what this gives."""
    executor = shard.executor
    effects: Effects = []
    before = executor.log, executor.log_group, executor.wake, executor.detour
    executor.log, executor.log_group = lambda db, argv: effects.append((db, argv)), effects.extend
    executor.wake = executor.detour = None
    try:
        with lifted(executor):
            yield effects
    finally:
        executor.log, executor.log_group, executor.wake, executor.detour = before


def _runs(shard: "Shard", effects: Effects, runs: list[list[Any]]) -> None:
    """Commands, which are done as they came: that nothing which came before them is missing, or that it is known to
    nobody, makes that right. What the router asked between them has no effect."""
    for header, requests in runs:
        if not header & CONTROL:
            shard.room.execute(header, requests)


def _held(shard: "Shard", effects: Effects, done: bytes, changes: list[list[Any]]) -> None:
    """What commands did here, as the log would say it, and what became of keys that were lent."""
    own = [(db, argv) for db, argv in unpack(done)] if done else []
    for db, argv in own:
        redo_effects(shard.executor, db, [argv])
    effects += own
    effects += take_over(shard, changes)


REDOERS: dict[str, Callable[..., None]] = {"runs": _runs, "held": _held}

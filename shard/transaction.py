"""Transactions on a shard: its share of an EXEC as one, and the keys that connections watch for it.

Rule 1: nothing comes between the commands of a share: it waits for its turn at all its keys at once, nobody who is
        blocked is served before its end, and nothing in it blocks.
Rule 2: what it did is one group in the log, done again as a whole or not at all.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from common.errors import RedisError
from common.frame import CONTROL, RECORDED
from common.record import part_of
from shard.control import WHOLES, control
from shard.late import Room, Waiting
from shard.loan import Hold, under
from shard.refusal import lifted, refused
from shard.watches import Name

if TYPE_CHECKING:
    from shard.execute import Executor
    from shard.server import Shard

Runs = list[list[Any]]
"""[header, requests] each."""


class Deed(Waiting):
    """What a message does when it has its turn at some keys, None for all keys."""

    __slots__ = ("act",)

    def __init__(self, keys: Iterable[bytes] | None, act: Callable[[], Any]) -> None:
        super().__init__(keys)
        self.act = act

    def go(self, room: Room) -> Any:
        return self.act()


def in_turn(room: Room, keys: Iterable[bytes] | None, act: Callable[[], Any]) -> Any:
    """Does it now, or when those are gone that hold a key of it."""
    return Deed(keys, act) if room.holds.blocks(keys) else act()


@control
def transact(
    shard: "Shard",
    hold: int | None,
    watch: int | None,
    runs: Runs,
    watched: list[bytes] | None = None,
    record: bytes | None = None,
) -> Any:
    """Runs commands as one, under the hold of that name, which has all their keys, or in turn with others. `record` is
    that of the whole, where other shards take part: then it says what the runs are.

    Answers what each run asked for, or None if a key of `watch`, which is over then, was changed. Those keys are
    `watched`, and waited for as well: what came before for them may change them, or be the very WATCH.
    """
    room = shard.room
    origin = room.origin
    if record is not None:
        runs = part_of(record, shard.index)[1][0][1]
    if hold is None and room.holds.line:
        keys = keys_of(room, runs)
        if keys is not None:
            keys.update(watched or ())
        return in_turn(room, keys, lambda: perform(shard, hold, watch, runs, origin, record))
    return perform(shard, hold, watch, runs, origin, record)


def run_as_one(shard: "Shard", header: int, requests: list[list[bytes]]) -> Any:
    """Runs the commands of a run as one, in turn with others: their replies as one, or None if it is answered late."""
    room = shard.room
    record: Any = None
    if header & RECORDED:
        (record,) = requests
        requests[:] = part_of(record, shard.index)[1][0][1][0][1]
    if not room.holds.line:
        return replies_to(shard, header, requests, record)
    keys = keys_of(room, [[header, requests]])
    if not room.holds.blocks(keys):
        return replies_to(shard, header, requests, record)
    late = room.late_run(header, requests)
    late.replies = [b""]  # All of them at once.
    room.park(AsOne(keys, lambda: replies_to(shard, header, requests, record)), late, 0)
    return None


class AsOne(Deed):
    """A transaction that is a run of its own, and waits for its turn."""

    __slots__ = ()

    def done(self, room: Room, reply: Any) -> None:
        run = self.run
        assert run is not None
        table = room.executor.table
        room.if_unwritten(
            lambda error: run.replies.__setitem__(0, refused(reply, run.header, run.requests, table, error))
        )
        room.answer(run, 0, reply)


def replies_to(shard: "Shard", header: int, requests: list[list[bytes]], record: bytes | None) -> Any:
    """Runs them here and now."""
    executor = shard.executor
    store = executor.store
    log, log_group = executor.log, executor.log_group
    wake, park, detour = executor.wake, executor.park, executor.detour
    effects = Effects() if store.logging else None
    if effects is not None:
        executor.log, executor.log_group = effects.add, effects.add_group
    executor.wake = executor.park = executor.detour = None
    try:
        if record is None:
            replies = executor.run(header, requests)
        else:
            with lifted(executor):
                replies = executor.run(header, requests)
    finally:
        executor.log, executor.log_group = log, log_group
        executor.wake, executor.park, executor.detour = wake, park, detour
    if effects is not None:
        write(shard, effects.gathered, record)
    if store.ready and wake is not None:
        wake()
    return replies


def write(shard: "Shard", effects: list[tuple[int, list[bytes]]], record: bytes | None) -> None:
    """Hands it to the log as one, with the record of the whole if this is a part of something."""
    if record is not None:
        shard.executor.log_group(shard.book.enter(record, effects))
    elif not effects:
        return
    elif len(effects) == 1:
        shard.executor.log(*effects[0])
    else:
        shard.executor.log_group(effects)


def keys_of(room: Room, runs: Runs) -> set[bytes] | None:
    """All keys that the runs touch; None for the whole keyspace."""
    keys: set[bytes] = set()
    for header, requests in runs:
        for request in requests:
            if header & CONTROL:
                found: Iterable[bytes] | None = None if request[0] in WHOLES else ()
            else:
                found = room.keys_of(request)
            if found is None:
                return None
            keys.update(found)
    return keys


def perform(
    shard: "Shard", hold: int | None, watch: int | None, runs: Runs, origin: object, record: bytes | None
) -> Any:
    """Runs them here and now."""
    room, executor = shard.room, shard.executor
    if watch is not None and ended(shard, (origin, watch)):
        return None
    if hold is not None:
        with under(shard, hold) as ticket:
            answers = answers_to(shard, runs)
            ticket.fold()
            return answers
    with gathering(executor) as effects, nullcontext() if record is None else lifted(executor):
        answers = answers_to(shard, runs)
    if not executor.store.logging:
        record = None
    write(shard, effects.gathered, record)
    if effects.gathered or record is not None:
        room.if_unwritten(lambda error: refuse(shard, runs, answers, error))
    if executor.store.ready and executor.wake is not None:
        executor.wake()
    return answers


@control
def note(shard: "Shard", id_: int, part: int, item: bytes) -> None:
    """What the shard `part` was asked to do under the holds of that id, as a packed item of the record."""
    ticket = shard.room.named[shard.room.origin, id_]
    assert isinstance(ticket, Hold)
    ticket.noted.setdefault(part, []).append(item)


class Effects:
    """What would be logged, kept until it is logged as one."""

    __slots__ = ("gathered",)

    def __init__(self) -> None:
        self.gathered: list[tuple[int, list[bytes]]] = []

    def add(self, db: int, argv: list[bytes]) -> None:
        self.gathered.append((db, argv))

    def add_group(self, effects: list[tuple[int, list[bytes]]]) -> None:
        self.gathered += effects


@contextmanager
def gathering(executor: "Executor") -> Iterator[Effects]:
    """What is done inside is kept from the log, and wakes nobody."""
    effects = Effects()
    before = executor.log, executor.log_group, executor.wake
    executor.log, executor.log_group, executor.wake = effects.add, effects.add_group, None
    try:
        yield effects
    finally:
        executor.log, executor.log_group, executor.wake = before


def answers_to(shard: "Shard", runs: Runs) -> list[Any]:
    """Runs them one after the other, and gives what each asked for."""
    store = shard.store
    answers: list[Any] = []
    first = 0
    for part, (header, requests) in enumerate(runs):
        store.part = part
        if header & CONTROL:
            answers.append([shard.control(request, first + place) for place, request in enumerate(requests)])
        else:
            answers.append(shard.room.execute(header, requests, range(first, first + len(requests))))
        first += len(requests)
    store.part = 0
    return answers


def refuse(shard: "Shard", runs: Runs, answers: list[Any], error: RedisError) -> None:
    """Tells the writes among them that they are not in the log."""
    for place, (header, requests) in enumerate(runs):
        if not header & CONTROL:
            answers[place] = refused(answers[place], header, requests, shard.executor.table, error)


# WATCH


@control
def watch(shard: "Shard", number: int, db: int, keys: list[bytes]) -> Any:
    """Begins to watch keys, for the connection that this number stands for."""
    room, store = shard.room, shard.store
    name = (room.origin, number)

    def begin() -> None:
        store.watches.add(name, db, keys)
        shard.executor.take_expired()

    return in_turn(room, keys, begin)


@control
def unwatch(shard: "Shard", number: int) -> None:
    """Ends that, if it has begun."""
    shard.store.watches.end((shard.room.origin, number))


@control
def watched(shard: "Shard", number: int) -> bool:
    """Ends it too, and answers whether one of the keys, which are held, was changed."""
    return ended(shard, (shard.room.origin, number))


def ended(shard: "Shard", name: Name) -> bool:
    """Ends a watch; whether it was touched."""
    touched = shard.store.watches.touched(name)
    shard.store.watches.end(name)
    shard.executor.take_expired()
    return touched

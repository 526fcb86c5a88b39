"""Keys held for a router, and lent to another shard, so that a command runs on one shard whose keys live on several.

Under `hold` a router does one thing after the other, until `release` (see router/holding.py):

    lay        lays keys aside, a part at a time, where they are too many for one message; `hold` then names them all
    hold       the keys are touched by nobody else from here on; may give some of them at once
    lend       what is at some places, for another shard
    borrow     runs a command here, over keys that others have lent
    give_back  what a command on another shard made of keys that were lent
    transact   runs commands whose keys are all of this shard, see transaction.py
    note       what a shard was asked to do, for the record of it all, where that is too long for one message
    release    the end: the log gets all that was done, in one group, and who waits is woken
    abandon    the end of what a shard that died has left half done: it is as if nothing had been done

- A held key is touched by nobody else: no command, no expiry, no eviction. Others see it as before the hold or after.
- All is done at the time of the hold; what waited for it is done afterwards, each at its own.
- A borrowing command sees one keyspace: what is lent is laid over the keyspace of its home, without a trace in the
  books, and taken away again when it has run.
- What became of keys that were lent goes home as the effects on them, where each speaks of that key alone, else as
  their new state. So it is with what the log gets at home: a replay there has no other shard's keys. A command that is
  run often on long values says in effects of one key each what it did, where `Store.apart` (LMOVE).
- Nothing of a command that changes keys of several shards is logged before the release, which all of them get in one
  turn of the router, with the record of the whole (common/record.py): whoever dies before has not done it, and whoever
  dies then does it when it is back. A shard whose router is gone before that logs the whole by itself if the command
  was done, for the next router to have it done everywhere; of a transaction under way it does not know what is still to
  come, and starts again from its log, see `orphaned`.
- What very many commands do is encoded for the log part by part, with each `transact`: see `Hold.fold`.
- What expires meanwhile is logged at home; the owner of a key that is lent finds that out by itself.
- A call that finds nothing and would wait stays with its router, see router/blocking.py; here are its remote waiters.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from common.errors import Loading, RedisError
from common.frame import DB_SHIFT, RESP3, packer
from common.record import Parts, composed, whole
from common.resp import encode, error_reply
from shard.blocked_keys import Held, ManyKeys
from shard.blocking import FOREVER, Blocked
from shard.commands.sort import formed_keys
from shard.control import control
from shard.execute import Executor
from shard.keyspace import Store
from shard.laid import laid_aside
from shard.late import Room, Waiting
from shard.log_buffer import LogBuffer
from shard.refusal import lifted
from shard.states import KINDS, Effects, Listener, Place, State, effects_of, laid_over, put, state, unheard
from shard.value import Value
from shard.waiters import RemoteWaiter, hand_over

if TYPE_CHECKING:
    from shard.server import Shard


class Hold(Waiting):
    """Keys of this shard that belong to one call until it is over."""

    __slots__ = (
        "places",
        "gives",
        "writes",
        "waiter",
        "stays",
        "logs",
        "effects",
        "ready",
        "withdrawn",
        "waits_on",
        "record_id",
        "granting",
        "made",
        "folded",
        "noted",
    )

    def __init__(
        self, name: tuple[object, int], keys: Held, dbs: list[int], gives: str, writes: bool, waiter: int
    ) -> None:
        super().__init__(keys)
        self.name = name
        self.places = [] if gives == "nothing" else [(db, key) for db in dbs for key in self.keys or ()]
        self.gives = gives
        self.writes = writes
        self.waiter = waiter
        self.stays = True
        self.logs = True
        """Whether there is a log."""
        self.effects: Effects = []
        """What was done under it, for the log."""
        self.ready: dict[Place, None] = {}
        """What of that somebody may wait for."""
        self.withdrawn: RemoteWaiter | None = None
        """The waiter of the call itself, which is tried now."""
        self.waits_on: RemoteWaiter | None = None
        """Its waiter from now on, if that was in vain."""
        self.record_id = 0
        """That of the record of what is done under it; 0 for what is not recorded."""
        self.granting: Callable[[], None] | None = None
        """Called when it has its turn."""
        self.made: list[list[Any]] | None = None
        """What the one command that is done under it made of keys of other shards, once it was."""
        self.folded: LogBuffer | None = None
        """The first of its effects, encoded, where it is to be done by very many commands."""
        self.noted: dict[int, list[bytes]] = {}
        """By shard, what it was asked to do, packed, for the record."""

    def go(self, room: Room) -> list[list[Any]] | RedisError:
        """What it gives, or why it is refused."""
        executor = room.executor
        if executor.loading or (self.writes and executor.refusal is not None):
            self.stays = False
            return executor.refusal or Loading()
        assert self.name is not None
        self.withdrawn = room.waiters.withdraw((self.name[0], self.waiter))
        if self.granting is not None:
            self.granting()
        given = GIVEN[self.gives](executor.store, self.places)
        executor.take_expired()
        return given

    def fold(self) -> None:
        """Encodes the effects that there are, if there is a log, and lets go of them: those of a million commands would
        take a quarter of a GB, and a second at the end."""
        if self.folded is not None:
            if self.logs:
                for db, argv in self.effects:
                    self.folded.append(db, argv)
                self.folded.gather_some()
            self.effects.clear()

    def has_done(self) -> bool:
        """Whether something was done under it that the log is to have."""
        return bool(self.effects) or (self.folded is not None and not self.folded.empty)

    def end(self, room: Room) -> None:
        """Has all that was done logged, and wakes who waits, before what waits for the keys themselves."""
        executor, store = room.executor, room.executor.store
        if self.effects:
            executor.log_group(self.effects)
        store.ready = self.ready | store.ready
        with room.in_turn_of(self):
            if self.withdrawn is not None:
                room.waiters.rouse(self.withdrawn, self.waits_on)
            room.waiters.wake()


def _values(store: Store, places: list[Place]) -> list[list[Any]]:
    """[db, key, value, expiry] of each key that is there."""
    return [[db, key, *(state(store.dbs[db], key) or ())] for db, key in _keys(store, places)]


def _keys(store: Store, places: list[Place]) -> list[list[Any]]:
    """[db, key] of each key that is there."""
    return [[db, key] for db, key in places if store.dbs[db].peek(key) is not None]


GIVEN = {"nothing": lambda store, places: [], "keys": _keys, "values": _values}


@control
def hold(
    shard: "Shard",
    id_: int,
    keys: list[bytes] | int | None,
    dbs: list[int],
    gives: str,
    writes: bool,
    waiter: int = 0,
    record_id: int = 0,
    sync_id: int = 0,
    folds: bool = False,
) -> Hold:
    """Holds keys, in each of these dbs, as `id_` of this link; None for all that there are, a number for those that are
    laid aside under it. It `folds` where very many commands will be done under it. Answered when it has its
    turn, with what it `gives`: "nothing", the "keys" that are there, [[db, key], ...], or with them their "values",
    [[db, key, value, expiry], ...]. The remote `waiter` of that id is withdrawn then; and an event of `sync_id` says
    when all is on disk that was done before.
    """
    origin = shard.room.origin
    held = laid_aside(shard, keys) if isinstance(keys, int) else keys
    ticket = Hold((origin, id_), held, dbs, gives, writes, waiter)
    ticket.record_id = record_id
    ticket.folded = LogBuffer() if folds else None
    if sync_id:
        ticket.granting = partial(shard.sync_waits.tell_when_synced, origin, sync_id)
    return ticket


@control
def lend(shard: "Shard", id_: int, places: list[Place], gives: str = "values") -> list[list[Any]]:
    """What is at these places under hold `id_`, as `hold` gives it."""
    with under(shard, id_):
        given: list[list[Any]] = GIVEN[gives](shard.store, places)
        shard.executor.take_expired()
    return given


@control
def formed(shard: "Shard", id_: int, header: int, argv: list[bytes]) -> list[bytes]:
    """The keys that the patterns of a call form of what is here (SORT's BY and GET)."""
    with under(shard, id_):
        return formed_keys(shard.store.dbs[header >> DB_SHIFT], argv)


@control
def borrow(
    shard: "Shard",
    id_: int,
    header: int,
    argv: list[bytes],
    own: list[Place],
    lent: list[list[Any]],
    last: bool,
    waits: bool = False,
) -> list[Any]:
    """Runs a call whose keys here are at `own`, held as `id_`; `lent` are those of others, [db, key, value or None,
    expiry]. If it is the `last` that is done under the hold, that ends.

    Answers [the encoded reply, what became of the others' keys, None, what was done here, packed]; or if the call
    `waits`, as it finds nothing, b"" for the reply and for None how it waits, see `_how`. Where keys of others were
    changed, or it waits, the hold goes on until the release.
    """
    states = {(db, key): None if value is None else [value, at_ms] for db, key, value, at_ms in lent}
    room = shard.room
    with under(shard, id_) as ticket:
        gathered, ticket.effects[:] = ticket.effects[:], []
        with laid_over(shard.store, states) as listening:
            before = _looked_at(shard.store, [*((db, key) for db, key in own), *states])
            shard.store.apart = bool(states)
            reply = room.execute(header, [argv], park=hand_over)[0]
            shard.store.apart = False
            effects, changed = _outcome(shard, ticket, before, states)
            given_back = [_change(shard.store, place, listening[place], by) for place, by in changed.items()]
        ticket.effects[:] = gathered + effects
    if last and given_back:
        ticket.made = given_back
    if type(reply) is Blocked and waits:
        return [b"", given_back, _how(reply, header), _packed(ticket, effects)]
    if type(reply) is Blocked:
        shard.executor.count_unserved(reply, argv, None)
        reply = encode(reply.nothing, 3 if header & RESP3 else 2)
    if given_back or not last:
        return [reply, given_back, None, _packed(ticket, effects)]
    answer = [reply, [], None, b""]
    if ticket.effects:
        room.if_unwritten(lambda error: answer.__setitem__(0, error_reply(error)))
    _leave(shard, ticket)
    return answer


def _packed(ticket: Hold, effects: Effects) -> bytes:
    """What was done under a hold, for the logs of other shards; empty for nothing, and where there are no logs."""
    return packer().pack(effects) if effects and ticket.logs else b""


def _change(store: Store, place: Place, listener: Listener, by: Effects) -> list[Any]:
    """What became of a key that was lent, and whether those need to know who wait for it, and who watch it; what did
    so is said if it was done by effects on this key alone, and then not the new state.
    """
    db, key = place
    new = (None, -1) if by else state(store.dbs[db], key) or (None, -1)
    return [db, key, *new, listener.woken, listener.touched, [argv for _, argv in by]]


def _how(blocked: Blocked, header: int) -> list[Any]:
    """How a call waits: its keys, for what, until when, what it answers then, and what to run in its place."""
    nothing = encode(blocked.nothing, 3 if header & RESP3 else 2)
    kind: Any = blocked.kind
    return [blocked.keys, kind.type_name, blocked.lasting, blocked.until_ms, nothing, blocked.argv]


@control
def give_back(shard: "Shard", id_: int, changes: list[list[Any]]) -> None:
    """Does what became of keys under hold `id_`: [[db, key, value or None, expiry, woken, touched, effects], ...], see
    `_change`."""
    with under(shard, id_) as ticket:
        ticket.effects += take_over(shard, changes, logs=ticket.logs)


@control
def release(
    shard: "Shard", id_: int, changes: list[list[Any]], record: bytes | list[Any] | None = None
) -> list[RedisError]:
    """Ends the hold `id_` of this link, whether it has its turn or not, and does what became of its keys. `record` is
    that of all that was done, where other shards took part; its head, [id, ms, shards], where the rest was noted.

    Answers why it may not last, in a list; an empty one if all is well. A hold that was refused is over already.
    """
    room = shard.room
    faults: list[RedisError] = []
    ticket = room.named.get((room.origin, id_))
    if isinstance(ticket, Hold) and ticket.granted:
        if changes:
            give_back(shard, id_, changes)
        if ticket.folded is not None:
            ticket.fold()
            ticket.effects = [] if ticket.folded.empty else [(0, cast(Any, ticket.folded))]
        if record is not None and ticket.logs:
            if isinstance(record, list):
                record = composed(record[0], record[1], {part: ticket.noted.get(part, []) for part in record[2]})
            ticket.effects = shard.book.enter(record, ticket.effects)
        if ticket.effects:
            room.if_unwritten(faults.append)
        _leave(shard, ticket)
    elif ticket is not None:
        room.leave(ticket)
    return faults


@control
def abandon(shard: "Shard", id_: int) -> None:
    """Ends the hold `id_` of this link, and nothing of what was done under it is to last: it is not logged, and the
    shard begins anew. Until then nobody sees it."""
    ticket = shard.room.named.get((shard.room.origin, id_))
    if isinstance(ticket, Hold) and ticket.has_done():
        ticket.effects, ticket.folded = [], None
        shard.stop(failed=True)
    elif ticket is not None:
        release(shard, id_, [])


def orphaned(shard: "Shard", tickets: list[Any]) -> None:
    """Hears that the router of these holds is gone, before they end. A command that was done is logged as a whole, so
    that its other shards do their parts; what is not known to be whole is not logged, and the shard begins anew."""
    for ticket in tickets:
        if not isinstance(ticket, Hold) or not ticket.has_done() or not (ticket.record_id or ticket.folded is not None):
            continue
        if ticket.made is not None and ticket.run is not None:
            parts: Parts = {shard.index: [["held", _packed(ticket, ticket.effects), []]]}
            for change in ticket.made:
                parts.setdefault(shard.owners.of(change[1]), [["held", b"", []]])[0][2].append(change)
            ticket.effects = shard.book.enter(whole(ticket.record_id, ticket.run.now_ms, parts), ticket.effects)
        else:
            ticket.effects, ticket.folded = [], None
            shard.stop(failed=True)


def take_over(shard: "Shard", changes: list[list[Any]], *, logs: bool = True) -> Effects:
    """Does what a command on another shard made of keys, and gives what the log gets for it. Who waits for them or
    watches them hears what it would have heard there; events and those who track keys are told there."""
    store = shard.store
    done: Effects = []
    for index, key, wire, at_ms, woken, touched, effects in changes:
        db = store.dbs[index]
        with unheard(store):
            if not effects:
                put(store, [[index, key, wire, at_ms]])
            else:
                redo_effects(shard.executor, index, effects)
        queue = db.waiting.get(key)
        if woken and queue is not None and queue.wants(db.held(key)):
            store.ready[index, key] = None
        for watch in db.watched.get(key, ()) if touched else ():
            watch.touch(store)
        done += [(index, argv) for argv in effects]
        if logs and not effects:
            done += effects_of(store, (index, key))
    return done


def redo_effects(executor: Executor, db: int, effects: list[list[bytes]]) -> None:
    """Does what a log would say."""
    store = executor.store
    expiring, store.expiring = store.expiring, False
    for argv in effects:
        executor.replay(db, argv)
    store.expiring = expiring


# Under a hold


@contextmanager
def under(shard: "Shard", id_: int) -> Iterator[Hold]:
    """What is done inside is done under the hold `id_` of this link, at its time: the log gets it when that ends, and
    then, too, who waits for it is woken."""
    executor, store = shard.executor, shard.store
    ticket = shard.room.named.get((shard.room.origin, id_))
    if ticket is None:
        raise RedisError("ERR the hold is over")
    assert isinstance(ticket, Hold) and ticket.granted and ticket.run is not None
    before = executor.log, executor.log_group, executor.wake
    executor.log, executor.log_group = lambda db, argv: ticket.effects.append((db, argv)), ticket.effects.extend
    executor.wake = None
    now_ms, ticket.logs, ready = store.now_ms, store.logging, store.ready
    store.logging, store.ready = True, ticket.ready  # Also without a log: by its effects one knows what was changed.
    executor.turn(ticket.run.now_ms)
    try:
        with lifted(executor):  # What is refused now was not when the hold was granted.
            yield ticket
    finally:
        executor.log, executor.log_group, executor.wake = before
        store.logging, store.ready = ticket.logs, ready
        executor.turn(now_ms)


def _leave(shard: "Shard", ticket: Hold) -> None:
    """Ends a hold that has its turn."""
    assert ticket.run is not None
    now_ms = shard.store.now_ms
    shard.executor.turn(ticket.run.now_ms)
    ticket.end(shard.room)
    shard.executor.turn(now_ms)
    shard.room.leave(ticket)
    if isinstance(ticket.keys, ManyKeys):
        # Not now: the room looks at them once more when it settles. The buckets are emptied in slices later.
        shard.store.garbage.append(ticket.keys.buckets)


# What a command did

Before = dict[Place, tuple[Value | None, int]]


def _looked_at(store: Store, places: list[Place]) -> Before:
    """The values themselves and their expiries. O(number of keys)."""
    return {(db, key): (store.dbs[db].held(key), store.dbs[db].expiry_ms(key)) for db, key in places}


def _outcome(
    shard: "Shard", ticket: Hold, before: Before, lent: dict[Place, State]
) -> tuple[Effects, dict[Place, Effects]]:
    """What the log of this shard gets for what a command did, and which of the keys that were lent it changed, by
    which effects on that key alone; by none where it takes the new state to tell.

    A value that is another one than before was changed, and so was one that can change in place and is named as changed
    by an effect. O(number of keys and effects).
    """
    store = shard.store
    if not ticket.writes:
        return [effect for effect in ticket.effects if (effect[0], effect[1][1]) not in lent], {}
    away = {key for _, key in lent}
    written: set[bytes] = set()
    together: set[bytes] = set()
    here: Effects = []
    alone: dict[Place, Effects] = {}
    mixed = False
    for effect in ticket.effects:
        keys, changed = _keys_of(shard, effect[1], away)
        written |= changed
        if away.isdisjoint(keys):
            here.append(effect)
        elif len(keys) == 1:
            alone.setdefault((effect[0], keys.pop()), []).append(effect)
        else:
            together |= keys
            mixed = mixed or not changed <= away
    after = _looked_at(store, list(before)) if ticket.effects else before
    places = []
    for place, (value, at_ms) in after.items():
        value_before, at_ms_before = before[place]
        edited = value is not None and type(value) is not bytes and place[1] in written
        if value is not value_before or at_ms != at_ms_before or edited:
            places.append(place)
    if mixed and ticket.logs:
        here = [effect for place in places if place not in lent for effect in effects_of(store, place)]
    by = {place: alone.get(place, []) if place[1] not in together else [] for place in places if place in lent}
    return here, by


def _keys_of(shard: "Shard", argv: list[bytes], away: set[bytes]) -> tuple[set[bytes], set[bytes]]:
    """All keys that an effect is about, and those that it changes; of one that names not all, any that are `away`."""
    command = shard.executor.entry_of(argv).command
    keys = away.copy() if any(not spec.finds for spec in command.key_specs) else set()
    changed: set[bytes] = set()
    for spec, indexes in command.found_keys(argv):
        named = {argv[index] for index in indexes}
        keys |= named
        if "RO" not in spec.flags_in(argv):
            changed |= named
    return keys, changed


# Calls that wait on several shards


@control
def wait(shard: "Shard", id_: int, hold_id: int, db: int, keys: list[bytes], kind: str, lasting: bool) -> RemoteWaiter:
    """Has a call that was tried in vain under the hold `hold_id` wait for its keys on this shard, as `id_` of this
    link. Answered when it does no more; that it has its turn is told by the way, see Shard.send_blocked.
    """
    waiter = RemoteWaiter(id_, db, Blocked(keys, KINDS[kind], FOREVER, lasting=lasting))
    ticket = shard.room.named[shard.room.origin, hold_id]
    assert isinstance(ticket, Hold)
    ticket.waits_on = waiter
    return waiter


@control
def dismiss(shard: "Shard", id_: int) -> None:
    """Ends the wait `id_` of this link, if there is one; those behind it are served."""
    waiter = shard.room.waiters.withdraw((shard.room.origin, id_))
    if waiter is not None:
        shard.room.waiters.rouse(waiter)

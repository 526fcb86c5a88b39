"""Keys lent to another shard, so that a command whose keys live on several shards runs on one of them as it is.

The router sends every shard concerned `hold`, then the home shard `borrow` with what the others lent, then the others
`release` with what the command made of it (see router/borrow.py).

- A held key is touched by nobody: no command, no expiry, no eviction. Others see it as before the command or as after.
- The command sees one keyspace: what is lent is laid over the keyspace of its home, without a trace in the books, and
  taken away again when it has run.
- What the command changed is found by comparing each key with what it was, laid over or at home: the same value tells
  of its parts in the same order then, which one on another shard need not. It is logged as the new state of the key
  instead of the request as it came, which a replay could not do without the other shards' keys: at home in one group,
  and on each other shard in one group, before the reply leaves. So each shard does its part wholly or not at all,
  whenever it dies. That all of them do, or none, is not promised yet if one dies between `borrow` and `release`:
  then the client is told that the outcome is unknown.
- Of a command that only reads nothing is compared. What expires meanwhile is logged at home; the owner of a key that
  is lent finds that out by itself.

A key's state travels as [packed value, absolute expiry in ms or -1], None if there is no key. O(n) in the values.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from common.errors import Loading, RedisError
from common.resp import error_reply
from shard.blocking import Blocked
from shard.control import control
from shard.expiry import NO_TIMES
from shard.keyspace import Keyspace, Store, Value
from shard.late import Room, Waiting
from shard.slots import EMPTY
from shard.values.hash import Hash
from shard.values.list import List
from shard.values.set import Set
from shard.values.sorted_set import SortedSet
from shard.values.stream import Stream
from shard.waiters import hand_over

if TYPE_CHECKING:
    from shard.server import Shard

Place = tuple[int, bytes]
"""The number of a db, and a key."""
State = list[Any] | None
Effects = list[tuple[int, list[bytes]]]

UNPACKED: dict[str, Callable[[Any], Value]] = {
    "string": bytearray,
    "hash": Hash.from_wire,
    "list": List.from_wire,
    "set": Set.from_wire,
    "zset": SortedSet.from_wire,
    "stream": Stream.from_wire,
}
"""How a value is made of what its `to_wire()` gave, by the name of its type; bytes are packed as themselves."""


class Hold(Waiting):
    """Keys of this shard that belong to one command until it is over."""

    __slots__ = ("places", "export", "writes", "stays")

    def __init__(self, name: tuple[object, int], places: list[Place], *, export: bool, writes: bool) -> None:
        super().__init__([key for _, key in places])
        self.name = name
        self.places = places
        self.export = export
        """Whether the keys are lent to another shard; else this is the home of the command."""
        self.writes = writes
        self.stays = True

    def go(self, room: Room) -> list[list[Any]] | RedisError:
        """What is lent, [[db, key, value, expiry], ...], keys that aren't there left out; or why nothing is."""
        executor = room.executor
        if executor.loading or (self.writes and executor.refusal is not None):
            self.stays = False
            return executor.refusal or Loading()
        if not self.export:
            return []
        store = executor.store
        lent = []
        for db, key in self.places:
            if store.dbs[db].peek(key) is not None:
                lent.append([db, key, *(state(store.dbs[db], key) or ())])
        store.changes_total += store.changes  # What has expired.
        store.changes = 0
        executor.log_expired()
        return lent


@control
def hold(shard: "Shard", id_: int, keys: list[bytes], dbs: list[int], export: bool, writes: bool) -> Hold:
    """Holds keys, in each of these dbs, for command `id_` of this link; answered when it has its turn: see Hold.go."""
    places = [(db, key) for db in dbs for key in dict.fromkeys(keys)]
    return Hold((shard.room.origin, id_), places, export=export, writes=writes)


@control
def borrow(
    shard: "Shard", id_: int, header: int, requests: list[list[bytes]], away: list[Place], lent: list[list[Any]]
) -> list[Any]:
    """Runs the requests, whose own keys are held here as `id_`; `away` are the places of those that are not here.

    Answers [the encoded replies, what changed of the others' keys: [[db, key, value or None, expiry], ...]].
    """
    room, store = shard.room, shard.store
    ticket = room.named[room.origin, id_]
    assert isinstance(ticket, Hold) and ticket.granted and ticket.run is not None
    room.leave(ticket)
    lend: dict[Place, State] = {(db, key): None for db, key in away}
    lend |= {(db, key): [value, at_ms] for db, key, value, at_ms in lent}
    now_ms = store.now_ms
    shard.executor.turn(ticket.run.now_ms)
    lay_over(store, lend)
    try:
        before = {place: _state(store, place) for place in (*ticket.places, *lend)} if ticket.writes else {}
        replies, logged = _run(shard, header, requests)
        changes = [place for place in before if logged and _state(store, place) != before[place]]
        if ticket.writes:
            effects = [effect for place in changes if place not in lend for effect in effects_of(store, place)]
        else:
            effects = [effect for effect in logged if (effect[0], effect[1][1]) not in lend]
        given_back = [[*place, *(_state(store, place) or (None, -1))] for place in changes if place in lend]
    finally:
        take_away(store, lend)
        shard.executor.turn(now_ms)
    if effects:
        shard.executor.log_group(effects)
    answer = [replies, given_back]
    if changes:
        room.if_unwritten(lambda error: answer.__setitem__(0, [error_reply(error)] * len(replies)))
    return answer


def _run(shard: "Shard", header: int, requests: list[list[bytes]]) -> tuple[list[bytes], Effects]:
    """The encoded replies, and what would be logged, which is something if anything changed. Who waits waits on."""
    executor = shard.executor
    logged: Effects = []
    log, log_group, wake = executor.log, executor.log_group, executor.wake
    executor.log, executor.log_group = lambda db, argv: logged.append((db, argv)), logged.extend
    executor.wake = None
    try:
        replies = shard.room.execute(header, requests, park=hand_over)
    finally:
        executor.log, executor.log_group, executor.wake = log, log_group, wake
    if type(replies[0]) is Blocked:
        name = requests[0][0].decode("latin-1").upper()
        error = RedisError(f"ERR {name} cannot yet wait for keys on several shards")
        executor.count_unserved(replies[0], requests[0], error)
        replies = [error_reply(error)]
    return replies, logged


@control
def release(shard: "Shard", id_: int, changes: list[list[Any]]) -> list[RedisError]:
    """Ends the hold `id_` of this link, whether it has its turn or not, and does what became of its keys.

    Answers why it may not last, in a list; an empty one if all is well. A hold that was refused is over already.
    """
    room, store = shard.room, shard.store
    faults: list[RedisError] = []
    ticket = room.named.get((room.origin, id_))
    if ticket is not None:
        put(store, changes)
        effects = [effect for db, key, *_ in changes for effect in effects_of(store, (db, key))]
        if effects:
            shard.executor.log_group(effects)
            room.if_unwritten(faults.append)
        room.leave(ticket)
    return faults


# The state of a key


def state(db: Keyspace, key: bytes) -> State:
    """What is at `key`, whatever the time. O(n) in the value, O(1) for bytes."""
    value = db.held(key)
    return None if value is None else [packed(value), db.expiry_ms(key)]


def _state(store: Store, place: Place) -> State:
    return state(store.dbs[place[0]], place[1])


def packed(value: Value) -> Any:
    """A value as it travels, which shares nothing with it that can change. O(n)."""
    if type(value) is bytes:
        return value
    if type(value) is bytearray:
        return ["string", bytes(value)]
    return [value.type_name, value.to_wire()]


def unpacked(wire: Any) -> Value:
    """The value that was packed."""
    return wire if type(wire) is bytes else UNPACKED[wire[0]](wire[1])


def effects_of(store: Store, place: Place) -> Effects:
    """What a log says of a key to make it what it is now, whatever it was."""
    index, key = place
    db = store.dbs[index]
    value = db.held(key)
    if value is None:
        return [(index, [b"DEL", key])]
    at_ms = db.expiry_ms(key)
    if isinstance(value, bytes | bytearray):
        expiry = [b"PXAT", b"%d" % at_ms] if at_ms >= 0 else []
        return [(index, [b"SET", key, bytes(value), *expiry])]
    effects: Effects = [(index, [b"DEL", key])]
    effects += [(index, argv) for argv in value.commands(key)]
    return effects + ([(index, [b"PEXPIREAT", key, b"%d" % at_ms])] if at_ms >= 0 else [])


def put(store: Store, states: Iterable[list[Any]]) -> None:
    """Gives keys another state: [db, key, packed value or None, expiry]. Nothing is counted or logged."""
    expiring, store.expiring = store.expiring, False
    changes = store.changes
    for index, key, wire, at_ms in states:
        if wire is None:
            store.dbs[index].delete(key)
        else:
            store.dbs[index].set(key, unpacked(wire), expire_at_ms=at_ms)
    store.changes = changes
    store.expiring = expiring


def lay_over(store: Store, lend: dict[Place, State]) -> None:
    """Puts keys of other shards into the keyspace, for one command."""
    put(store, [[*place, *lent] for place, lent in lend.items() if lent is not None])


def take_away(store: Store, lend: dict[Place, State]) -> None:
    """Takes them out again, with all that was made for them: no key of this shard is in their slots."""
    put(store, [[*place, None, -1] for place in lend])
    for index, key in lend:
        db = store.dbs[index]
        slot = db.slot_of(key)
        db.slots[slot] = EMPTY
        db.expiries.slots[slot] = NO_TIMES

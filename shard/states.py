"""The state of a key as it travels between shards: all that is at a key, as plain values.

It is [packed value, absolute expiry in ms or -1], None if there is no key. O(n) in the values. What is packed is bytes:
so the router hands on a list of a million elements without looking into it, which would take it as long as a shard.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from common.errors import RedisError
from common.frame import packer, unpack
from shard.expiry import NO_TIMES
from shard.keyspace import Keyspace, Store
from shard.listeners import hear
from shard.slots import EMPTY
from shard.value import Value
from shard.values.hash import Hash
from shard.values.list import List
from shard.values.set import Set
from shard.values.sorted_set import SortedSet
from shard.values.stream import Stream

Place = tuple[int, bytes]
"""The number of a db, and a key."""
State = list[Any] | None
Effects = list[tuple[int, list[bytes]]]

KINDS: dict[str, Any] = {kind.type_name: kind for kind in (Hash, List, Set, SortedSet, Stream)}
UNPACKED: dict[str, Callable[[Any], Value]] = {name: kind.from_wire for name, kind in KINDS.items()}
"""How a value is made of what its `to_wire()` gave, by the name of its type; strings are packed as themselves."""


def state(db: Keyspace, key: bytes) -> State:
    """What is at `key`, whatever the time. O(n) in the value, O(1) for bytes."""
    value = db.held(key)
    return None if value is None else [packed(value), db.expiry_ms(key)]


def packed(value: Value) -> Any:
    """A value as it travels, which shares nothing with it that can change. O(n)."""
    if type(value) is bytes:
        return value
    if type(value) is bytearray:
        return ["string", bytes(value)]
    return [value.type_name, packer().pack(value.to_wire())]


def unpacked(wire: Any) -> Value:
    """The value that was packed."""
    if type(wire) is bytes:
        return wire
    name, data = wire
    return bytearray(data) if name == "string" else UNPACKED[name](unpack(data))


def effects_of(store: Store, place: Place) -> Effects:
    """What a log says of a key to make it what it is now, whatever it was."""
    index, key = place
    db = store.dbs[index]
    value = db.held(key)
    if value is None:
        return [(index, [b"DEL", key])]
    effects: Effects = [(index, argv) for argv in commands_of(key, value, db.expiry_ms(key))]
    return effects if isinstance(value, bytes | bytearray) else [(index, [b"DEL", key]), *effects]


def commands_of(key: bytes, value: Value, at_ms: int) -> list[list[bytes]]:
    """Commands that make a key what it is, where there is none; `at_ms` is its expiry or -1. O(n) in the value."""
    return list(each_command_of(key, value, at_ms))


def each_command_of(key: bytes, value: Value, at_ms: int) -> Iterator[list[bytes]]:
    """The same, one at a time; the value must not change meanwhile."""
    if isinstance(value, bytes | bytearray):
        yield [b"SET", key, bytes(value), *([b"PXAT", b"%d" % at_ms] if at_ms >= 0 else [])]
        return
    yield from value.commands(key)
    if at_ms >= 0:
        yield [b"PEXPIREAT", key, b"%d" % at_ms]


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


def fill(store: Store, entries: Iterable[tuple[int, bytes, Value, int]]) -> None:
    """Puts keys into a keyspace that must not have them, whatever their times: [(db, key, value, expiry or -1), ...].
    Nothing is counted or logged.  Raises RedisError for a key that is there."""
    dbs = store.dbs
    changes = store.changes
    for index, key, value, at_ms in entries:
        db = dbs[index]
        if db.held(key) is not None:
            raise RedisError(f"a key of db {index} comes twice")
        db.set(key, value, False, at_ms)
    store.changes = changes


class Listener:
    """Hears in the place of those who listen to a key that was lent, on its own shard: see listeners.py."""

    __slots__ = ("woken", "touched")

    def __init__(self) -> None:
        self.woken = False
        """Whether a call that is blocked may find something."""
        self.touched = False
        """Whether who watches the key has to know."""

    def wants(self, value: Value | None) -> bool:
        self.woken = True
        return False

    def touch(self, store: Store) -> None:
        self.touched = True


@contextmanager
def laid_over(store: Store, lent: dict[Place, State]) -> Iterator[dict[Place, Listener]]:
    """Has keys of other shards in the keyspace, for one command; None for one that is not there. Nobody hears of it,
    but who listened to them there would hear what these listeners do.

    Afterwards they are gone, with all that was made for them: no key of this shard is in their slots.
    """
    with unheard(store):
        put(store, [[*place, *state] for place, state in lent.items() if state is not None])
    listening = {place: Listener() for place in lent}
    for (index, key), listener in listening.items():
        db = store.dbs[index]
        db.waiting[key], db.watched[key] = cast(Any, listener), [cast(Any, listener)]
        db.heard = True
    try:
        yield listening
    finally:
        for index, key in lent:
            db = store.dbs[index]
            del db.waiting[key], db.watched[key]
            hear(db)
        with unheard(store):
            put(store, [[*place, None, -1] for place in lent])
        for index, key in lent:
            db = store.dbs[index]
            slot = db.slot_of(key)
            db.slots[slot] = EMPTY
            db.expiries.slots[slot] = NO_TIMES


@contextmanager
def unheard(store: Store) -> Iterator[None]:
    """Nobody who listens to a db hears of what is done inside."""
    heard = [db.heard for db in store.dbs]
    for db in store.dbs:
        db.heard = False
    try:
        yield
    finally:
        for db, before in zip(store.dbs, heard, strict=True):
            db.heard = before

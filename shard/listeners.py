"""Who hears of changes in a db: calls that are blocked, connections that watch keys, clients that cache what they read,
subscribers to keyspace events (events.py).

The keyspace says here what became of a key, and only while a db is `heard`: nobody pays for what nobody listens to.

Rule 1: `signal` is for what a blocked call may find, `touch` for all other changes.
Rule 2: a key is touched whenever it changes, comes or goes, also where nobody sees a difference (the same value set
        again), and never by what changed nothing, as in Valkey's signalModifiedKey.
"""

from typing import TYPE_CHECKING

from shard import events

if TYPE_CHECKING:
    from shard.keyspace import Keyspace, Store
    from shard.value import Value


def hear(db: "Keyspace") -> None:
    """Sees whether anybody listens to `db`; to be called when somebody came or went."""
    store = db.store
    db.heard = bool(db.waiting or db.watched or store.tracked or store.notices.classes)


def put(db: "Keyspace", key: bytes, value: "Value", *, new: bool, expires: bool) -> None:
    """Says that `value` was put at `key`, where something was or is `new`, to expire or not. O(1)."""
    signal(db, key, value, events.SILENT)
    events.tell_set(db, key, new=new, expires=expires)


def signal(db: "Keyspace", key: bytes, value: "Value | None", event: bytes | None = None) -> None:
    """Says that `value` is at `key` now, None for nothing: whoever waits for that is tried after the command. O(1).

    For subscribers it is that event, None for what the command calls its changes.
    """
    queue = db.waiting.get(key)
    if queue is not None and queue.wants(value):
        db.store.ready[db.index, key] = None
    touch(db, key, event)


def touch(db: "Keyspace", key: bytes, event: bytes | None = None) -> None:
    """Says that the value at `key`, or its expiry, is not what it was. O(connections that watch it)."""
    store = db.store
    for watch in db.watched.get(key, ()):
        watch.touch(store)
    if store.tracked:
        kind = "expired" if event is events.EXPIRED or event is events.EVICTED else "changed"
        store.events.append([kind, store.number, store.part, key])
    events.tell(db, key, event)


def aside(db: "Keyspace", key: bytes, *, wakes: bool) -> None:
    """Says that something about the value at `key` was changed that is no part of it. O(1)."""
    queue = db.waiting.get(key)
    if wakes and queue is not None and queue.wants(db.held(key)):
        db.store.ready[db.index, key] = None
    events.tell(db, key, None)


def emptied(db: "Keyspace") -> None:
    """Says that all keys of the db are about to go. O(keys that somebody waits for or watches)."""
    for key, watches in db.watched.items():
        if db.held(key) is not None:
            for watch in watches:
                watch.touch(db.store)


def replaced(one: "Keyspace", other: "Keyspace") -> None:
    """Says that two dbs, or one with itself, have exchanged keys. O(keys that somebody waits for or watches)."""
    for db in (one, other) if one is not other else ():
        for key, watches in db.watched.items():
            if one.held(key) is not None or other.held(key) is not None:
                for watch in watches:
                    watch.touch(db.store)
        signal_all(db)


def signal_all(db: "Keyspace") -> None:
    """Says that all keys of the db may be others than before. O(keys that somebody waits for)."""
    for key, queue in db.waiting.items():
        if queue.wants(db.held(key)):
            db.store.ready[db.index, key] = None


def flushed(store: "Store") -> None:
    """Says that the keys of one db or of all were thrown away at once."""
    if store.tracked:
        store.events.append(["flushed", store.number, store.part])


def track(store: "Store", *, tracked: bool) -> None:
    """Says whether clients cache what they read, and so every change is told. O(number of dbs)."""
    store.tracked = tracked
    for db in store.dbs:
        hear(db)

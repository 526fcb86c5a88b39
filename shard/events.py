"""Keyspace events: what became of which key, for whoever is subscribed to that (notify-keyspace-events).

What a change is called derives from the command that runs: its name, or what its declaration says (`event`). Keys that
come, go, expire or are missed are told by the keyspace itself. So a handler says something only where one call has
several events, or where its words decide (LMPOP): then it calls `call` before the change, or `tell` beside it.

Rule 1: while nobody asked for events this costs the one test that the keyspace makes anyway (`Keyspace.heard`).
Rule 2: the events of a key are told in the order in which things happened to it, as in Valkey.
Rule 3: what a replay of the log does is no event, nor that keys of other shards come and go for a command.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shard.keyspace import Keyspace

ALL_CLASSES = "g$lshzxetd"
"""What "A" means in the directive; the misses "m" and new keys "n" have to be asked for."""
CHANNELS = "KE"
"""The letters that say to what kind of channel an event goes: __keyspace@0__:key, __keyevent@0__:event."""

CLASSES_OF_GROUPS = {
    "string": "$",
    "bitmap": "$",
    "hyperloglog": "$",
    "list": "l",
    "set": "s",
    "hash": "h",
    "sorted-set": "z",
    "geo": "z",
    "stream": "t",
}
"""The class of what the commands of a group tell; "g" for all other groups."""

NEW, DEL, EXPIRE, PERSIST, MISSED = b"new", b"del", b"expire", b"persist", b"keymiss"
EXPIRED, FIELDS_EXPIRED, EVICTED = b"expired", b"hexpired", b"evicted"
SILENT = b""
"""In the place of an event: the change is not told."""

CLASSES = {
    NEW: "n",
    DEL: "g",
    EXPIRE: "g",
    PERSIST: "g",
    MISSED: "m",
    EXPIRED: "x",
    EVICTED: "e",
    FIELDS_EXPIRED: "h",
    b"sortstore": "l",
}
"""The class of an event that is not of the group of the command that runs."""


def class_of_group(group: str) -> str:
    """The class of what the commands of that group tell."""
    return CLASSES_OF_GROUPS.get(group, "g")


class Notices:
    """What is told, and what the command that runs calls its changes."""

    __slots__ = ("classes", "channels", "event", "class_")

    def __init__(self) -> None:
        self.classes = ""
        """The letters of those that somebody asked for; none is the usual state."""
        self.channels = ""
        self.event = SILENT
        self.class_ = "g"

    def configure(self, wanted: str) -> None:
        """Takes over the directive."""
        self.channels = "".join(letter for letter in CHANNELS if letter in wanted)
        self.classes = wanted.replace("A", ALL_CLASSES) if self.channels else ""


def call(db: "Keyspace", event: bytes) -> None:
    """Says what the next changes by the command that runs are called."""
    db.store.notices.event = event


def tell(db: "Keyspace", key: bytes, event: bytes | None = None) -> None:
    """Tells an event of `key`, None for that of the command that runs, if somebody asked for its class. O(1)."""
    store = db.store
    notices = store.notices
    if not notices.classes or not store.expiring:
        return
    if event is None:
        event = notices.event
    if event and CLASSES.get(event, notices.class_) in notices.classes:
        store.events.append(["notify", notices.channels, event, db.index, key])


def tell_renewed(db: "Keyspace", key: bytes) -> None:
    """Tells `key` as new, though something is there: what comes in its place does so as if that had gone before."""
    if db.peek(key) is not None:
        tell(db, key, NEW)


def tell_set(db: "Keyspace", key: bytes, *, new: bool, expires: bool) -> None:
    """Tells that the command that runs has put a value at `key`, which was not there before or was, with an expiry or
    without. O(1).
    """
    if new:
        tell(db, key, NEW)
    tell(db, key)
    if expires and db.store.notices.event:
        tell(db, key, EXPIRE)

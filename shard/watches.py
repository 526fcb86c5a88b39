"""WATCH: which connections want to know whether a key was changed before their EXEC.

A watch belongs to one connection, by a name that its router chose, and is over with UNWATCH, EXEC, DISCARD or the end
of the connection. It is touched by every change of one of its keys (see listeners.py), and by a key whose time comes. A
watch that this shard does not know is one from before its last start: what became of its keys nobody can tell, so it
counts as touched.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from shard.listeners import hear

if TYPE_CHECKING:
    from shard.keyspace import Store

Name = tuple[object, int]
"""The link it came by, and a number that the link's router chose."""


class Watch:
    """The keys that one connection watches on this shard."""

    __slots__ = ("number", "touched", "places")

    def __init__(self, number: int) -> None:
        self.number = number
        """By which its router knows it."""
        self.touched = False
        self.places: set[tuple[int, bytes]] = set()
        """Db and key of each."""

    def touch(self, store: "Store") -> None:
        """Says that one of the keys was changed; the router is told the first time."""
        if not self.touched:
            self.touched = True
            store.events.append(["touched", self.number])


class Watches:
    """All watches of a shard."""

    def __init__(self, store: "Store") -> None:
        self.store = store
        self.named: dict[Name, Watch] = {}

    def add(self, name: Name, db: int, keys: Iterable[bytes]) -> None:
        """Watches more keys. A key whose time has come is not there, and so does not count as gone later. O(keys)."""
        watch = self.named.setdefault(name, Watch(name[1]))
        keyspace = self.store.dbs[db]
        for key in keys:
            if (db, key) not in watch.places:
                keyspace.peek(key)
                watch.places.add((db, key))
                keyspace.watched.setdefault(key, []).append(watch)
        hear(keyspace)

    def touched(self, name: Name) -> bool:
        """Whether one of the keys may have been changed since it is watched. O(keys)."""
        watch = self.named.get(name)
        if watch is None:
            return True
        for db, key in watch.places:
            if not watch.touched:
                self.store.dbs[db].peek(key)  # Touches it if its time has come.
        return watch.touched

    def end(self, name: Name) -> None:
        """Forgets a watch, if there is one. O(keys, and connections that watch the same ones)."""
        watch = self.named.pop(name, None)
        if watch is None:
            return
        for db, key in watch.places:
            keyspace = self.store.dbs[db]
            watching = keyspace.watched[key]
            watching.remove(watch)
            if not watching:
                del keyspace.watched[key]
                hear(keyspace)

    def forget(self, origin: object) -> None:
        """A link is gone, and with it all connections whose watches came by it."""
        for name in [name for name in self.named if name[0] is origin]:
            self.end(name)

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        for db in self.store.dbs:
            for key, watching in db.watched.items():
                assert watching
                assert all((db.index, key) in watch.places for watch in watching)
        for watch in self.named.values():
            assert all(watch in self.store.dbs[db].watched[key] for db, key in watch.places)

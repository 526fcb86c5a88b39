"""WATCH: the keys on which a client's next EXEC depends. Whether they were changed only their shards know."""

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.session import Session

_IDS = count(1)


class Watching:
    """What one client watches, from its first WATCH to the EXEC, DISCARD or UNWATCH that ends it."""

    __slots__ = ("session", "id", "places", "shards", "touched")

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.id = next(_IDS)
        """By which the shards know it."""
        self.places: set[tuple[int, bytes]] = set()
        """Db and key of each."""
        self.shards: dict[int, list[bytes]] = {}
        """The keys on each shard, of whatever db."""
        self.touched = False
        """Whether a shard has told that one of them was changed. It may know and not have told yet."""
        session.watching = self
        session.transacted = True
        session.router.watched[self.id] = self

    def add(self, keys: tuple[bytes, ...]) -> dict[int, list[bytes]]:
        """Watches more keys of the client's db; by shard, those that are new."""
        session = self.session
        added: dict[int, list[bytes]] = {}
        for key in dict.fromkeys(keys):
            if (session.db, key) not in self.places:
                self.places.add((session.db, key))
                shard = session.router.shard_of(key)
                added.setdefault(shard, []).append(key)
                self.shards.setdefault(shard, []).append(key)
        return added

    def end(self) -> None:
        """Has the shards forget it."""
        for shard in self.shards:
            self.session.router.links[shard].tell(["unwatch", self.id])
        self.forget()

    def forget(self) -> None:
        """The shards have forgotten it, or will with the EXEC that is sent."""
        self.session.watching = None
        self.session.router.watched.pop(self.id, None)

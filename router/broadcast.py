"""CLIENT TRACKING in broadcasting mode: clients are told of all keys that change, or of those with their prefixes.

Rule 1: what changes in one turn is told in one message for each prefix, its keys in order, each once.
Rule 2: what one batch of a client changes on several shards is told at once, when all of it is done: nobody can tell
        from the messages how many shards there are. It is told before anything that its client may do next.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.batch import Batch
    from router.session import Session

SEVERAL = 0
"""Stands for the id of who changed a key that several clients changed, or nobody."""

Changes = dict[bytes, int]
"""The keys that were changed, each with the client that did it."""


class Broadcast:
    """The prefixes of all clients, and the changes that they are to be told of."""

    def __init__(self, soon: Callable[[Callable[[], None]], object], tell: Callable[["Session", bytes], None]) -> None:
        """`soon` has something called when this turn is over; `tell` sends a client the keys, encoded as an array."""
        self.soon = soon
        self.tell = tell
        self.prefixes: dict[bytes, dict[Session, None]] = {}
        """The clients of each."""
        self.changes: Changes = {}
        """What is told when this turn is over."""
        self.unfinished: dict[Batch, Changes] = {}
        """What is told when a batch is done."""

    # Clients

    def add(self, session: "Session", prefix: bytes) -> None:
        self.prefixes.setdefault(prefix, {})[session] = None

    def remove(self, session: "Session", prefix: bytes) -> None:
        sessions = self.prefixes[prefix]
        del sessions[session]
        if not sessions:
            del self.prefixes[prefix]

    # Changes

    def changed(self, key: bytes, client: int, batch: "Batch | None") -> None:
        """A client, or SEVERAL for nobody, has changed `key`, through a batch of its own. O(1)."""
        if batch is None or not batch.waiting:
            self._changes()[key] = client
            return
        changes = self.unfinished.get(batch)
        if changes is None:
            changes = self.unfinished[batch] = {}
            batch.pushes.append(lambda: self._finished(batch))
        changes[key] = client

    def _changes(self) -> Changes:
        if not self.changes:
            self.soon(self.flush)
        return self.changes

    def _finished(self, batch: "Batch") -> None:
        finished = self.unfinished.pop(batch)
        changes = self._changes()
        for key, client in finished.items():
            # Of changes in different batches nobody knows here which was the last.
            changes[key] = client if changes.get(key, client) == client else SEVERAL

    def flush(self) -> None:
        """Tells the clients. O(changes times prefixes)."""
        changes, self.changes = self.changes, {}
        keys = sorted(changes)
        for prefix, sessions in sorted(self.prefixes.items(), key=lambda item: item[0]):
            found = [key for key in keys if key.startswith(prefix)]
            text = array_of(found)
            for session in list(sessions):
                if session.tracking is None or not found:
                    continue
                if session.tracking.noloop:
                    others = [key for key in found if changes[key] != session.id]
                    if others:
                        self.tell(session, array_of(others))
                else:
                    self.tell(session, text)


def array_of(keys: list[bytes]) -> bytes:
    """Keys as RESP has them, in both protocols."""
    return b"*%d\r\n" % len(keys) + b"".join([b"$%d\r\n%b\r\n" % (len(key), key) for key in keys])

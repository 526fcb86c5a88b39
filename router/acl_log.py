"""What ACL LOG tells: which calls and which authentications were refused, newest first."""

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any

GROUPED_MS = 60_000
"""How far apart two refusals of one kind may be to count as one entry."""
LOOKED_AT_MAX = 10
"""Among how many of the newest entries one of the same kind is looked for."""


@dataclass(slots=True)
class Entry:
    """One entry: refusals of one kind, one of which was at `updated_ms`, the last."""

    reason: str
    """"command", "key", "channel", "database", "auth" or "tls-cert"."""
    context: str
    """"toplevel" or "multi"."""
    object: bytes
    """What was refused: the command's full name, the key, the channel ..."""
    username: str
    client: str
    """The client as CLIENT LIST tells it."""
    updated_ms: int
    count: int = 1
    id: int = 0
    created_ms: int = 0

    def is_like(self, other: "Entry") -> bool:
        same = (self.reason, self.context, self.object, self.username)
        near = abs(self.updated_ms - other.updated_ms) <= GROUPED_MS
        return near and same == (other.reason, other.context, other.object, other.username)

    def told(self, now_ms: int) -> dict[str, Any]:
        return {
            "count": self.count,
            "reason": self.reason,
            "context": self.context,
            "object": self.object,
            "username": self.username,
            "age-seconds": (now_ms - self.updated_ms) / 1000,
            "client-info": self.client,
            "entry-id": self.id,
            "timestamp-created": self.created_ms,
            "timestamp-last-updated": self.updated_ms,
        }


class Log:
    """The newest entries."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self._next_id = 0

    def add(self, entry: Entry, length_max: int) -> None:
        """Counts it for an entry of its kind, which comes first then, or keeps it as one more."""
        for place, known in enumerate(islice(self.entries, LOOKED_AT_MAX)):
            if known.is_like(entry):
                known.client, known.updated_ms = entry.client, entry.updated_ms
                known.count += 1
                del self.entries[place]
                self.entries.appendleft(known)
                return
        entry.id, entry.created_ms = self._next_id, entry.updated_ms
        self._next_id += 1
        self.entries.appendleft(entry)
        while len(self.entries) > length_max:
            self.entries.pop()

    def told(self, count: int, now_ms: int) -> list[dict[str, Any]]:
        """The first `count` entries."""
        return [entry.told(now_ms) for entry in islice(self.entries, max(0, count))]

    def clear(self) -> None:
        self.entries.clear()

"""What goes from a source to a target in one go, and how far the source is with it."""

from dataclasses import dataclass, field
from typing import NamedTuple

NO_TIME = -1
BATCH_KEYS = 128
"""Half of what is under way at a time: while the server does one batch the next one is made."""
BATCH_BYTES = 1 << 20
"""Above this a batch ends, however few keys it has."""

Position = list[int]
"""Where a source goes on: numbers that only the source understands, later ones larger. It is kept in a file."""


class Entry(NamedTuple):
    """A key."""

    key: bytes
    payload: bytes
    at_ms: int
    """When it expires; NO_TIME for never."""


@dataclass(slots=True)
class Batch:
    """Keys of one db, or commands: never both."""

    db: int = 0
    entries: list[Entry] = field(default_factory=list)
    commands: list[list[bytes]] = field(default_factory=list)
    """As they stand in a log. A group of a MULTI is never cut, and MULTI and EXEC are left out."""
    read: int = 0
    """How many keys of the source these are, with those that vanished or can't be sent."""
    vanished: int = 0
    refusals: list[tuple[bytes, str]] = field(default_factory=list)
    """Keys that can't be sent, and why."""
    position: Position = field(default_factory=list)
    """Where the source goes on once all before this batch, and the batch itself, arrived."""
    done: int = 0
    """What the progress bar counts: keys, or bytes of a log."""
    size_bytes: int = 0

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.size_bytes += len(entry.key) + len(entry.payload)

    @property
    def is_full(self) -> bool:
        return self.read + len(self.commands) >= BATCH_KEYS or self.size_bytes >= BATCH_BYTES

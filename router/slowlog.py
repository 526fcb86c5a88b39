"""The slow log: the last commands that took long, as SLOWLOG and COMMANDLOG show them.

Shards report a command that took `slowlog-log-slower-than` or more; the router, which alone knows clients, keeps it.
"""

from collections import deque
from dataclasses import dataclass

ARGUMENTS_MAX = 32
"""Arguments that an entry keeps, Redis's limit; the last then says how many more there were."""
ARGUMENT_BYTES_MAX = 128
"""Bytes that an entry keeps of an argument, Redis's limit."""


@dataclass(slots=True, frozen=True)
class SlowCommand:
    """One entry. `at_s` is unix time."""

    id: int
    at_s: int
    duration_us: int
    argv: list[bytes]
    address: str
    name: bytes


class SlowLog:
    """The newest `length_max` slow commands, newest first."""

    def __init__(self) -> None:
        self.entries: deque[SlowCommand] = deque()
        self.length_max = 128
        self._next_id = 0

    def add(self, argv: list[bytes], duration_us: int, at_s: int, address: str, name: bytes) -> None:
        """Keeps one more, and forgets the oldest if there are too many."""
        entry = SlowCommand(self._next_id, at_s, duration_us, shortened(argv), address, name)
        self._next_id += 1
        self.entries.appendleft(entry)
        self.trim()

    def trim(self) -> None:
        while len(self.entries) > self.length_max:
            self.entries.pop()


def shortened(argv: list[bytes]) -> list[bytes]:
    """`argv` within the limits of an entry, in Redis's words for what is left out."""
    kept = argv if len(argv) <= ARGUMENTS_MAX else argv[: ARGUMENTS_MAX - 1]
    words = [_shortened(argument) for argument in kept]
    if len(kept) < len(argv):
        words.append(b"... (%d more arguments)" % (len(argv) - len(kept)))
    return words


def _shortened(argument: bytes) -> bytes:
    more = len(argument) - ARGUMENT_BYTES_MAX
    return argument if more <= 0 else argument[:ARGUMENT_BYTES_MAX] + b"... (%d more bytes)" % more

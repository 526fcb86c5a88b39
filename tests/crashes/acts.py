"""Acts: what a client asks for, what it was told, and what may have become of it in a crash.

DONE        answered. A kill of processes takes none of them; a power cut none with `always`, and with `everysec`
            those alone that came after the beginning of the last sync of a shard that they concern
REFUSED     answered by an error that says that nothing was done: it must never be seen
UNKNOWN     cut off, or told that its outcome is unknown: it is there whole, or not at all
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from common.slot import shard_of_slot, slot_of
from tests.resp_client import NULL_ARRAY, Error
from tests.writers import IN_PART, UNKNOWN, encoded

Argv = tuple[bytes, ...]
Read = Callable[..., Any]
"""Calls a command of a server that is quiet, and gives the value of its reply."""

NOTHING_DONE = (b"SHARDDOWN", b"LOADING", b"EXECABORT")
PERHAPS_DONE = (b"MISCONF",)
"""Said to what was done in memory in the turn in which the disk failed, and to what came later and was not done."""
FOREVER = float("inf")


class Outcome(Enum):
    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Act:
    """One change, of one command or a MULTI .. EXEC of several."""

    commands: Sequence[Argv]
    keys: Sequence[bytes]
    value: bytes | None = None
    """What it gives its keys, None if it removes them; what that means its lane knows."""
    nothing: tuple[Any, ...] = ()
    """Replies that say that nothing was to be done."""
    who: str = ""
    place: int = 0
    """Which of its client's acts it is."""
    sent_s: float = 0.0
    answered_s: float = FOREVER
    outcome: Outcome = Outcome.SENT
    reply: Any = None

    def encoded(self) -> bytes:
        return b"".join(encoded(list(argv)) for argv in self.commands)

    def take(self, reply: Any, now_s: float) -> str:
        """Notes the answer; what is odd about it, empty if nothing is."""
        self.reply, self.answered_s = reply, now_s
        self.outcome, odd = _outcome(reply, self.nothing)
        return f"{self.commands!r}: {reply!r}" if odd else ""

    def cut_off(self) -> None:
        self.outcome, self.answered_s = Outcome.UNKNOWN, FOREVER

    @property
    def possible(self) -> bool:
        """Whether it may be seen."""
        return self.outcome in (Outcome.DONE, Outcome.UNKNOWN)


def transaction(*commands: Argv) -> list[Argv]:
    return [(b"MULTI",), *commands, (b"EXEC",)]


def _outcome(reply: Any, nothing: tuple[Any, ...]) -> tuple[Outcome, bool]:
    if reply is NULL_ARRAY or any(type(reply) is type(each) and reply == each for each in nothing):
        return Outcome.REFUSED, False
    if isinstance(reply, list):
        errors = [each for each in reply if isinstance(each, Error)]
        if errors and len(errors) == len(reply) and all(map(_says_nothing, errors)):
            return Outcome.REFUSED, False
        # Whether one that was done in part, and said so, is whole in the end is for its lane to see.
        odd = [error for error in errors if not _says_unknown(error) and not _says_nothing(error)]
        return (Outcome.UNKNOWN if errors else Outcome.DONE), bool(odd)
    if not isinstance(reply, Error):
        return Outcome.DONE, False
    if _says_unknown(reply):
        return Outcome.UNKNOWN, False
    if _says_nothing(reply):
        return Outcome.REFUSED, False
    return Outcome.UNKNOWN, True


def _says_unknown(error: Error) -> bool:
    return error.endswith((UNKNOWN, IN_PART)) or error.startswith(PERHAPS_DONE)


def _says_nothing(error: Error) -> bool:
    return error.startswith(NOTHING_DONE) and not _says_unknown(error)


@dataclass(slots=True)
class Promise:
    """What must be there after a crash."""

    shards: int
    until_s: dict[int, float] = field(default_factory=dict)
    """By shard: what was answered before that moment. A shard that is not in it keeps all that was answered."""

    def holds(self, act: Act) -> bool:
        """Whether this act must be there."""
        limits_s = [self.until_s.get(shard, FOREVER) for shard in self.shards_of(act.keys)]
        return act.outcome is Outcome.DONE and all(act.answered_s < limit_s for limit_s in limits_s)

    def shards_of(self, keys: Iterable[bytes]) -> set[int]:
        return {shard_of_slot(slot_of(key), self.shards) for key in keys}

"""CLIENT REPLY: which replies a client wants."""

from enum import Enum


class Replies(Enum):
    """What a client can want."""

    ON = "on"
    OFF = "off"
    SKIP_NEXT = "skip next"
    """All but those of the next command."""
    SKIP = "skip"
    """All but those of the command that is being begun."""

    @property
    def mutes(self) -> bool:
        """Whether nothing is sent now."""
        return self in (Replies.OFF, Replies.SKIP)

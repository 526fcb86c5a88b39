"""CLIENT REPLY: which replies a client wants."""

from enum import Enum
from typing import TYPE_CHECKING

from router.batch import Batch, Muted
from router.dispatch import dispatch

if TYPE_CHECKING:
    from router.session import Session


class Replies(Enum):
    """What a client can want."""

    ON = "on"
    OFF = "off"
    SKIP_NEXT = "skip next"
    """All but those of the next command."""
    SKIP = "skip"
    """All but those of the command that is being begun."""

    def __init__(self, text: str) -> None:
        self.mutes = text in ("off", "skip")
        """Whether nothing is sent now. It is asked of each monitor at every command, and so no property."""


def dispatch_muted(session: "Session", batch: Batch, argv: list[bytes]) -> bool:
    """Adds a command whose replies the client may not want. It may be the one that wants them again."""
    before, wanted = len(batch.steps), session.replies
    if wanted is Replies.SKIP_NEXT:
        session.replies = Replies.SKIP
    if not dispatch(session, batch, argv):
        session.replies = wanted
        return False
    if session.replies is not Replies.ON:
        batch.steps[before:] = [Muted(step) for step in batch.steps[before:]]
        batch.plain = False
    if session.replies is Replies.SKIP:
        session.replies = Replies.ON
        session.changed()
    return True

"""A command of one client that takes long, and behind which that client begins nothing."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.command import Command
from common.errors import RedisError
from common.resp import encode, error_reply
from router.batch import Batch, Later
from router.dispatch import Deferred

if TYPE_CHECKING:
    from router.session import Session

End = Callable[[Any], None]
"""Takes the reply, which may be a RedisError."""


class Waiting(Deferred):
    """What has a client wait. `begin` is called when all that it sent before is on its way; and calls what it is given
    once it is over."""

    __slots__ = ("begin",)

    def __init__(self, begin: Callable[[End], None]) -> None:
        self.begin = begin

    def add(self, batch: Batch, command: Command, argv: list[bytes]) -> None:
        session: Session = batch.session
        session.transacting = True
        step = Later(batch)
        batch.add_step(step)

        def end(reply: Any) -> None:
            session.transacting = False
            if isinstance(reply, RedisError):
                command.failed_calls += 1
                session.router.count_error(reply)
                step.finish(error_reply(reply))
            else:
                step.finish(encode(reply, session.protocol))

        # In a turn of its own: the batch that this is a part of has not gone out yet.
        session.router.loop.call_soon(self.begin, end)

"""WAIT and WAITAOF: calls that wait until what was written before them is safe somewhere.

There are no replicas, so who waits for some waits in vain, until the time is over. Who waits for the log (WAITAOF) asks
all shards: which of them its client has written to is not kept, since that would cost something for every command. So
the promise is a larger one: all that anybody had written before the call is on disk. A shard that dies meanwhile is
asked again when it is back: it has synced by then what it found in its log.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from common.command import Command
from common.errors import RedisError
from common.resp import encode, error_reply
from router.batch import Later
from router.blocking import ENDED, GONE, TIMED_OUT, Blocking

if TYPE_CHECKING:
    from router.link import Link
    from router.server import Router

REPLICAS = 0
"""How many have what was written."""


class Acknowledgement(Blocking):
    """Such a call while it waits."""

    __slots__ = ("step", "command", "reply")

    def __init__(self, step: Later, command: Command, until_ms: int, reply: Callable[[], Any]) -> None:
        """`reply` gives what the client is told when the wait is over."""
        super().__init__(step.batch)
        self.session.blocking = self
        self.step = step
        self.command = command
        self.reply = reply
        self.waits(0, until_ms)

    def end(self, reason: str | None) -> None:
        session = self.session
        if reason == GONE:
            if session.ended:  # What it sent behind the call is not done.
                session.backlog.clear()
                session.end()
            self.step.finish(b"")
        elif reason is TIMED_OUT:
            self.step.finish(encode(self.reply(), session.protocol))
        else:
            error = RedisError(reason)
            self.command.failed_calls += 1
            session.router.count_error(error)
            self.step.finish(error_reply(error))

    def unblock(self, reason: str | None, asking: Later) -> None:
        """CLIENT UNBLOCK, whose step is `asking`."""
        asking.finish(ENDED)
        self.end(reason)


class LogAcknowledgement(Acknowledgement):
    """One that waits for the logs of all shards."""

    __slots__ = ("router", "id", "missing", "replicas")

    def __init__(self, step: Later, command: Command, until_ms: int, replicas: int) -> None:
        super().__init__(step, command, until_ms, self._state)
        self.router = self.session.router
        self.id = next(self.router.borrow_ids)
        self.missing = set(range(self.router.shards))
        """The shards that have not said yet that all is synced."""
        self.replicas = replicas
        self.router.acknowledgements[self.id] = self
        for link in self.router.links:
            self.ask(link)

    def _state(self) -> list[int]:
        return [int(not self.missing), REPLICAS]

    def ask(self, link: "Link") -> None:
        """Asks a shard. One that is down is asked when it is up."""
        if link.index in self.missing:
            link.tell(["await_sync", self.id], partial(self._heard, link.index))

    def _heard(self, shard: int, answer: Any) -> None:
        if answer is True:
            self.synced(shard)

    def synced(self, shard: int) -> None:
        """A shard has all on disk."""
        self.missing.discard(shard)
        if not self.missing and self.replicas <= REPLICAS:
            self.end(TIMED_OUT)

    def over(self) -> None:
        super().over()
        self.router.acknowledgements.pop(self.id, None)


def synced(router: "Router", link: "Link", id_: int) -> None:
    """A shard says so."""
    if acknowledgement := router.acknowledgements.get(id_):
        acknowledgement.synced(link.index)

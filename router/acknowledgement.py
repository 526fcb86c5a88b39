"""WAIT and WAITAOF: calls that wait until what was written before them is safe somewhere.

There are no replicas, so who waits for some waits in vain, until the time is over. Who waits for the log (WAITAOF) asks
all shards: which of them its client has written to is not kept, since that would cost something for every command. So
the promise is a larger one: all that anybody had written before the call is on disk.
"""

from collections.abc import Callable
from typing import Any

from common.command import Command
from common.errors import RedisError
from common.resp import encode, error_reply
from router.batch import Later
from router.blocking import ENDED, GONE, TIMED_OUT, Blocking
from router.log_sync import LogSync

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

    __slots__ = ("sync", "replicas")

    def __init__(self, step: Later, command: Command, until_ms: int, replicas: int) -> None:
        super().__init__(step, command, until_ms, self._state)
        self.replicas = replicas
        router = self.session.router
        self.sync = LogSync(router, range(router.shards), self._synced)

    def _state(self) -> list[int]:
        return [int(not self.sync.missing), REPLICAS]

    def _synced(self) -> None:
        if self.replicas <= REPLICAS:
            self.end(TIMED_OUT)

    def over(self) -> None:
        super().over()
        self.sync.end()

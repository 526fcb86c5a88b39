"""A client's call that may block, from when it is begun until it is answered.

Rule 1: such a call is alone in its batch, and while it is under way nothing more of its client is begun: what was sent
        before it is answered before it, and what was sent behind it is done after it.
Rule 2: the shard decides whether the call waits, and answers it exactly once; here are the clocks and the clients. At
        the deadline, when the client is gone, and when another client wants it, the shard is asked to end the call, by
        a message in the stream as any other. If the call was served before that, the message finds nobody.
Rule 3: a client that has closed its side is gone, as in Redis: an element must not be popped for one that died. Its
        bytes are read meanwhile, up to a limit, so that the end is seen.
"""

from typing import TYPE_CHECKING, Any

from router.batch import Batch, Run

if TYPE_CHECKING:
    import asyncio

    from router.session import Session

READ_BYTES_MAX = 1024 * 1024
"""What is read of a client while its call is under way; what it sends beyond that waits in the kernel, and its end
behind that is not seen before the call is answered."""

TIMED_OUT = None
GONE = ""
"""Why a call ends, as the shard is told; anything else is the text of an error."""

CLOCK_MS = 1
"""By how much the loop's timers may be early."""


class Blocking:
    """One such call."""

    __slots__ = ("session", "run", "number", "timer", "until_ms", "bytes_in_max")

    def __init__(self, batch: Batch) -> None:
        """`batch` has nothing but the call."""
        self.session: Session = batch.session
        self.run: Run | None = batch.runs[0] if type(batch.steps[0]) is int else None
        """What waits, in one shard; None for a call that cannot: its keys are on several shards, or it was refused."""
        self.number = -1
        """That of its run, once the shard says that it waits."""
        self.timer: asyncio.TimerHandle | None = None
        self.until_ms = 0
        self.bytes_in_max = self.session.bytes_in + READ_BYTES_MAX

    def waits(self, number: int, until_ms: int) -> None:
        """The shard says so; the call's deadline is `until_ms` (absolute), 0 for none."""
        self.number = number
        self.until_ms = until_ms
        if until_ms:
            router = self.session.router
            left_ms = max(0, until_ms - router.now_ms()) + CLOCK_MS
            self.timer = router.loop.call_later(left_ms / 1000, self.end, TIMED_OUT)

    def end(self, reason: str | None) -> None:
        """Has the shard end the call, if it waits."""
        if self.run is not None:
            self.session.router.links[self.run.shard].tell(self.message(reason), self._ended)

    def message(self, reason: str | None) -> list[Any]:
        """What tells the shard of `run` to do so. Its answer is whether the call was waiting."""
        number = self.number
        if number < 0 and self.run is not None:
            number = self.session.router.links[self.run.shard].number_of(self.run)
        return ["unblock", number, reason]

    def _ended(self, waited: Any) -> None:
        """A client that had sent all it would, and waited, is gone: what it sent behind the call is not done."""
        if self.session.ended and waited is True:
            self.session.backlog.clear()
            self.session.end()

    def over(self) -> None:
        """The call is answered."""
        if self.timer is not None:
            self.timer.cancel()

"""Clients that are silent: the directive `timeout`.

Rule 1: who waits for something is not silent: for a reply, a key, the end of a pause, messages, or what others do.
Rule 2: all are looked at once in LOOK_S, some of them in a turn. It takes the kernel and the loop 50 µs to close a
        connection: where a thousand are over their time at once, all others would wait for as long as that takes.
"""

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from router.server import Router
    from router.session import Session

LOOK_S = 1.0
"""How often clients are looked at: so much later than `timeout` says they may be closed."""
LOOKED_AT_MAX = 1000
"""In a turn; that takes 0.2 ms."""
CLOSED_MAX = 8
"""In a turn; that takes 0.4 ms."""
REST_S = 0.001
"""Between two turns. So 5,000 may be closed in a second."""


class Timeout:
    """The clients of a router as `timeout` sees them."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.timer: asyncio.TimerHandle | None = None
        """Of the next turn, while there is a timeout."""
        self.left: deque[Session] = deque()
        """Those still to be looked at."""

    def configure(self) -> None:
        """Takes over the directive."""
        if self.router.config["timeout"] and self.timer is None:
            self._begin()

    def _begin(self) -> None:
        self.left.extend(self.router.sessions.values())
        self._turn()

    def _turn(self) -> None:
        timeout_ms = self.router.config["timeout"] * 1000
        if not timeout_ms:
            self.timer = None
            self.left.clear()
            return
        self._close_some(self.router.now_ms() - timeout_ms)
        call_later = self.router.loop.call_later
        self.timer = call_later(REST_S, self._turn) if self.left else call_later(LOOK_S, self._begin)

    def _close_some(self, since_ms: int) -> None:
        """Looks at the next ones, and closes those that were silent since before `since_ms`."""
        left, closed = self.left, 0
        for _ in range(min(len(left), LOOKED_AT_MAX)):
            session = left.popleft()
            if session.active_ms < since_ms and not waits(session):
                session.kill()
                closed += 1
                if closed == CLOSED_MAX:
                    break


def waits(session: "Session") -> bool:
    """Whether it may well be silent."""
    return bool(session.batches) or session.held or session.monitoring or session.subscriptions is not None

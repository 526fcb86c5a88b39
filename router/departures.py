"""Clients that have sent all they will and are owed nothing: their connections are closed some at a time.

departures.add(session)

Rule 1: whoever goes is closed in a later turn, in the order in which they went. It takes the kernel and the loop 50 µs
        to close a connection: where a thousand clients go at once, all others would wait for as long as that takes.
"""

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.server import Router
    from router.session import Session

CLOSED_MAX = 8
"""In a turn; that takes 0.4 ms. As a turn lets in one client at most by each door, they come no faster than they go."""


class Departures:
    """Those that are about to go."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.left: deque[Session] = deque()

    def add(self, session: "Session") -> None:
        """Has the session closed soon. It is no client any more: who comes in the same turn may have its place."""
        self.router.session_lost(session)
        if not self.left:
            self.router.loop.call_soon(self._turn)
        self.left.append(session)

    def _turn(self) -> None:
        left = self.left
        for _ in range(min(len(left), CLOSED_MAX)):
            left.popleft().close()
        if left:
            self.router.loop.call_soon(self._turn)

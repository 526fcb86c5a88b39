"""Clients that ask for the first time: a few at a time, where many do so at once.

if session.reads == 1 and router.newcomers.delays(session): ...    # it begins in a later turn

Rule 1: who was here before does not wait for a crowd that comes: the loop hands over all at once what a thousand have
        sent, and to begin with them takes 40 ms. Newcomers wait for each other, in the order in which they came.
Rule 2: who waits has its requests read, once: they are begun when its turn comes.
"""

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.server import Router
    from router.session import Session

BEGUN_MAX = 16
"""In a turn; that takes 0.7 ms."""


class Newcomers:
    """Those of one router that wait."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.begun_max = BEGUN_MAX
        self.waiting: deque[Session] = deque()
        self.begun = 0
        """How many have begun in this turn."""
        self.due = False
        """Whether a turn will come."""

    def delays(self, session: "Session") -> bool:
        """Whether a session that has its first requests is to begin later."""
        if not self.due:
            self.due = True
            self.router.loop.call_soon(self._turn)
        if self.begun < self.begun_max and not self.waiting:
            self.begun += 1
            return False
        session.waiting = True
        self.waiting.append(session)
        return True

    def _turn(self) -> None:
        waiting = self.waiting
        self.begun = min(len(waiting), self.begun_max)
        for _ in range(self.begun):
            session = waiting.popleft()
            session.waiting = False
            if session.transport is not None:
                session.pump()
        self.due = self.begun > 0  # Also when none is left: who comes now has this turn with those.
        if self.due:
            self.router.loop.call_soon(self._turn)

"""CLIENT PAUSE: until when which commands wait, and who waits.

A command that has to wait stays in its client's backlog, with all that came after it: each client's order is kept. When
the pause ends, clients go on in the order in which they were held. In a transaction it is queuing that waits, as in
Redis, and EXEC if there are writes in it. A client that goes away takes what waited with it. A monitor never waits.
"""

from typing import TYPE_CHECKING

from common.command import Command
from router.transaction import EXEC, WRITES

if TYPE_CHECKING:
    import asyncio

    from router.server import Router
    from router.session import Session


class Pause:
    """Whether clients are paused, and for which commands."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.until_ms = 0
        self.all_commands = False
        self.active = False
        self.held: dict[Session, None] = {}
        """Clients whose next command waits, the first first."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, duration_ms: int, *, all_commands: bool) -> None:
        """Begins a pause. One that is on and lasts longer, or stops more, stays as it is in that."""
        self.until_ms = max(self.until_ms, self.router.now_ms() + duration_ms)
        self.all_commands = self.all_commands or all_commands
        self.active = True
        self._tell()
        self._end_in_time()

    def stops(self, command: Command, session: "Session") -> bool:
        """Whether `command` has to wait; then its session is held until the pause ends."""
        if not self.active or session.monitoring:
            return False
        # A CLIENT UNPAUSE waits too while all commands are paused: so Valkey does.
        stopped = self.all_commands or bool(command.flags & WRITES) or _executes_writes(command, session)
        if stopped:
            session.hold()
            self.held[session] = None
        return stopped

    def forget(self, session: "Session") -> None:
        """The client is gone."""
        self.held.pop(session, None)

    def end(self) -> None:
        """Ends it: clients that were held go on."""
        held = list(self.held)
        self.held.clear()
        self.until_ms = 0
        self.all_commands = False
        self.active = False
        self._tell()
        # In a later turn: an UNPAUSE comes here while the commands before it, of its own client, are not sent yet.
        self.router.loop.call_soon(_release, held)

    def _end_in_time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left_ms = self.until_ms - self.router.now_ms()
        if left_ms > 0:
            self._timer = self.router.loop.call_later(left_ms / 1000, self._end_in_time)
        elif self.active:
            self.end()

    def _tell(self) -> None:
        """Says that it began or ended: on the shards keys must not vanish meanwhile."""
        for session in self.router.sessions.values():
            session.changed()
        for link in self.router.links:
            link.tell(["pause_expiry", self.active])


def _executes_writes(command: Command, session: "Session") -> bool:
    """Whether it is an EXEC that would write. What was queued under a pause has waited already."""
    transaction = session.transaction
    return command.name == EXEC and transaction is not None and transaction.writes(session.router.table.find)


def _release(held: list["Session"]) -> None:
    for session in held:
        session.held = False
        session.pump()

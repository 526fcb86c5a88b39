"""CLIENT PAUSE: until when which commands wait, and who waits.

A command that has to wait stays in its client's backlog, with all that came after it: each client's order is kept. When
the pause ends, clients go on in the order in which they were held.
"""

from typing import TYPE_CHECKING

from common.command import Command, Flag

if TYPE_CHECKING:
    from router.session import Session


class Pause:
    """Whether clients are paused, and for which commands. Time is told, not read."""

    def __init__(self) -> None:
        self.until_ms = 0
        self.all_commands = False
        self.active = False
        self.held: dict[Session, None] = {}
        """Clients whose next command waits, the first first."""

    def begin(self, until_ms: int, *, all_commands: bool) -> None:
        """Begins a pause. One that is on and lasts longer, or stops more, stays as it is in that."""
        self.until_ms = max(self.until_ms, until_ms)
        self.all_commands = self.all_commands or all_commands
        self.active = True

    def stops(self, command: Command, session: "Session") -> bool:
        """Whether `command` has to wait; then its session is held until the pause ends."""
        if not self.active:
            return False
        # A CLIENT UNPAUSE waits too while all commands are paused: so Valkey does.
        stopped = self.all_commands or bool(command.flags & (Flag.WRITE | Flag.MAY_REPLICATE))
        if stopped:
            session.held = True
            self.held[session] = None
        return stopped

    def forget(self, session: "Session") -> None:
        """The client is gone."""
        self.held.pop(session, None)

    def end(self) -> list["Session"]:
        """Ends the pause; the clients that were held."""
        held = list(self.held)
        self.held.clear()
        self.until_ms = 0
        self.all_commands = False
        self.active = False
        return held

"""What a client queues between MULTI and EXEC; how that is run is in execution.py.

What is wrong with a command is said when it is queued, and EXEC then refuses all of them. An error at run time is the
reply of its command, and the others are run all the same.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from common.command import Command, Flag
from common.errors import RedisError
from router.batch import QUEUED_LINE, Batch, Route

if TYPE_CHECKING:
    from router.session import Session

EXEC = "exec"
WRITES = Flag.WRITE | Flag.MAY_REPLICATE
"""What a CLIENT PAUSE WRITE stops."""


class Transaction:
    """What a client has queued since MULTI."""

    def __init__(self) -> None:
        self.queued: list[list[bytes]] = []
        self.unusual: dict[int, Command] = {}
        """By their place, those that a session in its usual state would not just forward."""
        self.broken = False
        """Whether a command was refused, and so EXEC will be."""
        self.executing = False
        """Whether EXEC is under way."""
        self.db: int | None = None
        """What a queued SELECT will select, where the user may not use every db."""

    def collect(self, batch: Batch, commands: list[list[bytes]], place: int, routes: dict[bytes, Route]) -> int:
        """Queues the commands from `place` on that are usual ones; the place of the first that is not."""
        first = place
        count = len(commands)
        queued = self.queued
        steps = batch.steps
        route = None
        while place < count:
            argv = commands[place]
            words = len(argv)
            found = routes.get(argv[0])
            if found is None or words < found.shortest or words > found.longest:
                break
            route = found
            queued.append(argv)
            place += 1
        if route is not None:
            steps.append(QUEUED_LINE * (place - first))
            batch.plain = False
            batch.session.last_command = route.name
        return place

    def queue(self, batch: Batch, command: Command, argv: list[bytes]) -> None:
        """Queues any command.  Raises RedisError if it must not be in a transaction."""
        if command.flags & Flag.NO_MULTI:
            raise RedisError(f"ERR Command '{command.name}' not allowed inside a transaction")
        self.unusual[len(self.queued)] = command
        self.queued.append(argv)
        batch.add_step(QUEUED_LINE)

    def commands(self, find: Callable[[list[bytes]], Command]) -> list[Command]:
        """The command of each call that is queued."""
        unusual = self.unusual
        return [unusual[place] if place in unusual else find(argv) for place, argv in enumerate(self.queued)]

    def writes(self, find: Callable[[list[bytes]], Command]) -> bool:
        """Whether one of them may write."""
        return any(command.flags & WRITES for command in self.commands(find))


def refused(session: "Session", command: Command | None, error: RedisError) -> RedisError:
    """What a client is told when `command` is refused: it breaks a transaction; EXEC ends it."""
    if command is not None and command.name == EXEC:
        discard(session)
        return RedisError(f"EXECABORT Transaction discarded because of: {str(error).removeprefix('ERR ')}")
    if session.transaction is not None:
        session.transaction.broken = True
    return error


def discard(session: "Session") -> None:
    """Ends a transaction, if there is one, and forgets what is watched."""
    session.transaction = None
    if session.watching is not None:
        session.watching.end()
    session.changed()

"""What a client queues between MULTI and EXEC; how that is run is in execution.py.

What is wrong with a command is said when it is queued, and EXEC then refuses all of them: so none is kept. An error at
run time is the reply of its command, and the others are run all the same.

What is queued counts as a request that is not complete: beyond `client-query-buffer-limit` the client is closed.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from common.command import Command, Flag
from common.errors import RedisError
from router.batch import QUEUED_LINE, Batch, Route

if TYPE_CHECKING:
    from router.session import Session

EXEC = "exec"
MEMORY_BYTES_MAX = 1024 * 1024 * 1024
"""What a transaction may take in all, if `client-query-buffer-limit` is not more: that counts the bytes of its words,
and a million times PING is 4 MB of those and takes 150."""
COMMAND_SIZE_BYTES, WORD_SIZE_BYTES = 96, 48
"""What a queued command takes, and each of its words beside what it holds."""
LONG_WORDS = 8192
"""From how many words on a transaction is long: its shards would be busy with it for more than some milliseconds."""
SHED_MAX, SHED_BYTES_MAX = 2000, 1 << 22
"""How many queued commands, or bytes of them, are freed at a time."""
WRITES = Flag.WRITE | Flag.MAY_REPLICATE
"""What a CLIENT PAUSE WRITE stops."""


class Transaction:
    """What a client has queued since MULTI."""

    def __init__(self) -> None:
        self.size_bytes = 0
        """Of all words that are queued."""
        self.words = 0
        """How many they are."""
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
            self.words += words
            for word in argv:
                self.size_bytes += len(word)
            place += 1
        if route is not None:
            steps.append(QUEUED_LINE * (place - first))
            batch.plain = False
            batch.session.last_command = route.name
            if self.broken:
                queued.clear()
            else:
                self._weigh(batch.session)
        return place

    def queue(self, batch: Batch, command: Command, argv: list[bytes]) -> None:
        """Queues any command.  Raises RedisError if it must not be in a transaction."""
        if command.flags & Flag.NO_MULTI:
            raise RedisError(f"ERR Command '{command.name}' not allowed inside a transaction")
        batch.add_step(QUEUED_LINE)
        if self.broken:
            return
        self.unusual[len(self.queued)] = command
        self.queued.append(argv)
        self.words += len(argv)
        self.size_bytes += sum(map(len, argv))
        self._weigh(batch.session)

    def _weigh(self, session: "Session") -> None:
        """Closes the client if more is queued than may be."""
        limit = session.requests.query_size_bytes_max
        taken = self.size_bytes + self.words * WORD_SIZE_BYTES + len(self.queued) * COMMAND_SIZE_BYTES
        if self.size_bytes + session.requests.query_size_bytes > limit or taken > max(limit, MEMORY_BYTES_MAX):
            session.router.output.close_for_query(session)

    def break_(self) -> None:
        """Notes that a command was refused: nothing of it will be run."""
        self.broken = True
        self.queued = []
        self.unusual = {}

    @property
    def is_long(self) -> bool:
        """Whether it is run in slices: see long_execution.py."""
        return self.words > LONG_WORDS

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
        session.transaction.break_()
    return error


def discard(session: "Session") -> None:
    """Ends a transaction, if there is one, and forgets what is watched."""
    if session.transaction is not None:
        shed(session.router.loop.call_soon, session.transaction.queued)
    session.transaction = None
    if session.watching is not None:
        session.watching.end()
    session.changed()


def shed(call_soon: Callable[..., object], queued: list[list[bytes]]) -> None:
    """Lets go of what was queued: much of it some at a time, for to free a million commands takes 0.1 s."""
    size_bytes = 0
    for _ in range(SHED_MAX):
        if not queued or size_bytes >= SHED_BYTES_MAX:
            break
        size_bytes += sum(map(len, queued.pop()))
    if queued:
        call_soon(shed, call_soon, queued)

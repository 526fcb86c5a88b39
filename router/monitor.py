"""MONITOR: clients that see the commands of all, in the router's order.

A command is shown once, when it is begun: one that waits for the end of a CLIENT PAUSE when that is over, one of a
transaction at EXEC, one that blocks when it does. What is refused before it runs is not shown, nor what the reference
hides: commands of administration, and secrets in the others.
"""

from collections import deque
from typing import TYPE_CHECKING

from common.command import Command, Flag
from common.errors import RedisError
from router.slowlog import redacted

if TYPE_CHECKING:
    from router.server import Router
    from router.session import Session

TOLD_MAX = 32
"""Monitors that are written to in a turn; that takes 0.2 ms."""
REST_S = 0.001
"""Between two turns."""
LINES_BYTES_MAX = 256 * 1024
"""What may be on its way to all of them; more goes out at once."""
APART = -1

HIDDEN = (Flag.ADMIN | Flag.SKIP_MONITOR).value
KEYSPACE = Flag.WRITE | Flag.READONLY | Flag.MAY_REPLICATE
"""What a monitor may not do itself: to the reference it is a replica."""

PLAIN = bytes(byte for byte in range(32, 127) if byte not in b'\\"')
"""What stands for itself."""
NAMED = tuple(zip('\\"\n\r\t\a\b', ("\\\\", '\\"', "\\n", "\\r", "\\t", "\\a", "\\b"), strict=True))
"""What has an escape of its own. The backslash comes first: it is in those of the others."""
READABLE = PLAIN + "".join(character for character, _ in NAMED).encode()
ESCAPES = [f"\\x{byte:02x}" for byte in range(256)]
ESCAPES[32:127] = map(chr, range(32, 127))
for _character, _text in NAMED:
    ESCAPES[ord(_character)] = _text


class Feed:
    """The lines that are on their way to all monitors: each is kept once, with how far each monitor has got.

    Rule 1: what else a monitor is sent comes behind the lines that were there before: `leave` is called first. From
            then on its lines go by Session.push, which knows of the replies under way, until there are none.
    Rule 2: lines go to some monitors in a turn, and to all within some ms: a write to each of 200 for every command
            takes a millisecond, which the one whose command it is would wait. Meanwhile lines gather, and cost no more.
    """

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.monitors: dict[Session, int] = {}
        """The clients that see the commands of all, with the number of the line that each is sent next, or APART."""
        self.apart: dict[Session, None] = {}
        """Those that get their lines by Session.push."""
        self.lines: list[bytes] = []
        """Those that not all have been sent."""
        self.first = 0
        """The number of the first of `lines`."""
        self.size_bytes = 0
        self.queue: deque[Session] = deque()
        """Who has its turn next."""
        self.due = False
        """Whether a turn will come."""

    def add(self, text: bytes) -> None:
        """Shows all monitors a line."""
        for session in list(self.apart):
            self._push(session, text)
        if len(self.apart) == len(self.monitors):
            return
        self.lines.append(text)
        self.size_bytes += len(text)
        if self.size_bytes > LINES_BYTES_MAX:
            self._tell(len(self.monitors))
        elif not self.due:
            self.due = True
            self.router.loop.call_soon(self._turn)

    def _push(self, session: "Session", text: bytes) -> None:
        if session.subscriptions is not None:
            self.router.pubsub.flush()  # A PUBLISH is shown behind what it brought.
        elif not (session.batches or session.replies.mutes or session.closing):
            del self.apart[session]
            self.monitors[session] = self.first + len(self.lines)
            return
        if not session.replies.mutes:
            session.push(text)

    def leave(self, session: "Session") -> None:
        """Sends a monitor all lines that there are, and those to come by Session.push."""
        number = self.monitors[session]
        if number != APART:
            self.monitors[session] = APART
            self.apart[session] = None
            if lines := self.lines[number - self.first :]:
                session.push(b"".join(lines))

    def end(self, session: "Session") -> None:
        """It is no monitor any more."""
        del self.monitors[session]
        self.apart.pop(session, None)
        if not self.monitors:
            self._forget(self.first + len(self.lines))

    def _turn(self) -> None:
        self._tell(TOLD_MAX)
        self.due = bool(self.lines)
        if self.due:
            self.router.loop.call_later(REST_S, self._turn)

    def _tell(self, count: int) -> None:
        """Sends the next `count` monitors what they have not been sent; what all have been sent is forgotten."""
        queue = self.queue or deque(self.monitors)
        end = self.first + len(self.lines)
        texts: dict[int, bytes] = {end: b""}
        for _ in range(min(count, len(queue))):
            session = queue.popleft()
            number = self.monitors.get(session, APART)
            if number != APART:
                text = texts.get(number)
                if text is None:
                    text = texts[number] = b"".join(self.lines[number - self.first :])
                self.monitors[session] = end
                session.write(text)
        self.queue = queue
        if not queue:
            numbers = self.monitors.values() if not self.apart else [one for one in self.monitors.values() if one >= 0]
            self._forget(min(numbers, default=end))

    def _forget(self, number: int) -> None:
        """Forgets the lines before that one."""
        count = number - self.first
        self.size_bytes -= sum(map(len, self.lines[:count]))
        del self.lines[:count]
        self.first = number


def begin(session: "Session") -> None:
    """Makes the client a monitor."""
    feed = session.router.feed
    session.monitoring = True
    feed.monitors[session] = APART
    feed.apart[session] = None
    if len(feed.monitors) == 1:
        _tell_sessions(session)


def end(session: "Session") -> None:
    """The client is none any more."""
    if session.monitoring:
        session.monitoring = False
        session.router.feed.end(session)
        if not session.router.monitors:
            _tell_sessions(session)


def _tell_sessions(session: "Session") -> None:
    """While somebody looks on, no command of anybody takes the short way, see Session.plain."""
    session.changed()
    for other in session.router.sessions.values():
        other.changed()


def check(command: Command) -> None:
    """Refuses what a monitor may not do.  Raises RedisError."""
    if command.flags & KEYSPACE:
        raise RedisError("ERR Replica can't interact with the keyspace")


def show(session: "Session", command: Command, argv: list[bytes]) -> None:
    """Shows all monitors a command that `session` runs; to be called when what the command changes of the session is
    done, since SELECT is shown with the new db.
    """
    if command.flags.value & HIDDEN:  # Of the numbers: to join two flags takes as long as all the rest here.
        return
    router = session.router
    router.feed.add(line(router.now_us(), session.db, _origin(session), redacted(command, argv)))


def _origin(session: "Session") -> str:
    return f"unix:{session.address.removesuffix(':0')}" if session.unix_socket else session.address


def line(now_us: int, db: int, origin: str, argv: list[bytes]) -> bytes:
    """What a monitor sees of a command, as a simple string in both protocols."""
    words = " ".join([quoted(word) for word in argv])
    return f"+{now_us // 1_000_000}.{now_us % 1_000_000:06d} [{db} {origin}] {words}\r\n".encode(
        errors="surrogateescape"
    )


def quoted(word: bytes) -> str:
    """A word as redis-cli would read it.

    >>> quoted(b'say "hi"\\n\\xff')
    '"say \\\\"hi\\\\"\\\\n\\\\xff"'
    """
    if not word.translate(None, PLAIN):  # As nearly all are. This is a hundred times faster than byte by byte.
        return f'"{word.decode("ascii")}"'
    if word.translate(None, READABLE):
        return '"' + "".join([ESCAPES[byte] for byte in word]) + '"'
    text = word.decode("ascii")
    for character, escape in NAMED:
        text = text.replace(character, escape)
    return f'"{text}"'

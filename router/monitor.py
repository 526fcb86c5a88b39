"""MONITOR: clients that see the commands of all, in the router's order.

A command is shown once, when it is begun: one that waits for the end of a CLIENT PAUSE when that is over, one of a
transaction at EXEC, one that blocks when it does. What is refused before it runs is not shown, nor what the reference
hides: commands of administration, and secrets in the others.
"""

from typing import TYPE_CHECKING

from common.command import Command, Flag
from common.errors import RedisError
from router.slowlog import redacted

if TYPE_CHECKING:
    from router.session import Session

HIDDEN = Flag.ADMIN | Flag.SKIP_MONITOR
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


def begin(session: "Session") -> None:
    """Makes the client a monitor."""
    router = session.router
    session.monitoring = True
    router.monitors[session] = None
    if len(router.monitors) == 1:
        _tell_sessions(session)


def end(session: "Session") -> None:
    """The client is none any more."""
    router = session.router
    if session in router.monitors:
        session.monitoring = False
        del router.monitors[session]
        if not router.monitors:
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


def feed(session: "Session", command: Command, argv: list[bytes]) -> None:
    """Shows all monitors a command that `session` runs; to be called when what the command changes of the session is
    done, since SELECT is shown with the new db.
    """
    if command.flags & HIDDEN:
        return
    router = session.router
    text = line(router.now_us(), session.db, _origin(session), redacted(command, argv))
    for monitor in router.monitors:
        if monitor.subscriptions is not None:
            router.pubsub.flush()  # A PUBLISH is shown behind what it brought.
        if not monitor.replies.mutes:
            monitor.push(text)


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
    if word.translate(None, READABLE):
        return '"' + "".join([ESCAPES[byte] for byte in word]) + '"'
    text = word.decode("ascii")
    if word.translate(None, PLAIN):  # As nearly all words are text this is a hundred times faster than byte by byte.
        for character, escape in NAMED:
            text = text.replace(character, escape)
    return f'"{text}"'

"""What makes a connection usable: who speaks (AUTH), in which protocol (HELLO), on which db (SELECT), and its end."""

from typing import TYPE_CHECKING, Any

from common.command import ALL_SHARDS, ALL_SUCCEEDED, ALLOW_BUSY, AT_ONCE, FAST, LOADING, NO_AUTH, NOSCRIPT, STALE
from common.errors import NotAnInteger, RedisError, SyntaxFault, shown, wrong_arity
from common.numbers import INT_MAX, INT_MIN, integer, maybe_integer
from common.resp import OK, Status
from router import monitor
from router.acl import DEFAULT
from router.commands.table import TABLE
from router.transaction import discard

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("connection")

SERVER = "valkey"
VERSION = "9.1.2"
"""The server whose behaviour this is: clients choose by name and version what they may ask for."""

PONG = Status("PONG")
WITHOUT_PASSWORD = (
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
HELLO_WITHOUT_AUTH = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> "
    "option can be used to authenticate the client and select the RESP protocol version at the same time"
)
BAD_NAME = "ERR Client names cannot contain spaces, newlines or special characters."


# Who speaks


@command(
    "AUTH [username] password",
    NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    since="1.0.0",
    complexity="O(N) where N is the number of passwords defined for the user",
)
def auth(session: "Session", *words: bytes) -> Status:
    """Authenticates the connection."""
    if len(words) > 2:
        raise SyntaxFault()
    users = session.router.users
    if len(words) == 1 and users.default.nopass:
        raise RedisError(WITHOUT_PASSWORD)
    users.authenticate(session, words[0] if len(words) == 2 else DEFAULT.encode(), words[-1])
    return OK


# How it is spoken


@command(
    "HELLO [protover [AUTH username password] [SETNAME clientname]]",
    NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    since="6.0.0",
    complexity="O(1)",
)
def hello(session: "Session", *words: bytes) -> dict[str, Any]:
    """Handshakes with the server."""
    protocol = _protocol_of(words[0]) if words else session.protocol
    credentials, name = _hello_options(words[1:])
    if credentials is not None:
        session.router.users.authenticate(session, *credentials)
    if not session.authenticated and session.router.users.password_needed():
        raise RedisError(HELLO_WITHOUT_AUTH)
    if name is not None:
        session.name = name
    session.protocol = protocol
    session.changed()
    return _greeting(session)


def _protocol_of(word: bytes) -> int:
    protocol = maybe_integer(word)
    if protocol is None:
        raise RedisError("ERR Protocol version is not an integer or out of range")
    if protocol not in (2, 3):
        raise RedisError("NOPROTO unsupported protocol version")
    return protocol


def _hello_options(words: tuple[bytes, ...]) -> tuple[tuple[bytes, bytes] | None, bytes | None]:
    """User and password, and the name, as far as they are given; the last of each counts.  Raises RedisError."""
    credentials = name = None
    at = 0
    while at < len(words):
        option = words[at].upper()
        if option == b"AUTH" and at + 2 < len(words):
            credentials = (words[at + 1], words[at + 2])
            at += 3
        elif option == b"SETNAME" and at + 1 < len(words):
            name = checked_name(words[at + 1])
            at += 2
        else:
            raise RedisError(f"ERR Syntax error in HELLO option '{shown(words[at])}'")
    return credentials, name


def _greeting(session: "Session") -> dict[str, Any]:
    greeting: dict[str, Any] = {
        "server": SERVER,
        "version": VERSION,
        "proto": session.protocol,
        "id": session.id,
        "mode": "standalone",
        "role": "master",
        "modules": [],
    }
    zone = session.router.config["availability-zone"]
    if zone:
        greeting["availability_zone"] = zone
    return greeting


def checked_name(name: bytes) -> bytes:
    """A name that a client gives itself.  Raises RedisError if it would break a line of CLIENT LIST."""
    if not is_one_word(name):
        raise RedisError(BAD_NAME)
    return name


def is_one_word(text: bytes) -> bool:
    """Whether there is no blank and nothing unprintable in it. Redis reads it as a C string, up to a zero byte."""
    return all(33 <= byte <= 126 for byte in text.partition(b"\0")[0])


# The rest


@command(
    "PING [message]",
    FAST,
    since="1.0.0",
    complexity="O(1)",
    fan=ALL_SHARDS,
    merge=ALL_SUCCEEDED,
)
def ping(session: "Session", *message: bytes) -> Status | bytes | list[bytes]:
    """Returns the server's liveliness response."""
    if len(message) > 1:
        raise wrong_arity("ping")
    if session.subscriptions is not None and session.protocol == 2:
        return [b"pong", *message] if message else [b"pong", b""]
    return message[0] if message else PONG


@command("ECHO message", LOADING | STALE | FAST, since="1.0.0", complexity="O(1)")
def echo(session: "Session", message: bytes) -> bytes:
    """Returns the given string."""
    return message


@command("SELECT index", LOADING | STALE | FAST | ALLOW_BUSY, since="1.0.0", complexity="O(1)")
def select(session: "Session", index: bytes) -> Status:
    """Changes the selected database."""
    db = integer(index)
    if not INT_MIN <= db <= INT_MAX:
        raise NotAnInteger(f"ERR value is out of range, value must between {INT_MIN} and {INT_MAX}")
    if not 0 <= db < session.router.config["databases"]:
        raise RedisError("ERR DB index is out of range")
    session.db = db
    session.changed()
    return OK


@command(
    "RESET",
    NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY | AT_ONCE,
    since="6.2.0",
    complexity="O(1)",
)
def reset(session: "Session") -> Status:
    """Resets the connection."""
    discard(session)
    session.router.pubsub.forget(session)
    session.router.trackers.disable(session)
    monitor.end(session)
    session.reset()
    return Status("RESET")


@command(
    "QUIT",
    NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY | AT_ONCE,
    arity=-1,
    since="1.0.0",
    complexity="O(1)",
)
def quit_(session: "Session", *ignored: bytes) -> Status:
    """Closes the connection."""
    session.end()
    return OK

"""What can be said of a client: the fields of CLIENT LIST and CLIENT INFO, and the letters of its flags."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from router.output import unsent_bytes
from router.pubsub import Kind
from router.tracking import Mode

if TYPE_CHECKING:
    from router.session import Session

IDLE_SIZE_BYTES = 5 * 1024
"""What a connected client takes in the router while it does nothing; measured with 850 of them."""

Text = Callable[["Session"], object]


def described(session: "Session") -> str:
    """A client's line in CLIENT LIST, without the line end."""
    return " ".join(f"{name}={value(session)}" for name, value in FIELDS)


def flags_of(session: "Session") -> str:
    """A letter for each thing that is unusual about the client; "N" if nothing is."""
    return "".join(letter for letter, holds in FLAGS if holds(session)) or "N"


def age_s(session: "Session") -> int:
    return (session.router.now_ms() - session.created_ms) // 1000


def idle_s(session: "Session") -> int:
    return (session.router.now_ms() - session.active_ms) // 1000


def capabilities_of(session: "Session") -> str:
    return "r" if session.follows_redirects else ""


def ip_of(session: "Session") -> str:
    return session.address.rpartition(":")[0].strip("[]")


def text_of(value: bytes) -> str:
    """What a client said of itself, up to a zero byte: Redis prints it as a C string."""
    return value.partition(b"\0")[0].decode("latin-1")


FLAGS: tuple[tuple[str, Callable[["Session"], bool]], ...] = (
    ("O", lambda session: session.monitoring),
    ("P", lambda session: session.subscriptions is not None),
    ("x", lambda session: session.transaction is not None),
    ("b", lambda session: session.held or session.blocking is not None),
    ("t", lambda session: session.tracking is not None),
    ("R", lambda session: session.tracking is not None and session.tracking.broken),
    ("B", lambda session: session.tracking is not None and session.tracking.mode is Mode.BROADCAST),
    ("d", lambda session: session.watching is not None and session.watching.touched),
    ("c", lambda session: session.closing),
    ("U", lambda session: session.unix_socket),
    ("e", lambda session: session.no_evict),
    ("T", lambda session: session.no_touch),
)
"""In Valkey's order."""

FLAG_LETTERS = frozenset("OSEiMPxbtRBdcuAUreTIN")
"""All that Valkey has: asking for the clients of a kind that is not here finds none."""

CAPABILITY_LETTERS = frozenset("r")


def _waiting(session: "Session") -> int:
    """Bytes of whole commands that wait until they may begin. What waits is at most what one read brings."""
    return sum(len(word) for argv in session.backlog for word in argv)


def _queued(session: "Session") -> int:
    """Commands that wait for EXEC. The reference says 0, and not -1, once there was a transaction."""
    return len(_queue(session)) if session.transaction is not None else session.transacted - 1


def _queue(session: "Session") -> list[list[bytes]]:
    """Of a transaction that will be refused the reference keeps nothing."""
    transaction = session.transaction
    return [] if transaction is None or transaction.broken else transaction.queued


def _queued_bytes(session: "Session") -> int:
    return sum(len(word) for argv in _queue(session) for word in argv)


def _watched(session: "Session") -> int:
    watching = session.watching
    return len(watching.places) if watching is not None and not watching.touched else 0


def size_bytes(session: "Session") -> int:
    """What a client takes."""
    waiting_bytes = _waiting(session) + _queued_bytes(session) + unsent_bytes(session)
    return IDLE_SIZE_BYTES + session.requests.query_size_bytes + waiting_bytes


def _fd(session: "Session") -> int:
    connection = session.transport.get_extra_info("socket") if session.transport is not None else None
    return connection.fileno() if connection is not None else -1


def _events(session: "Session") -> str:
    """What the loop waits for on the connection: to read, to write."""
    return ("" if session.reading_paused else "r") + ("w" if unsent_bytes(session) else "")


def _subscribed(kind: Kind) -> Text:
    return lambda session: len(session.subscriptions.names[kind]) if session.subscriptions is not None else 0


def _none(session: "Session") -> int:
    return 0


FIELDS: tuple[tuple[str, Text], ...] = (
    ("id", lambda session: session.id),
    ("addr", lambda session: session.address),
    ("laddr", lambda session: session.local_address),
    ("fd", _fd),
    ("name", lambda session: text_of(session.name)),
    ("age", age_s),
    ("idle", idle_s),
    ("flags", flags_of),
    ("capa", capabilities_of),
    ("db", lambda session: session.db),
    ("sub", _subscribed(Kind.CHANNEL)),
    ("psub", _subscribed(Kind.PATTERN)),
    ("ssub", _subscribed(Kind.SHARD_CHANNEL)),
    ("multi", _queued),
    ("watch", _watched),
    ("qbuf", lambda session: session.requests.query_size_bytes),
    ("qbuf-free", _none),
    ("argv-mem", _waiting),
    ("multi-mem", _queued_bytes),
    ("rbs", _none),
    ("rbp", _none),
    ("obl", _none),
    ("oll", lambda session: 1 if unsent_bytes(session) else 0),
    ("omem", unsent_bytes),
    ("tot-mem", size_bytes),
    ("events", _events),
    ("cmd", lambda session: session.last_command),
    ("user", lambda session: session.user.name),
    ("redir", lambda session: session.tracking.redirect if session.tracking is not None else -1),
    ("resp", lambda session: session.protocol),
    ("lib-name", lambda session: text_of(session.library_name)),
    ("lib-ver", lambda session: text_of(session.library_version)),
    ("tot-net-in", lambda session: session.bytes_in),
    ("tot-net-out", lambda session: session.bytes_out),
    ("tot-cmds", lambda session: session.commands),
)
"""In Valkey's order. Where a value is fixed the router has no such thing: it keeps no buffers of its own beside the
loop's."""

"""Publish and subscribe: who hears what, and the messages on their way.

Rule 1: a message goes to all who are subscribed when it is published, and each of them gets messages in the order in
        which they were published.
Rule 2: what is published in one turn goes to each session as one piece, and what goes to one audience is put together
        once for all, so that a subscriber costs something a turn and little a message. It is sent (`flush`) when the
        turn is over, and before anything that could tell the difference: before a subscriber's next command, and before
        an audience changes. Whoever publishes in the name of a subscriber flushes itself.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from common.errors import RedisError
from common.glob import Matcher, matcher
from common.resp import Messages, Push

if TYPE_CHECKING:
    from common.command import Command
    from router.session import Session

PENDING_BYTES_MAX = 64 * 1024
"""Messages that wait for the end of the turn: so much makes a good write."""

ALLOWED = frozenset(
    ("ping", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe", "quit", "reset")
)
"""What a subscriber in RESP2 may call: its protocol cannot tell replies from messages."""


class Kind(Enum):
    """What one can subscribe to; the value is how the words for it begin: PSUBSCRIBE, "pmessage"."""

    CHANNEL = b""
    PATTERN = b"p"
    SHARD_CHANNEL = b"s"
    """A channel like any other, under another roof: a cluster would keep its messages within a shard."""


class Audience:
    """Who is subscribed to one channel or pattern."""

    __slots__ = ("sessions", "head", "matches")

    def __init__(self, kind: Kind, name: bytes) -> None:
        self.sessions: dict[Session, None] = {}
        """The first that came first."""
        word = kind.value + b"message"
        size = 4 if kind is Kind.PATTERN else 3
        self.head = b"%d\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (size, len(word), word, len(name), name)
        """How each of its messages begins, behind the mark that tells a push from an array."""
        self.matches: Matcher = matcher(name) if kind is Kind.PATTERN else name.__eq__


class Subscriptions:
    """What one session is subscribed to: at least one thing."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[Kind, dict[bytes, None]] = {kind: {} for kind in Kind}
        """In the order in which it subscribed."""

    def count(self, kind: Kind) -> int:
        """How many things of its kind it is subscribed to: shard channels count apart, channels and patterns not."""
        names = self.names
        if kind is Kind.SHARD_CHANNEL:
            return len(names[kind])
        return len(names[Kind.CHANNEL]) + len(names[Kind.PATTERN])

    def hears(self, channel: bytes) -> bool:
        """Whether it is subscribed to that channel by its name."""
        return channel in self.names[Kind.CHANNEL]


class PubSub:
    """All audiences of a server."""

    def __init__(self, soon: Callable[[], None]) -> None:
        """`soon` has `flush` called when this turn is over."""
        self.soon = soon
        self.channels: dict[bytes, Audience] = {}
        self.patterns: dict[bytes, Audience] = {}
        self.shard_channels: dict[bytes, Audience] = {}
        self.audiences = {
            Kind.CHANNEL: self.channels,
            Kind.PATTERN: self.patterns,
            Kind.SHARD_CHANNEL: self.shard_channels,
        }
        self.pending: list[bytes] = []
        """Messages to `pending_for`, each without its first byte."""
        self.pending_for: Audience | None = None
        """The last audience of this turn; None if there is nothing to hand out."""
        self.addressed: dict[Session, list[bytes]] = {}
        """What was published before that to others, by who gets it."""
        self.pending_bytes = 0
        """Of all of these messages."""

    # Messages

    def publish(self, channel: bytes, message: bytes) -> int:
        """Sends it; how many get it, each counted for its channel and for each pattern. O(patterns), nothing more
        where nobody hears it.
        """
        audience = self.channels.get(channel)
        patterns = [pattern for pattern in self.patterns.values() if pattern.matches(channel)] if self.patterns else ()
        if audience is None and not patterns:
            return 0
        text = b"$%d\r\n%b\r\n" % (len(message), message)
        count = 0
        if audience is not None:
            self._send(audience, audience.head + text)
            count = len(audience.sessions)
        for pattern in patterns:
            self._send(pattern, b"%b$%d\r\n%b\r\n%b" % (pattern.head, len(channel), channel, text))
            count += len(pattern.sessions)
        return count

    def publish_to_shard_channel(self, channel: bytes, message: bytes) -> int:
        """Sends it to those of a shard channel; how many they are."""
        audience = self.shard_channels.get(channel)
        if audience is None:
            return 0
        self._send(audience, b"%b$%d\r\n%b\r\n" % (audience.head, len(message), message))
        return len(audience.sessions)

    def _send(self, audience: Audience, text: bytes) -> None:
        if audience is not self.pending_for:
            self._address()
            self.pending_for = audience
            self.soon()
        self.pending.append(text)
        self.pending_bytes += len(text)
        if self.pending_bytes > PENDING_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Hands out what is pending."""
        if self.pending_for is None:
            return
        self._address()
        addressed, self.addressed = self.addressed, {}
        self.pending_bytes = 0
        for session, pieces in addressed.items():
            session.push(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _address(self) -> None:
        """Puts what is pending behind what its audience has already; all of one protocol get the very same bytes."""
        audience = self.pending_for
        if audience is None:
            return
        pending, self.pending = self.pending, []
        self.pending_for = None
        addressed = self.addressed
        arrays = pushes = b""
        for session in audience.sessions:
            if session.protocol == 2:
                piece = arrays = arrays or b"*" + b"*".join(pending)
            else:
                piece = pushes = pushes or b">" + b">".join(pending)
            pieces = addressed.get(session)
            if pieces is None:
                addressed[session] = [piece]
            else:
                pieces.append(piece)

    # Subscribers

    def subscribe(self, session: "Session", kind: Kind, names: Sequence[bytes]) -> Messages:
        """Adds what it is not subscribed to yet; a message for each name."""
        self.flush()
        subscriptions = session.subscriptions
        if subscriptions is None:
            subscriptions = session.subscriptions = Subscriptions()
            session.changed()
        word, known, mine = kind.value + b"subscribe", self.audiences[kind], subscriptions.names[kind]
        messages = Messages()
        for name in names:
            audience = known.get(name)
            if audience is None:
                audience = known[name] = Audience(kind, name)
            audience.sessions[session] = mine[name] = None
            messages.append(Push([word, name, subscriptions.count(kind)]))
        return messages

    def unsubscribe(self, session: "Session", kind: Kind, names: Sequence[bytes]) -> Messages:
        """Ends these subscriptions, all of that kind if none is named; a message for each name, but at least one."""
        self.flush()
        word = kind.value + b"unsubscribe"
        subscriptions = session.subscriptions or Subscriptions()
        mine = subscriptions.names[kind]
        messages = Messages()
        for name in names or list(mine):
            if name in mine:
                del mine[name]
                self._leave(session, kind, name)
            messages.append(Push([word, name, subscriptions.count(kind)]))
        if session.subscriptions is not None and not any(subscriptions.names.values()):
            session.subscriptions = None
            session.changed()
        return messages or Messages([Push([word, None, subscriptions.count(kind)])])

    def forget(self, session: "Session") -> None:
        """Ends all subscriptions without a word: the client is gone, or wants to be as new."""
        subscriptions, session.subscriptions = session.subscriptions, None
        if subscriptions is not None:
            self.flush()
            for kind, names in subscriptions.names.items():
                for name in names:
                    self._leave(session, kind, name)

    def _leave(self, session: "Session", kind: Kind, name: bytes) -> None:
        sessions = self.audiences[kind][name].sessions
        del sessions[session]
        if not sessions:
            del self.audiences[kind][name]


def check_allowed(session: "Session", command: "Command") -> None:
    """Refuses what a subscriber may not call.  Raises RedisError."""
    if session.protocol == 2 and command.name not in ALLOWED:
        raise RedisError(
            f"ERR Can't execute '{command.name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are"
            " allowed in this context"
        )

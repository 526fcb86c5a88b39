"""The commands of publish and subscribe; who is subscribed to what is in router/pubsub.py."""

from typing import TYPE_CHECKING

from common.command import FAST, LOADING, MAY_REPLICATE, NOSCRIPT, PUBSUB, STALE
from common.errors import RedisError
from common.glob import matches
from common.resp import NO_REPLY, Messages, NoReply, encode
from router.commands.table import TABLE
from router.pubsub import Audience, Kind
from router.replies import Replies

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("pubsub")

command.container(
    "PUBSUB",
    "A container for Pub/Sub commands.",
    since="2.8.0",
    help_since="6.2.0",
    help_acl="-pubsub",
    help_="""
CHANNELS [<pattern>]
    Return the currently active channels matching a <pattern> (default: '*').
NUMPAT
    Return number of subscriptions to patterns.
NUMSUB [<channel> ...]
    Return the number of subscribers for the specified channels, excluding
    pattern subscriptions(default: no channels).
SHARDCHANNELS [<pattern>]
    Return the currently active shard level channels matching a <pattern> (default: '*').
SHARDNUMSUB [<shardchannel> ...]
    Return the number of subscribers for the specified shard level channel(s)
""",
)

SUBSCRIBING = PUBSUB | NOSCRIPT | LOADING | STALE
PUBLISHING = PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE
LOOKING = PUBSUB | LOADING | STALE

IN_A_TRANSACTION = "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"


# Who listens


@command(
    "SUBSCRIBE channel [channel ...]",
    SUBSCRIBING,
    since="2.0.0",
    complexity="O(N) where N is the number of channels to subscribe to.",
)
def subscribe(session: "Session", *channels: bytes) -> Messages | NoReply:
    """Listens for messages published to channels."""
    return _subscribe(session, Kind.CHANNEL, channels)


@command(
    "PSUBSCRIBE pattern [pattern ...]",
    SUBSCRIBING,
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to subscribe to.",
)
def psubscribe(session: "Session", *patterns: bytes) -> Messages | NoReply:
    """Listens for messages published to channels that match one or more patterns."""
    return _subscribe(session, Kind.PATTERN, patterns)


@command(
    "SSUBSCRIBE shardchannel [shardchannel ...]",
    SUBSCRIBING,
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels to subscribe to.",
)
def ssubscribe(session: "Session", *channels: bytes) -> Messages | NoReply:
    """Listens for messages published to shard channels."""
    if session.transaction is not None:
        raise RedisError(IN_A_TRANSACTION)
    return _subscribe(session, Kind.SHARD_CHANNEL, channels)


@command(
    "UNSUBSCRIBE [channel [channel ...]]",
    SUBSCRIBING,
    since="2.0.0",
    complexity="O(N) where N is the number of channels to unsubscribe.",
)
def unsubscribe(session: "Session", *channels: bytes) -> Messages | NoReply:
    """Stops listening to messages posted to channels."""
    return _unsubscribe(session, Kind.CHANNEL, channels)


@command(
    "PUNSUBSCRIBE [pattern [pattern ...]]",
    SUBSCRIBING,
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to unsubscribe.",
)
def punsubscribe(session: "Session", *patterns: bytes) -> Messages | NoReply:
    """Stops listening to messages published to channels that match one or more patterns."""
    return _unsubscribe(session, Kind.PATTERN, patterns)


@command(
    "SUNSUBSCRIBE [shardchannel [shardchannel ...]]",
    SUBSCRIBING,
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels to unsubscribe.",
)
def sunsubscribe(session: "Session", *channels: bytes) -> Messages | NoReply:
    """Stops listening to messages posted to shard channels."""
    return _unsubscribe(session, Kind.SHARD_CHANNEL, channels)


def _subscribe(session: "Session", kind: Kind, names: tuple[bytes, ...]) -> Messages | NoReply:
    return _told(session, session.router.pubsub.subscribe(session, kind, names))


def _unsubscribe(session: "Session", kind: Kind, names: tuple[bytes, ...]) -> Messages | NoReply:
    return _told(session, session.router.pubsub.unsubscribe(session, kind, names))


def _told(session: "Session", messages: Messages) -> Messages | NoReply:
    """The reply. A client that wants no replies gets these all the same: they are messages."""
    if session.replies is Replies.ON:
        return messages
    session.push(encode(messages, session.protocol))
    return NO_REPLY


# Who speaks


@command(
    "PUBLISH channel message",
    PUBLISHING,
    since="2.0.0",
    complexity="O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number"
    " of subscribed patterns (by any client).",
)
def publish(session: "Session", channel: bytes, message: bytes) -> int:
    """Posts a message to a channel."""
    return _published(session, session.router.pubsub.publish(channel, message))


@command(
    "SPUBLISH shardchannel message",
    PUBLISHING,
    since="7.0.0",
    complexity="O(N) where N is the number of clients subscribed to the receiving shard channel.",
)
def spublish(session: "Session", channel: bytes, message: bytes) -> int:
    """Posts a message to a shard channel."""
    return _published(session, session.router.pubsub.publish_to_shard_channel(channel, message))


def _published(session: "Session", count: int) -> int:
    """The reply; what a subscriber sends to itself comes right behind it."""
    if session.subscriptions is not None:
        session.router.pubsub.flush()
    return count


# Who looks


@command(
    "PUBSUB CHANNELS [pattern]",
    LOOKING,
    since="2.8.0",
    complexity="O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively"
    " short channels and patterns)",
)
def channels(session: "Session", *patterns: bytes) -> list[bytes]:
    """Returns the active channels."""
    return _matching(session.router.pubsub.channels, patterns, "CHANNELS")


@command(
    "PUBSUB SHARDCHANNELS [pattern]",
    LOOKING,
    since="7.0.0",
    complexity="O(N) where N is the number of active shard channels, and assuming constant time pattern matching"
    " (relatively short shard channels).",
)
def shardchannels(session: "Session", *patterns: bytes) -> list[bytes]:
    """Returns the active shard channels."""
    return _matching(session.router.pubsub.shard_channels, patterns, "SHARDCHANNELS")


def _matching(audiences: dict[bytes, Audience], patterns: tuple[bytes, ...], name: str) -> list[bytes]:
    if len(patterns) > 1:
        raise RedisError(f"ERR unknown subcommand or wrong number of arguments for '{name}'. Try PUBSUB HELP.")
    return [name for name in audiences if not patterns or matches(patterns[0], name)]


@command("PUBSUB NUMPAT", LOOKING, since="2.8.0", complexity="O(1)")
def numpat(session: "Session") -> int:
    """Returns a count of unique pattern subscriptions."""
    return len(session.router.pubsub.patterns)


@command(
    "PUBSUB NUMSUB [channel [channel ...]]",
    LOOKING,
    since="2.8.0",
    complexity="O(N) for the NUMSUB subcommand, where N is the number of requested channels",
)
def numsub(session: "Session", *names: bytes) -> list[bytes | int]:
    """Returns a count of subscribers to channels."""
    return _sizes(session.router.pubsub.channels, names)


@command(
    "PUBSUB SHARDNUMSUB [shardchannel [shardchannel ...]]",
    LOOKING,
    since="7.0.0",
    complexity="O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
    keys="",
)
def shardnumsub(session: "Session", *names: bytes) -> list[bytes | int]:
    """Returns the count of subscribers of shard channels."""
    return _sizes(session.router.pubsub.shard_channels, names)


def _sizes(audiences: dict[bytes, Audience], names: tuple[bytes, ...]) -> list[bytes | int]:
    """Each name with its number of subscribers: a flat array in both protocols."""
    reply: list[bytes | int] = []
    for name in names:
        audience = audiences.get(name)
        reply += (name, len(audience.sessions) if audience is not None else 0)
    return reply

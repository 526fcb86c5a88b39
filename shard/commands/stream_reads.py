"""Streams: reading what is new in several of them, for oneself or for a consumer group.

What the log gets of a delivery are its effects: XCLAIM of what is pending now, XGROUP SETID of how far the group is.
Deviation: reading what is pending again counts as a delivery, which Valkey does not log; here it is.
"""

from dataclasses import dataclass, field
from typing import Any

from common.command import BLOCKING, READONLY, WRITE
from common.errors import RedisError, SyntaxFault, shown
from common.numbers import integer
from common.resp import ENCODERS, NULL_ARRAY, encode
from shard.blocking import Blocked, deadline_of_ms
from shard.commands.stream_delivery import Delivery
from shard.commands.stream_ids import id_text, parse_id
from shard.commands.stream_ranges import Shown
from shard.commands.stream_ranges import shown as entries_shown
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.stream import ID_MAX, Entry, Stream
from shard.values.stream_groups import Group

command = TABLE.family("stream")

NEW = -1
"""Instead of an ID: what the group has not read yet, `>`."""

MEANINGLESS = (
    "ERR The %s ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by"
    " specifying a proper ID, or use the > ID to get new messages. The %s ID would just return an empty result set."
)
UNBALANCED = "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{other}' must be specified."
ONLY_IN_GROUPS = "ERR The %s option is only supported by XREADGROUP. You called XREAD instead."
NEW_WITHOUT_GROUP = (
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
)


class ByKey(list[tuple[bytes, Shown]]):
    """Entries by key, which may come twice: a map in RESP3, an array of arrays of two in RESP2."""

    __slots__ = ()


def _by_key(reply: ByKey, protocol: int) -> bytes:
    if protocol == 2:
        return ENCODERS[list](reply, protocol)
    return b"%%%d\r\n" % len(reply) + b"".join([encode(item, protocol) for pair in reply for item in pair])


ENCODERS[ByKey] = _by_key


@dataclass(slots=True)
class Request:
    """What a call says, its IDs as numbers."""

    count: int = 0
    """0 for all."""
    until_ms: int = -1
    """Absolute; -1 if it does not block."""
    group: bytes | None = None
    consumer: bytes = b""
    acknowledges: bool = True
    """No NOACK."""
    keys: tuple[bytes, ...] = ()
    words: tuple[bytes, ...] = ()
    """The IDs as they came."""
    ids: list[int] = field(default_factory=list)
    """What is read comes after these."""


@command(
    "XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    READONLY | BLOCKING,
    since="5.0.0",
    summary="Returns messages from multiple streams with IDs greater than the ones requested. Blocks until a message is"
    " available otherwise.",
)
def xread(db: Keyspace, *words: bytes) -> ByKey | Blocked | Any:
    """What there is, or who is to be asked again."""
    request = _parse(db, words, "xread")
    _resolve(db, request)
    reply = read(db, request)
    if reply:
        return reply
    if request.until_ms < 0:
        return NULL_ARRAY
    # A `$` is the end as it was when the call came.
    resolved = [id_text(id_) if word == b"$" else word for word, id_ in zip(request.words, request.ids, strict=True)]
    argv = [b"XREAD", *words[: len(words) - len(resolved)], *resolved]
    return Blocked(request.keys, Stream, request.until_ms, argv=argv)


def read(db: Keyspace, request: Request) -> ByKey:
    """What there is after the IDs of the request; empty if there is nothing."""
    reply = ByKey()
    for key, id_ in zip(request.keys, request.ids, strict=True):
        stream = db.get(key)  # Once more, as in Valkey: it is counted twice.
        if stream is not None and stream.top_id() > id_:
            reply.append((key, entries_shown(stream.entries(id_ + 1, ID_MAX, request.count))))
    return reply


@command(
    "XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
    WRITE | BLOCKING,
    since="5.0.0",
    complexity="For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g."
    " always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP"
    " blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
    name="xreadgroup",
    keys="RO access",
    event="",
    summary="Returns new or historical messages from a stream for a consumer in a group. Blocks until a message is"
    " available otherwise.",
)
def xreadgroup(db: Keyspace, *words: bytes) -> ByKey | Blocked | Any:
    """What there is for the consumer, or who is to be asked again."""
    request = _parse(db, words, "xreadgroup")
    groups = _resolve(db, request)
    reply = read_for_group(db, request, groups)
    if reply:
        return reply
    if request.until_ms < 0:
        return NULL_ARRAY
    return Blocked(request.keys, Stream, request.until_ms, lasting=True)


def read_for_group(db: Keyspace, request: Request, groups: list[Group]) -> ByKey:
    """What there is for the consumer; empty if there is nothing. It is pending from now on."""
    reply = ByKey()
    for key, id_, group in zip(request.keys, request.ids, groups, strict=True):
        stream = db.get(key)  # Once more, as in Valkey: it is counted twice.
        assert stream is not None and request.group is not None
        delivery = Delivery(db, key, request.group, group, request.consumer)
        if id_ != NEW:
            reply.append((key, _history(delivery, stream, id_, request.count)))
        elif stream.top_id() > group.last_id:
            reply.append((key, _news(delivery, stream, request)))
        delivery.log()
    return reply


def _news(delivery: Delivery, stream: Stream, request: Request) -> Shown:
    """Entries that the group has not read yet, which are the consumer's from now on."""
    group = delivery.group
    entries: list[Entry] = stream.entries(group.last_id + 1, ID_MAX, request.count)
    for id_, _ in entries:
        stream.deliver(group, id_)
        if request.acknowledges:
            delivery.give(id_, 1)
    delivery.moved = True
    return entries_shown(entries)


def _history(delivery: Delivery, stream: Stream, after: int, limit: int) -> Shown:
    """Entries that are pending for the consumer; null is what is in those that were deleted."""
    found: Shown = []
    for id_, pending in delivery.consumer.pending.items(after + 1):
        words = stream.entry(id_)
        found.append([id_text(id_), NULL_ARRAY if words is None else words])
        if words is not None:
            delivery.give_again(id_, pending)
        if len(found) == limit > 0:
            break
    return found


# --- What a call says ------------------------------------------------------------------------------------------------


def _parse(db: Keyspace, words: tuple[bytes, ...], name: str) -> Request:
    """The options and the keys; the IDs are not looked at yet.  Raises RedisError."""
    request = Request()
    in_group = name == "xreadgroup"
    at, count = 0, len(words)
    while at < count and not request.keys:
        option = words[at].upper()
        more = count - at - 1
        if option == b"STREAMS" and more:
            half, odd = divmod(more, 2)
            if odd:
                other = ">" if in_group else "$"
                raise RedisError(UNBALANCED.format(name=name, other=other))
            request.keys, request.words = words[at + 1 : at + 1 + half], words[at + 1 + half :]
        elif option == b"BLOCK" and more:
            request.until_ms = deadline_of_ms(words[at + 1], db.store.now_ms)
        elif option == b"COUNT" and more:
            request.count = max(integer(words[at + 1]), 0)
        elif option in (b"GROUP", b"NOACK") and (option == b"NOACK" or more >= 2):
            if not in_group:
                raise RedisError(ONLY_IN_GROUPS % option.decode())
            if option == b"NOACK":
                request.acknowledges = False
            else:
                request.group, request.consumer = words[at + 1], words[at + 2]
        else:
            raise SyntaxFault()
        at += {b"GROUP": 3, b"NOACK": 1}.get(option, 2)
    if not request.keys:
        raise SyntaxFault()
    if in_group and request.group is None:
        raise RedisError("ERR Missing GROUP option for XREADGROUP")
    return request


def _resolve(db: Keyspace, request: Request) -> list[Group]:
    """Reads the IDs, and gives the groups, of which there are none for XREAD.  Raises RedisError."""
    groups = []
    for key, word in zip(request.keys, request.words, strict=True):
        stream = db.get(key, Stream)
        if request.group is not None:
            groups.append(_group_of(stream, key, request.group))
        if word in (b"$", b"+") and request.group is not None:
            raise RedisError(MEANINGLESS.replace("%s", word.decode()))
        if word == b"$":
            request.ids.append(0 if stream is None else stream.last_id)
        elif word == b"+":
            request.ids.append(0 if stream is None else max(stream.last_id - 1, 0))
        elif word == b">":
            if request.group is None:
                raise RedisError(NEW_WITHOUT_GROUP)
            request.ids.append(NEW)
        else:
            id_ = parse_id(word)
            # Valkey takes the greatest ID for `>`.
            request.ids.append(NEW if id_ == ID_MAX and request.group is not None else id_)
    return groups


def _group_of(stream: Stream | None, key: bytes, name: bytes) -> Group:
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        raise RedisError(
            f"NOGROUP No such key '{shown(key)}' or consumer group '{shown(name)}' in XREADGROUP with GROUP option"
        )
    return group

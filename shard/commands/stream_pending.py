"""Streams: what was delivered and not acknowledged, and giving it to another consumer."""

from dataclasses import dataclass
from typing import Any

from common.command import FAST, READONLY, WRITE
from common.errors import RedisError, SyntaxFault, WrongType, shown
from common.numbers import integer, maybe_integer
from common.resp import NULL_ARRAY
from shard.commands.stream_delivery import Delivery, existing_group, moment_ms, no_group
from shard.commands.stream_ids import id_text, parse_id, parse_last, parse_start
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.stream import Stream
from shard.values.stream_groups import COUNT_MAX, Group, Pending

command = TABLE.family("stream")

XPENDING_WORDS_MAX = 6
"""IDLE, a time, start, end, count and a consumer."""
COUNT_DEFAULT = 100
AUTOCLAIM_COUNT_MAX = (2**63 - 1) // 16
ATTEMPTS_FACTOR = 10
"""How many entries XAUTOCLAIM looks at for each that it may claim."""
DELETED_IDS_BYTES_MAX = 1 << 46
"""More than Valkey can allocate for the IDs of `count` deleted entries, of 16 bytes each."""


@dataclass(slots=True)
class Range:
    """What XPENDING asks for."""

    idle_ms: int
    start: int
    end: int
    count: int
    consumer: bytes | None


@command(
    "XPENDING key group [[IDLE min-idle-time] start end count [consumer]]",
    READONLY,
    since="5.0.0",
    complexity="O(N) with N being the number of elements returned, so asking for a small fixed number of entries per"
    " call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the"
    " command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an"
    " additional O(N) time for iterating every consumer.",
    tips="nondeterministic_output",
    types="min-idle-time integer start string end string",
)
def xpending(db: Keyspace, key: bytes, name: bytes, *words: bytes) -> list[Any]:
    """Returns the information and entries from a stream consumer group's pending entries list."""
    asked = _parse_range(words) if words else None
    _, group = existing_group(db, key, name)
    if asked is None:
        return _summary(group)
    pending = group.pending
    if asked.consumer is not None:
        consumer = group.consumers.get(asked.consumer)
        if consumer is None:
            return []
        pending = consumer.pending
    found: list[Any] = []
    now_ms = moment_ms(db)
    for id_, entry in pending.items(asked.start) if asked.count else ():
        if id_ > asked.end:
            break
        idle_ms = now_ms - entry.delivered_ms
        if asked.idle_ms == 0 or idle_ms >= asked.idle_ms:
            found.append([id_text(id_), entry.consumer, max(idle_ms, 0), entry.count])
            if len(found) == asked.count:
                break
    return found


def _summary(group: Group) -> list[Any]:
    first, last = group.pending.first(), group.pending.last()
    if first is None or last is None:
        return [0, None, None, NULL_ARRAY]
    counts = [[name, b"%d" % len(consumer)] for name, consumer in group.by_name() if len(consumer)]
    return [len(group.pending), id_text(first[0]), id_text(last[0]), counts]


def _parse_range(words: tuple[bytes, ...]) -> Range:
    if not 3 <= len(words) <= XPENDING_WORDS_MAX:
        raise SyntaxFault()
    idle_ms = 0
    if words[0].upper() == b"IDLE":
        idle_ms = integer(words[1])
        words = words[2:]
        if len(words) < 3:
            raise SyntaxFault()
    count = max(integer(words[2]), 0)
    consumer = words[3] if len(words) > 3 else None
    return Range(idle_ms, parse_start(words[0]), parse_last(words[1]), count, consumer)


# --- XCLAIM ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Claim:
    """What XCLAIM says behind the IDs."""

    idle_ms: int = 0
    """At least so long ago was the last delivery."""
    delivered_ms: int = -1
    """What becomes the last delivery; -1 if not said."""
    count: int = -1
    """What becomes the number of deliveries; -1 if not said."""
    forces: bool = False
    """FORCE: also what is not pending."""
    only_ids: bool = False
    last_id: int = 0


@command(
    "XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count]"
    " [FORCE] [JUSTID] [LASTID lastid]",
    WRITE | FAST,
    event="",
    since="5.0.0",
    complexity="O(log N) with N being the number of messages in the PEL of the consumer group.",
    tips="nondeterministic_output",
    summary="Changes, or acquires, ownership of a message in a consumer group, as if the message was delivered to a"
    " consumer group member.",
)
def xclaim(db: Keyspace, key: bytes, name: bytes, consumer: bytes, idle: bytes, *words: bytes) -> list[Any]:
    """The entries that the consumer has now, or their IDs."""
    stream, group = existing_group(db, key, name)
    idle_ms = max(_integer(idle, "min-idle-time"), 0)
    ids = _leading_ids(words)
    claim = _parse_claim(words[len(ids) :], moment_ms(db))
    claim.idle_ms = idle_ms
    delivery = Delivery(db, key, name, group, consumer)
    if claim.last_id > group.last_id:
        group.last_id = claim.last_id
        delivery.moved = True
    if claim.delivered_ms == -1 or (db.store.expiring and not 0 <= claim.delivered_ms <= delivery.now_ms):
        claim.delivered_ms = delivery.now_ms  # A replay has the time of the log, not of the commands in it.
    found = [reply for id_ in ids if (reply := _claimed(delivery, stream, id_, claim)) is not None]
    delivery.log()
    return found


def _claimed(delivery: Delivery, stream: Stream, id_: int, claim: Claim) -> Any:
    """What is answered for one ID, None if it is not claimed."""
    pending: Pending | None = delivery.group.pending.get(id_)
    words = stream.entry(id_)
    if words is None:
        if pending is not None:
            delivery.forget(id_, pending)
        return None
    if pending is None:
        if not claim.forces:
            return None
    elif claim.idle_ms and delivery.now_ms - pending.delivered_ms < claim.idle_ms:
        return None
    count = claim.count
    if count < 0:
        count = (1 if pending is None else pending.count) + (not claim.only_ids)
    delivery.give(id_, min(count, COUNT_MAX), claim.delivered_ms)
    return id_text(id_) if claim.only_ids else [id_text(id_), words]


def _leading_ids(words: tuple[bytes, ...]) -> list[int]:
    """The IDs that come before anything else."""
    ids: list[int] = []
    for word in words:
        try:
            ids.append(parse_id(word))
        except RedisError:
            break
    return ids


def _parse_claim(words: tuple[bytes, ...], now_ms: int) -> Claim:
    claim = Claim()
    rest = iter(words)
    left = len(words)
    for word in rest:
        left -= 1
        name = word.upper()
        if name == b"FORCE":
            claim.forces = True
        elif name == b"JUSTID":
            claim.only_ids = True
        elif name in (b"IDLE", b"TIME", b"RETRYCOUNT", b"LASTID") and left:
            value = next(rest)
            left -= 1
            if name == b"LASTID":
                claim.last_id = parse_id(value)
            elif name == b"RETRYCOUNT":
                claim.count = _integer(value, "RETRYCOUNT option")
            else:
                time_ms = _integer(value, f"{name.decode()} option")
                claim.delivered_ms = now_ms - time_ms if name == b"IDLE" else time_ms
        else:
            raise RedisError(f"ERR Unrecognized XCLAIM option '{shown(word)}'")
    return claim


def _integer(word: bytes, what: str, command_name: str = "XCLAIM") -> int:
    number = maybe_integer(word)
    if number is None:
        raise RedisError(f"ERR Invalid {what} argument for {command_name}")
    return number


# --- XAUTOCLAIM ------------------------------------------------------------------------------------------------------


@command(
    "XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]",
    WRITE | FAST,
    since="6.2.0",
    complexity="O(1) if COUNT is small.",
    keys="RW delete",
    tips="nondeterministic_output",
    summary="Changes, or acquires, ownership of messages in a consumer group, as if the messages were delivered to a"
    " consumer group member.",
    types="start string",
    event="",
)
def xautoclaim(
    db: Keyspace, key: bytes, name: bytes, consumer: bytes, idle: bytes, start: bytes, *words: bytes
) -> list[Any]:
    """Where the next call goes on, what the consumer has now, and the IDs of what was no longer there."""
    stream = db.get(key)  # Counted, and told as missed, before the words are looked at; its type comes behind them.
    idle_ms = max(_integer(idle, "min-idle-time", "XAUTOCLAIM"), 0)
    first = parse_start(start)
    left, only_ids = _parse_autoclaim(words)
    if stream is not None and type(stream) is not Stream:
        raise WrongType()
    group = None if stream is None else stream.groups.get(name)
    if stream is None or group is None:
        raise no_group(key, name)
    if left * 16 > DELETED_IDS_BYTES_MAX:
        raise RedisError("ERR Insufficient memory, failed allocating transient memory, COUNT too high.")
    delivery = Delivery(db, key, name, group, consumer)
    claimed: list[Any] = []
    deleted: list[bytes] = []
    claim = Claim(idle_ms=idle_ms, delivered_ms=delivery.now_ms, only_ids=only_ids)
    attempts = left * ATTEMPTS_FACTOR
    following = group.pending.ceiling(first)
    while following is not None and left and attempts:
        id_ = following[0]
        there = stream.has(id_)
        reply = _claimed(delivery, stream, id_, claim)
        if not there:
            deleted.append(id_text(id_))
        elif reply is not None:
            claimed.append(reply)
        left -= not there or reply is not None
        attempts -= 1
        following = group.pending.ceiling(id_ + 1)
    delivery.log()
    return [id_text(following[0] if following else 0), claimed, deleted]


def _parse_autoclaim(words: tuple[bytes, ...]) -> tuple[int, bool]:
    """COUNT, and whether JUSTID is said.  Raises RedisError."""
    count, only_ids = COUNT_DEFAULT, False
    at = 0
    while at < len(words):
        name = words[at].upper()
        if name == b"COUNT" and at + 1 < len(words):
            at += 1
            number = maybe_integer(words[at])
            if number is None or not 0 < number <= AUTOCLAIM_COUNT_MAX:
                raise RedisError("ERR COUNT must be > 0")
            count = number
        elif name == b"JUSTID":
            only_ids = True
        else:
            raise SyntaxFault()
        at += 1
    return count, only_ids

"""XINFO: what is inside a stream. Nodes and the tree of their IDs are told as Valkey has them."""

from typing import Any

from common.command import READONLY
from common.errors import NoSuchKey, RedisError, shown
from common.numbers import integer
from shard.commands.as_sent import unknown_or_arity
from shard.commands.stream_delivery import moment_ms
from shard.commands.stream_ids import id_text
from shard.commands.stream_ranges import shown as entries_shown
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.stream import ID_MAX, Stream
from shard.values.stream_groups import NEVER_MS, UNKNOWN, Consumer, Group

command = TABLE.family("stream")

HELP = """
CONSUMERS <key> <groupname>
    Show consumers of <groupname>.
GROUPS <key>
    Show the stream consumer groups.
STREAM <key> [FULL [COUNT <count>]
    Show information about the stream.
"""

command.container("XINFO", "A container for stream introspection commands.", since="5.0.0", help_=HELP)

COUNT_DEFAULT = 10
"""Entries, and pending ones of each group and consumer, that FULL shows."""


@command("XINFO STREAM key [FULL [COUNT count]]", READONLY, since="5.0.0", complexity="O(1)")
def stream_(db: Keyspace, key: bytes, *words: bytes) -> dict[str, Any]:
    """Returns information about a stream."""
    stream = _stream(db, key)
    count = _parse_count(words)
    reply: dict[str, Any] = {
        "length": stream.length,
        "radix-tree-keys": len(stream.nodes),
        "radix-tree-nodes": stream.radix_nodes,
        "last-generated-id": id_text(stream.last_id),
        "max-deleted-entry-id": id_text(stream.max_deleted_id),
        "entries-added": stream.added,
        "recorded-first-entry-id": id_text(stream.first_id),
    }
    if words:
        reply["entries"] = entries_shown(stream.entries(0, ID_MAX, count))
        reply["groups"] = [_group_in_full(stream, name, group, count) for name, group in stream.groups_by_name()]
        return reply
    first = entries_shown(stream.entries(0, ID_MAX, 1))
    last = entries_shown(stream.entries_back(0, ID_MAX, 1))
    reply["groups"] = len(stream.groups)
    reply["first-entry"] = first[0] if first else None
    reply["last-entry"] = last[0] if last else None
    return reply


def _group_in_full(stream: Stream, name: bytes, group: Group, count: int) -> dict[str, Any]:
    pending = [
        [id_text(id_), entry.consumer, entry.delivered_ms, entry.count] for id_, entry in group.pending.some(count)
    ]
    return {
        "name": name,
        "last-delivered-id": id_text(group.last_id),
        "entries-read": None if group.entries_read == UNKNOWN else group.entries_read,
        "lag": stream.lag(group),
        "pel-count": len(group.pending),
        "pending": pending,
        "consumers": [_consumer_in_full(name, consumer, count) for name, consumer in group.by_name()],
    }


def _consumer_in_full(name: bytes, consumer: Consumer, count: int) -> dict[str, Any]:
    return {
        "name": name,
        "seen-time": consumer.seen_ms,
        "active-time": consumer.active_ms,
        "pel-count": len(consumer),
        "pending": [[id_text(id_), entry.delivered_ms, entry.count] for id_, entry in consumer.pending.some(count)],
    }


@command("XINFO GROUPS key", READONLY, since="5.0.0", complexity="O(1)")
def groups(db: Keyspace, key: bytes) -> list[dict[str, Any]]:
    """Returns a list of the consumer groups of a stream."""
    stream = _stream(db, key)
    return [
        {
            "name": name,
            "consumers": len(group.consumers),
            "pending": len(group.pending),
            "last-delivered-id": id_text(group.last_id),
            "entries-read": None if group.entries_read == UNKNOWN else group.entries_read,
            "lag": stream.lag(group),
        }
        for name, group in stream.groups_by_name()
    ]


@command("XINFO CONSUMERS key group", READONLY, since="5.0.0", complexity="O(1)", tips="nondeterministic_output")
def consumers(db: Keyspace, key: bytes, name: bytes) -> list[dict[str, Any]]:
    """Returns a list of the consumers in a consumer group."""
    group = _stream(db, key).groups.get(name)
    if group is None:
        raise RedisError(f"NOGROUP No such consumer group '{shown(name)}' for key name '{shown(key)}'")
    now_ms = moment_ms(db)
    return [
        {
            "name": consumer_name,
            "pending": len(consumer),
            "idle": max(now_ms - consumer.seen_ms, 0),
            "inactive": NEVER_MS if consumer.active_ms == NEVER_MS else max(now_ms - consumer.active_ms, 0),
        }
        for consumer_name, consumer in group.by_name()
    ]


def _stream(db: Keyspace, key: bytes) -> Stream:
    stream: Stream | None = db.get(key, Stream)
    if stream is None:
        raise NoSuchKey()
    return stream


def _parse_count(words: tuple[bytes, ...]) -> int:
    """The COUNT of [FULL [COUNT count]].  Raises RedisError."""
    if not words:
        return 0
    if len(words) not in (1, 3) or words[0].upper() != b"FULL" or (words[1:] and words[1].upper() != b"COUNT"):
        raise unknown_or_arity("XINFO")
    count = integer(words[2]) if len(words) > 1 else COUNT_DEFAULT
    return count if count >= 0 else COUNT_DEFAULT

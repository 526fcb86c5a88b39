"""Streams: entries given to a consumer, and what the log gets of that.

Many entries that go to one consumer at the same moment are logged as one XCLAIM; Valkey logs one each.
"""

from common.errors import RedisError, shown
from shard.commands.stream_ids import id_text
from shard.events import tell
from shard.keyspace import Keyspace
from shard.values.stream import Stream
from shard.values.stream_groups import COUNT_MAX, Consumer, Group, Pending
from shard.values.stream_log import CHUNK, claim


class Delivery:
    """What a command does for one consumer of one group. Whoever makes it calls `log` in the end."""

    def __init__(self, db: Keyspace, key: bytes, group_name: bytes, group: Group, name: bytes) -> None:
        """Makes the consumer if there is none."""
        self.db = db
        self.key = key
        self.group_name = group_name
        self.group = group
        self.name = name
        self.now_ms = moment_ms(db)
        self.moved = False
        """Whether the group went on."""
        self.claims: dict[tuple[bytes, int, int], list[bytes]] = {}
        """The IDs that changed, by consumer, time of delivery and count."""
        db.about_to_change(key)
        consumer = group.consumers.get(name)
        self.is_new = consumer is None
        if consumer is None:
            consumer = group.consumers[name] = Consumer(self.now_ms)
        consumer.seen_ms = self.now_ms
        self.consumer: Consumer = consumer

    def give(self, id_: int, count: int, delivered_ms: int | None = None) -> None:
        """The consumer gets an entry, now or at another time, for the `count`-th time."""
        delivered_ms = self.now_ms if delivered_ms is None else delivered_ms
        self.group.assign(id_, self.name, delivered_ms, count)
        self.consumer.active_ms = self.now_ms
        self._claimed(id_, self.name, delivered_ms, count)

    def give_again(self, id_: int, pending: Pending) -> None:
        """The consumer asked for an entry that it has."""
        pending.delivered_ms = self.now_ms
        pending.count = min(pending.count + 1, COUNT_MAX)
        self._claimed(id_, self.name, self.now_ms, pending.count)

    def forget(self, id_: int, pending: Pending) -> None:
        """An entry that is no longer there is not pending any more: XCLAIM does that, in a replay too."""
        self._claimed(id_, pending.consumer, pending.delivered_ms, pending.count)
        self.group.forget(id_)

    def _claimed(self, id_: int, consumer: bytes, delivered_ms: int, count: int) -> None:
        self.claims.setdefault((consumer, delivered_ms, count), []).append(id_text(id_))

    def log(self) -> None:
        """Counts the changes, and has them logged."""
        db, key, group = self.db, self.key, self.group
        if not self.is_new and not self.moved and not self.claims:
            return
        db.changed_aside(key)
        if self.is_new:
            if db.heard:
                tell(db, key, b"xgroup-createconsumer")
            db.log(b"XGROUP", b"CREATECONSUMER", key, self.group_name, self.name)
        for (consumer, delivered_ms, count), ids in self.claims.items():
            for at in range(0, len(ids), CHUNK):
                chunk = ids[at : at + CHUNK]
                db.log(*claim(key, self.group_name, consumer, chunk, delivered_ms, count, group.last_id))
        if self.moved:
            entries_read = b"%d" % group.entries_read
            db.log(b"XGROUP", b"SETID", key, self.group_name, id_text(group.last_id), b"ENTRIESREAD", entries_read)


def moment_ms(db: Keyspace) -> int:
    """Now; a log is replayed without the time of its commands, and so at the time when that began."""
    return db.store.now_ms or db.store.clock_s * 1000


def no_group(key: bytes, name: bytes) -> RedisError:
    return RedisError(f"NOGROUP No such key '{shown(key)}' or consumer group '{shown(name)}'")


def existing_group(db: Keyspace, key: bytes, name: bytes) -> tuple[Stream, Group]:
    """The stream at `key` and its group.  Raises RedisError if there is none."""
    stream: Stream | None = db.get(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if stream is None or group is None:
        raise no_group(key, name)
    return stream, group

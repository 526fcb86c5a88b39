"""Consumer groups: who read how far in a stream, and which entries were delivered but not acknowledged yet.

Rule 1: what is pending in a group is pending for exactly one of its consumers: `Group.assign` and `Group.forget` change
        both at once. A `Pending` has the name of its consumer and not the consumer: no cycle for the collector.
Rule 2: an entry may be pending that is no longer in the stream.
Rule 3: consumers and groups are listed by name, as bytes: so Valkey's radix tree has them.
"""

from collections.abc import Iterator
from typing import Any

from shard.values.stream_index import Index

UNKNOWN = -1
"""Of a count of entries read that cannot be known."""
COUNT_MAX = 1 << 62
"""No count is greater: a client may set it to anything, and what passes 64 bits could not be read from a log. In Valkey
it becomes negative."""
NEVER_MS = -1
"""When a consumer was active that never got an entry."""
ID_BYTES = 16


class Pending:
    """An entry that was delivered."""

    __slots__ = ("delivered_ms", "count", "consumer")

    def __init__(self, consumer: bytes, delivered_ms: int, count: int) -> None:
        self.consumer = consumer
        """The name of the one that has it."""
        self.delivered_ms = delivered_ms
        """When it was delivered the last time, unix time."""
        self.count = count
        """How often it was delivered."""

    def __len__(self) -> int:
        """Nothing that would have to be taken apart when it is freed."""
        return 0


class Consumer:
    """One that reads for a group."""

    __slots__ = ("seen_ms", "active_ms", "pending")

    def __init__(self, seen_ms: int) -> None:
        self.seen_ms = seen_ms
        """When it asked for something the last time."""
        self.active_ms = NEVER_MS
        """When it got something the last time."""
        self.pending = Index()

    def __len__(self) -> int:
        return len(self.pending)

    def containers(self) -> list[Any]:
        """The lists that it is made of."""
        return self.pending.containers()


class Group:
    """A group of consumers that share the entries of a stream."""

    __slots__ = ("last_id", "entries_read", "pending", "consumers")

    def __init__(self, last_id: int, entries_read: int) -> None:
        self.last_id = last_id
        """The last one that was delivered."""
        self.entries_read = entries_read
        """How many of all entries ever added are before it, or UNKNOWN."""
        self.pending = Index()
        self.consumers: dict[bytes, Consumer] = {}

    def __len__(self) -> int:
        return len(self.pending) + len(self.consumers)

    def containers(self) -> list[Any]:
        """The lists and dicts that it is made of."""
        return [*self.pending.containers(), self.consumers]

    def assign(self, id_: int, consumer: bytes, delivered_ms: int, count: int) -> None:
        """Says that the existing `consumer` has the entry, whoever had it. O(log n)."""
        pending = self.pending.get(id_)
        if pending is None:
            pending = Pending(consumer, delivered_ms, count)
            self.pending.put(id_, pending)
            self.consumers[consumer].pending.put(id_, pending)
            return
        if pending.consumer != consumer:
            self.consumers[pending.consumer].pending.pop(id_)
            self.consumers[consumer].pending.put(id_, pending)
            pending.consumer = consumer
        pending.delivered_ms = delivered_ms
        pending.count = count

    def forget(self, id_: int) -> bool:
        """Takes the entry out of what is pending; whether it was. O(log n)."""
        pending = self.pending.pop(id_)
        if pending is None:
            return False
        self.consumers[pending.consumer].pending.pop(id_)
        return True

    def remove_consumer(self, name: bytes) -> Consumer | None:
        """Takes a consumer out with all its pending entries; None if there is none. O(log n) for each of those."""
        consumer = self.consumers.pop(name, None)
        if consumer is not None:
            for id_, _ in consumer.pending.items():
                self.pending.pop(id_)
        return consumer

    def by_name(self) -> Iterator[tuple[bytes, Consumer]]:
        """The consumers, in order. O(n log n)."""
        for name in sorted(self.consumers):
            yield name, self.consumers[name]

    def copy(self) -> "Group":
        """A group that shares nothing with this one. O(n)."""
        return of_wire(self.to_wire())

    def to_wire(self) -> list[Any]:
        """[last ID, entries read, [[name, seen, active, [[ID, delivered, count], ...]], ...]]; IDs as 16 bytes."""
        consumers = [
            [name, consumer.seen_ms, consumer.active_ms, [*map(_pending_to_wire, consumer.pending.items())]]
            for name, consumer in self.by_name()
        ]
        return [id_to_wire(self.last_id), self.entries_read, consumers]

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        self.pending._check()
        found = {}
        for name, consumer in self.consumers.items():
            consumer.pending._check()
            for id_, pending in consumer.pending.items():
                assert pending.consumer == name and id_ not in found
                found[id_] = pending
        assert found == dict(self.pending.items())


def of_wire(wire: list[Any]) -> Group:
    """The group that gave this `to_wire`."""
    last_id, entries_read, consumers = wire
    group = Group(id_of_wire(last_id), entries_read)
    for name, seen_ms, active_ms, pending in consumers:
        consumer = group.consumers[name] = Consumer(seen_ms)
        consumer.active_ms = active_ms
        for id_, delivered_ms, count in pending:
            group.assign(id_of_wire(id_), name, delivered_ms, count)
    return group


def _pending_to_wire(item: tuple[int, Pending]) -> list[Any]:
    return [id_to_wire(item[0]), item[1].delivered_ms, item[1].count]


def id_to_wire(id_: int) -> bytes:
    """An ID as 16 bytes, as Valkey's files have it too."""
    return id_.to_bytes(ID_BYTES, "big")


def id_of_wire(wire: bytes) -> int:
    return int.from_bytes(wire, "big")

"""What clients that track have read of one shard, and who has to be told when it changes.

A shard tells what was changed in a turn behind the answers of that turn. When that is heard the reads of the turn are
entered already, those before a change and those behind it: the first have to be told, the others have seen the new
value, and must stay entered. So reads and changes have moments, and the reads of the turn are `fresh`.

Rule 1: a client never keeps a value that was changed. Where it is in doubt which came first, because an answer came
        late or a command ran on another shard, a read counts as both: the client is told, and stays entered.
Rule 2: a read is forgotten when its client was told, as in Valkey.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

Moment = int | None
"""The number of a run in the stream of the shard, and the place of a part in it; UNKNOWN if nobody can tell."""
EARLIER = -1
"""The moment of reads of earlier turns: before all that is heard of now."""
UNKNOWN = None

PART_BITS = 32


def moment_of(number: int, part: int) -> int:
    """When the part of a run was executed that was answered in its turn."""
    return number << PART_BITS | part


def listed(clients: int | set[int]) -> list[int]:
    """The clients of a key, in the order of their ids."""
    return sorted(clients) if isinstance(clients, set) else [clients]


class Ran(Protocol):
    """What was executed as one run of a stream."""

    def order_of(self, part: int) -> int:
        """The place of that part among what it was made of."""


class TrackedKeys:
    """The keys of one shard, each with the clients that have read it."""

    __slots__ = ("clients", "items", "late", "_fresh", "_first", "_runs", "_late_runs")

    def __init__(self) -> None:
        self.clients: OrderedDict[bytes, int | set[int]] = OrderedDict()
        """By key, the oldest first: the id of its client, as most have only one, or those of several."""
        self.items = 0
        """Pairs of a key and a client."""
        self.late = False
        """Whether what is being answered comes late."""
        self._fresh: dict[tuple[bytes, int], list[Moment]] = {}
        """Key and client of the reads of this turn, with their moments; EARLIER is the first if there were some."""
        self._first = 0
        self._runs: Sequence[Ran | None] = ()
        self._late_runs: Mapping[int, Ran] = {}

    # What a turn of the shard answers

    def turn(self, first: int, runs: Sequence[Ran | None]) -> None:
        """These runs are about to be answered, whose numbers begin with `first`; None for one that comes late."""
        self._first, self._runs = first, runs
        self._fresh.clear()

    def late_turn(self, runs: Mapping[int, Ran]) -> None:
        """These runs are about to be answered late. Afterwards `late` is to be taken back."""
        self._late_runs = runs
        self.late = True

    def ran(self, number: int) -> Ran | None:
        """The run of that number, if it was answered just now."""
        return self._in_turn(number) or self._late_runs.get(number)

    def moment(self, number: int, part: int) -> Moment:
        """When a part of a run was executed: in the order of the numbers, if it was answered in its turn."""
        run = self._in_turn(number)
        return UNKNOWN if run is None else moment_of(number, run.order_of(part))

    def _in_turn(self, number: int) -> Ran | None:
        place = number - self._first
        return self._runs[place] if 0 <= place < len(self._runs) else None

    # Reads and changes

    def enter(self, key: bytes, client: int, at: Moment) -> None:
        """A client has read `key`, at that moment. O(1)."""
        known = self.clients.get(key)
        entered = client in known if isinstance(known, set) else client == known
        moments = self._fresh.get((key, client))
        if moments is None:
            moments = self._fresh[key, client] = [EARLIER] if entered else []
        moments.append(at)
        if entered:
            return
        self.items += 1
        if known is None:
            self.clients[key] = client
        elif isinstance(known, set):
            known.add(client)
        else:
            self.clients[key] = {known, client}

    def changed(self, key: bytes, at: Moment, loner: int = 0) -> list[int]:
        """`key` was changed: the clients that have to be told, who are entered no more but for what they read later.

        `loner` is a client that made the change and does not want to hear of its own. O(clients that have read it).
        """
        known = self.clients.get(key)
        if known is None:
            return []
        told = []
        for client in listed(known):
            before, after = self._parted(key, client, at)
            if client == loner:
                after = after or [EARLIER] * (at is UNKNOWN)
            elif before:
                told.append(client)
            self._keep(key, client, after)
        return told

    def _parted(self, key: bytes, client: int, at: Moment) -> tuple[bool, list[Moment]]:
        """Whether the client has read it before that moment, and the moments when it has read it behind that."""
        moments = self._fresh.get((key, client), [EARLIER])
        before = any(moment is UNKNOWN or at is UNKNOWN or moment < at for moment in moments)
        return before, [moment for moment in moments if moment is UNKNOWN or (at is not UNKNOWN and moment >= at)]

    def _keep(self, key: bytes, client: int, moments: list[Moment]) -> None:
        """Leaves only these reads, or none."""
        if moments:
            if (key, client) in self._fresh:
                self._fresh[key, client] = moments
            return
        self._fresh.pop((key, client), None)
        known = self.clients[key]
        self.items -= 1
        if isinstance(known, set) and len(known) > 1:
            known.remove(client)
        else:
            del self.clients[key]

    def flushed(self, at: Moment) -> None:
        """All keys were thrown away, on this shard: nothing is entered any more but for what may have been read later.
        The clients have been told, maybe when another shard said so, and then this must not be lost. O(n).
        """
        fresh, self._fresh = self._fresh, {}
        self.clear()
        for (key, client), moments in fresh.items():
            for moment in moments:
                if moment is UNKNOWN or moment > EARLIER and (at is UNKNOWN or moment >= at):
                    self.enter(key, client, moment)

    def clear(self) -> None:
        """Forgets all reads. O(n)."""
        self.clients.clear()
        self._fresh.clear()
        self.items = 0

    def forget_turn(self) -> None:
        """The stream is over: numbers mean nothing any more."""
        self.turn(0, ())
        self._late_runs = {}

    def evict(self) -> tuple[bytes, Iterable[int]]:
        """Takes out the key that was entered first: it, and who has to be told. There is one. O(its clients)."""
        key, known = self.clients.popitem(last=False)
        told = listed(known)
        self.items -= len(told)
        for client in told:
            self._fresh.pop((key, client), None)
        return key, told

    def each(self) -> Iterator[tuple[bytes, int]]:
        """All pairs of a key and a client."""
        for key, known in self.clients.items():
            for client in listed(known):
                yield key, client

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        pairs = set(self.each())
        assert len(pairs) == self.items
        assert pairs >= self._fresh.keys()
        assert all(self._fresh.values()) and all(self.clients.values())

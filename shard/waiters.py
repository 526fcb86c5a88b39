"""Calls that wait for a key to have something for them, and how they are served; what a command says is in blocking.py.

Rule 1: those that wait for a key are served first come first served, whatever commands they are; and keys in the order
        in which they became ready, after the command that made them so, as in Valkey's handleClientsBlockedOnKeys. A
        call that was run again in vain goes to the end.
Rule 2: a key is ready when a value was put there or changed in place. The keyspace marks it, at the cost of one `if`
        while nobody waits in that db (`Keyspace.waiting`).
Rule 3: a call that waits is answered exactly once: by being served, or by `end`, for which the router asks at the
        deadline, when the client is gone, or when another client wants it. Who comes second finds nobody there.
Rule 4: a call never passes a hold. One whose turn comes while a key of it is held queues up as any other call does, and
        keeps its place among those that wait for a key until then.
"""

from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Any

from common.errors import RedisError
from common.frame import JOINED, RESP3
from common.resp import encode
from shard.blocking import Blocked

if TYPE_CHECKING:
    from shard.keyspace import Keyspace, Value
    from shard.late import LateRun, Room

GONE = ""
"""Why a call ends whose client is gone: nobody hears the answer."""


class Waiter:
    """One call that waits."""

    __slots__ = ("blocked", "run", "place", "argv", "until_ms", "parked")

    def __init__(self, blocked: Blocked, run: "LateRun", place: int) -> None:
        self.blocked = blocked
        self.run = run
        """The run that it belongs to, at `place`: it is what will be answered."""
        self.place = place
        self.argv: list[bytes] = blocked.argv or run.requests[place]
        """What is run when a key is ready."""
        self.until_ms = blocked.until_ms
        self.parked = False
        """Whether it had its turn, and waits for a held key."""


class Queue:
    """Those that wait for one key, in the order in which they came."""

    __slots__ = ("waiters", "lasting")

    def __init__(self) -> None:
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()
        self.lasting = 0
        """How many of them are lasting."""

    def wants(self, value: "Value | None") -> bool:
        """Whether one of them does. O(waiters of another kind that came first)."""
        return bool(self.lasting) or (value is not None and any(one.blocked.wants(value) for one in self.waiters))

    def at(self, place: int) -> Waiter | None:
        """Who is the `place`-th, None if there are not so many. O(place)."""
        return next(islice(self.waiters, place, None), None)


class Waiters:
    """All calls that wait on a shard, by key and by name. The queues of a db are its `Keyspace.waiting`."""

    def __init__(self, room: "Room") -> None:
        self.room = room
        self.executor = room.executor
        self.store = room.executor.store
        self.named: dict[tuple[object, int], Waiter] = {}
        self.executor.park = self.park
        self.executor.wake = self.wake
        self.new: list[Waiter] = []
        """Those that came since the routers were told."""
        self._waking = False

    # Who comes and goes

    def park(self, blocked: Blocked, header: int, requests: list[list[bytes]]) -> None:
        """Keeps a call that is alone in its run."""
        run = self.room.late_run(header, requests)
        run.missing = 1
        self.add(blocked, run, 0)
        if self.store.ready:
            self.wake()  # It may have found an expired key that somebody waits for.

    def add(self, blocked: Blocked, run: "LateRun", place: int) -> None:
        """Keeps a call whose run is answered late already."""
        waiter = Waiter(blocked, run, place)
        self._enter(waiter)
        self.new.append(waiter)

    def _enter(self, waiter: Waiter) -> None:
        """At the end of all its queues. O(its keys)."""
        self.named[waiter.run.name] = waiter
        waiting = self.store.dbs[waiter.run.db].waiting
        for key in waiter.blocked.keys:
            queue = waiting.get(key)
            if queue is None:
                queue = waiting[key] = Queue()
            queue.waiters[waiter] = None
            queue.lasting += waiter.blocked.lasting

    def _leave(self, waiter: Waiter) -> None:
        """Out of all of them. O(its keys)."""
        del self.named[waiter.run.name]
        waiting = self.store.dbs[waiter.run.db].waiting
        for key in waiter.blocked.keys:
            queue = waiting[key]
            del queue.waiters[waiter]
            queue.lasting -= waiter.blocked.lasting
            if not queue.waiters:
                del waiting[key]

    def end(self, name: tuple[object, int], reason: str | None) -> bool:
        """Ends the call of that name unserved, if it still waits, and tells whether it did.

        `reason` is None at its deadline, GONE, or the error that its client gets.
        """
        waiter = self.named.get(name)
        if waiter is None:
            return reason == GONE and self.room.abandon(name)
        self._leave(waiter)
        reply = b""
        if reason != GONE:
            error = None if reason is None else RedisError(reason)
            self.executor.count_unserved(waiter.blocked, waiter.argv, error)
            reply = encode(error or waiter.blocked.nothing, 3 if waiter.run.header & RESP3 else 2)
        self.room.answer(waiter.run, waiter.place, reply)
        return True

    def forget(self, origin: object) -> None:
        """A link is gone, and with it all clients whose calls came by it."""
        for waiter in list(self.named.values()):
            if waiter.run.origin is origin:
                self._leave(waiter)

    def take_new(self) -> dict[Any, list[tuple[int, int]]]:
        """Those that came since the last time and still wait, by link: the number of the run, and the deadline."""
        new: dict[Any, list[tuple[int, int]]] = {}
        for waiter in self.new:
            if self.named.get(waiter.run.name) is waiter:
                new.setdefault(waiter.run.origin, []).append((waiter.run.number, waiter.until_ms))
        self.new.clear()
        return new

    # Serving

    def wake(self) -> None:
        """Serves those that wait for the keys that are ready, and for those that become so through that.

        A loop and no recursion: BLMOVEs can make a long chain.
        """
        if self._waking:
            return
        store, executor = self.store, self.executor
        number, touching = executor.number, store.touching
        self._waking = True
        try:
            while store.ready:
                place = next(iter(store.ready))
                del store.ready[place]
                self._serve(store.dbs[place[0]], place[1])
        finally:
            self._waking = False
            executor.number, store.touching = number, touching

    def _serve(self, db: "Keyspace", key: bytes) -> None:
        """Tries those that wait for this key now, each once."""
        queue = db.waiting.get(key)
        passed = 0
        for _ in range(len(queue.waiters) if queue is not None else 0):
            assert queue is not None
            value = db.held(key)
            waiter = queue.at(passed) if value is not None or queue.lasting else None
            if waiter is None:
                break
            if waiter.parked or not waiter.blocked.wants(value) or self.room.delays(waiter):
                passed += 1
            else:
                self._attempt(waiter)

    def _attempt(self, waiter: Waiter) -> None:
        """Runs the call again."""
        self._leave(waiter)
        run = waiter.run
        self.executor.number = run.number
        reply = self.room.execute(run.header & ~JOINED, [waiter.argv], [waiter.place], hand_over)[0]
        if type(reply) is Blocked:
            reply.spent_ns += waiter.blocked.spent_ns
            waiter.blocked = reply
            waiter.argv = reply.argv or waiter.argv
            self._enter(waiter)
        else:
            self.executor.entry_of(waiter.argv).nanoseconds += waiter.blocked.spent_ns
            self.room.answer(run, waiter.place, reply, done=True)

    def resume(self, waiter: Waiter) -> None:
        """Tries one whose keys were held when it had its turn, if there is still something for it."""
        waiter.parked = False
        db = self.store.dbs[waiter.run.db]
        values = (db.held(key) for key in waiter.blocked.keys)
        if self.named.get(waiter.run.name) is waiter and any(map(waiter.blocked.wants, values)):
            self._attempt(waiter)

    def _check(self) -> None:
        """Asserts every invariant. O(n)."""
        found = {}
        for db in self.store.dbs:
            for key, queue in db.waiting.items():
                assert queue.waiters
                assert queue.lasting == sum(waiter.blocked.lasting for waiter in queue.waiters)
                for waiter in queue.waiters:
                    assert key in waiter.blocked.keys and waiter.run.db == db.index
                    found[waiter.run.name] = waiter
        assert found == self.named


def hand_over(blocked: Blocked, header: int, requests: list[list[bytes]]) -> list[Blocked]:
    """Gives a call that would wait to whoever runs it, who keeps it or not."""
    return [blocked]

"""Calls that wait for a key to have something for them, and how they are served; what a command says is in blocking.py.

Rule 1: those that wait for a key are served first come first served, whatever commands they are; and keys in the order
        in which they became ready, after the command that made them so, as in Valkey's handleClientsBlockedOnKeys. A
        call that was run again in vain goes to the end.
Rule 2: a key is ready when a value was put there or changed in place. The keyspace marks it, at the cost of one `if`
        while nobody waits in that db (`Keyspace.waiting`).
Rule 3: a call that waits is answered exactly once: by being served, or by `end`, for which the router asks at the
        deadline, when the client is gone, or when another client wants it. Who comes second finds nobody there.
Rule 4: a call never passes a hold. One whose turn comes while a key of it is held queues up as any other call does, and
        keeps its place among those that wait for a key until then. What wakes it under a hold, or when it had itself
        waited for one, does not count: the call is served within that turn, before all that waits for it to end.
Rule 5: a call whose keys are on several shards is run by its router, which holds all its keys for that (see
        router/blocking.py). Here it has a remote waiter for those of this shard, in the same queues as all others. When
        it has its turn the router is told, and nobody behind it in that queue is served until its attempt is over.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from common.errors import RedisError
from common.frame import JOINED, RESP3
from common.resp import encode
from shard.blocking import FOREVER, Blocked
from shard.listeners import hear

if TYPE_CHECKING:
    from shard.keyspace import Keyspace
    from shard.late import LateRun, Room
    from shard.value import Value

GONE = ""
"""Why a call ends whose client is gone: nobody hears the answer."""


class Waiter:
    """One call that waits."""

    __slots__ = ("blocked", "run", "place", "argv", "db", "until_ms", "parked")

    def __init__(self, blocked: Blocked, run: "LateRun", place: int) -> None:
        self.blocked = blocked
        self.run = run
        """The run that it belongs to, at `place`: it is what will be answered."""
        self.place = place
        self.argv: list[bytes] = blocked.argv or run.requests[place]
        """What is run when a key is ready."""
        self.db = run.db
        self.until_ms = blocked.until_ms
        self.parked = False
        """Whether it had its turn, and waits for a held key."""


class RemoteWaiter(Waiter):
    """What waits on this shard for a call that waits on several."""

    __slots__ = ("id", "offered")

    def __init__(self, id_: int, db: int, blocked: Blocked) -> None:
        """`id_` is the router's name for it."""
        self.blocked = blocked
        self.id = id_
        self.db = db
        self.argv = []
        self.until_ms = FOREVER
        self.parked = False
        self.offered: dict[bytes, None] = {}
        """The keys of which the router was told that they are ready."""


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
        self.remote: dict[tuple[object, int], RemoteWaiter] = {}
        """The remote ones by link and id."""
        self.new: list[Waiter] = []
        """Those that came, and remote ones that had their turn, since the routers were told."""
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
        db = self.store.dbs[waiter.db]
        db.heard = True
        waiting = db.waiting
        for key in waiter.blocked.keys:
            queue = waiting.get(key)
            if queue is None:
                queue = waiting[key] = Queue()
            queue.waiters[waiter] = None
            queue.lasting += waiter.blocked.lasting

    def _leave(self, waiter: Waiter) -> None:
        """Out of all of them. O(its keys)."""
        del self.named[waiter.run.name]
        waiting = self.store.dbs[waiter.db].waiting
        for key in waiter.blocked.keys:
            queue = waiting[key]
            del queue.waiters[waiter]
            queue.lasting -= waiter.blocked.lasting
            if not queue.waiters:
                del waiting[key]
        hear(self.store.dbs[waiter.db])

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
        """A link is gone, and with it all clients whose calls came by it. To be followed by `wake`."""
        for waiter in list(self.named.values()):
            if waiter.run.origin is origin:
                self._leave(waiter)
                if type(waiter) is RemoteWaiter:
                    del self.remote[origin, waiter.id]
                    self.store.ready.update(((waiter.db, key), None) for key in waiter.offered)

    def take_new(self) -> dict[Any, list[tuple[int, int]]]:
        """Those that came since the last time and still wait, by link: the number of the run, and the deadline."""
        new: dict[Any, list[tuple[int, int]]] = {}
        for waiter in self.new:
            if self.named.get(waiter.run.name) is waiter and type(waiter) is Waiter:
                new.setdefault(waiter.run.origin, []).append((waiter.run.number, waiter.until_ms))
        self.new = [waiter for waiter in self.new if type(waiter) is RemoteWaiter]
        return new

    def take_ready(self) -> dict[Any, list[int]]:
        """The remote ones that had their turn since the last time and still wait, by link: the numbers of their runs.
        To be called after `take_new`."""
        ready: dict[Any, list[int]] = {}
        for waiter in self.new:
            if self.named.get(waiter.run.name) is waiter:
                ready.setdefault(waiter.run.origin, []).append(waiter.run.number)
        self.new.clear()
        return ready

    # Those of calls on several shards

    def keep(self, waiter: RemoteWaiter, run: "LateRun", place: int) -> None:
        """Has one wait, whose message is answered when it does no more."""
        waiter.run, waiter.place = run, place
        self.remote[run.origin, waiter.id] = waiter
        self._enter(waiter)

    def withdraw(self, name: tuple[object, int]) -> RemoteWaiter | None:
        """Takes the one of that link and id out, if it waits. Who waits behind it is not tried yet, see `rouse`."""
        waiter = self.remote.pop(name, None)
        if waiter is not None:
            self._leave(waiter)
            self.room.answer(waiter.run, waiter.place, False)
        return waiter

    def rouse(self, withdrawn: RemoteWaiter, but: RemoteWaiter | None = None) -> None:
        """Serves those that waited behind one that was withdrawn; `but` is the same call, which has just been tried."""
        db = self.store.dbs[withdrawn.run.db]
        with self._attempts():
            for key in withdrawn.offered:
                self._serve(db, key, but)
        self.wake()

    # Serving

    def wake(self) -> None:
        """Serves those that wait for the keys that are ready, and for those that become so through that.

        A loop and no recursion: BLMOVEs can make a long chain.
        """
        if self._waking:
            return
        store = self.store
        with self._attempts():
            while store.ready:
                place = next(iter(store.ready))
                del store.ready[place]
                self._serve(store.dbs[place[0]], place[1])

    @contextmanager
    def _attempts(self) -> Iterator[None]:
        """Calls may be run inside: afterwards all is as it was for the run that is executed."""
        store, executor = self.store, self.executor
        number, counted, touching = executor.number, store.number, store.touching
        self._waking = True
        try:
            yield
        finally:
            self._waking = False
            executor.number, store.number, store.touching = number, counted, touching

    def _serve(self, db: "Keyspace", key: bytes, but: RemoteWaiter | None = None) -> None:
        """Tries those that wait for this key now, each once, without `but`."""
        queue = db.waiting.get(key)
        passed = 0
        for _ in range(len(queue.waiters) if queue is not None else 0):
            assert queue is not None
            value = db.held(key)
            waiter = queue.at(passed) if value is not None or queue.lasting else None
            if waiter is None:
                break
            if waiter.parked or waiter is but or not waiter.blocked.wants(value):
                passed += 1
            elif type(waiter) is RemoteWaiter:
                self._offer(waiter, key)
                break
            elif self.room.delays(waiter):
                passed += 1
            else:
                self._attempt(waiter)

    def _offer(self, waiter: RemoteWaiter, key: bytes) -> None:
        """Has the router told that one has its turn."""
        if not waiter.offered:
            self.new.append(waiter)
        waiter.offered[key] = None

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
        db = self.store.dbs[waiter.db]
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
                    assert key in waiter.blocked.keys and waiter.db == db.index
                    found[waiter.run.name] = waiter
        assert found == self.named
        assert {waiter for waiter in found.values() if type(waiter) is RemoteWaiter} == set(self.remote.values())


def hand_over(blocked: Blocked, header: int, requests: list[list[bytes]]) -> list[Blocked]:
    """Gives a call that would wait to whoever runs it, who keeps it or not."""
    return [blocked]

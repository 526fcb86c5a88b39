"""What this shard may take of maxmemory: it reckons what it takes, tells the routers, and evicts when it is told to.

    event    memory, bytes, score of the next victims, whether there is none, bytes that came in since, keys that may
             go, whether something is being freed                   shard to router, when that has changed
    message  memory_use                                             router to shard: the same, at once
    message  memory_allow, bytes, tight                             router to shard: how much it may take

Rule 1: a look at the memory (common/memory.py) is exact and takes its time. Between two looks, bytes that came in turns
        which changed something count, times what they turned out to take lately, less what victims were reckoned to.
Rule 2: while the whole has room no shard is `tight`, and none evicts, whatever it takes: router/budget.py.
Rule 3: a turn evicts at least as much as it brought, so that no flood of writes outruns it, and beyond that for as long
        as `maxmemory-eviction-tenacity` says; what is then left is done in slices between the turns.
Rule 4: garbage comes first: what is freed anyway need not be made room for.
Rule 5: nothing is evicted while the log is loaded or can't be written, clients are paused, or all keys are held.
"""

import sys
from typing import TYPE_CHECKING, Any

from common.memory import Gauge
from shard.control import control
from shard.eviction import Evictor
from shard.garbage import free_some

if TYPE_CHECKING:
    from shard.server import Shard

FACTOR_FIRST = 2.0
"""Bytes that a byte which came in takes, until that was seen."""
FACTOR_MAX = 16.0
LEARNED_BYTES_MIN = 64 * 1024
"""What has to come in between two looks for them to say something of that."""
UNSEEN_PART = 16
"""A look is due at once when what came in since the last one may be the limit over UNSEEN_PART and the number of
shards: a small limit is used up in ms, and looks at so little memory take 0.2 ms."""
TURN_NS_MAX = 10_000_000
"""How long a turn may evict what it brought: what one large value displaces may be very many small ones."""
FREED_NS = 1_000_000
"""How long garbage is freed before a shard that is asked answers."""
ALL_BYTES = 1 << 60
REPORT_NS = 10_000_000
"""How often a shard that is near its part or evicts says how old its next victims are."""
STEP_BYTES_MIN = 4 * 1024
"""A turn looks closer when half of the room up to its part is used up, or so much of it."""
REPORT_PART = 512
REPORT_BYTES_MIN = 16 * 1024
"""A report is due at a change by the limit over REPORT_PART and the number of shards, or this if it is more."""


def report_bytes(limit_bytes: int, shards: int) -> int:
    """By how much a shard's use may differ from what it said last."""
    return max(REPORT_BYTES_MIN, limit_bytes // (REPORT_PART * shards))


def time_limit_ns(tenacity: int) -> int:
    """How long a turn, or a slice, evicts: Redis's 0 to 0.5 ms up to a tenacity of 10, then 15 % more for each, and
    without an end at 100."""
    if tenacity <= 10:
        return 50_000 * tenacity
    return int(500_000 * 1.15 ** (tenacity - 10)) if tenacity < 100 else sys.maxsize


class Budget:
    """What it takes, and may take."""

    def __init__(self, shard: "Shard") -> None:
        self.shard = shard
        self.gauge = Gauge()
        self.evictor = Evictor(shard.store)
        self.limited = False
        """Whether there is a limit; without one nothing here is called but `rest`."""
        self.allowed_bytes = 0
        self.tight = False
        """Whether it must not take more than that."""
        self.exhausted = False
        """Whether there was nothing to evict."""
        self.used_bytes = 0.0
        """What it takes, as far as is known; what it took at its start does not count."""
        self.told_bytes = 0
        """The same, as the routers know it."""
        self._told_exhausted = False
        self.mark_bytes = 0.0
        """What is to be reached before a turn has to look closer."""
        self.factor = FACTOR_FIRST
        self._limit_bytes = 0
        self._unseen_bytes_max = 0
        self._policy = ""
        self._time_limit_ns = 0
        self._looked_bytes = 0.0
        self._intake_bytes = 0
        self._evicted_bytes = 0
        """Both since the last look."""
        self._came_bytes = 0.0
        """What came in since the routers were told."""
        self._changes = 0
        self._report_at_ns = 0
        self._slicing = False
        self._begun = False
        self._rested_changes = 0

    def configure(self, values: dict[str, Any]) -> None:
        """Takes over the directives."""
        limit_bytes, policy = values["maxmemory"], values["maxmemory-policy"]
        if (limit_bytes, policy) != (self._limit_bytes, self._policy):
            # As the router takes it: it says anew what may be taken, if that is not enough.
            self._limit_bytes, self._policy = limit_bytes, policy
            self.tight = self.exhausted = False
            self.mark_bytes = 0.0
        self.limited = limit_bytes > 0
        self._unseen_bytes_max = max(REPORT_BYTES_MIN, limit_bytes // (UNSEEN_PART * self.shard.config["shards"]))
        self._time_limit_ns = time_limit_ns(values["maxmemory-eviction-tenacity"])
        self.evictor.configure(policy, values["maxmemory-samples"])

    def begin(self) -> None:
        """Counts from here, if there is nothing yet: what is taken by now is the program."""
        if not any(db.size for db in self.shard.store.dbs) and not self._begun:
            self.gauge.begin()
        self._begun = True

    # What happens

    def turn(self, size_bytes: int, *, answered: bool) -> None:
        """So many bytes came, and all complete requests in them were done, if that were any."""
        changes = self.shard.store.changes_total
        if changes != self._changes or not answered:
            self._changes = changes
            self._intake_bytes += size_bytes
            self.used_bytes += size_bytes * self.factor
            self._came_bytes += size_bytes * self.factor
            if self.used_bytes >= self.mark_bytes:
                self.look_closer(size_bytes)
                if not answered:
                    self.shard.settle()

    def pulse(self) -> None:
        """Some ms have passed in which there were turns: what changed may not have come in as bytes."""
        self.shard.between_turns(lambda: self.look_closer(0))

    def rest(self) -> bool:
        """Nobody asks for anything, and no garbage is left: a moment to give the system back what is free. Whether that
        is done, or need not be; what can't be seen yet, for looks take time, is to be asked again."""
        changes = self.shard.store.changes_total
        if changes != self._rested_changes and self.gauge.may_give_back():
            if self.shard.executor.clock_ns() < self.gauge.look_at_ns:
                return False
            self.gauge.give_back()
        self._rested_changes = changes
        return True

    def look_closer(self, size_bytes: int) -> None:
        """Looks, evicts and tells, as far as each is due; `size_bytes` is what this turn brought."""
        now_ns = self.shard.executor.clock_ns()
        if now_ns >= self.gauge.look_at_ns or self._intake_bytes * self.factor > self._unseen_bytes_max:
            self.look()
        self.exhausted = self.exhausted and self.is_over()
        if self.is_over():
            self.evict(now_ns, int(size_bytes * self.factor))
        change = abs(self.used_bytes - self.told_bytes)
        due = self.tight and now_ns >= self._report_at_ns
        if change >= self._report_bytes() or self.exhausted != self._told_exhausted or due:
            self.tell(now_ns)
        self._set_mark()

    def _report_bytes(self) -> int:
        return report_bytes(self._limit_bytes, self.shard.config["shards"])

    def _set_mark(self) -> None:
        mark = float(self.told_bytes + self._report_bytes())
        if self.tight:
            # The router is to hear in time that the room it gave is being used up.
            step_bytes = max((self.allowed_bytes - self.used_bytes) / 2, STEP_BYTES_MIN)
            mark = min(mark, self.used_bytes + step_bytes, self.allowed_bytes)
        self.mark_bytes = mark

    # What is known

    def look(self) -> None:
        """Finds out what it really takes."""
        used_bytes = float(max(0, self.gauge.look_bytes() - self.shard.aof.buffer.bytes_count))
        if self._intake_bytes >= LEARNED_BYTES_MIN:
            seen = (used_bytes - self._looked_bytes + self._evicted_bytes) / self._intake_bytes
            self.factor = (self.factor + min(max(seen, 0.0), FACTOR_MAX)) / 2
        # Without keys, what is left is garbage, or was never data.
        store = self.shard.store
        if not any(db.size for db in store.dbs):
            used_bytes = 0.0
            if not store.garbage:
                self.gauge.note_empty()
        self.used_bytes = self._looked_bytes = used_bytes
        self._intake_bytes = self._evicted_bytes = 0

    def use(self) -> list[Any]:
        """What the routers are told, see above."""
        self.told_bytes, self._told_exhausted = int(self.used_bytes), self.exhausted
        came_bytes, self._came_bytes = int(self._came_bytes), 0.0
        freeing = bool(self.shard.store.garbage) or self.shard.leftovers.busy
        return [self.told_bytes, self.evictor.worth(), self.exhausted, came_bytes, self.evictor.keys(), freeing]

    def tell(self, now_ns: int) -> None:
        """Tells the routers."""
        self._report_at_ns = now_ns + REPORT_NS
        event = ["memory", *self.use()]
        for link in self.shard.links:
            link.send({"events": [event]})

    # What the router says

    def allow(self, allowed_bytes: int, *, tight: bool) -> list[Any]:
        """Takes over how much it may take; if that is less than it does, begins to evict. What it takes then."""
        self.allowed_bytes, self.tight, self.exhausted = allowed_bytes, tight, False
        if self.is_over():
            self.look()
            if self.is_over():
                self.evict(self.shard.executor.clock_ns(), 0)
        use = self.use()
        self._set_mark()
        return use

    # Eviction

    def is_over(self) -> bool:
        """Whether it takes more than it may, and could change that."""
        return self.limited and self.tight and self._has_too_much() and self._may_evict()

    def _has_too_much(self) -> bool:
        # Nothing is none at all, whatever was reckoned.
        return self.used_bytes > self.allowed_bytes or not self.allowed_bytes

    def _may_evict(self) -> bool:
        shard, executor = self.shard, self.shard.executor
        waits = executor.loading or executor.refusal is not None or shard.expiry_paused or shard.room.holds.wholes
        return self.evictor.kind != 0 and not waits

    def evict(self, started_ns: int, brought_bytes: int) -> None:
        """Evicts until it takes no more than it may, or the time is over; goes on later if it is."""
        shard = self.shard
        store, evictor, clock_ns = shard.store, self.evictor, shard.executor.clock_ns
        number, store.number = store.number, -1
        until_ns, at_most_ns = started_ns + self._time_limit_ns, started_ns + TURN_NS_MAX
        at_once = not shard.config["lazyfree-lazy-eviction"]
        least_bytes = self.used_bytes - brought_bytes
        now_ns = started_ns
        while free_some(store.garbage, shard.leftovers) and now_ns < until_ns:
            now_ns = clock_ns()
        while self._has_too_much() and not store.garbage:
            too_much = int(self.used_bytes) - self.allowed_bytes + 1 if self.allowed_bytes else ALL_BYTES
            size_bytes = evictor.evict_some(too_much)
            self.exhausted = not size_bytes
            if not size_bytes:
                break
            self.used_bytes -= size_bytes
            self._evicted_bytes += size_bytes
            before_ns, now_ns = now_ns, clock_ns()
            if store.garbage:
                now_ns = self._free(at_once, before_ns, until_ns)
            if now_ns >= until_ns and (self.used_bytes <= least_bytes or now_ns >= at_most_ns):
                break
        store.number = number
        store.changes = 0
        shard.executor.log_expired()
        shard.room.waiters.wake()
        shard.note_latency("eviction-cycle", (now_ns - started_ns) / 1e9)
        if self._has_too_much() and not self.exhausted and not self._slicing:
            self._slicing = True
            shard.loop.call_soon(self._slice)

    def _free(self, at_once: bool, since_ns: int, until_ns: int) -> int:
        """Frees a victim that is large: all of it `at_once`, or as much as there is time for. What time it is then."""
        clock_ns, garbage = self.shard.executor.clock_ns, self.shard.store.garbage
        now_ns = clock_ns()
        while free_some(garbage, self.shard.leftovers) and (at_once or now_ns < until_ns):
            now_ns = clock_ns()
        self.shard.note_latency("eviction-del", (now_ns - since_ns) / 1e9)
        return now_ns

    def _slice(self) -> None:
        """Goes on with what a turn has left."""
        self._slicing = False
        shard = self.shard
        if self.is_over() and not shard.stopped.is_set():
            shard.between_turns(lambda: self.look_closer(0))


@control
def memory_purge(shard: "Shard") -> None:
    """MEMORY PURGE."""
    shard.budget.gauge.purge()


@control
def memory_use(shard: "Shard") -> list[Any]:
    """What this shard takes, found out for this question, once it has freed what it can in a moment."""
    budget, clock_ns = shard.budget, shard.executor.clock_ns
    until_ns = clock_ns() + FREED_NS
    while free_some(shard.store.garbage, shard.leftovers) and clock_ns() < until_ns:
        pass
    budget.look()
    use = budget.use()
    budget._set_mark()
    return use


@control
def memory_allow(shard: "Shard", allowed_bytes: int, tight: bool) -> list[Any]:
    """How much this shard may take, and whether that is all there is."""
    return shard.budget.allow(allowed_bytes, tight=tight)

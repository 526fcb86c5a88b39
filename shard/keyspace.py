"""The keyspace: what a command's handler sees of the data, and the bookkeeping of every change.

Rule 1: a handler changes values only through here. Type check, count of changes, expiry, the log's effects, and telling
        who listens (listeners.py) are done in this file, once.
Rule 2: the slot is the unit. A db is an array of 16384 dicts, made when first used: one big dict stalls for 110 ms when
        it grows past 2.8 M keys and for a second past 5.6 M; slot dicts never do and cost no more memory.
Rule 3: time and chance are arguments: `store.now_ms` comes with every batch, nobody here reads a clock.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from random import Random
from typing import TYPE_CHECKING, Any

from common.errors import WrongType
from common.leftovers import LARGE_BYTES
from common.numbers import INTEGER_MAX
from common.slot import SLOTS
from common.slot import slot_of as slot_of_tagged
from shard import clearing, events, fields, frequency, listeners
from shard.expiry import TICK_SHIFT, Expiries
from shard.garbage import CHEAP_TO_FREE
from shard.idle import IdleClocks
from shard.slots import EMPTY, SLOT_KEYS_MAX, Slot, WideSlot
from shard.stats import Stats
from shard.value import Value
from shard.values.hash import Hash
from shard.watches import Watches

if TYPE_CHECKING:
    from shard.snapshot import DbSnapshot
    from shard.waiters import Queue
    from shard.watches import Watch

NEVER_MS = INTEGER_MAX
"""Stands for the time of a key that does not expire: no clock passes it."""


class Store:
    """What the dbs of one shard share."""

    def __init__(
        self,
        databases: int = 16,
        slot_of: Callable[[bytes], int] = slot_of_tagged,
        slots_owned: range = range(SLOTS),
        random: Random | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.slot_of = slot_of
        self.slots_owned = slots_owned
        """The slots of this shard."""
        self.random = random or Random()
        self.config = {} if config is None else config
        self.now_ms = 0
        self.clock_s = 0
        """`now_ms` in seconds, for the idle clocks."""
        self.touching = True
        """Whether reads leave a trace in the idle clocks (CLIENT NO-TOUCH)."""
        self.counts_uses = False
        """Whether `maxmemory-policy` goes by how often keys are used: then their clocks count that."""
        self.expiring = True
        """Whether keys whose time has come are removed; a replay only does what the log says."""
        self.hiding = False
        """Whether those are only not seen, and stay (CLIENT PAUSE)."""
        self.changes = 0
        """Changes made by the command that runs; whoever ran it takes them out."""
        self.changes_total = 0
        self.effects: list[tuple[int, list[bytes]]] = []
        """What the command that runs wants logged, in order, each with its db."""
        self.expired: list[tuple[int, bytes | list[bytes]]] = []
        """Keys that this command, or the round of expiry that runs, found expired, and what says in the log that fields
        of one were; each is one of `changes`."""
        self.explicit = False
        """Whether the handler said itself what to log instead of the request as it came."""
        self.apart = False
        """Whether keys of the command that runs live on other shards: a handler may then have logged, in effects on one
        key each, what else would be logged as one command, see shard/loan.py."""
        self.logging = True
        """Whether there is a log that wants the effects."""
        self.garbage: list[Any] = []
        """Values and slots given up, see garbage.py."""
        self.stats = Stats()
        self.blocked: Container[bytes] = ()
        """Keys, of any db, that somebody holds or waits for: nobody else may touch them (see shard/holds.py)."""
        self.ready: dict[tuple[int, bytes], None] = {}
        """Db and key of what calls that are blocked wait for and may find now, in the order in which it came (see
        shard/blocking.py); whoever ran the command takes them out."""
        self.number = -1
        """The number of the run that is executed, in its link's stream; -1 for what nobody asked for."""
        self.part = 0
        """Which of the runs of a transaction is executed, that are one run of the stream."""
        self.tracked = False
        """Whether a client caches what it reads, and so every change is an event."""
        self.events: list[list[Any]] = []
        """What the router has to be told behind the replies of this turn, see listeners.py."""
        self.notices = events.Notices()
        self.dbs = [Keyspace(self, index) for index in range(databases)]
        self.watches = Watches(self)

    def swap(self, first: int, second: int) -> None:
        """Exchanges the contents of two dbs: who looks at `first` now sees what was `second`. O(1)."""
        one, other = self.dbs[first], self.dbs[second]
        one.slots, other.slots = other.slots, one.slots
        one.size, other.size = other.size, one.size
        one.expiries, other.expiries = other.expiries, one.expiries
        one.volatile, other.volatile = other.volatile, one.volatile
        one.idle, other.idle = other.idle, one.idle
        one.snapshot, other.snapshot = other.snapshot, one.snapshot
        self.changes += 1
        if one.heard or other.heard:
            listeners.replaced(one, other)

    def begin_replay(self, now_ms: int) -> None:
        """Before a log is replayed: nothing expires until it is over, and all that it makes counts as used just now."""
        self.expiring = False
        self.clock_s = now_ms // 1000
        for db in self.dbs:
            db.expiries = Expiries(self.slot_of, now_ms >> TICK_SHIFT)


class Keyspace:
    """One numbered db of one shard. A key whose time has come is not there."""

    __slots__ = (
        "store",
        "index",
        "slots",
        "size",
        "expiries",
        "volatile",
        "idle",
        "slot_of",
        "waiting",
        "watched",
        "heard",
        "snapshot",
    )

    def __init__(self, store: Store, index: int) -> None:
        self.store = store
        self.index = index
        self.slot_of = store.slot_of
        self.slots: list[Slot] = [EMPTY] * SLOTS
        self.size = 0
        self.expiries = Expiries(self.slot_of)
        self.volatile: Expiries | None = None
        """The time at which the first field of each hash expires, see shard/fields.py; None while there is none."""
        self.idle = IdleClocks()
        self.waiting: dict[bytes, Queue] = {}
        """Who is blocked in this db, by each key that would end that."""
        self.watched: dict[bytes, list[Watch]] = {}
        """The watches of each key that is watched."""
        self.heard = False
        """Whether anybody listens to what happens here, see listeners.py."""
        self.snapshot: DbSnapshot | None = None
        """What has to see a key before it changes; None while there is no snapshot, see snapshot.py."""

    # Reading

    def get_string(self, key: bytes) -> bytes | bytearray | None:
        """The string at `key`, None if there is no key.  Raises WrongType. O(1)."""
        value = self.get(key)
        if type(value) is bytes or value is None or type(value) is bytearray:
            return value
        raise WrongType()

    def get(self, key: bytes, kind: type | None = None) -> Value | None:
        """The value at `key`: counts a hit or miss, resets its idle clock.  Raises WrongType if not a `kind`. O(1)."""
        store = self.store
        slot = self.slot_of(key)
        value = self.slots[slot].get(key)
        if (
            value is None
            or (self.expiries.count and self._expired(key, slot))
            or (self.volatile is not None and self._gone(key, slot))
        ):
            store.stats.keyspace_misses += 1
            if self.heard:
                events.tell(self, key, events.MISSED)
            return None
        store.stats.keyspace_hits += 1
        if store.counts_uses:
            self._touch(key)
        elif store.touching:
            hashed = hash(key)
            clocks = self.idle.parts[hashed & 63]
            clocks[(hashed >> 6) & (len(clocks) - 1)] = store.clock_s
        if kind is not None and not isinstance(value, kind):
            raise WrongType()
        return value

    def get_to_write(self, key: bytes) -> Value | None:
        """The value at `key` for a command that may change it: resets its idle clock, counts no hit or miss. O(1)."""
        value = self.peek(key)
        if value is not None:
            if self.snapshot is not None:
                self.snapshot.keep(key)
            self._touch(key)
        return value

    def to_write(self, key: bytes, kind: type) -> Value | None:
        """As `get_to_write`, of a value that must be a `kind`.  Raises WrongType. O(1)."""
        value = self.get_to_write(key)
        if value is not None and type(value) is not kind:
            raise WrongType()
        return value

    def look(self, key: bytes, missed: bytes = events.MISSED) -> Value | None:
        """The value at `key` for a command that asks about it: counts a hit or miss, leaves its idle clock. O(1)."""
        value = self.peek(key)
        if value is None:
            self.store.stats.keyspace_misses += 1
            if self.heard:
                events.tell(self, key, missed)
        else:
            self.store.stats.keyspace_hits += 1
        return value

    def peek(self, key: bytes) -> Value | None:
        """The value at `key`, without a trace in statistics and idle clocks. O(1)."""
        slot = self.slot_of(key)
        value = self.slots[slot].get(key)
        if value is None or (self.expiries.count and self._expired(key, slot)):
            return None
        return None if self.volatile is not None and self._gone(key, slot) else value

    def peek_string(self, key: bytes) -> bytes | bytearray | None:
        """As `get_string`, for a command that writes: hits and misses count reads only.  Raises WrongType. O(1)."""
        value = self.peek(key)
        if type(value) is bytes or value is None or type(value) is bytearray:
            return value
        raise WrongType()

    def exists(self, key: bytes) -> bool:
        """Whether there is a value at `key`: counts a hit or miss, leaves its idle clock, as EXISTS does. O(1)."""
        return self.look(key) is not None

    def idle_s(self, key: bytes) -> int:
        """For how many seconds the existing `key`, or one that shares its clock, was not used. O(1)."""
        return max(0, self.store.clock_s - self.idle.clock(key))

    def _touch(self, key: bytes) -> None:
        """Resets the idle clock of `key`, or counts one more use of it."""
        store = self.store
        if not store.touching:
            return
        if store.counts_uses:
            frequency.add_use(self, key)
        else:
            self.idle.touch(key, store.clock_s)

    def expiry_ms(self, key: bytes) -> int:
        """When `key` expires, absolute unix time in ms; -1 if never or if there is no key. O(1)."""
        at_ms: int = self.expiries.slots[self.slot_of(key)].get(key, -1)
        return at_ms

    # Writing

    def set(self, key: bytes, value: Value, keep_ttl: bool = False, expire_at_ms: int = -1) -> None:
        """Puts `value` at `key`, whatever was there. Its expiry goes unless `keep_ttl`, or is `expire_at_ms`. O(1)."""
        # No `*` before the two, though callers name them: what is compiled as C has no keyword-only arguments.
        store = self.store
        store.changes += 1
        if self.snapshot is not None:
            self.snapshot.keep(key)
        number = self.slot_of(key)
        # A key that gets another time keeps its old one until then, which is cheaper to change than to set anew.
        goes = self.expiries.count and (not self._expired(key, number) or store.hiding)
        if goes and not keep_ttl and expire_at_ms < 0:
            self.expiries.discard(key, number)
        slot = self.slots[number]
        before = slot.get(key)
        kind = type(before)
        if before is None:
            if slot is EMPTY:
                slot = self.slots[number] = {}
            elif len(slot) >= SLOT_KEYS_MAX and type(slot) is dict:
                slot = self.slots[number] = WideSlot(slot)
            self.size += 1
            if self.size > self.idle.room:
                self.idle.grow()
        elif before is not value and (kind not in CHEAP_TO_FREE or (kind is not int and len(before) >= LARGE_BYTES)):
            store.garbage.append(before)
            if self.volatile is not None:
                self.volatile.discard(key, number)
        slot[key] = value
        if type(value) is Hash and value.times is not None:
            fields.retime(self, key, value)
        if expire_at_ms >= 0:
            self.expiries.set(key, number, expire_at_ms)
        if not store.counts_uses:  # In place, as in `get`: a call is a tenth of what this takes as plain Python.
            hashed = hash(key)
            clocks = self.idle.parts[hashed & 63]
            clocks[(hashed >> 6) & (len(clocks) - 1)] = store.clock_s
        elif before is None:
            self.idle.touch(key, frequency.first(store.clock_s))
        else:
            self._touch(key)
        if self.heard:
            listeners.put(self, key, value, new=before is None, expires=expire_at_ms >= 0)

    def edit_string(self, key: bytes) -> bytearray:
        """The string at `key` to be changed in place, made if there is none; it is a change.  Raises WrongType."""
        value = self.peek_string(key)
        if type(value) is not bytearray:
            value = bytearray(value or b"")
            self.set(key, value, keep_ttl=True)
        else:
            store = self.store
            store.changes += 1
            self.about_to_change(key)
            self._touch(key)
            if self.heard:
                listeners.touch(self, key)
        return value

    def edit(self, key: bytes, kind: type) -> Value:
        """The `kind` at `key` to be changed in place, an empty one put there if there is none; it is a change.

        Whoever asks for it puts something in: nothing may fail any more.  Raises WrongType. O(1).
        """
        value = self.to_write(key, kind)
        if value is None:
            value = kind()
            self.set(key, value)
        else:
            self.changed(key)
        return value

    def about_to_change(self, key: bytes) -> None:
        """Says that something at `key`, which may be found by any way, is about to change. O(1) without a snapshot."""
        if self.snapshot is not None:
            self.snapshot.keep(key)

    def changed(self, key: bytes) -> None:
        """Says that the value at `key` was changed in place. O(1)."""
        self.store.changes += 1
        if self.heard:
            listeners.signal(self, key, self.held(key))

    def changed_quietly(self, key: bytes) -> None:
        """Says that the value at `key` was changed in a way that nobody who waits for it can find. O(1)."""
        self.store.changes += 1
        if self.heard:
            listeners.touch(self, key)

    def changed_aside(self, key: bytes, wakes: bool = False) -> None:
        """Says that something at `key` was changed that counts as no part of its value (a stream's groups): it touches
        nothing that is watched or cached, but who waits for the key may have waited for that. O(1)."""
        self.store.changes += 1
        if self.heard:
            listeners.aside(self, key, wakes=wakes)

    def shrunk(self, key: bytes, value: Value) -> None:
        """Says that `value`, which is at `key`, lost elements; without any left, the key goes. O(1)."""
        self.changed(key)
        if not len(value):
            self.delete(key)

    def delete(self, key: bytes, event: bytes = events.DEL, slot: int = -1) -> bool:
        """Removes `key`, of a `slot` if that is known; whether it was there. O(1): a large value is freed later."""
        slot = self.slot_of(key) if slot < 0 else slot
        self.about_to_change(key)
        if self.expiries.count and self._expired(key, slot):
            return False
        if self._drop(key, slot, True) is None:
            return False
        self.store.changes += 1
        if self.heard:
            listeners.signal(self, key, None, event)
        return True

    def _drop(self, key: bytes, slot: int, for_good: bool) -> Value | None:
        """Takes `key` out of its slot; its value, which is freed later if it goes `for_good`, or None."""
        if self.expiries.count:
            self.expiries.discard(key, slot)
        value: Any = self.slots[slot].pop(key, None)
        if value is not None:
            if self.volatile is not None:
                self.volatile.discard(key, slot)
            self.size -= 1
            if for_good and (
                type(value) not in CHEAP_TO_FREE or (type(value) is not int and len(value) >= LARGE_BYTES)
            ):
                self.store.garbage.append(value)
        return value

    def take(self, key: bytes) -> tuple[Value, int]:
        """Takes the existing `key` out, to be put elsewhere: its value, and its expiry as of `expiry_ms`. O(1)."""
        slot = self.slot_of(key)
        self.about_to_change(key)
        expires_ms = self.expiry_ms(key)
        value: Any = self._drop(key, slot, False)
        self.store.changes += 1
        if self.heard:
            listeners.signal(self, key, None, events.SILENT)
        return value, expires_ms

    def expire_at(self, key: bytes, at_ms: int) -> None:
        """Gives the existing `key` the expiry `at_ms`, absolute unix time in ms. O(1)."""
        self.store.changes += 1
        self.about_to_change(key)
        self.expiries.set(key, self.slot_of(key), at_ms)
        if self.heard:
            listeners.touch(self, key, events.EXPIRE)

    def persist(self, key: bytes) -> bool:
        """Takes the expiry of `key` away; whether it had one. O(1)."""
        self.about_to_change(key)
        had_one = self.expiries.discard(key, self.slot_of(key))
        if had_one:
            self.store.changes += 1
            if self.heard:
                listeners.touch(self, key, events.PERSIST)
        return had_one

    def log(self, *argv: bytes) -> None:
        """Has `argv` logged instead of the request as it came; a second call logs a second effect."""
        store = self.store
        store.explicit = True
        if store.logging:
            store.effects.append((self.index, list(argv)))

    def clear(self, *, later: bool) -> int:
        """Removes all keys and gives their number. What is freed `later` does not stop the loop."""
        return clearing.clear(self, later=later)

    # Expiry

    def _expired(self, key: bytes, slot: int) -> bool:
        """Whether the time of `key` has come; then it is removed, and DEL is what the log gets."""
        # A replay is spared the look-up, which would miss the core's cache.
        at_ms = self.expiries.slots[slot].get(key, NEVER_MS) if self.store.expiring else NEVER_MS
        if at_ms > self.store.now_ms:
            return False
        if not self.store.hiding:
            self._remove_expired(key, slot)
        return True

    def _gone(self, key: bytes, slot: int) -> bool:
        """Whether the last fields of `key` are gone because their time has come; some are removed, see fields.py."""
        assert self.volatile is not None
        at_ms = self.volatile.slots[slot].get(key, NEVER_MS)
        if at_ms > self.store.now_ms or not self.store.expiring:
            return False
        return fields.thin(self, key, slot)

    def retime(self, key: bytes, value: Value) -> None:
        """Says that the fields of the hash `value`, which is at `key`, may have other times than before. O(1)."""
        if self.volatile is not None or value.times is not None:
            fields.retime(self, key, value)

    def _remove_expired(self, key: bytes, slot: int) -> None:
        store = self.store
        self.about_to_change(key)
        self._drop(key, slot, True)
        if self.heard:
            listeners.signal(self, key, None, events.EXPIRED)
        store.stats.expired_keys += 1
        store.changes += 1
        store.expired.append((self.index, key))

    def expire_due(self, until_ms: int) -> Iterator[bytes | None]:
        """Removes the keys whose time came before `until_ms`, but for blocked ones, one a step, and gives each, then
        fields, a few a step; there are steps that only bring the work forward and give None. O(1) a step.
        """
        for key in self.expiries.due(until_ms, self.store.blocked):
            if key is not None:
                if self.snapshot is not None:
                    self.snapshot.keep(key, self.expiries.taken_ms)
                self._remove_expired(key, self.slot_of(key))
            yield key
        yield from fields.expire_due(self, until_ms)

    def is_volatile(self) -> bool:
        """Whether a key, or a field of one, will expire. O(1)."""
        return self.expiries.count > 0 or (self.volatile is not None and self.volatile.count > 0)

    def held(self, key: bytes) -> Value | None:
        """What is at `key`, whatever its time. O(1)."""
        return self.slots[self.slot_of(key)].get(key)

    def keys_in(self, slot: int) -> list[bytes]:
        """The keys of one slot that have not expired, in no order. O(n)."""
        return self.live(slot, self.slots[slot])

    def live(self, slot: int, keys: Iterable[bytes]) -> list[bytes]:
        """Those of a slot's `keys` that have not expired. O(n)."""
        times = self.expiries.slots[slot]
        if not times or not self.store.expiring:
            return list(keys)
        now_ms = self.store.now_ms
        return [key for key in keys if times.get(key, now_ms + 1) > now_ms]

    def items(self) -> Iterator[tuple[bytes, Value]]:
        """All keys with their values, slot by slot, the expired ones left out."""
        for number, slot in enumerate(self.slots):
            if slot:
                for key in self.keys_in(number):
                    yield key, slot[key]

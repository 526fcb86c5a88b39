"""Whom to evict: a pool of candidates out of samples, as Redis has it, for the eight policies of maxmemory-policy.

A candidate's score says how well it would be missed: seconds since its last use (lru), 255 less the counter of its uses
(lfu), milliseconds since it expired, mostly negative (ttl). The pool keeps the best that were seen.

Rule 1: a key that is held or lent (Store.blocked) is left alone.
Rule 2: `maxmemory-samples` keys are looked at for each that goes. They are drawn for BATCH victims at once: what a draw
        costs by itself, finding a slot, is shared. The pool keeps the best of a batch that were not taken, so that the
        victims are the best fifth (with 5 samples) whether they are drawn one by one or in batches.
Rule 3: slots are drawn by how many keys they have: with hash tags one slot may have most of them.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, islice
from operator import itemgetter
from typing import Any

from shard import events
from shard.footprint import value_size_bytes
from shard.keyspace import Keyspace, Store
from shard.slots import EMPTY, PARTS, Slot, WideSlot

POOL_MAX = 16
BATCH = 8
"""Victims for which samples are drawn at once."""
DRAWS_MAX = 4
"""How often samples are drawn in vain, all keys in them being held or gone, before there is nothing to evict."""
WEIGHTS_PART = 8
WEIGHTS_KEYS_MIN = 64
"""The slots' sizes are counted anew when such a part of the keys was evicted, or so many: that takes about 0.5 ms."""
SAMPLES = 5
"""Elements of a large value that are looked at to reckon its size."""
EXPIRY_BYTES = 96
"""What is free again with an expiry: its time as an int, and its places."""
LFU_MAX = 255
SPARSE_BYTES, SPARSE_KEY_BYTES = 250, 60
"""A slot's dict that takes more, at all and for each key, has grown by keys that are gone: others take 51 at most."""
ALIGNMENT = 15
"""Both allocators give memory out in units of 16 bytes."""

NONE, LRU, LFU, RANDOM, TTL = range(5)
KINDS = {"lru": LRU, "lfu": LFU, "random": RANDOM, "ttl": TTL}

_score = itemgetter(0)

Candidate = tuple[int, int, bytes]
"""Its score, its db, and the key."""


@dataclass(slots=True)
class Weights:
    """How the keys of a db are spread over its slots, as it was not long ago."""

    slots: list[Slot]
    count: int
    ends: list[int]
    """The sums of the slots' sizes from slot to slot."""
    uses: int
    """For how many draws this still holds."""


class Evictor:
    """The policy, and the pool."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.kind = NONE
        self.volatile = False
        """Whether only keys that expire may go."""
        self.samples = 5
        self.pool: list[Candidate] = []
        """The best last."""
        self.left = 0
        """Victims left for which samples were drawn."""
        self.decay_minutes = 1
        """The directive lfu-decay-time."""
        self._weights: dict[int, Weights] = {}
        """By db."""

    def configure(self, policy: str, samples: int) -> None:
        """Takes over the directives."""
        scope, _, kind = policy.partition("-")
        self.kind = KINDS.get(kind, NONE)
        self.volatile = scope == "volatile"
        self.samples = samples
        self.forget()

    def forget(self) -> None:
        """Forgets all candidates."""
        self.pool.clear()
        self.left = 0
        self._weights.clear()

    def evict_some(self, wanted_bytes: int) -> int:
        """Evicts a few keys, no more than give so many bytes, and none behind one that is large to free; what that
        gives. 0 if there is none that may go."""
        freed_bytes = 0
        for _ in range(BATCH):
            size_bytes = self.evict()
            freed_bytes += size_bytes
            if not size_bytes or freed_bytes >= wanted_bytes or self.store.garbage:
                break
        return freed_bytes

    def evict(self) -> int:
        """Evicts one key, and gives about how many bytes that frees; 0 if there is none that may go."""
        store = self.store
        draws = 0
        while True:
            if not self.left or not self.pool:
                if draws == DRAWS_MAX:
                    return 0
                draws += 1
                self.draw()
                if not self.pool:
                    self._weights.clear()  # They may be of slots that are empty by now.
                    continue
            self.left -= 1
            score, index, key = self.pool.pop()
            db = store.dbs[index]
            value = db.held(key)
            if value is None or key in store.blocked or self.score(db, key) < score:
                continue  # It is gone, or was used since.
            size_bytes = self._size_bytes(db, key, value)
            if remove(db, key):
                return size_bytes

    def worth(self) -> int:
        """The score of the next victim, of seconds where it is of time; 0 if there is none."""
        if not self.pool:
            self.draw()
        if not self.pool:
            return 0
        score, index, key = self.pool[-1]
        db = self.store.dbs[index]
        if db.held(key) is not None:
            score = self.score(db, key)  # It may have been drawn long ago.
        return score // 1000 if self.kind == TTL else score

    def score(self, db: Keyspace, key: bytes) -> int:
        """How well the existing `key` would be missed. O(1)."""
        kind = self.kind
        if kind == LRU:
            return self.store.clock_s - db.idle.clock(key)
        if kind == LFU:
            # As frequency.uses, here where it is compiled: that is half of what an eviction takes.
            clock = db.idle.clock(key)
            count = clock & LFU_MAX
            if self.decay_minutes:
                elapsed_minutes = (self.store.clock_s // 60 - (clock >> 8)) & 0xFFFF
                count -= min(count, elapsed_minutes // self.decay_minutes)
            return LFU_MAX - count
        if kind == TTL:
            return self.store.now_ms - db.expiry_ms(key)
        return 0

    def draw(self) -> None:
        """Draws samples for the next victims into the pool."""
        pool = self.pool
        if self.kind == RANDOM:
            pool.clear()
        self.decay_minutes = self.store.config.get("lfu-decay-time", 1)
        if self.kind != NONE:
            for db in self.store.dbs:
                if db.expiries.count if self.volatile else db.size:
                    self._draw_from(db)
        # By the score only, so that among equals the order is that of chance.
        pool.sort(key=_score)
        if len(pool) > POOL_MAX:
            del pool[:-POOL_MAX]
        self.left = BATCH

    def _draw_from(self, db: Keyspace) -> None:
        chance = self.store.random.random
        slots = db.expiries.slots if self.volatile else db.slots
        ends = self._ends(db, slots)
        first = self.store.slots_owned.start
        total = ends[-1]
        wanted = 1 if self.kind == RANDOM else self.samples
        missing = BATCH * wanted
        for _ in range(missing):
            if missing <= 0:
                break
            slot = slots[first + bisect_right(ends, int(chance() * total))]
            if type(slot) is WideSlot:
                slot = slot.parts[int(chance() * PARTS)]
            size = len(slot)
            if size:
                start = int(chance() * size)
                keys = list(islice(slot, start, start + wanted))
                if len(keys) < wanted and start:
                    keys += islice(slot, min(start, wanted - len(keys)))
                missing -= len(keys)
                self._rate(db, keys)

    def _rate(self, db: Keyspace, keys: list[bytes]) -> None:
        """Adds keys to the pool."""
        index, pool = db.index, self.pool
        for key in keys:
            pool.append((self.score(db, key), index, key))

    def _ends(self, db: Keyspace, slots: list[Slot]) -> list[int]:
        """The sums of the slots' sizes, as they were not long ago."""
        count = db.expiries.count if self.volatile else db.size
        known = self._weights.get(db.index)
        part = max(count // WEIGHTS_PART, WEIGHTS_KEYS_MIN)
        if known is None or known.slots is not slots or known.uses <= 0 or abs(count - known.count) > part:
            owned = self.store.slots_owned
            known = Weights(slots, count, list(accumulate(map(len, slots[owned.start : owned.stop]))), part // BATCH)
            self._weights[db.index] = known
        known.uses -= 1
        return known.ends

    def _size_bytes(self, db: Keyspace, key: bytes, value: Any) -> int:
        if type(value) is bytes:
            size_bytes = (len(value) + 33 + ALIGNMENT) & ~ALIGNMENT
        else:
            size_bytes = value_size_bytes(value, SAMPLES)
        size_bytes += (len(key) + 33 + ALIGNMENT) & ~ALIGNMENT
        return size_bytes + EXPIRY_BYTES if self.volatile else size_bytes


def remove(db: Keyspace, key: bytes) -> bool:
    """Evicts the existing `key`: what follows is as for one that has expired. Whether it was there; one whose time has
    come has expired. O(1)."""
    store = db.store
    if not db.delete(key, events.EVICTED):
        return False
    store.expired.append((db.index, key))
    store.stats.evicted_keys += 1
    tidy(db, db.slot_of(key))
    return True


def tidy(db: Keyspace, number: int) -> None:
    """Gives back what the dict of a slot does not need. Where keys come and go it becomes up to four times as large as
    one that only grows: in 13 MB there is room for 35,500 small keys with this, and for 25,700 without."""
    slot = db.slots[number]
    if not len(slot):
        db.slots[number] = EMPTY
    elif type(slot) is dict and slot.__sizeof__() > SPARSE_BYTES + SPARSE_KEY_BYTES * len(slot):
        db.slots[number] = dict(slot)

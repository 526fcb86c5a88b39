"""Whom to evict: a pool of candidates out of samples, as Redis has it, for the eight policies of maxmemory-policy.

A candidate's score is the higher the less it would be missed, and does not change while it is not used: the second of
its last use, negative (lru), 255 less the counter of its uses (lfu), the ms at which it expires, negative (ttl). The
pool keeps the best that were seen.

Rule 1: a key that is held or lent (Store.blocked) is left alone.
Rule 2: `maxmemory-samples` keys are looked at for each that goes. They are drawn for BATCH victims at once, and slot by
        slot: what a draw costs by itself is shared. The pool keeps the best of a batch that were not taken, so that the
        victims are the best fifth (with 5 samples) whether they are drawn one by one or in batches.
Rule 3: slots are drawn by how many keys they have: with hash tags one slot may have most of them.
Rule 4: most of the samples are no better than what the pool has: of those nothing is made.
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

POOL_MAX = 64
BATCH = 32
"""Victims for which samples are drawn at once."""
SOME = 8
"""Victims between two looks at the clock."""
WHOLE_MAX = 40
"""Keys of a slot that are all looked at: to begin behind some is to walk over them, which costs nearly as much."""
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

RANDOM_KEYS = 4
"""Keys of a slot that may go by chance at once, if less than this part of all keys is in slots with fewer:"""
FEW_PART = 64
LOWEST = -(1 << 62)
"""Less than any score."""
FRESH_MS = 100
"""For so long a draw says what the next victims are worth."""
MULTIPLIER, INCREMENT, MASK = 6364136223846793005, 1442695040888963407, (1 << 64) - 1
"""Knuth's MMIX generator: `Random` takes 0.1 us for a number, and a batch needs many."""

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
    at_once: int
    """Keys of a slot that may go by chance at once: just one while many keys are in slots that have fewer than that
    otherwise, for those would give fewer victims."""


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
        self._floor = LOWEST
        """What the worst scored that the pool kept last."""
        self._worth = 0.0
        self._drawn_ms = 0
        """When samples were drawn last; 0 for never."""
        self._seed = store.random.getrandbits(63)

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
        self.left = self._drawn_ms = 0
        self._floor = LOWEST
        self._weights.clear()

    def evict_some(self, wanted_bytes: int) -> int:
        """Evicts a few keys, no more than give so many bytes, and none behind one that is large to free; what that
        gives. 0 if there is none that may go."""
        freed_bytes = 0
        for _ in range(SOME):
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
            number = db.slot_of(key)
            value = db.slots[number].get(key)
            if value is None or key in store.blocked or not self._holds(db, key, score):
                continue
            size_bytes = self._size_bytes(key, value)
            if remove(db, key, number):
                return size_bytes

    def keys(self) -> int:
        """How many keys may go."""
        if self.volatile:
            return sum([db.expiries.count for db in self.store.dbs])
        return sum([db.size for db in self.store.dbs])

    def worth(self) -> float:
        """What the next victims score on the average, of seconds where it is of time."""
        if self.kind == NONE or self.kind == RANDOM:
            return 0.0
        if not self._drawn_ms or self.store.now_ms - self._drawn_ms > FRESH_MS:
            self._forget_used()
            self.draw()
        return self._worth / 1000 if self.kind == TTL else self._worth

    def _forget_used(self) -> None:
        """Takes those out of the pool that are gone or were used: while nobody goes nothing else does."""
        pool = []
        for score, index, key in self.pool:
            db = self.store.dbs[index]
            if db.held(key) is not None and self._holds(db, key, score):
                pool.append((score, index, key))
        self.pool = pool

    def score(self, db: Keyspace, key: bytes) -> int:
        """How little the existing `key` would be missed. O(1)."""
        kind = self.kind
        if kind == LRU:
            return -db.idle.clock(key)
        if kind == LFU:
            return self._uses_score(db.idle.clock(key))
        if kind == TTL:
            return -db.expiry_ms(key)
        return 0

    def _holds(self, db: Keyspace, key: bytes, score: int) -> bool:
        """Whether `key` is as it was when it had this score: it was not used since, and still expires."""
        if self.volatile and db.expiry_ms(key) < 0:
            return False
        return self.kind == RANDOM or self.score(db, key) >= score

    def _uses_score(self, clock: int) -> int:
        # As frequency.uses, here where it is compiled.
        count = clock & LFU_MAX
        if self.decay_minutes:
            elapsed_minutes = (self.store.clock_s // 60 - (clock >> 8)) & 0xFFFF
            count -= min(count, elapsed_minutes // self.decay_minutes)
        return LFU_MAX - count

    def draw(self) -> None:
        """Draws samples for the next victims into the pool."""
        pool, store = self.pool, self.store
        if self.kind == RANDOM:
            pool.clear()
        self.decay_minutes = store.config.get("lfu-decay-time", 1)
        if self.kind != NONE:
            for db in store.dbs:
                if db.expiries.count if self.volatile else db.size:
                    self._draw_from(db)
        self.left = BATCH
        if self.kind == RANDOM:
            return
        # By the score only, so that among equals the order is that of chance.
        pool.sort(key=_score)
        if len(pool) > POOL_MAX:
            del pool[:-POOL_MAX]
            self._floor = pool[0][0]
        score = pool[-min(len(pool), BATCH // 2)][0] if pool else LOWEST
        # What a single draw finds is by chance: half of it is of those before.
        fresh = not self._drawn_ms or abs(self._worth) >= -LOWEST
        self._worth = score if fresh or not pool else (self._worth + score) / 2
        self._drawn_ms = store.now_ms

    def _draw_from(self, db: Keyspace) -> None:
        pool = self.pool
        slots = db.expiries.slots if self.volatile else db.slots
        ends = self._ends(db, slots)
        first = self.store.slots_owned.start
        total = ends[-1]
        wanted = BATCH * (1 if self.kind == RANDOM else self.samples)
        whole_max = self._weights[db.index].at_once if self.kind == RANDOM else WHOLE_MAX
        floor = self._floor if len(pool) >= BATCH else LOWEST
        for _ in range(wanted):
            if wanted <= 0:
                break
            slot = slots[first + bisect_right(ends, self._below(total))]
            if type(slot) is WideSlot:
                slot = slot.parts[self._below(PARTS)]
            size = len(slot)
            if size > whole_max:
                size = whole_max
                start = self._below(len(slot) - size + 1)
                self._rate(db, slot, list(islice(slot, start, start + size)), floor)
            elif size:
                # A list, for to walk over the keys and nothing else is what a core does for many of them at once.
                self._rate(db, slot, list(slot), floor)
            wanted -= size

    def _below(self, end: int) -> int:
        """A number by chance, less than `end`, which has 31 bits at most."""
        self._seed = (self._seed * MULTIPLIER + INCREMENT) & MASK
        return (self._seed >> 33) * end >> 31

    def _rate(self, db: Keyspace, slot: Any, keys: list[bytes], floor: int) -> None:
        """Adds those keys of a slot to the pool that score more than the `floor`, or as much while there is room."""
        index, pool, kind, parts = db.index, self.pool, self.kind, db.idle.parts
        score = 0
        for key in keys:
            if kind == TTL:
                score = -slot[key]
            elif kind != RANDOM:
                # As in IdleClocks.clock: most of what this takes would be the calls.
                hashed = hash(key)
                clocks = parts[hashed & 63]
                score = clocks[(hashed >> 6) & (len(clocks) - 1)]
                score = -score if kind == LRU else self._uses_score(score)
            if score > floor or (score == floor and len(pool) < POOL_MAX):
                pool.append((score, index, key))

    def _ends(self, db: Keyspace, slots: list[Slot]) -> list[int]:
        """The sums of the slots' sizes, as they were not long ago."""
        count = db.expiries.count if self.volatile else db.size
        known = self._weights.get(db.index)
        part = max(count // WEIGHTS_PART, WEIGHTS_KEYS_MIN)
        if known is None or known.slots is not slots or known.uses <= 0 or abs(count - known.count) > part:
            owned = self.store.slots_owned
            sizes = list(map(len, slots[owned.start : owned.stop]))
            few = sum([size for size in sizes if size < RANDOM_KEYS])
            at_once = RANDOM_KEYS if few < count // FEW_PART else 1
            known = Weights(slots, count, list(accumulate(sizes)), part // BATCH, at_once)
            self._weights[db.index] = known
        known.uses -= 1
        return known.ends

    def _size_bytes(self, key: bytes, value: Any) -> int:
        if type(value) is bytes:
            size_bytes = (len(value) + 33 + ALIGNMENT) & ~ALIGNMENT
        else:
            size_bytes = value_size_bytes(value, SAMPLES)
        size_bytes += (len(key) + 33 + ALIGNMENT) & ~ALIGNMENT
        return size_bytes + EXPIRY_BYTES if self.volatile else size_bytes


def remove(db: Keyspace, key: bytes, number: int) -> bool:
    """Evicts the existing `key` of that slot: what follows is as for one that has expired. Whether it was there; one
    whose time has come has expired. O(1)."""
    store = db.store
    if not db.delete(key, events.EVICTED, number):
        return False
    store.expired.append((db.index, key))
    store.stats.evicted_keys += 1
    tidy(db, number)
    return True


def tidy(db: Keyspace, number: int) -> None:
    """Gives back what the dict of a slot does not need. Where keys come and go it becomes up to four times as large as
    one that only grows: in 13 MB there is room for 35,500 small keys with this, and for 25,700 without."""
    slot = db.slots[number]
    size = len(slot)
    if not size:
        db.slots[number] = EMPTY
    # Not every time: it will have such a size again soon.
    elif not size & 3 and type(slot) is dict and slot.__sizeof__() > SPARSE_BYTES + SPARSE_KEY_BYTES * size:
        db.slots[number] = dict(slot)

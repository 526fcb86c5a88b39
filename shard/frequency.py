"""How often keys are used: Redis's logarithmic counters, for a `maxmemory-policy` that goes by frequency.

They need no memory of their own: under such a policy a key's clock (see idle.py) has not the second of its last use but
16 bits of the minute and 8 of a counter. A use adds to the counter with a chance that falls as it rises; minutes take
away from it. Two keys that share a clock share the counter. As in Redis, what a clock says is nonsense for a while
after the policy was changed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shard.keyspace import Keyspace

FIRST = 5
"""The counter of a new key: it must have its chance to be used."""
COUNTER_MAX = 255
COUNTER_BITS = 8
MINUTES_MASK = 0xFFFF


def first(now_s: int) -> int:
    """The clock of a key that was just made."""
    return clock_of(FIRST, now_s)


def clock_of(counter: int, now_s: int) -> int:
    """The clock that says so at `now_s`."""
    return (now_s // 60 & MINUTES_MASK) << COUNTER_BITS | counter


def counter(clock: int, now_s: int, decay_minutes: int) -> int:
    """0 to 255, less 1 for every `decay_minutes` since the last use; 0 for never."""
    count = clock & COUNTER_MAX
    if decay_minutes:
        elapsed_minutes = (now_s // 60 - (clock >> COUNTER_BITS)) & MINUTES_MASK
        count = max(0, count - elapsed_minutes // decay_minutes)
    return count


def used(clock: int, now_s: int, decay_minutes: int, log_factor: int, chance: float) -> int:
    """The clock after one more use; `chance` is a random number from 0 to 1."""
    count = counter(clock, now_s, decay_minutes)
    if count < COUNTER_MAX and chance * (max(0, count - FIRST) * log_factor + 1) < 1:
        count += 1
    return clock_of(count, now_s)


# What the keyspace and commands ask and say of a key


def add_use(db: "Keyspace", key: bytes) -> None:
    """Counts one more use of the existing `key`. O(1)."""
    store = db.store
    decay_minutes, log_factor = store.config["lfu-decay-time"], store.config["lfu-log-factor"]
    clock = used(db.idle.clock(key), store.clock_s, decay_minutes, log_factor, store.random.random())
    db.idle.touch(key, clock)


def uses(db: "Keyspace", key: bytes) -> int:
    """How often the existing `key` is used, 0 to 255 on a logarithmic scale; if the policy counts that. O(1)."""
    return counter(db.idle.clock(key), db.store.clock_s, db.store.config.get("lfu-decay-time", 1))


def set_uses(db: "Keyspace", key: bytes, count: int) -> None:
    """Says how often the existing `key` is used, 0 to 255; in vain if the policy does not count that. O(1)."""
    if db.store.counts_uses:
        db.idle.touch(key, clock_of(count, db.store.clock_s))


def set_idle_s(db: "Keyspace", key: bytes, idle_s: int) -> None:
    """Says that the existing `key` was not used for so many seconds; in vain if the policy counts uses. O(1)."""
    if not db.store.counts_uses:
        db.idle.touch(key, max(0, db.store.clock_s - idle_s))

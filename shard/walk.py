"""Walks over a whole db: SCAN's cursor, KEYS, RANDOMKEY, and the sample that INFO is made of.

What makes SCAN keep its promise (a key that is there from beginning to end is returned) is that no key ever changes
its slot, nor its part of a wide one: a cursor is a place in that order, and what was before it has been returned. A
slot can become wide between two calls, or be a plain dict again after a restart: a dict is always returned whole,
whatever part of it the cursor names. A key that is there all the time may be returned twice then, which Redis allows.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate, chain, compress, islice

from common.cursor import cursor_of, place_of
from common.slot import SLOTS
from shard.keyspace import Keyspace, Store
from shard.slots import PARTS, Slot, WideSlot
from shard.value import Value

Encode = Callable[[int, bytes, Value, int], bytes]
"""Makes bytes of a db's number, a key, its value, and its expiry in ms or -1."""

TTL_SAMPLE_KEYS = 16
"""From how many keys the average time to live is reckoned."""
RANDOM_TRIES_MAX = 16
"""How often RANDOMKEY meets an expired key before it looks for one that is not, whatever its chances."""


def scan(db: Keyspace, cursor: int, count: int) -> tuple[int, list[bytes]]:
    """The next cursor, 0 at the end, and keys: about `count` are looked at, those that have expired are left out.

    The slots of a shard end at the first one of the next shard, which then goes on.
    """
    owned = db.store.slots_owned
    first, part = place_of(cursor)
    if first < owned.start:
        first, part = owned.start, 0
    keys: list[bytes] = []
    looked_at = 0
    for number in compress(range(first, owned.stop), db.slots[first : owned.stop]) if db.size else ():
        if looked_at >= count:
            return cursor_of(number, 0), keys
        slot = db.slots[number]
        if type(slot) is WideSlot:
            for index in range(part if number == first else 0, PARTS):
                if looked_at >= count:
                    return cursor_of(number, index), keys
                looked_at += len(slot.parts[index])
                keys += db.live(number, slot.parts[index])
        else:
            looked_at += len(slot)
            keys += db.live(number, slot)
    return (cursor_of(owned.stop, 0) if owned.stop < SLOTS else 0), keys


def all_keys(db: Keyspace) -> list[bytes]:
    """All keys that have not expired. O(n)."""
    if not db.expiries.count:
        return [key for slot in db.slots for key in slot]
    return [key for number in compress(range(SLOTS), db.slots) for key in db.keys_in(number)]


def random_key(db: Keyspace) -> bytes | None:
    """Any of the keys, each as likely as the others; None if there is none. O(SLOTS), some tenths of a ms."""
    for _ in range(RANDOM_TRIES_MAX):
        if not db.size:
            return None
        key = _any_key(db)
        if db.peek(key) is not None:
            return key
    live = next((key for number in compress(range(SLOTS), db.slots) for key in db.keys_in(number)), None)
    # While clients are paused it may be one that has expired, as in Redis, if there is no other.
    return _any_key(db) if live is None and db.store.hiding and db.size else live


def _any_key(db: Keyspace) -> bytes:
    place = db.store.random.randrange(db.size)
    slot, place = _at([*map(len, db.slots)], place)
    return _key_at(db.slots[slot], place)


def _key_at(slot: Slot, place: int) -> bytes:
    if type(slot) is WideSlot:
        part, place = _at([*map(len, slot.parts)], place)
        return _key_at(slot.parts[part], place)
    return next(islice(slot, place, None))


def _at(sizes: list[int], place: int) -> tuple[int, int]:
    """In which of containers of these sizes the element number `place` of all is, and its number there."""
    ends = [*accumulate(sizes)]
    index = bisect_right(ends, place)
    return index, place - (ends[index] - sizes[index])


def info(db: Keyspace) -> dict[str, int]:
    """What INFO keyspace says of this db; the average time to live, in ms, is that of a small sample."""
    first = db.store.random.randrange(SLOTS)
    slots = chain(db.expiries.slots[first:], db.expiries.slots[:first])
    sample: list[int] = []
    for times in filter(len, slots) if db.expiries.count else ():  # 16384 slots to see that there is none: 0.25 ms.
        sample += [times[key] - db.store.now_ms for key in islice(times, TTL_SAMPLE_KEYS)]
        if len(sample) >= TTL_SAMPLE_KEYS:
            break
    average_ms = max(0, sum(sample) // len(sample)) if sample else 0
    volatile = {} if db.volatile is None else {"keys_with_volatile_items": db.volatile.count}
    return {"keys": db.size, "expires": db.expiries.count, "avg_ttl": average_ms, **volatile}


def pieces(store: Store, encode: Encode) -> Iterator[bytes]:
    """All keys of all dbs, encoded, a slot at a time. None of them may change before the end."""
    for db in store.dbs:
        for slot in compress(store.slots_owned, db.slots[store.slots_owned.start :]) if db.size else ():
            keys, times = db.slots[slot], db.expiries.slots[slot]
            yield b"".join([encode(db.index, key, keys[key], times.get(key, -1)) for key in keys])

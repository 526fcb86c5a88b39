"""Fields of hashes that expire: removing those whose time has come, and the index by which they are found.

A db that has such fields has an index of the hashes that they are in, by the earliest time of each:
`Keyspace.volatile`, made when it is needed. It is the same wheel as that of the keys.

Rule 1: a command that touches a hash first removes due fields, but no more than THINNED_MAX: so nearly always none is
        left to be seen, and a million of them stall nobody. The commands leave out what may be left, as in Redis, where
        HLEN counts it until it is removed.
Rule 2: what is removed is logged as HDEL before the command that found it. The key goes with its last field.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shard.events import FIELDS_EXPIRED, SILENT, tell
from shard.expiry import TICK_SHIFT, Expiries
from shard.listeners import touch
from shard.values.hash import Hash

if TYPE_CHECKING:
    from shard.keyspace import Keyspace

THINNED_MAX = 64
"""Fields removed at once: some tens of microseconds' worth."""


def retime(db: "Keyspace", key: bytes, value: Hash) -> None:
    """Says that the times of the fields of `value`, which is at `key`, may have changed. O(1)."""
    at_ms = value.first_ms()
    if db.volatile is None:
        if at_ms < 0:
            return
        db.volatile = Expiries(db.slot_of, db.store.now_ms >> TICK_SHIFT)
    slot = db.slot_of(key)
    if at_ms < 0:
        db.volatile.discard(key, slot)
    else:
        db.volatile.set(key, slot, at_ms)


def remove_expired(db: "Keyspace", key: bytes, value: Hash, fields: list[bytes]) -> None:
    """Removes fields of the hash at `key` because their time has come, and the key if none is left."""
    store = db.store
    db.about_to_change(key)
    for field in fields:
        value.remove(field)
    store.stats.expired_fields += len(fields)
    store.changes += 1
    store.expired.append((db.index, [b"HDEL", key, *fields]))
    if db.heard:
        tell(db, key, FIELDS_EXPIRED)
    if len(value):
        retime(db, key, value)
        if db.heard:
            number, store.number = store.number, -1  # Nobody's doing: who looks at one field does not see this.
            touch(db, key, SILENT)
            store.number = number
    elif db.delete(key):
        store.changes -= 1


def thin(db: "Keyspace", key: bytes, slot: int) -> bool:
    """Removes some fields, whose time has come, of the hash at `key`; whether the key went with them."""
    if db.store.hiding:
        return False
    value = db.slots[slot][key]
    remove_expired(db, key, value, value.due(db.store.now_ms, THINNED_MAX))
    return not len(value)


def expire_due(db: "Keyspace", until_ms: int) -> Iterator[None]:
    """Removes the fields whose time came before `until_ms`, but for those in blocked keys, some in each step."""
    if db.volatile is None:
        return
    for key in db.volatile.due(until_ms, db.store.blocked):
        if key is not None:
            value = db.slots[db.slot_of(key)][key]
            retime(db, key, value)  # The key has just been taken out of the index, and this loop may be left.
            while fields := value.due(until_ms, THINNED_MAX):
                remove_expired(db, key, value, fields)
                yield
        yield


def check(db: "Keyspace") -> None:
    """Asserts every invariant of the index. O(n)."""
    first = {key: value.first_ms() for slot in db.slots for key in slot if type(value := slot[key]) is Hash}
    volatile = {key: at_ms for key, at_ms in first.items() if at_ms >= 0}
    if db.volatile is None:
        assert not volatile
    else:
        db.volatile._check()
        assert volatile == {key: times[key] for times in db.volatile.slots for key in times}

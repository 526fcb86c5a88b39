"""Throwing away all keys of a db at once (FLUSHALL), without stopping the loop for as long as freeing them takes."""

from typing import TYPE_CHECKING

from common.slot import SLOTS
from shard import listeners
from shard.expiry import Expiries
from shard.garbage import is_costly
from shard.idle import IdleClocks
from shard.slots import EMPTY

if TYPE_CHECKING:
    from shard.keyspace import Keyspace

SLOTS_FREED_AT_ONCE_KEYS = 1024
"""Up to so many keys a db that is cleared is let go as it is, but for large values."""


def clear(db: "Keyspace", *, later: bool) -> int:
    """Removes all keys of `db` and gives their number. What is freed `later` does not stop the loop."""
    removed = db.size
    if not removed:
        return 0
    if db.heard:
        listeners.emptied(db)
    if db.snapshot is not None:
        db.snapshot.detach(db)  # It has to read what is thrown away here, and gives that up when it is done.
    elif later and removed <= SLOTS_FREED_AT_ONCE_KEYS:
        # Looking into all slots, a slice at a time, would cost more than these keys.
        slots = [slot for slot in db.slots if slot is not EMPTY]
        values = [slot[key] for slot in slots for key in slot]
        db.store.garbage += [value for value in values if is_costly(value)]
    elif later:
        db.store.garbage += [db.slots, *db.expiries.containers()]
        db.store.garbage += db.volatile.containers() if db.volatile is not None else []
    db.slots = [EMPTY] * SLOTS
    db.size = 0
    db.expiries = Expiries(db.slot_of, db.expiries.tick)
    db.volatile = None
    db.idle = IdleClocks()
    db.store.changes += removed
    if db.heard:
        listeners.signal_all(db)
    return removed

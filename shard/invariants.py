"""What is always true of a db: asserted by tests after each step."""

from itertools import compress
from typing import TYPE_CHECKING

from common.slot import SLOTS
from shard import fields
from shard.slots import EMPTY, WideSlot

if TYPE_CHECKING:
    from shard.keyspace import Keyspace


def check(db: "Keyspace") -> None:
    """Asserts every invariant of a db. O(n)."""
    assert not len(EMPTY)
    assert db.size == sum(map(len, db.slots))
    db.expiries._check()
    db.idle._check(db.size)
    fields.check(db)
    for number in compress(range(SLOTS), db.expiries.slots):
        assert all(key in db.slots[number] for key in db.expiries.slots[number])
    for number in compress(range(SLOTS), db.slots):
        slot = db.slots[number]
        if type(slot) is WideSlot:
            slot._check()
        assert all(db.slot_of(key) == number for key in slot)
        assert None not in [slot[key] for key in slot]

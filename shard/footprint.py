"""How much memory a key and its value really take in this process: MEMORY USAGE, and the overhead of a db.

The sizes are those of Python's own objects, containers included. Of a large container only some elements are looked at,
and the others are taken to be of the same size.
"""

import sys
from array import array
from itertools import islice
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from common.slot import SLOTS
from shard.keyspace import Keyspace
from shard.slots import EMPTY, WideSlot
from shard.value import Value

ENTRY_BYTES = 40
"""Of an entry in a slot's dict: three words, and its share of the index and of the room to grow."""
CLOCK_BYTES = 8
"""Of a key's idle clocks: four bytes each, and at least twice as many clocks as keys."""
EXPIRY_BYTES = 168
"""Of an expiry: an entry in the slot's times with its int, and an entry in the wheel's sets."""
DEPTH_MAX = 8
"""Levels of containers: no value has more, and a cycle must end."""

FIELDS = (MemberDescriptorType, GetSetDescriptorType)
ATOMS = (bytes, bytearray, array, str, int, float, bool, type(None))


def key_size_bytes(db: Keyspace, key: bytes, value: Value, samples: int) -> int:
    """Of `key`, its `value` and what the keyspace keeps of them. Looks at `samples` elements, at all of them if 0."""
    overhead_bytes = ENTRY_BYTES + CLOCK_BYTES + (EXPIRY_BYTES if db.expiry_ms(key) != -1 else 0)
    return sys.getsizeof(key) + overhead_bytes + value_size_bytes(value, samples)


def value_size_bytes(value: Any, samples: int, depth: int = 0) -> int:
    """Of a value with all that it holds."""
    size_bytes = sys.getsizeof(value)
    if isinstance(value, ATOMS) or depth > DEPTH_MAX:
        return size_bytes
    if isinstance(value, dict):
        parts = _sampled(value.keys(), samples, depth) + _sampled(value.values(), samples, depth)
    elif isinstance(value, list | tuple | set | frozenset) or hasattr(value, "popleft"):
        parts = _sampled(value, samples, depth)
    else:
        parts = sum(value_size_bytes(part, samples, depth + 1) for part in _attributes(value))
    return size_bytes + parts


def _sampled(elements: Any, samples: int, depth: int) -> int:
    """Of all elements, reckoned from the first `samples`."""
    looked_at = min(samples, len(elements)) if samples else len(elements)
    if not looked_at:
        return 0
    size_bytes = sum(value_size_bytes(element, samples, depth + 1) for element in islice(elements, looked_at))
    return size_bytes * len(elements) // looked_at


def _attributes(value: Any) -> list[Any]:
    """What an object of ours holds: plain Python's slots, or the fields of a compiled class."""
    descriptors = [item for kind in type(value).__mro__ for item in vars(kind).items()]
    names = [name for name, descriptor in descriptors if isinstance(descriptor, FIELDS) and not name.startswith("__")]
    held = [getattr(value, name) for name in names if hasattr(value, name)]
    return held + list(getattr(value, "__dict__", {}).values())


def db_overhead_bytes(db: Keyspace) -> tuple[int, int]:
    """Of a db's slots and of its expiries, without keys and values: what MEMORY STATS calls hashtables. O(SLOTS)."""
    main = sys.getsizeof(db.slots) + sum(map(_slot_size_bytes, db.slots)) + db.size * CLOCK_BYTES
    return main, SLOTS * 8 + db.expiries.count * EXPIRY_BYTES


def _slot_size_bytes(slot: Any) -> int:
    if slot is EMPTY:
        return 0
    if type(slot) is WideSlot:
        return sum(map(sys.getsizeof, slot.parts))
    return sys.getsizeof(slot)

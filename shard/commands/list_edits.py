"""Lists: changing what is in them, by index and by element."""

from common.command import DENYOOM, WRITE
from common.errors import NoSuchKey, OutOfRange, SyntaxFault
from common.numbers import integer
from common.resp import OK, Status
from shard.commands.counts import symmetric
from shard.commands.list_arguments import bounds, fill_of, place_of, shrunk
from shard.commands.table import TABLE
from shard.events import tell
from shard.keyspace import Keyspace
from shard.values.list import LEFT, RIGHT, List

command = TABLE.family("list")


@command(
    "LSET key index element",
    WRITE | DENYOOM,
    since="1.0.0",
    complexity="O(N) where N is the length of the list. Setting either the first or the last element of the list is "
    "O(1).",
)
def lset(db: Keyspace, key: bytes, index: bytes, element: bytes) -> Status:
    """Sets the value of an element in a list by its index."""
    value = db.to_write(key, List)
    if value is None:
        raise NoSuchKey()
    # The reference keeps 32 bits of this index, so that 9223372036854775807 means the last element.
    number = (integer(index) + 2**31) % 2**32 - 2**31
    # Before it is known whether it can be set: so the reference does it, and OBJECT ENCODING tells.
    value.grow((element,), fill_of(db))
    place = place_of(number, len(value))
    if place is None:
        raise OutOfRange()
    value.set(place, element)
    value.shrink(fill_of(db))
    db.changed(key)
    return OK


@command(
    "LINSERT key <BEFORE | AFTER> pivot element",
    WRITE | DENYOOM,
    since="2.2.0",
    complexity="O(N) where N is the number of elements to traverse before seeing the value pivot. This means that "
    "inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the "
    "right end (tail) is O(N).",
    keys="RW insert",
)
def linsert(db: Keyspace, key: bytes, where: bytes, pivot: bytes, element: bytes) -> int:
    """Inserts an element before or after another element in a list."""
    side = where.upper()
    if side not in (b"BEFORE", b"AFTER"):
        raise SyntaxFault()
    value = db.to_write(key, List)
    if value is None:
        return 0
    value.grow((element,), fill_of(db))  # As in LSET.
    if not value.insert(pivot, element, side == b"AFTER"):
        return -1
    db.changed(key)
    return len(value)


@command(
    "LREM key count element",
    WRITE,
    since="1.0.0",
    complexity="O(N+M) where N is the length of the list and M is the number of elements removed.",
    keys="RW delete",
)
def lrem(db: Keyspace, key: bytes, count: bytes, element: bytes) -> int:
    """Removes elements from a list. Deletes the list if the last element was removed."""
    number = symmetric(count)
    value = db.to_write(key, List)
    if value is None:
        return 0
    most = min(abs(number), len(value)) or len(value)
    removed: int = value.remove(element, most, LEFT if number >= 0 else RIGHT)
    if removed:
        shrunk(db, key, value)
    return removed


@command(
    "LTRIM key start stop",
    WRITE,
    since="1.0.0",
    complexity="O(N) where N is the number of elements to be removed by the operation.",
    keys="RW delete",
    event="",
)
def ltrim(db: Keyspace, key: bytes, start: bytes, stop: bytes) -> Status:
    """Removes elements from both ends of a list. Deletes the list if all elements were trimmed."""
    first, last = integer(start), integer(stop)
    value = db.to_write(key, List)
    if value is None:
        return OK
    if db.heard:
        tell(db, key, b"ltrim")  # Also where nothing is cut off.
    length = len(value)
    first, end = bounds(first, last, length)
    if first >= end:
        db.delete(key)
    elif end - first < length:
        # What many elements were in is freed later, slice by slice.
        db.store.garbage += value.drop(first, LEFT) + value.drop(length - end, RIGHT)
        shrunk(db, key, value)
    return OK

"""What the commands on lists share: their arguments, and the bookkeeping of a list that has changed."""

from common.errors import SyntaxFault
from shard.keyspace import Keyspace
from shard.values.list import FILL, LEFT, RIGHT, List


def fill_of(db: Keyspace) -> int:
    """How large a list's listpacks may be."""
    fill: int = db.store.config.get("list-max-listpack-size", FILL)
    return fill


def shrunk(db: Keyspace, key: bytes, value: List) -> None:
    """Says that the list at `key` lost elements: it may change its form, or go."""
    if value.many is not None:
        value.shrink(fill_of(db))
    db.shrunk(key, value)


def bounds(first: int, last: int, length: int) -> tuple[int, int]:
    """Where a range as clients write it begins, and the index behind its end: no larger than that if it is empty."""
    if first < 0:
        first = max(first + length, 0)
    return first, (last + length if last < 0 else min(last, length - 1)) + 1


def place_of(index: int, length: int) -> int | None:
    """The index from the left that a client means, None if nothing is there."""
    if index < 0:
        index += length
    return index if 0 <= index < length else None


def end_of(word: bytes) -> int:
    """LEFT or RIGHT.  Raises SyntaxFault."""
    end = ENDS.get(word.upper())
    if end is None:
        raise SyntaxFault()
    return end


ENDS = {b"LEFT": LEFT, b"RIGHT": RIGHT}
POPPED = {LEFT: b"lpop", RIGHT: b"rpop"}
PUSHED = {LEFT: b"lpush", RIGHT: b"rpush"}
"""What they are called where they are told."""

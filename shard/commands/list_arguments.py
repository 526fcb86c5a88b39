"""What the commands on lists share: their arguments, and the bookkeeping of a list that has changed."""

from common.errors import RedisError, SyntaxFault
from common.numbers import INTEGER_MAX, INTEGER_MIN, integer, maybe_integer
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


def not_negative(word: bytes, text: str) -> int:
    """An integer from 0 on.  Raises RedisError with the `text`."""
    number = maybe_integer(word)
    if number is None or number < 0:
        raise RedisError(text)
    return number


def symmetric(word: bytes) -> int:
    """An integer that has a negative: all but the smallest.  Raises RedisError."""
    number = integer(word)
    if number == INTEGER_MIN:
        raise RedisError(f"ERR value is out of range, value must between {-INTEGER_MAX} and {INTEGER_MAX}")
    return number

"""Counts as clients write them, and what is said of those that are none. The texts are the reference's."""

from collections.abc import Callable
from typing import TypeVar

from common.errors import RedisError, SyntaxFault
from common.numbers import INTEGER_MAX, INTEGER_MIN, integer, maybe_integer

End = TypeVar("End")


def not_negative(word: bytes, text: str) -> int:
    """An integer from 0 on.  Raises RedisError with the `text`."""
    number = maybe_integer(word)
    if number is None or number < 0:
        raise RedisError(text)
    return number


def positive(word: bytes, text: str) -> int:
    """An integer from 1 on.  Raises RedisError with the `text`."""
    number = maybe_integer(word)
    if number is None or number < 1:
        raise RedisError(text)
    return number


def symmetric(word: bytes) -> int:
    """An integer that has a negative: all but the smallest.  Raises RedisError."""
    number = integer(word)
    if number == INTEGER_MIN:
        raise RedisError(f"ERR value is out of range, value must between {-INTEGER_MAX} and {INTEGER_MAX}")
    return number


def pop_count(word: bytes) -> int:
    """How many elements to take: 0 or more.  Raises RedisError."""
    return not_negative(word, "ERR value is out of range, must be positive")


def parse_limit(word: bytes) -> int:
    """The value of LIMIT: 0 or more.  Raises RedisError."""
    return not_negative(word, "ERR LIMIT can't be negative")


def multiple_pop(words: tuple[bytes, ...], end_of: Callable[[bytes], End]) -> tuple[tuple[bytes, ...], End, int]:
    """The keys, the end and the count of LMPOP, ZMPOP and their like, from numkeys on.  Raises RedisError."""
    numkeys = positive(words[0], "ERR numkeys should be greater than 0")
    keys, rest = words[1 : numkeys + 1], words[numkeys + 1 :]
    if not rest:
        raise SyntaxFault()
    end = end_of(rest[0])
    if len(rest) == 1:
        return keys, end, 1
    if len(rest) == 2 or rest[1].upper() != b"COUNT":
        raise SyntaxFault()
    count = positive(rest[2], "ERR count should be greater than 0")
    if len(rest) > 3:
        raise SyntaxFault()
    return keys, end, count

"""How long something may take, as clients say it, in the words in which Redis refuses it."""

from common.errors import RedisError
from common.numbers import INTEGER_MAX, maybe_integer


def duration_ms(timeout: bytes, now_ms: int) -> int:
    """A number of milliseconds from now on.  Raises RedisError."""
    found_ms = maybe_integer(timeout)
    if found_ms is None:
        raise RedisError("ERR timeout is not an integer or out of range")
    return checked_ms(found_ms, now_ms)


def checked_ms(found_ms: int, now_ms: int) -> int:
    """One that may be from now on.  Raises RedisError."""
    if found_ms < 0:
        raise RedisError("ERR timeout is negative")
    if found_ms > INTEGER_MAX - now_ms:
        raise RedisError("ERR timeout is out of range")
    return found_ms

"""Strings by their parts: appending, and reading and writing ranges.

What is changed in place becomes a bytearray and stays one, so that appending a byte a million times is linear.
"""

from common.command import DENYOOM, FAST, READONLY, WRITE
from common.errors import RedisError
from common.numbers import integer
from shard.commands.table import TABLE
from shard.keyspace import Keyspace

command = TABLE.family("string")

STRING_BYTES_MAX = 512 * 1024 * 1024
"""The longest string where `proto-max-bulk-len` is not set."""


def check_length(db: Keyspace, length: int) -> None:
    """Raises RedisError if no string may become so long. In a replay it may: the limit was larger when it did."""
    if length > db.store.config.get("proto-max-bulk-len", STRING_BYTES_MAX) and db.store.expiring:
        raise RedisError("ERR string exceeds maximum allowed size (proto-max-bulk-len)")


@command(
    "APPEND key value",
    WRITE | DENYOOM | FAST,
    since="2.0.0",
    complexity="O(1). The amortized time complexity is O(1) assuming the appended value is small and the already "
    "present value is of any size, since the dynamic string library used by the server will double the free space "
    "available on every reallocation.",
    keys="RW insert",
)
def append(db: Keyspace, key: bytes, value: bytes) -> int:
    """Appends a string to the value of a key. Creates the key if it doesn't exist."""
    before = db.peek_string(key)
    if before is None:
        db.set(key, value)
        return len(value)
    check_length(db, len(before) + len(value))
    string = db.edit_string(key)
    string += value
    return len(string)


@command("STRLEN key", READONLY | FAST, since="2.2.0", complexity="O(1)", keys="RO")
def strlen(db: Keyspace, key: bytes) -> int:
    """Returns the length of a string value."""
    value = db.get_string(key)
    return 0 if value is None else len(value)


@command(
    "SETRANGE key offset value",
    WRITE | DENYOOM,
    since="2.2.0",
    complexity="O(1), not counting the time taken to copy the new string in place. Usually, this string is very small "
    "so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.",
    keys="RW update",
)
def setrange(db: Keyspace, key: bytes, offset: bytes, value: bytes) -> int:
    """Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist."""
    start = integer(offset)
    if start < 0:
        raise RedisError("ERR offset is out of range")
    before = db.peek_string(key)
    if not value:
        return 0 if before is None else len(before)
    check_length(db, start + len(value))
    string = db.edit_string(key)
    if len(string) < start:
        string += bytes(start - len(string))
    string[start : start + len(value)] = value
    return len(string)


RANGE_COMPLEXITY = (
    "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned "
    "length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for "
    "small strings."
)


@command("GETRANGE key start end", READONLY, since="2.4.0", complexity=RANGE_COMPLEXITY)
def getrange(db: Keyspace, key: bytes, start: bytes, end: bytes) -> bytes | bytearray:
    """Returns a substring of the string stored at a key."""
    first, last = integer(start), integer(end)
    value = db.get_string(key)
    if value is None or (first < 0 and last < first):
        return b""
    # An end before the beginning means the first byte, as in Redis, and not none.
    first = max(first + len(value), 0) if first < 0 else first
    last = max(last + len(value), 0) if last < 0 else last
    return value[first : last + 1]


@command("SUBSTR key start end", READONLY, since="1.0.0", complexity=RANGE_COMPLEXITY)
def substr(db: Keyspace, key: bytes, start: bytes, end: bytes) -> bytes | bytearray:
    """Returns a substring from a string value."""
    return getrange(db, key, start, end)

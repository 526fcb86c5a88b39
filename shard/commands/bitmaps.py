"""Bitmaps: strings by their bits."""

from common.command import DENYOOM, FAST, READONLY, WRITE
from common.errors import RedisError, SyntaxFault, WrongType
from common.numbers import integer, maybe_integer
from shard.commands.string_parts import STRING_BYTES_MAX
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.value import STRING_TYPES
from shard.values.bits import combined, count_bits, find_bit

command = TABLE.family("bitmap")

String = bytes | bytearray

BAD_BIT = "ERR bit is not an integer or out of range"
BAD_OFFSET = "ERR bit offset is not an integer or out of range"
UNITS = {b"BYTE": False, b"BIT": True}
"""Whether a range counts bits."""


@command(
    "SETBIT key offset value",
    WRITE | DENYOOM,
    since="2.2.0",
    complexity="O(1)",
    keys="RW access update",
    types="value integer",
)
def setbit(db: Keyspace, key: bytes, offset: bytes, value: bytes) -> int:
    """Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist."""
    at = bit_offset(db, offset)
    if value not in (b"0", b"1"):
        raise RedisError(BAD_BIT)
    string = string_to_write(db, key)
    place, mask = at >> 3, 128 >> (at & 7)
    was = _bit(string, place, mask)
    if string is None or len(string) <= place or was != (value == b"1"):
        string = grown(db, key, place + 1)
        string[place] = string[place] | mask if value == b"1" else string[place] & ~mask
    return was


@command("GETBIT key offset", READONLY | FAST, since="2.2.0", complexity="O(1)")
def getbit(db: Keyspace, key: bytes, offset: bytes) -> int:
    """Returns a bit value by offset."""
    at = bit_offset(db, offset)
    return _bit(db.get_string(key), at >> 3, 128 >> (at & 7))


def _bit(string: String | None, place: int, mask: int) -> int:
    """The bit of that `mask` in the byte at `place`; behind the end all are 0."""
    return 1 if string is not None and place < len(string) and string[place] & mask else 0


def bit_offset(db: Keyspace, word: bytes) -> int:
    """The number of a bit.  Raises RedisError if no string has one. In a replay it may be behind today's limit."""
    at = maybe_integer(word)
    if at is None or at < 0 or (at >> 3 >= string_bytes_max(db) and db.store.expiring):
        raise RedisError(BAD_OFFSET)
    return at


def string_bytes_max(db: Keyspace) -> int:
    """How long a string may be."""
    limit: int = db.store.config.get("proto-max-bulk-len", STRING_BYTES_MAX)
    return limit


def string_to_write(db: Keyspace, key: bytes) -> String | None:
    """The string at `key` for a command that may change it, None if there is no key.  Raises WrongType. O(1)."""
    value = db.get_to_write(key)
    if value is not None and type(value) not in STRING_TYPES:
        raise WrongType()
    return value


def grown(db: Keyspace, key: bytes, size: int) -> bytearray:
    """The string at `key` to be changed in place, of at least `size` bytes: what was not there is 0."""
    string = db.edit_string(key)
    if len(string) < size:
        string += bytes(size - len(string))
    return string


# --- Ranges ----------------------------------------------------------------------------------------------------------


@command("BITCOUNT key [start [end [BYTE | BIT]]]", READONLY, since="2.6.0", complexity="O(N)")
def bitcount(db: Keyspace, key: bytes, *words: bytes) -> int:
    """Counts the number of set bits (population counting) in a string."""
    start, end, by_bit = _parse_range(words)
    string = db.get_string(key)
    if not string:
        return 0
    if start < 0 and end < 0 and start > end:
        return 0
    first, last = _bits_meant(len(string), start, end, by_bit)
    return count_bits(string, first, last) if first <= last else 0


@command("BITPOS key bit [start [end [BYTE | BIT]]]", READONLY, since="2.8.7", complexity="O(N)")
def bitpos(db: Keyspace, key: bytes, bit: bytes, *words: bytes) -> int:
    """Finds the first set (1) or clear (0) bit in a string."""
    wanted = integer(bit)
    if wanted not in (0, 1):
        raise RedisError("ERR The bit argument must be 1 or 0.")
    start, end, by_bit = _parse_range(words)
    string = db.get_string(key)
    if string is None:  # As if it were zeros without end.
        return -1 if wanted else 0
    first, last = _bits_meant(len(string), start, end, by_bit)
    if first > last:
        return -1
    at = find_bit(string, wanted, first, last)
    # Behind the end all is 0, which counts unless the end was named.
    return 8 * len(string) if at < 0 and not wanted and len(words) < 2 else at


def _parse_range(words: tuple[bytes, ...]) -> tuple[int, int, bool]:
    """First and last, and whether they count bits and not bytes.  Raises RedisError."""
    if len(words) > 3:
        raise SyntaxFault()
    start = integer(words[0]) if words else 0
    by_bit = UNITS.get(words[2].upper()) if len(words) > 2 else False
    if by_bit is None:
        raise SyntaxFault()
    return start, integer(words[1]) if len(words) > 1 else -1, by_bit


def _bits_meant(size: int, start: int, end: int, by_bit: bool) -> tuple[int, int]:
    """The first and the last bit of a string of `size` bytes that a range means; the last is smaller if none."""
    total = 8 * size if by_bit else size
    first = max(start + total, 0) if start < 0 else start
    last = min(max(end + total, 0) if end < 0 else end, total - 1)
    return (first, last) if by_bit else (8 * first, 8 * last + 7 if first <= last else -1)


# --- Combining -------------------------------------------------------------------------------------------------------


@command(
    "BITOP <AND | OR | XOR | NOT> destkey key [key ...]",
    WRITE | DENYOOM,
    since="2.6.0",
    complexity="O(N)",
    event="set",
)
def bitop(db: Keyspace, operation: bytes, destkey: bytes, *keys: bytes) -> int:
    """Performs bitwise operations on multiple strings, and stores the result."""
    name = operation.upper()
    if name not in (b"AND", b"OR", b"XOR", b"NOT"):
        raise SyntaxFault()
    if name == b"NOT" and len(keys) > 1:
        raise RedisError("ERR BITOP NOT must be called with a single source key.")
    result = combined(name, [db.get_string(key) or b"" for key in keys])
    if result:
        db.set(destkey, result)
    else:
        db.delete(destkey)
    return len(result)

"""Strings as arrays of integers of any width, up to 64 bits."""

from typing import NamedTuple

from common.command import DENYOOM, FAST, READONLY, WRITE
from common.errors import RedisError, SyntaxFault
from common.numbers import INTEGER_MIN, integer, maybe_integer
from shard.commands.bitmaps import BAD_OFFSET, grown, string_bytes_max, string_to_write
from shard.commands.table import TABLE
from shard.events import NEW, tell
from shard.keyspace import Keyspace
from shard.values.bits import field, set_field

command = TABLE.family("bitmap")

BAD_TYPE = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
WORDS = {b"GET": 2, b"SET": 3, b"INCRBY": 3}
"""How many words follow each."""


class Operation(NamedTuple):
    """One part of a call: what to do with the integer of `bits` bits at bit `offset`."""

    name: bytes
    signed: bool
    bits: int
    offset: int
    operand: int
    overflow: bytes


@command(
    "BITFIELD key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | "
    "INCRBY encoding offset increment> [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] "
    "<SET encoding offset value | INCRBY encoding offset increment> ...]]",
    WRITE | DENYOOM,
    since="3.2.0",
    complexity="O(1) for each subcommand specified",
    keys="RW access update variable_flags, RO access without SET INCRBY",
    types="value integer",
    event="",
)
def bitfield(db: Keyspace, key: bytes, *words: bytes) -> list[int | None]:
    """Performs arbitrary bitfield integer operations on strings."""
    operations = _parse(db, words)
    ends = [one.offset + one.bits for one in operations if one.name != b"GET"]
    return _written(db, key, operations, (max(ends) + 7) >> 3) if ends else _read(db, key, operations)


@command(
    "BITFIELD_RO key [GET encoding offset [GET encoding offset ...]]",
    READONLY | FAST,
    since="6.0.0",
    complexity="O(1) for each subcommand specified",
)
def bitfield_ro(db: Keyspace, key: bytes, *words: bytes) -> list[int | None]:
    """Performs arbitrary read-only bitfield integer operations on strings."""
    operations = _parse(db, words)
    if any(one.name != b"GET" for one in operations):
        raise RedisError("ERR BITFIELD_RO only supports the GET subcommand")
    return _read(db, key, operations)


def _read(db: Keyspace, key: bytes, operations: list[Operation]) -> list[int | None]:
    string = db.get_string(key) or b""
    return [_as_signed(field(string, one.offset, one.bits), one) for one in operations]


def _written(db: Keyspace, key: bytes, operations: list[Operation], size: int) -> list[int | None]:
    """Does operations of which some may write: first the string gets the `size` that they need, whatever they do."""
    before = string_to_write(db, key)
    string = before or b""
    grows = len(string) < size
    heard = db.heard
    if heard and grows and not any(_writes(string, one) for one in operations):
        db.heard = False  # It grows all the same, and nobody is told but that it is new, as in Redis.
        if before is None:
            tell(db, key, NEW)
    edited = grown(db, key, size) if grows else None
    db.heard = heard
    wrote = False
    replies: list[int | None] = []
    for one in operations:
        old = _as_signed(field(edited or string, one.offset, one.bits), one)
        if one.name == b"GET":
            replies.append(old)
            continue
        new = _new_value(old, one)
        replies.append(old if one.name == b"SET" and new is not None else new)
        if new is not None and new != old:
            if edited is None:
                edited = db.edit_string(key)
            set_field(edited, one.offset, one.bits, new & ((1 << one.bits) - 1))
        wrote = wrote or (new is not None and (grows or new != old))
    if wrote and db.heard:
        tell(db, key, b"setbit")
    return replies


def _writes(string: bytes | bytearray, one: Operation) -> bool:
    """Whether it would write something, if it were the first to do so."""
    return one.name != b"GET" and _new_value(_as_signed(field(string, one.offset, one.bits), one), one) is not None


def _as_signed(number: int, one: Operation) -> int:
    return number - (1 << one.bits) if one.signed and number >> (one.bits - 1) else number


# --- Overflow --------------------------------------------------------------------------------------------------------


def _new_value(old: int, one: Operation) -> int | None:
    """What becomes of `old`; None if it does not fit and must not be written then."""
    value, increment = (old, one.operand) if one.name == b"INCRBY" else (one.operand, 0)
    over = _signed_overflow(value, increment, one.bits) if one.signed else _overflow(value, increment, one.bits)
    if not over:
        return value + increment
    if one.overflow == b"FAIL":
        return None
    if one.overflow == b"SAT":
        low, high = (-1 << (one.bits - 1), (1 << (one.bits - 1)) - 1) if one.signed else (0, (1 << one.bits) - 1)
        return high if over > 0 else low
    return _as_signed((value + increment) & ((1 << one.bits) - 1), one)


def _overflow(value: int, increment: int, bits: int) -> int:
    """1 if the sum is too large, -1 if too small, 0 if it fits. A value below 0 is one that is too large."""
    if not 0 <= value < 1 << bits or value + increment >= 1 << bits:
        return 1
    return -1 if value + increment < 0 else 0


def _signed_overflow(value: int, increment: int, bits: int) -> int:
    """As `_overflow`. The room above is reckoned in 64 bits, so that the least values of all pass for too large."""
    high = (1 << (bits - 1)) - 1
    room = _wrapped(high - value)
    if value > high or (increment > room and (bits < 64 or (value >= 0 and increment > 0))):
        return 1
    return -1 if value + increment < -high - 1 else 0


def _wrapped(number: int) -> int:
    """What 64 bits hold of it."""
    return (number - INTEGER_MIN) % (1 << 64) + INTEGER_MIN


# --- Words -----------------------------------------------------------------------------------------------------------


def _parse(db: Keyspace, words: tuple[bytes, ...]) -> list[Operation]:
    """The operations of a call.  Raises RedisError."""
    operations = []
    overflow = b"WRAP"
    at = 0
    while at < len(words):
        name = words[at].upper()
        left = len(words) - at - 1
        if name == b"OVERFLOW" and left:
            overflow = words[at + 1].upper()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                raise RedisError("ERR Invalid OVERFLOW type specified")
            at += 2
            continue
        if name not in WORDS or left < WORDS[name]:
            raise SyntaxFault()
        signed, bits = _parse_type(words[at + 1])
        offset = _parse_offset(db, words[at + 2], bits)
        operand = integer(words[at + 3]) if name != b"GET" else 0
        operations.append(Operation(name, signed, bits, offset, operand, overflow))
        at += 1 + WORDS[name]
    return operations


def _parse_type(word: bytes) -> tuple[bool, int]:
    """Whether it is signed, and its bits: i1 to i64, u1 to u63.  Raises RedisError."""
    signed = word[:1] == b"i"
    bits = maybe_integer(word[1:].partition(b"\0")[0]) if word[:1] in (b"i", b"u") else None
    if bits is None or not 1 <= bits <= 63 + signed:
        raise RedisError(BAD_TYPE)
    return signed, bits


def _parse_offset(db: Keyspace, word: bytes, bits: int) -> int:
    """The number of a bit; that of an integer behind "#", where the product wraps as 64 bits do.  Raises RedisError."""
    counted = word[:1] == b"#"
    number = maybe_integer(word[1:] if counted else word)
    offset = -1 if number is None else _wrapped(number * bits) if counted else number
    if offset < 0 or (offset >> 3 >= string_bytes_max(db) and db.store.expiring):
        raise RedisError(BAD_OFFSET)
    return offset

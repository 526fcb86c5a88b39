"""DEBUG of one key. The router lets clients come here that may use DEBUG; its other subcommands are there."""

from common.command import ADMIN, LOADING, NOSCRIPT, STALE, unknown_subcommand_or_arity
from common.errors import NoSuchKey
from common.numbers import maybe_integer
from common.resp import Status
from shard.commands.object import encoding_of
from shard.commands.table import TABLE
from shard.footprint import value_size_bytes
from shard.keyspace import Keyspace
from shard.value import STRING_TYPES, Value

command = TABLE.family("server", opaque=True)

CLOCK_MASK = (1 << 24) - 1
"""The LRU clock of Redis has 24 bits of seconds."""
INTEGER_SIZES_BYTES = ((8, 2), (16, 3), (32, 5))
"""Bits of an integer, and the bytes that Redis saves it in."""


@command("DEBUG OBJECT key [FAST]", ADMIN | NOSCRIPT | LOADING | STALE, since="1.0.0", keys="RO")
def object_(db: Keyspace, key: bytes, *options: bytes) -> Status:
    """Shows low level info about a key and its value."""
    if len(options) > 1:
        raise unknown_subcommand_or_arity("debug", b"OBJECT")
    value = db.peek(key)
    if value is None:
        raise NoSuchKey()
    length = "" if options and options[0].lower() == b"fast" else f" serializedlength:{saved_size_bytes(value)}"
    clock_s = db.store.clock_s - db.idle_s(key)
    return Status(
        f"Value at:{id(value):#x} refcount:1 encoding:{encoding_of(db, key, value)}{length}"
        f" lru:{clock_s & CLOCK_MASK} lru_seconds_idle:{db.idle_s(key)}"
    )


def saved_size_bytes(value: Value) -> int:
    """What Redis would take to save it: exact for strings that it does not compress; for others what they take here."""
    if not isinstance(value, STRING_TYPES):
        return value_size_bytes(value, 0)
    number = maybe_integer(value)
    if number is not None:
        for bits, size_bytes in INTEGER_SIZES_BYTES:
            if -(1 << bits - 1) <= number < 1 << bits - 1:
                return size_bytes
    return len(value) + (1 if len(value) < 1 << 6 else 2 if len(value) < 1 << 14 else 5)

"""Strings that are numbers: counting up and down."""

from common.command import DENYOOM, FAST, WRITE
from common.errors import RedisError
from common.numbers import INTEGER_MAX, INTEGER_MIN, float_sum, integer
from shard.commands.table import TABLE
from shard.keyspace import Keyspace

command = TABLE.family("string")

FLAGS = WRITE | DENYOOM | FAST
KEYS = "RW access update"
EVENT = "incrby"


@command("INCR key", FLAGS, since="1.0.0", complexity="O(1)", keys=KEYS, event=EVENT)
def incr(db: Keyspace, key: bytes) -> int:
    """Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."""
    return _add(db, key, 1)


@command("DECR key", FLAGS, since="1.0.0", complexity="O(1)", keys=KEYS, event=EVENT)
def decr(db: Keyspace, key: bytes) -> int:
    """Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."""
    return _add(db, key, -1)


@command("INCRBY key increment", FLAGS, since="1.0.0", complexity="O(1)", keys=KEYS)
def incrby(db: Keyspace, key: bytes, increment: bytes) -> int:
    """Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist."""
    return _add(db, key, integer(increment))


@command("DECRBY key decrement", FLAGS, since="1.0.0", complexity="O(1)", keys=KEYS, event=EVENT)
def decrby(db: Keyspace, key: bytes, decrement: bytes) -> int:
    """Decrements the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist."""
    number = integer(decrement)
    if number == INTEGER_MIN:
        raise RedisError("ERR decrement would overflow")
    return _add(db, key, -number)


def _add(db: Keyspace, key: bytes, increment: int) -> int:
    value = db.peek_string(key)
    number = increment if value is None else integer(value) + increment
    if not INTEGER_MIN <= number <= INTEGER_MAX:
        raise RedisError("ERR increment or decrement would overflow")
    db.set(key, b"%d" % number, keep_ttl=True)
    return number


@command("INCRBYFLOAT key increment", FLAGS, since="2.6.0", complexity="O(1)", keys=KEYS, types="increment double")
def incrbyfloat(db: Keyspace, key: bytes, increment: bytes) -> bytes:
    """Increments the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist."""
    value = db.peek_string(key)
    number = float_sum(b"0" if value is None else value, increment)
    db.set(key, number, keep_ttl=True)
    db.log(b"SET", key, number, b"KEEPTTL")
    return number

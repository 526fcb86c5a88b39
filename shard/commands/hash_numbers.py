"""Fields that are numbers: counting up and down."""

from common.command import DENYOOM, FAST, WRITE
from common.errors import NotAFloat, RedisError
from common.numbers import INFINITE, INTEGER_MAX, INTEGER_MIN, float_sum, integer, long_double, maybe_integer
from shard.commands.hash_fields import begun, to_write
from shard.commands.table import TABLE
from shard.keyspace import Keyspace

command = TABLE.family("hash")

FLAGS = WRITE | DENYOOM | FAST
KEYS = "RW access update"


@command(
    "HINCRBY key field increment",
    FLAGS,
    since="2.0.0",
    complexity="O(1)",
    keys=KEYS,
    summary="Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field"
    " doesn't exist.",
)
def hincrby(db: Keyspace, key: bytes, field: bytes, increment: bytes) -> int:
    """Increments the integer value of a field in a hash by a number."""
    step = integer(increment)
    value = to_write(db, key, (field,))
    text = None if value is None else value.get(field)
    before = 0 if text is None else maybe_integer(text)
    if before is None:
        raise RedisError("ERR hash value is not an integer")
    if not INTEGER_MIN <= before + step <= INTEGER_MAX:
        raise RedisError("ERR increment or decrement would overflow")
    begun(db, key, value).put(field, b"%d" % (before + step), db.store.config, keep_ttl=True)
    return before + step


@command(
    "HINCRBYFLOAT key field increment",
    FLAGS,
    since="2.6.0",
    complexity="O(1)",
    keys=KEYS,
    summary="Increments the floating point value of a field by a number. Uses 0 as initial value if the field"
    " doesn't exist.",
    types="increment double",
)
def hincrbyfloat(db: Keyspace, key: bytes, field: bytes, increment: bytes) -> bytes:
    """Increments the floating point value of a field by a number."""
    if long_double(increment).exponent == INFINITE:
        raise RedisError("ERR value is NaN or Infinity")
    value = to_write(db, key, (field,))
    text = None if value is None else value.get(field)
    try:
        number = float_sum(b"0" if text is None else text, increment)
    except NotAFloat:
        raise RedisError("ERR hash value is not a float") from None
    value = begun(db, key, value)
    value.put(field, number, db.store.config, keep_ttl=True)
    db.log(b"HSET", key, field, number)
    at_ms = value.expiry_ms(field)
    if at_ms >= 0:
        db.log(b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", b"1", field)
    return number

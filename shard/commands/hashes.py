"""Hashes: setting, reading and deleting fields."""

from common.command import DENYOOM, FAST, READONLY, WRITE
from common.errors import wrong_arity
from common.resp import OK, FlatMap, Status
from shard.commands.hash_fields import begun, ended, has_due, is_due, live_text, shrunk, to_write
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.hash import Hash

command = TABLE.family("hash")


# --- Setting ---------------------------------------------------------------------------------------------------------


@command(
    "HSET key field value [field value ...]",
    WRITE | DENYOOM | FAST,
    since="2.0.0",
    complexity="O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called"
    " with multiple field/value pairs.",
)
def hset(db: Keyspace, key: bytes, *pairs: bytes) -> int:
    """Creates or modifies the value of a field in a hash."""
    if len(pairs) & 1:
        raise wrong_arity("hset")
    return _set(db, key, pairs)


@command(
    "HMSET key field value [field value ...]",
    WRITE | DENYOOM | FAST,
    since="2.0.0",
    complexity="O(N) where N is the number of fields being set.",
    event="hset",
)
def hmset(db: Keyspace, key: bytes, *pairs: bytes) -> Status:
    """Sets the values of multiple fields."""
    if len(pairs) & 1:
        raise wrong_arity("hmset")
    _set(db, key, pairs)
    return OK


@command(
    "HSETNX key field value",
    WRITE | DENYOOM | FAST,
    since="2.0.0",
    complexity="O(1)",
    keys="RW insert",
    event="hset",
)
def hsetnx(db: Keyspace, key: bytes, field: bytes, value: bytes) -> int:
    """Sets the value of a field in a hash only when the field doesn't exist."""
    found = to_write(db, key, (field,))
    if found is not None and field in found:
        return 0
    begun(db, key, found).put(field, value, db.store.config)
    return 1


def _set(db: Keyspace, key: bytes, pairs: tuple[bytes, ...]) -> int:
    """How many of the fields are new."""
    value = begun(db, key, to_write(db, key, pairs, 2))
    config = db.store.config
    if value.small:
        value.expect(pairs, config)
    added = 0
    for place in range(0, len(pairs), 2):
        added += value.put(pairs[place], pairs[place + 1], config)
    ended(db, key, value)
    return added


@command(
    "HDEL key field [field ...]",
    WRITE | FAST,
    since="2.0.0",
    complexity="O(N) where N is the number of fields to be removed.",
    keys="RW delete",
)
def hdel(db: Keyspace, key: bytes, *fields: bytes) -> int:
    """Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain."""
    value = to_write(db, key, fields)
    if value is None:
        return 0
    removed = sum(value.remove(field) for field in fields)
    if removed:
        shrunk(db, key, value)
    return removed


# --- Reading some ----------------------------------------------------------------------------------------------------


@command("HGET key field", READONLY | FAST, since="2.0.0", complexity="O(1)")
def hget(db: Keyspace, key: bytes, field: bytes) -> bytes | None:
    """Returns the value of a field in a hash."""
    value: Hash | None = db.get(key, Hash)
    return None if value is None else live_text(db, value, field)


@command(
    "HMGET key field [field ...]",
    READONLY | FAST,
    since="2.0.0",
    complexity="O(N) where N is the number of fields being requested.",
)
def hmget(db: Keyspace, key: bytes, *fields: bytes) -> list[bytes | None]:
    """Returns the values of all fields in a hash."""
    value: Hash | None = db.get(key, Hash)
    if value is None:
        return [None] * len(fields)
    return [live_text(db, value, field) for field in fields]


@command("HEXISTS key field", READONLY | FAST, since="2.0.0", complexity="O(1)", keys="RO")
def hexists(db: Keyspace, key: bytes, field: bytes) -> int:
    """Determines whether a field exists in a hash."""
    value: Hash | None = db.get(key, Hash)
    return 0 if value is None or live_text(db, value, field) is None else 1


@command("HSTRLEN key field", READONLY | FAST, since="3.2.0", complexity="O(1)", keys="RO")
def hstrlen(db: Keyspace, key: bytes, field: bytes) -> int:
    """Returns the length of the value of a field."""
    value: Hash | None = db.get(key, Hash)
    text = None if value is None else live_text(db, value, field)
    return 0 if text is None else len(text)


@command("HLEN key", READONLY | FAST, since="2.0.0", complexity="O(1)", keys="RO")
def hlen(db: Keyspace, key: bytes) -> int:
    """Returns the number of fields in a hash."""
    # As in Redis, a field whose time has come counts until it is removed.
    value: Hash | None = db.get(key, Hash)
    return 0 if value is None else len(value)


# --- Reading all -----------------------------------------------------------------------------------------------------


@command(
    "HGETALL key",
    READONLY,
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    tips="nondeterministic_output_order",
)
def hgetall(db: Keyspace, key: bytes) -> FlatMap:
    """Returns all fields and values in a hash."""
    value: Hash | None = db.get(key, Hash)
    if value is None:
        return FlatMap()
    if has_due(db, value):
        return FlatMap([word for pair in _live_items(db, value) for word in pair])
    return FlatMap(value.flat())


@command(
    "HKEYS key",
    READONLY,
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    tips="nondeterministic_output_order",
)
def hkeys(db: Keyspace, key: bytes) -> list[bytes]:
    """Returns all fields in a hash."""
    value: Hash | None = db.get(key, Hash)
    return [] if value is None else live_fields(db, value)


@command(
    "HVALS key",
    READONLY,
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    tips="nondeterministic_output_order",
)
def hvals(db: Keyspace, key: bytes) -> list[bytes]:
    """Returns all values in a hash."""
    value: Hash | None = db.get(key, Hash)
    if value is None:
        return []
    return [text for _, text in _live_items(db, value)] if has_due(db, value) else value.values()


def live_fields(db: Keyspace, value: Hash) -> list[bytes]:
    """The fields whose time has not come. O(n)."""
    return [field for field, _ in _live_items(db, value)] if has_due(db, value) else value.keys()


def _live_items(db: Keyspace, value: Hash) -> list[tuple[bytes, bytes]]:
    return [pair for pair in value.items() if not is_due(db, value, pair[0])]

"""Strings: reading and setting whole values, of one key and of many.

What the log gets is the effect: an expiry as absolute time, SET for a GETSET, and no condition that already held.
"""

from collections.abc import Iterator

from common.command import ALL_SUCCEEDED, DENYOOM, FAST, MULTI_SHARD, READONLY, WRITE, Plan
from common.errors import RedisError, SyntaxFault, wrong_arity
from common.numbers import maybe_integer
from common.resp import OK, Status
from shard.commands.options import (
    GETEX_OPTIONS,
    MSETEX_OPTIONS,
    NO_EXPIRY,
    SET_OPTIONS,
    TIME_WORDS,
    Options,
    expire_at_ms,
    has_passed,
    parse_options,
)
from shard.commands.table import TABLE
from shard.events import EXPIRED
from shard.keyspace import Keyspace

command = TABLE.family("string")

String = bytes | bytearray

NUMKEYS_MAX = 2**31 - 1


# --- One key ---------------------------------------------------------------------------------------------------------


@command("GET key", READONLY | FAST, since="1.0.0", complexity="O(1)")
def get(db: Keyspace, key: bytes) -> String | None:
    """Returns the string value of a key."""
    return db.get_string(key)


@command(
    "SET key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
    "PXAT unix-time-milliseconds | KEEPTTL]",
    WRITE | DENYOOM,
    since="1.0.0",
    complexity="O(1)",
    keys="RW access update variable_flags, OW update without GET",
)
def set_(db: Keyspace, key: bytes, value: bytes, *options: bytes) -> Status | String | None:
    """Sets the string value of a key, ignoring its type. The key is created if it doesn't exist."""
    if not options:
        db.set(key, value)
        return OK
    return _set_with_options(db, key, value, options)


def _set_with_options(db: Keyspace, key: bytes, value: bytes, words: tuple[bytes, ...]) -> Status | String | None:
    unit = TIME_WORDS.get(words[0]) if len(words) == 2 else None
    if unit is not None:  # Nearly every call: then there is nothing to parse.
        _put(db, key, value, expire_at_ms(unit, words[1], db.store.now_ms, "set"))
        return OK
    options = parse_options(words, SET_OPTIONS)
    at_ms = options.expire_at_ms(db.store.now_ms, "set")
    condition = options.condition
    old = None
    if options.get:
        old = db.get_string(key)
        holds = _holds(options, old is not None, old)
    elif condition == b"IFEQ":
        holds = db.peek_string(key) == options.comparison
    else:
        holds = not condition or _holds(options, db.get_to_write(key) is not None)
    if holds:
        _put(db, key, value, at_ms, keep_ttl=options.expiry == b"KEEPTTL")
    if options.get:
        return old
    return OK if holds else None


def _holds(options: Options, there: bool, value: String | None = None) -> bool:
    """Whether the condition holds for a key that is there or not, with that value."""
    if options.condition == b"IFEQ":
        return value == options.comparison
    return not options.condition or there == (options.condition == b"XX")


def _put(db: Keyspace, key: bytes, value: bytes, at_ms: int, keep_ttl: bool = False) -> None:
    """Sets a value that expires at `at_ms`; where that has passed the key just goes."""
    if at_ms == NO_EXPIRY:
        db.set(key, value, keep_ttl=keep_ttl)
        db.log(b"SET", key, value, *((b"KEEPTTL",) if keep_ttl else ()))
    elif has_passed(db, at_ms):
        if db.delete(key, EXPIRED):
            db.log(b"UNLINK", key)
    else:
        db.set(key, value, keep_ttl=False, expire_at_ms=at_ms)  # All four: a call in C can leave out only the last.
        db.log(b"SET", key, value, b"PXAT", b"%d" % at_ms)


@command("SETEX key seconds value", WRITE | DENYOOM, since="2.0.0", complexity="O(1)", keys="OW update", event="set")
def setex(db: Keyspace, key: bytes, seconds: bytes, value: bytes) -> Status:
    """Sets the string value and expiration time of a key. Creates the key if it doesn't exist."""
    _put(db, key, value, expire_at_ms(b"EX", seconds, db.store.now_ms, "setex"))
    return OK


@command(
    "PSETEX key milliseconds value",
    WRITE | DENYOOM,
    since="2.6.0",
    complexity="O(1)",
    keys="OW update",
    event="set",
)
def psetex(db: Keyspace, key: bytes, milliseconds: bytes, value: bytes) -> Status:
    """Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist."""
    _put(db, key, value, expire_at_ms(b"PX", milliseconds, db.store.now_ms, "psetex"))
    return OK


@command("SETNX key value", WRITE | DENYOOM | FAST, since="1.0.0", complexity="O(1)", keys="OW insert", event="set")
def setnx(db: Keyspace, key: bytes, value: bytes) -> int:
    """Sets the string value of a key only when the key doesn't exist."""
    if db.get_to_write(key) is not None:
        return 0
    db.set(key, value)
    return 1


@command(
    "GETSET key value",
    WRITE | DENYOOM | FAST,
    since="1.0.0",
    complexity="O(1)",
    keys="RW access update",
    event="set",
)
def getset(db: Keyspace, key: bytes, value: bytes) -> String | None:
    """Returns the previous string value of a key after setting it to a new value."""
    old = db.get_string(key)
    _put(db, key, value, NO_EXPIRY)
    return old


@command("GETDEL key", WRITE | FAST, since="6.2.0", complexity="O(1)", keys="RW access delete")
def getdel(db: Keyspace, key: bytes) -> String | None:
    """Returns the string value of a key after deleting the key."""
    value = db.get_string(key)
    if value is not None:
        db.delete(key)
        db.log(b"DEL", key)
    return value


@command(
    "GETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
    WRITE | FAST,
    since="6.2.0",
    complexity="O(1)",
    keys="RW access update",
)
def getex(db: Keyspace, key: bytes, *options: bytes) -> String | None:
    """Returns the string value of a key after setting its expiration time."""
    parsed = parse_options(options, GETEX_OPTIONS)
    at_ms = parsed.expire_at_ms(db.store.now_ms, "getex")
    value = db.get_string(key)
    if value is None:
        return None
    if parsed.expiry == b"PERSIST":
        if db.persist(key):
            db.log(b"PERSIST", key)
    elif at_ms == NO_EXPIRY:
        pass
    elif has_passed(db, at_ms):
        db.delete(key, EXPIRED)
        db.log(b"UNLINK", key)
    else:
        db.expire_at(key, at_ms)
        db.log(b"PEXPIREAT", key, b"%d" % at_ms)
    return value


@command("DELIFEQ key value", WRITE | FAST, since="9.0.0", complexity="O(1)", keys="RM delete")
def delifeq(db: Keyspace, key: bytes, value: bytes) -> int:
    """Delete key if value matches string."""
    if db.peek_string(key) != value:
        return 0
    db.delete(key)
    db.log(b"DEL", key)
    return 1


# --- Many keys -------------------------------------------------------------------------------------------------------


@command(
    "MGET key [key ...]",
    READONLY | FAST,
    since="1.0.0",
    complexity="O(N) where N is the number of keys to retrieve.",
    fan=MULTI_SHARD,
)
def mget(db: Keyspace, *keys: bytes) -> list[bytes | None]:
    """Atomically returns the string values of one or more keys."""
    return _values(db, keys)


def _values(db: Keyspace, keys: tuple[bytes, ...]) -> list[bytes | None]:
    values = []
    for key in keys:
        value = db.get(key)
        if type(value) is not bytes and value is not None:
            # A copy: the reply may be encoded only after a later command of this turn has changed the value in place.
            value = bytes(value) if type(value) is bytearray else None
        values.append(value)
    return values


@command(
    "MSET key value [key value ...]",
    WRITE | DENYOOM,
    since="1.0.1",
    complexity="O(N) where N is the number of keys to set.",
    fan=MULTI_SHARD,
    merge=ALL_SUCCEEDED,
    keys="OW update",
    event="set",
)
def mset(db: Keyspace, *pairs: bytes) -> Status:
    """Atomically creates or modifies the string values of one or more keys."""
    if len(pairs) & 1:
        raise wrong_arity("mset")
    for key, value in _paired(pairs):
        db.set(key, value)
    return OK


@command(
    "MSETNX key value [key value ...]",
    WRITE | DENYOOM,
    since="1.0.1",
    complexity="O(N) where N is the number of keys to set.",
    keys="OW insert",
    event="set",
)
def msetnx(db: Keyspace, *pairs: bytes) -> int:
    """Atomically modifies the string values of one or more keys only when all keys don't exist."""
    if len(pairs) & 1:
        raise wrong_arity("msetnx")
    if _any_there(db, pairs):
        return 0
    for key, value in _paired(pairs):
        db.set(key, value)
    return 1


@command(
    "MSETEX numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
    "PXAT unix-time-milliseconds | KEEPTTL]",
    WRITE | DENYOOM,
    since="9.1.0",
    complexity="O(N) where N is the number of keys to set.",
    fan=MULTI_SHARD,
    merge=ALL_SUCCEEDED,
    keys="OW update",
    plan=Plan.BORROW,
    event="set",
)
def msetex(db: Keyspace, numkeys: bytes, *words: bytes) -> int:
    """Atomically creates or modifies the string values of one or more keys, and optionally set their expiration."""
    count = maybe_integer(numkeys)
    if count is None or not 0 < count <= NUMKEYS_MAX:
        raise RedisError("ERR invalid numkeys value or out of range")
    pairs = words[: 2 * count]
    if len(pairs) < 2 * count:
        raise SyntaxFault()
    options = parse_options(words[2 * count :], MSETEX_OPTIONS)
    at_ms = options.expire_at_ms(db.store.now_ms, "msetex")
    if options.condition == b"NX" and _any_there(db, pairs):
        return 0
    if options.condition == b"XX" and not _all_there(db, pairs):
        return 0
    # A time that has passed is set all the same, as Valkey does: the keys expire at once.
    for key, value in _paired(pairs):
        db.set(key, value, keep_ttl=options.expiry == b"KEEPTTL", expire_at_ms=at_ms)
    if at_ms != NO_EXPIRY:
        db.log(b"MSETEX", numkeys, *pairs, b"PXAT", b"%d" % at_ms)
    return 1


def _paired(pairs: tuple[bytes, ...]) -> Iterator[tuple[bytes, bytes]]:
    return zip(pairs[::2], pairs[1::2], strict=True)


def _any_there(db: Keyspace, pairs: tuple[bytes, ...]) -> bool:
    return any(db.get_to_write(key) is not None for key in pairs[::2])


def _all_there(db: Keyspace, pairs: tuple[bytes, ...]) -> bool:
    return all(db.get_to_write(key) is not None for key in pairs[::2])

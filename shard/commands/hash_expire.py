"""The times at which fields of hashes expire: setting, asking, taking away.

What the log gets is the effect: HPEXPIREAT with an absolute time, or HDEL where it has passed.
"""

from common.command import FAST, READONLY, WRITE
from common.errors import SyntaxFault
from common.numbers import integer
from shard.commands.expire import NO_CONDITIONS, conditions_hold, conditions_of, seconds
from shard.commands.hash_fields import check_count, is_due, shrunk, split, time_ms, to_write
from shard.commands.options import has_passed
from shard.commands.table import TABLE
from shard.events import FIELDS_EXPIRED, call
from shard.keyspace import Keyspace
from shard.values.hash import Hash

command = TABLE.family("hash")

COMPLEXITY = "O(N) where N is the number of specified fields."

NO_FIELD, NOT_MET, SET, GONE = -2, 0, 1, 2
"""What setting a time answers for a field."""
NO_TIME = -1


# --- Setting ---------------------------------------------------------------------------------------------------------


@command(
    "HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    WRITE | FAST,
    since="9.0.0",
    complexity=COMPLEXITY,
)
def hexpire(db: Keyspace, key: bytes, seconds: bytes, *words: bytes) -> list[int]:
    """Sets expiry time on hash fields."""
    return _expire(db, key, seconds, words, name="hexpire", unit_ms=1000, relative=True)


@command(
    "HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    WRITE | FAST,
    since="9.0.0",
    complexity=COMPLEXITY,
)
def hpexpire(db: Keyspace, key: bytes, milliseconds: bytes, *words: bytes) -> list[int]:
    """Sets expiry time on hash object."""
    return _expire(db, key, milliseconds, words, name="hpexpire", unit_ms=1, relative=True)


@command(
    "HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    WRITE | FAST,
    since="9.0.0",
    complexity=COMPLEXITY,
    types="unix-time-seconds integer",
)
def hexpireat(db: Keyspace, key: bytes, seconds: bytes, *words: bytes) -> list[int]:
    """Sets expiry time on hash fields."""
    return _expire(db, key, seconds, words, name="hexpireat", unit_ms=1000, relative=False)


@command(
    "HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
    WRITE | FAST,
    since="9.0.0",
    complexity=COMPLEXITY,
    types="unix-time-milliseconds integer",
)
def hpexpireat(db: Keyspace, key: bytes, milliseconds: bytes, *words: bytes) -> list[int]:
    """Sets expiration time on hash field."""
    return _expire(db, key, milliseconds, words, name="hpexpireat", unit_ms=1, relative=False)


def _expire(
    db: Keyspace, key: bytes, when: bytes, words: tuple[bytes, ...], name: str, unit_ms: int, relative: bool
) -> list[int]:
    """What the four have in common. A time that has passed removes the fields at once."""
    options, number, fields = split(words)
    conditions = conditions_of(options) if options else NO_CONDITIONS
    check_count(number, len(fields))
    at_ms = time_ms(when, name, unit_ms, db.store.now_ms if relative else 0)
    value = to_write(db, key, fields)
    if value is None:
        return [NO_FIELD] * len(fields)
    passed = has_passed(db, at_ms)
    replies, changed = [], []
    for field in fields:
        if field not in value:
            replies.append(NO_FIELD)
        elif conditions and not conditions_hold(conditions, value.expiry_ms(field), at_ms):
            replies.append(NOT_MET)
        else:
            replies.append(GONE if passed else SET)
            changed.append(field)
            if passed:
                value.remove(field)
            else:
                value.expire_at(field, at_ms)
    if changed:
        timed(db, key, value, changed, at_ms)
    return replies


def timed(db: Keyspace, key: bytes, value: Hash, fields: list[bytes], at_ms: int) -> None:
    """Books that `fields` of the hash at `key` got a time, or went because it has passed."""
    passed = has_passed(db, at_ms)
    if db.heard:
        call(db, FIELDS_EXPIRED if passed else b"hexpire")
    shrunk(db, key, value)
    if passed:
        db.log(b"HDEL", key, *fields)
    else:
        db.log(b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", b"%d" % len(fields), *fields)


@command("HPERSIST key FIELDS numfields field [field ...]", WRITE | FAST, since="9.0.0", complexity=COMPLEXITY)
def hpersist(db: Keyspace, key: bytes, *words: bytes) -> list[int]:
    """Remove the existing expiration on a hash key's field(s)."""
    fields = counted(words)
    value = to_write(db, key, fields)
    if value is None:
        return [NO_FIELD] * len(fields)
    replies = [NO_FIELD if field not in value else SET if value.persist(field) else NO_TIME for field in fields]
    if SET in replies:
        shrunk(db, key, value)
    return replies


def counted(words: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The fields of `FIELDS numfields field [field ...]`.  Raises RedisError."""
    if words[0].upper() != b"FIELDS":
        raise SyntaxFault()
    check_count(words[1], len(words) - 2)
    return words[2:]


# --- Asking ----------------------------------------------------------------------------------------------------------


@command("HTTL key FIELDS numfields field [field ...]", READONLY | FAST, since="9.0.0", complexity=COMPLEXITY)
def httl(db: Keyspace, key: bytes, *words: bytes) -> list[int]:
    """Returns the remaining time to live (in seconds) of a hash key's field(s) that have an associated expiration."""
    now_ms = db.store.now_ms
    return [at_ms if at_ms < 0 else seconds(max(0, at_ms - now_ms)) for at_ms in _times_ms(db, key, words)]


@command(
    "HPTTL key FIELDS numfields field [field ...]",
    READONLY | FAST,
    since="9.0.0",
    complexity=COMPLEXITY,
    summary="Returns the remaining time to live in milliseconds of a hash key's field(s) that have an associated"
    " expiration.",
)
def hpttl(db: Keyspace, key: bytes, *words: bytes) -> list[int]:
    """Returns the remaining time to live in milliseconds of fields."""
    now_ms = db.store.now_ms
    return [at_ms if at_ms < 0 else max(0, at_ms - now_ms) for at_ms in _times_ms(db, key, words)]


@command("HEXPIRETIME key FIELDS numfields field [field ...]", READONLY | FAST, since="9.0.0", complexity=COMPLEXITY)
def hexpiretime(db: Keyspace, key: bytes, *words: bytes) -> list[int]:
    """Returns Unix timestamps in seconds since the epoch at which the given key's field(s) will expire."""
    return [at_ms if at_ms < 0 else seconds(at_ms) for at_ms in _times_ms(db, key, words)]


@command("HPEXPIRETIME key FIELDS numfields field [field ...]", READONLY | FAST, since="9.0.0", complexity=COMPLEXITY)
def hpexpiretime(db: Keyspace, key: bytes, *words: bytes) -> list[int]:
    """Returns the Unix timestamp in milliseconds since Unix epoch at which the given key's field(s) will expire."""
    return _times_ms(db, key, words)


def _times_ms(db: Keyspace, key: bytes, words: tuple[bytes, ...]) -> list[int]:
    """When the fields expire, absolute unix time in ms; -2 where there is no such field, -1 where it does not."""
    if words[0].upper() != b"FIELDS" or integer(words[1]) != len(words) - 2:
        raise SyntaxFault()
    value: Hash | None = db.get(key, Hash)
    if value is None:
        return [NO_FIELD] * (len(words) - 2)
    return [
        NO_FIELD if field not in value or is_due(db, value, field) else value.expiry_ms(field) for field in words[2:]
    ]

"""The times at which keys expire: setting, asking, taking away."""

from collections.abc import Set

from common.command import FAST, READONLY, WRITE
from common.errors import RedisError, shown
from common.numbers import INTEGER_MAX, INTEGER_MIN, integer
from shard.commands.options import has_passed
from shard.commands.table import TABLE
from shard.events import EXPIRED
from shard.keyspace import Keyspace

command = TABLE.family("generic")

CONDITIONS = frozenset((b"NX", b"XX", b"GT", b"LT"))
NO_CONDITIONS: frozenset[bytes] = frozenset()


# --- Setting ---------------------------------------------------------------------------------------------------------


@command("EXPIRE key seconds [NX | XX | GT | LT]", WRITE | FAST, since="1.0.0", complexity="O(1)")
def expire(db: Keyspace, key: bytes, seconds: bytes, *options: bytes) -> int:
    """Sets the expiration time of a key in seconds."""
    return _expire(db, key, seconds, options, name="expire", unit_ms=1000, relative=True)


@command("PEXPIRE key milliseconds [NX | XX | GT | LT]", WRITE | FAST, since="2.6.0", complexity="O(1)")
def pexpire(db: Keyspace, key: bytes, milliseconds: bytes, *options: bytes) -> int:
    """Sets the expiration time of a key in milliseconds."""
    return _expire(db, key, milliseconds, options, name="pexpire", unit_ms=1, relative=True)


@command("EXPIREAT key unix-time-seconds [NX | XX | GT | LT]", WRITE | FAST, since="1.2.0", complexity="O(1)")
def expireat(db: Keyspace, key: bytes, seconds: bytes, *options: bytes) -> int:
    """Sets the expiration time of a key to a Unix timestamp."""
    return _expire(db, key, seconds, options, name="expireat", unit_ms=1000, relative=False)


@command("PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]", WRITE | FAST, since="2.6.0", complexity="O(1)")
def pexpireat(db: Keyspace, key: bytes, milliseconds: bytes, *options: bytes) -> int:
    """Sets the expiration time of a key to a Unix milliseconds timestamp."""
    return _expire(db, key, milliseconds, options, name="pexpireat", unit_ms=1, relative=False)


@command("PERSIST key", WRITE | FAST, since="2.2.0", complexity="O(1)")
def persist(db: Keyspace, key: bytes) -> int:
    """Removes the expiration time of a key."""
    return int(db.get_to_write(key) is not None and db.persist(key))


def _expire(
    db: Keyspace, key: bytes, when: bytes, options: tuple[bytes, ...], name: str, unit_ms: int, relative: bool
) -> int:
    """What the four have in common. A time that has passed deletes the key at once."""
    conditions = conditions_of(options) if options else NO_CONDITIONS
    at_ms = _time_ms(when, name, unit_ms, db.store.now_ms if relative else 0)
    if db.get_to_write(key) is None or (conditions and not conditions_hold(conditions, db.expiry_ms(key), at_ms)):
        return 0
    if has_passed(db, at_ms):
        db.delete(key, EXPIRED)
        db.log(b"UNLINK", key)
    else:
        db.expire_at(key, at_ms)
        # Redis logs the conditions too; that they held is part of the effect.
        db.log(b"PEXPIREAT", key, b"%d" % at_ms)
    return 1


def conditions_of(options: tuple[bytes, ...]) -> set[bytes]:
    """The conditions, in upper case.  Raises RedisError, of a word that is none before one of two that exclude."""
    conditions = set()
    for word in options:
        condition = word.upper()
        if condition not in CONDITIONS:
            raise RedisError(f"ERR Unsupported option {shown(word)}")
        conditions.add(condition)
    if b"NX" in conditions and len(conditions) > 1:
        raise RedisError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if b"GT" in conditions and b"LT" in conditions:
        raise RedisError("ERR GT and LT options at the same time are not compatible")
    return conditions


def _time_ms(when: bytes, name: str, unit_ms: int, base_ms: int) -> int:
    """Absolute unix time in ms.  Raises RedisError if that takes more than 64 bits."""
    number = integer(when)
    at_ms = number * unit_ms + base_ms
    if not INTEGER_MIN <= number * unit_ms <= INTEGER_MAX or at_ms > INTEGER_MAX:
        raise RedisError(f"ERR invalid expire time in '{name}' command")
    return at_ms


def conditions_hold(conditions: Set[bytes], before_ms: int, at_ms: int) -> bool:
    """Whether all conditions hold; a key that does not expire counts as one that expires after all others."""
    for condition in conditions:
        if condition == b"NX":
            held = before_ms == -1
        elif condition == b"XX":
            held = before_ms != -1
        elif condition == b"GT":
            held = before_ms != -1 and at_ms > before_ms
        else:
            held = before_ms == -1 or at_ms < before_ms
        if not held:
            return False
    return True


# --- Asking ----------------------------------------------------------------------------------------------------------


@command("TTL key", READONLY | FAST, since="1.0.0", complexity="O(1)", tips="nondeterministic_output")
def ttl(db: Keyspace, key: bytes) -> int:
    """Returns the expiration time in seconds of a key."""
    at_ms = _expiry_ms(db, key)
    return at_ms if at_ms < 0 else seconds(max(0, at_ms - db.store.now_ms))


@command("PTTL key", READONLY | FAST, since="2.6.0", complexity="O(1)", tips="nondeterministic_output")
def pttl(db: Keyspace, key: bytes) -> int:
    """Returns the expiration time in milliseconds of a key."""
    at_ms = _expiry_ms(db, key)
    return at_ms if at_ms < 0 else max(0, at_ms - db.store.now_ms)


@command("EXPIRETIME key", READONLY | FAST, since="7.0.0", complexity="O(1)")
def expiretime(db: Keyspace, key: bytes) -> int:
    """Returns the expiration time of a key as a Unix timestamp."""
    at_ms = _expiry_ms(db, key)
    return at_ms if at_ms < 0 else seconds(at_ms)


@command("PEXPIRETIME key", READONLY | FAST, since="7.0.0", complexity="O(1)")
def pexpiretime(db: Keyspace, key: bytes) -> int:
    """Returns the expiration time of a key as a Unix milliseconds timestamp."""
    return _expiry_ms(db, key)


def _expiry_ms(db: Keyspace, key: bytes) -> int:
    """When it expires, absolute unix time in ms; -2 if there is no key, -1 if it does not expire."""
    return -2 if db.look(key) is None else db.expiry_ms(key)


def seconds(duration_ms: int) -> int:
    """The nearest whole number of seconds."""
    return (duration_ms + 500) // 1000

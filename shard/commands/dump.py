"""DUMP and RESTORE: a value as bytes that a Redis reads, and back."""

from dataclasses import dataclass
from typing import Any

from common.command import DENYOOM, READONLY, WRITE
from common.errors import RedisError, SyntaxFault
from common.numbers import INTEGER_MAX, integer
from common.resp import OK, Status
from shard import frequency
from shard.commands.table import TABLE
from shard.events import tell, tell_renewed
from shard.keyspace import Keyspace
from shard.rdb.dump import BadTrailer, ForeignType, dumped, restored
from shard.rdb.encoding import BadObject

command = TABLE.family("generic")

USES_MAX = 255
IDLE_S_END = 1 << 24
"""The reference's clock goes round."""
UNSAID = -1
RELAXED = {"rdb-version-check": "relaxed"}


@command(
    "DUMP key",
    READONLY,
    since="2.6.0",
    complexity="O(1) to access the key and additional O(N*M) to serialize it, where N is the number of objects"
    " composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M)"
    " where M is small, so simply O(1).",
    tips="nondeterministic_output",
)
def dump(db: Keyspace, key: bytes) -> bytes | None:
    """Returns a serialized representation of the value stored at a key."""
    value = db.get(key)
    return None if value is None else dumped(value, db.store.config)


@command(
    "RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
    WRITE | DENYOOM,
    since="2.6.0",
    complexity="O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the"
    " number of objects composing the value and M their average size. For small string values the time complexity is"
    " thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is"
    " O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
    keys="OW update",
    acl="dangerous",
    event="",
)
def restore(db: Keyspace, key: bytes, ttl: bytes, payload: bytes, *options: bytes) -> Status:
    """Creates a key from the serialized representation of a value."""
    said = _options(options)
    if not said.replace and db.get_to_write(key) is not None:
        raise RedisError("BUSYKEY Target key name already exists.")
    ttl_ms = integer(ttl)
    if ttl_ms < 0:
        raise RedisError("ERR Invalid TTL value, must be >= 0")
    value = _value(payload, db)
    if not ttl_ms:
        _put(db, key, value, UNSAID, said)
        return OK
    at_ms = ttl_ms if said.absolute else ttl_ms + db.store.now_ms
    # The reference adds with wrap-around: a time too far ahead is one that has passed.
    if db.store.expiring and not db.store.now_ms < at_ms <= INTEGER_MAX:
        if db.delete(key):
            db.log(b"DEL", key)
        return OK
    _put(db, key, value, at_ms, said)
    if not said.absolute:
        db.log(b"RESTORE", key, b"%d" % at_ms, payload, *options, b"ABSTTL")
    return OK


@dataclass(slots=True)
class Options:
    """What a call says behind the payload."""

    replace: bool = False
    absolute: bool = False
    idle_s: int = UNSAID
    uses: int = UNSAID


def _options(words: tuple[bytes, ...]) -> Options:
    """Raises RedisError."""
    options = Options()
    rest = iter(words)
    left = len(words)
    for word in rest:
        left -= 1
        name = word.upper()
        if name == b"REPLACE":
            options.replace = True
        elif name == b"ABSTTL":
            options.absolute = True
        elif name == b"IDLETIME" and left and options.uses == UNSAID:
            options.idle_s = integer(next(rest))
            left -= 1
            if options.idle_s < 0:
                raise RedisError("ERR Invalid IDLETIME value, must be >= 0")
        elif name == b"FREQ" and left and options.idle_s == UNSAID:
            options.uses = integer(next(rest))
            left -= 1
            if not 0 <= options.uses <= USES_MAX:
                raise RedisError("ERR Invalid FREQ value, must be >= 0 and <= 255")
        else:
            raise SyntaxFault()
    return options


def _value(payload: bytes, db: Keyspace) -> Any:
    """The value that was dumped.  Raises RedisError."""
    config = db.store.config
    if not db.store.expiring:
        config = config | RELAXED  # A replay reads what was read then.
    try:
        return restored(payload, config)
    except BadTrailer:
        raise RedisError("ERR DUMP payload version or checksum are wrong") from None
    except ForeignType as fault:
        raise RedisError(f"ERR Unsupported foreign data type: {fault.number}") from None
    except BadObject:
        raise RedisError("ERR Bad data format") from None


def _put(db: Keyspace, key: bytes, value: Any, at_ms: int, options: Options) -> None:
    if db.heard:
        tell_renewed(db, key)
    db.set(key, value, expire_at_ms=at_ms)
    if db.heard:
        tell(db, key, b"restore")
    if options.idle_s != UNSAID:
        frequency.set_idle_s(db, key, options.idle_s % IDLE_S_END)
    # A key that was there does not lend its count to the new one.
    frequency.set_uses(db, key, frequency.FIRST if options.uses == UNSAID else options.uses)

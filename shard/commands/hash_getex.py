"""Fields of hashes in one go with their times: HSETEX, HGETEX, and HGETDEL."""

from dataclasses import dataclass

from common.command import DENYOOM, FAST, WRITE
from common.errors import SyntaxFault
from shard.commands.hash_expire import counted, timed
from shard.commands.hash_fields import (
    FIELDS,
    begun,
    check_count,
    ended,
    shrunk,
    split,
    time_ms,
    to_write,
    without_due,
)
from shard.commands.options import NO_EXPIRY, has_passed
from shard.commands.table import TABLE
from shard.events import DEL, FIELDS_EXPIRED, NEW, call, tell
from shard.keyspace import Keyspace
from shard.values.hash import Hash

command = TABLE.family("hash")

COMPLEXITY = "O(N) where N is the number of specified fields."

UNITS_MS = {b"EX": 1000, b"PX": 1, b"EXAT": 1000, b"PXAT": 1}
RELATIVE = frozenset((b"EX", b"PX"))
CONDITIONS = {b"NX": b"XX", b"XX": b"NX", b"FNX": b"FXX", b"FXX": b"FNX"}
"""Each with the one that excludes it."""


@dataclass(slots=True)
class Options:
    """What a call says before its fields; empty where it says nothing."""

    conditions: set[bytes]
    expiry: bytes = b""
    """EX, PX, EXAT, PXAT, KEEPTTL or PERSIST."""
    time: bytes = b""
    """The value behind the first four."""

    def expire_at_ms(self, now_ms: int, name: str) -> int:
        """When the fields shall expire, absolute unix time in ms, NO_EXPIRY if nothing is said.  Raises RedisError."""
        if self.expiry not in UNITS_MS:
            return NO_EXPIRY
        return time_ms(self.time, name, UNITS_MS[self.expiry], now_ms if self.expiry in RELATIVE else 0)


def _options(words: tuple[bytes, ...], known: frozenset[bytes]) -> Options:
    """The options in `words`, of those that the command knows; one may come twice.  Raises SyntaxFault."""
    options = Options(set())
    rest = iter(words)
    for word in rest:
        name = word.upper()
        if name not in known:
            raise SyntaxFault()
        if name in CONDITIONS:
            if CONDITIONS[name] in options.conditions:
                raise SyntaxFault()
            options.conditions.add(name)
            continue
        time = next(rest, None) if name in UNITS_MS else b""
        if time is None or (options.expiry and options.expiry != name):
            raise SyntaxFault()
        options.expiry, options.time = name, time
    return options


def _split(key: bytes, words: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], bytes, tuple[bytes, ...]]:
    """As `split`. A key that is called FIELDS is taken for the word, as in Valkey: no options can come before it."""
    if key.upper() == FIELDS:
        return (), words[0], words[1:]
    return split(words)


HSETEX_OPTIONS = frozenset((*UNITS_MS, *CONDITIONS, b"KEEPTTL"))
HGETEX_OPTIONS = frozenset((*UNITS_MS, b"PERSIST"))


@command(
    "HSETEX key [NX | XX] [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
    "PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]",
    WRITE | DENYOOM | FAST,
    since="9.0.0",
    complexity=COMPLEXITY,
    keys="RW insert",
    event="hset",
)
def hsetex(db: Keyspace, key: bytes, *words: bytes) -> int:
    """Sets the value of one or more fields of a given hash key, and optionally sets their expiration time."""
    before, number, pairs = _split(key, words)
    options = _options(before, HSETEX_OPTIONS)
    check_count(number, 0 if len(pairs) & 1 else len(pairs) // 2)
    value = to_write(db, key, pairs, 2)
    if (b"NX" if value is not None else b"XX") in options.conditions:
        return 0
    at_ms = options.expire_at_ms(db.store.now_ms, "hsetex")
    fields = pairs[::2]
    if b"FNX" in options.conditions and value is not None and any(field in value for field in fields):
        return 0
    if b"FXX" in options.conditions and (value is None or not all(field in value for field in fields)):
        return 0
    if at_ms != NO_EXPIRY and has_passed(db, at_ms):
        gone = [] if value is None else [field for field in fields if value.remove(field)]
        if db.heard:
            _tell_passed(db, key, new=value is None, gone=bool(gone))
        if value is not None and gone:
            timed(db, key, value, gone, at_ms)
        return 1
    _set(db, key, begun(db, key, value), pairs, options.expiry, at_ms)
    return 1


def _tell_passed(db: Keyspace, key: bytes, *, new: bool, gone: bool) -> None:
    """Tells of fields that are set with a time that has passed: they come and go, also where none was there. That some
    are `gone` is told with them.
    """
    for event in (NEW,) * new + (b"hset", b"hexpire") + (FIELDS_EXPIRED,) * (not gone) + (DEL,) * new:
        tell(db, key, event)


def _set(db: Keyspace, key: bytes, value: Hash, pairs: tuple[bytes, ...], expiry: bytes, at_ms: int) -> None:
    config = db.store.config
    for field, text in zip(pairs[::2], pairs[1::2], strict=True):
        value.put(field, text, config, keep_ttl=expiry == b"KEEPTTL")
        if at_ms != NO_EXPIRY:
            value.expire_at(field, at_ms)
    if at_ms != NO_EXPIRY and db.heard:
        tell(db, key, b"hexpire")
    ended(db, key, value)
    if key.upper() == FIELDS:
        return  # What is logged then is the request as it came: it had no options.
    said = (b"PXAT", b"%d" % at_ms) if at_ms != NO_EXPIRY else (b"KEEPTTL",) if expiry else ()
    db.log(b"HSETEX", key, *said, FIELDS, b"%d" % (len(pairs) // 2), *pairs)


@command(
    "HGETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] "
    "FIELDS numfields field [field ...]",
    WRITE | FAST,
    since="9.0.0",
    complexity=COMPLEXITY,
    keys="RW access update",
    summary="Gets the value of one or more fields of a given hash key, and optionally sets their expiration time or"
    " time-to-live (TTL).",
)
def hgetex(db: Keyspace, key: bytes, *words: bytes) -> list[bytes | None]:
    """Gets the value of one or more fields, and optionally sets their expiration time."""
    before, number, fields = _split(key, words)
    options = _options(before, HGETEX_OPTIONS)
    check_count(number, len(fields))
    value = _read_to_write(db, key, fields)
    at_ms = options.expire_at_ms(db.store.now_ms, "hgetex")
    if value is None:
        return [None] * len(fields)
    passed = at_ms != NO_EXPIRY and has_passed(db, at_ms)
    texts, changed = [], []
    for field in fields:
        text = value.get(field)
        texts.append(text)
        if text is not None and options.expiry and _retimed(value, field, at_ms, passed):
            changed.append(field)
    if not changed:
        return texts
    if options.expiry == b"PERSIST":
        if db.heard:
            call(db, b"hpersist")
        shrunk(db, key, value)
        db.log(b"HPERSIST", key, FIELDS, b"%d" % len(changed), *changed)
    else:
        timed(db, key, value, changed, at_ms)
    return texts


def _read_to_write(db: Keyspace, key: bytes, fields: tuple[bytes, ...]) -> Hash | None:
    """As `to_write`, but it counts a hit or miss."""
    value: Hash | None = db.get(key, Hash)
    db.about_to_change(key)
    return value if value is None or value.times is None else without_due(db, key, value, fields)


def _retimed(value: Hash, field: bytes, at_ms: int, passed: bool) -> bool:
    """Gives the existing `field` the time `at_ms`, NO_EXPIRY for none; whether this changes anything."""
    if at_ms == NO_EXPIRY:
        return value.persist(field)
    if passed:
        return value.remove(field)
    value.expire_at(field, at_ms)
    return True


@command(
    "HGETDEL key FIELDS numfields field [field ...]",
    WRITE | FAST,
    since="9.1.0",
    complexity="O(N) where N is the number of fields to be retrieved and deleted.",
    keys="RW access delete",
    event="hdel",
)
def hgetdel(db: Keyspace, key: bytes, *words: bytes) -> list[bytes | None]:
    """Returns the values of one or more fields and deletes them from a hash."""
    fields = counted(words)
    value = to_write(db, key, fields)
    if value is None:
        return [None] * len(fields)
    texts = []
    for field in fields:
        text = value.get(field)
        texts.append(text)
        if text is not None:
            value.remove(field)
    if texts.count(None) < len(texts):
        shrunk(db, key, value)
    return texts

"""What the commands on hashes share: their arguments, and fields whose time has come.

Before a handler sees a hash, the keyspace has removed such fields, but maybe not all: see shard/fields.py. A handler
that reads leaves out the rest, one that writes has those removed that its client names.
"""

from collections.abc import Sequence

from common.errors import RedisError
from common.numbers import INTEGER_MAX, integer
from shard import fields as expiring_fields
from shard.keyspace import Keyspace
from shard.values.hash import Hash

FIELDS = b"FIELDS"
BAD_COUNT = "ERR numfields should be greater than 0 and match the provided number of fields"


def live_text(db: Keyspace, value: Hash, field: bytes) -> bytes | None:
    """The text of `field`, None if it is not there. O(1)."""
    if value.times is not None and is_due(db, value, field):
        return None
    return value.get(field)


def is_due(db: Keyspace, value: Hash, field: bytes) -> bool:
    """Whether the time of `field` has come. O(1)."""
    return -1 < value.expiry_ms(field) <= db.store.now_ms and db.store.expiring


def has_due(db: Keyspace, value: Hash) -> bool:
    """Whether the time of any field has come. O(1)."""
    return value.times is not None and -1 < value.first_ms() <= db.store.now_ms and db.store.expiring


def to_write(db: Keyspace, key: bytes, words: Sequence[bytes], step: int = 1) -> Hash | None:
    """The hash at `key` for a command that may change some fields, every `step`th of `words`.  Raises WrongType."""
    value: Hash | None = db.to_write(key, Hash)
    if value is None or value.times is None:
        return value
    return without_due(db, key, value, words[::step])


def without_due(db: Keyspace, key: bytes, value: Hash, fields: Sequence[bytes]) -> Hash | None:
    """The hash at `key` without those of `fields` whose time has come; None if none is left, and the key is gone."""
    due = [field for field in dict.fromkeys(fields) if is_due(db, value, field)]
    if due:
        expiring_fields.remove_expired(db, key, value, due)
    return value if len(value) else None


def begun(db: Keyspace, key: bytes, value: Hash | None) -> Hash:
    """The hash to be changed, which `to_write` gave; a new one at `key` where there was none. It is a change."""
    if value is None:
        value = Hash()
        db.set(key, value)
    else:
        db.changed(key)
    return value


def ended(db: Keyspace, key: bytes, value: Hash) -> None:
    """Says that fields of the hash at `key`, or their times, have changed."""
    if db.volatile is not None or value.times is not None:
        db.retime(key, value)


def shrunk(db: Keyspace, key: bytes, value: Hash) -> None:
    """Says that the hash at `key` lost fields: it may go."""
    db.shrunk(key, value)
    if len(value):
        ended(db, key, value)


# Arguments


def split(words: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], bytes, tuple[bytes, ...]]:
    """The words before FIELDS, the number behind it, and the fields.  Raises RedisError if there is no FIELDS."""
    for place in range(len(words) - 1):
        if words[place].upper() == FIELDS:
            return words[:place], words[place + 1], words[place + 2 :]
    raise RedisError(BAD_COUNT)


def check_count(number: bytes, count: int) -> None:
    """Sees that a client has counted its fields right.  Raises RedisError."""
    if integer(number) != count or not count:
        raise RedisError(BAD_COUNT)


def time_ms(time: bytes, name: str, unit_ms: int, base_ms: int) -> int:
    """Absolute unix time in ms, of a time from `base_ms` on.  Raises RedisError if it is negative or too large."""
    number = integer(time)
    at_ms = number * unit_ms + base_ms
    if number < 0 or at_ms > INTEGER_MAX:
        raise RedisError(f"ERR invalid expire time in '{name}' command")
    return at_ms

"""OBJECT: what Redis tells of the inside of a value. Shardis has insides of its own, and answers as Redis would."""

from common.command import READONLY
from common.errors import RedisError
from common.numbers import maybe_integer
from shard.commands.table import TABLE
from shard.events import SILENT
from shard.frequency import uses
from shard.keyspace import Keyspace
from shard.value import Value

command = TABLE.family("generic")

HELP = """
ENCODING <key>
    Return the kind of internal representation used in order to store the value
    associated with a <key>.
FREQ <key>
    Return the access frequency index of the <key>. The returned integer is
    proportional to the logarithm of the recent access frequency of the key.
IDLETIME <key>
    Return the idle time of the <key>, that is the approximated number of
    seconds elapsed since the last access to the key.
REFCOUNT <key>
    Return the number of references of the value associated with the specified
    <key>.
"""

command.container(
    "OBJECT", "A container for object introspection commands.", since="2.2.3", help_=HELP, help_since="6.2.0"
)

AFTER_SWITCH = (
    "Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
)

EMBEDDED_BYTES_MAX = 113
"""Key and value that Valkey puts into one allocation of 128 bytes."""
SHORT_KEY_BYTES_MAX = 31
"""A longer key has a longer header there."""
LONG_HEADER_BYTES = 2


@command("OBJECT ENCODING key", READONLY, since="2.2.3", complexity="O(1)", keys="RO", tips="nondeterministic_output")
def encoding(db: Keyspace, key: bytes) -> str | None:
    """Returns the internal encoding of an object."""
    value = db.look(key, SILENT)
    return None if value is None else encoding_of(db, key, value)


@command("OBJECT FREQ key", READONLY, since="4.0.0", complexity="O(1)", keys="RO", tips="nondeterministic_output")
def freq(db: Keyspace, key: bytes) -> int | None:
    """Returns the logarithmic access frequency counter of an object."""
    if db.look(key, SILENT) is None:
        return None
    if not db.store.counts_uses:
        raise RedisError(f"ERR An LFU maxmemory policy is not selected, access frequency not tracked. {AFTER_SWITCH}")
    return uses(db, key)


@command("OBJECT IDLETIME key", READONLY, since="2.2.3", complexity="O(1)", keys="RO", tips="nondeterministic_output")
def idletime(db: Keyspace, key: bytes) -> int | None:
    """Returns the time since the last access to an object."""
    if db.look(key, SILENT) is None:
        return None
    if db.store.counts_uses:
        raise RedisError(f"ERR An LFU maxmemory policy is selected, idle time not tracked. {AFTER_SWITCH}")
    return db.idle_s(key)


@command("OBJECT REFCOUNT key", READONLY, since="2.2.3", complexity="O(1)", keys="RO", tips="nondeterministic_output")
def refcount(db: Keyspace, key: bytes) -> int | None:
    """Returns the reference count of a value of a key."""
    # Valkey 9 shares no values: each has its key beside it.
    return None if db.look(key, SILENT) is None else 1


def encoding_of(db: Keyspace, key: bytes, value: Value) -> str:
    """The name of the encoding that Valkey would have chosen for `value` at `key`."""
    if type(value) is bytes:
        return string_encoding(key, value)
    if type(value) is bytearray:
        return "raw"
    name: str = value.encoding(db.store.config)
    return name


def string_encoding(key: bytes, value: bytes) -> str:
    """int, embstr or raw: in Valkey 9 a string is embedded if it fits into 128 bytes together with its key."""
    if maybe_integer(value) is not None:
        return "int"
    header_bytes = LONG_HEADER_BYTES if len(key) > SHORT_KEY_BYTES_MAX else 0
    return "embstr" if len(key) + len(value) + header_bytes <= EMBEDDED_BYTES_MAX else "raw"

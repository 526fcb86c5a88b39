"""Whole dbs: their size, emptying them, exchanging them."""

from common.command import AGG_SUM, ALL_SHARDS, ALL_SUCCEEDED, FAST, READONLY, WRITE
from common.errors import RedisError, SyntaxFault
from common.numbers import INT_MAX, INT_MIN, maybe_integer
from common.resp import OK, Status
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.listeners import flushed

command = TABLE.family("server")


@command(
    "DBSIZE",
    READONLY | FAST,
    since="1.0.0",
    complexity="O(1)",
    acl="keyspace",
    fan=ALL_SHARDS,
    merge=AGG_SUM,
)
def dbsize(db: Keyspace) -> int:
    """Returns the number of keys in the database."""
    return db.size


@command(
    "FLUSHDB [ASYNC | SYNC]",
    WRITE,
    since="1.0.0",
    complexity="O(N) where N is the number of keys in the selected database",
    acl="keyspace dangerous",
    fan=ALL_SHARDS,
    merge=ALL_SUCCEEDED,
)
def flushdb(db: Keyspace, *options: bytes) -> Status:
    """Removes all keys from the current database."""
    db.clear(later=_later(db, options))
    flushed(db.store)
    return OK


@command(
    "FLUSHALL [ASYNC | SYNC]",
    WRITE,
    since="1.0.0",
    complexity="O(N) where N is the total number of keys in all databases",
    acl="keyspace dangerous",
    fan=ALL_SHARDS,
    merge=ALL_SUCCEEDED,
)
def flushall(db: Keyspace, *options: bytes) -> Status:
    """Removes all keys from all databases."""
    later = _later(db, options)
    for each in db.store.dbs:
        each.clear(later=later)
    flushed(db.store)
    return OK


def _later(db: Keyspace, options: tuple[bytes, ...]) -> bool:
    """Whether the memory is given back a slice at a time.  Raises SyntaxFault."""
    mode = options[0].upper() if len(options) == 1 else None
    if options and mode not in (b"ASYNC", b"SYNC"):
        raise SyntaxFault()
    return mode == b"ASYNC" if mode else bool(db.store.config.get("lazyfree-lazy-user-flush", True))


# Redis Cluster has one db only, and so no policies for this.
@command(
    "SWAPDB index1 index2",
    WRITE | FAST,
    since="4.0.0",
    complexity="O(N) where N is the count of clients watching or blocking on keys from both databases.",
    acl="keyspace dangerous",
    fan=ALL_SHARDS,
    merge=ALL_SUCCEEDED,
)
def swapdb(db: Keyspace, index1: bytes, index2: bytes) -> Status:
    """Swaps two databases."""
    first, second = _index(index1, "first"), _index(index2, "second")
    count = len(db.store.dbs)
    if not (0 <= first < count and 0 <= second < count):
        raise RedisError("ERR DB index is out of range")
    db.store.swap(first, second)
    return OK


def _index(word: bytes, which: str) -> int:
    index = maybe_integer(word)
    if index is None or not INT_MIN <= index <= INT_MAX:
        raise RedisError(f"ERR invalid {which} DB index")
    return index

"""Sorted sets: taking members off the ends, and waiting until there is one. Who waits, see shard/waiters.py.

Each logs what it took as the command that does not wait, so that a replay needs no words of waiting.
"""

from typing import Any

from common.command import BLOCKING, FAST, WRITE
from shard.blocking import Blocked, deadline_ms
from shard.commands.counts import multiple_pop
from shard.commands.sorted_set_pops import MAX, MIN, end_of, pop_first
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.sorted_set import SortedSet

command = TABLE.family("sorted-set")

KEYS = "RW access delete"
COMPLEXITY = "O(log(N)) with N being the number of elements in the sorted set."
POPS = {MIN: b"ZPOPMIN", MAX: b"ZPOPMAX"}


@command(
    "BZPOPMIN key [key ...] timeout",
    WRITE | BLOCKING | FAST,
    since="5.0.0",
    complexity=COMPLEXITY,
    keys=KEYS,
    first_of=True,
    summary="Removes and returns the member with the lowest score from one or more sorted sets. Blocks until a member "
    "is available otherwise. Deletes the sorted set if the last element was popped.",
)
def bzpopmin(db: Keyspace, *words: bytes) -> list[bytes | float] | Blocked:
    """Answers key, member and score, of the first key that has one."""
    return _pop(db, words, MIN)


@command(
    "BZPOPMAX key [key ...] timeout",
    WRITE | BLOCKING | FAST,
    since="5.0.0",
    complexity=COMPLEXITY,
    keys=KEYS,
    first_of=True,
    summary="Removes and returns the member with the highest score from one or more sorted sets. Blocks until a member "
    "is available otherwise. Deletes the sorted set if the last element was popped.",
)
def bzpopmax(db: Keyspace, *words: bytes) -> list[bytes | float] | Blocked:
    """Answers key, member and score, of the first key that has one."""
    return _pop(db, words, MAX)


def _pop(db: Keyspace, words: tuple[bytes, ...], end: bytes) -> list[bytes | float] | Blocked:
    keys = words[:-1]
    until_ms = deadline_ms(words[-1], db.store.now_ms)
    popped = pop_first(db, keys, end, 1)
    if popped is None:
        return Blocked(keys, SortedSet, until_ms)
    key, entries = popped
    db.log(POPS[end], key)
    return [key, *entries[0]]


@command(
    "BZMPOP timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
    WRITE | BLOCKING,
    since="7.0.0",
    complexity="O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the "
    "sorted set, and M being the number of elements popped.",
    keys=KEYS,
    first_of=True,
    summary="Removes and returns a member by score from one or more sorted sets. Blocks until a member is available "
    "otherwise. Deletes the sorted set if the last element was popped.",
)
def bzmpop(db: Keyspace, timeout: bytes, *words: bytes) -> list[Any] | Blocked:
    """Answers the key and the entries, of the first key that has some."""
    keys, end, count = multiple_pop(words, end_of)
    until_ms = deadline_ms(timeout, db.store.now_ms)
    popped = pop_first(db, keys, end, count)
    if popped is None:
        return Blocked(keys, SortedSet, until_ms)
    key, entries = popped
    db.log(POPS[end], key, b"%d" % len(entries))
    return [key, [list(entry) for entry in entries]]

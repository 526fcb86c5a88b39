"""Sorted sets: some members at a time, at random or in the course of a scan."""

from random import Random

from common.command import READONLY
from common.cursor import parse_cursor
from common.errors import RedisError, SyntaxFault
from common.numbers import INTEGER_MAX
from common.resp import Pairs, double_text
from shard.commands.counts import symmetric
from shard.commands.draws import check_draws
from shard.commands.scan import matching, parse_options
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.sorted_set import SortedSet

command = TABLE.family("sorted-set")

DENSE = 3
"""From one in so many members on, all are fetched at once."""


@command(
    "ZRANDMEMBER key [count [WITHSCORES]]",
    READONLY,
    since="6.2.0",
    complexity="O(N) where N is the number of members returned",
    tips="nondeterministic_output",
)
def zrandmember(db: Keyspace, key: bytes, *words: bytes) -> bytes | list[bytes] | Pairs | None:
    """Returns one or more random members from a sorted set."""
    if not words:
        value = db.get(key, SortedSet)
        return None if value is None else _members(value, [db.store.random.randrange(len(value))])[0]
    count = symmetric(words[0])
    if len(words) > 2 or (len(words) == 2 and words[1].upper() != b"WITHSCORES"):
        raise SyntaxFault()
    if len(words) == 2 and abs(count) > INTEGER_MAX // 2:
        raise RedisError("ERR value is out of range")
    value = db.get(key, SortedSet)
    if value is None:
        return []
    check_draws(count)
    members = _members(value, _ranks(db.store.random, len(value), count))
    return members if len(words) == 1 else Pairs([(member, value.score(member)) for member in members])


def _ranks(random: Random, length: int, count: int) -> list[int]:
    """Random ranks: that many, and if it is negative perhaps some of them several times."""
    if count < 0:
        return [int(random.random() * length) for _ in range(-count)]
    return list(range(length)) if count >= length else random.sample(range(length), count)


def _members(value: SortedSet, ranks: list[int]) -> list[bytes]:
    if len(ranks) * DENSE >= len(value):
        members: list[bytes] = value.range(0, len(value))
        return [members[rank] for rank in ranks]
    return [value.range(rank, rank + 1)[0] for rank in ranks]


@command(
    "ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES]",
    READONLY,
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to"
    " return back to 0. N is the number of elements inside the collection.",
    tips="nondeterministic_output",
)
def zscan(db: Keyspace, key: bytes, cursor: bytes, *options: bytes) -> list[bytes | list[bytes]]:
    """Iterates over members and scores of a sorted set."""
    place = parse_cursor(cursor)
    value = db.get(key, SortedSet)
    if value is None:
        return [b"0", []]
    how = parse_options(options, "ZSCAN")
    following, members = value.scan(place, how.count)
    members = matching(members, how.pattern)
    if not how.bare:
        text = double_text if value.listpacked else _long_text
        members = [word for member in members for word in (member, text(value.score(member)))]
    return [b"%d" % following, members]


def _long_text(score: float) -> bytes:
    """As the reference writes the scores of a skiplist here, and nowhere else."""
    return b"%.17g" % score

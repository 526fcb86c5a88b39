"""Sorted sets: members and their scores, one by one."""

from common.command import DENYOOM, FAST, READONLY, WRITE
from common.errors import RedisError, SyntaxFault, wrong_arity
from common.resp import NULL_ARRAY, NullArray
from shard.commands.sorted_set_bounds import score_of
from shard.commands.table import TABLE
from shard.events import call
from shard.keyspace import Keyspace
from shard.values.sorted_set import SortedSet, limits_of

command = TABLE.family("sorted-set")

ADDING = frozenset((b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"))
"""The options of ZADD."""
NO_OPTIONS: frozenset[bytes] = frozenset()

DIGITS_END = b":"
"""The first bytes behind the digits: what is below it is no option."""
NO_LIMITS = (0, 0)


# --- Writing ---------------------------------------------------------------------------------------------------------


@command(
    "ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
    WRITE | DENYOOM | FAST,
    since="1.2.0",
    complexity="O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    keys="RW update",
)
def zadd(db: Keyspace, key: bytes, *words: bytes) -> int | float | None:
    """Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist."""
    if len(words) == 2 and words[0] < DIGITS_END:
        return _add_one(db, key, score_of(words[0]), words[1])
    options, entries = _options_of(words)
    if b"INCR" in options:
        return _increment(db, key, options, score_of(entries[0]), entries[1])
    return _add(db, key, options, entries)


def _add_one(db: Keyspace, key: bytes, score: float, member: bytes) -> int:
    """What ZADD does for one member, without options: nearly every call."""
    value = db.to_write(key, SortedSet)
    if value is None:
        value = db.edit(key, SortedSet)
        value.put(member, score, None, limits_of(db.store.config))
        return 1
    limits = NO_LIMITS
    if value.listpacked:
        limits = limits_of(db.store.config)
        value.expect(1, len(member), limits)
    before = value.score(member)
    if before is None or before != score:
        value.put(member, score, before, limits)
        db.changed(key)
    return 1 if before is None else 0


def _options_of(words: tuple[bytes, ...]) -> tuple[frozenset[bytes], tuple[bytes, ...]]:
    """What ZADD is told, and the scores and members behind.  Raises RedisError."""
    options: set[bytes] = set()
    at = 0
    while at < len(words) and words[at].upper() in ADDING:
        options.add(words[at].upper())
        at += 1
    entries = words[at:]
    if len(entries) % 2 or not entries:
        raise SyntaxFault()
    if {b"NX", b"XX"} <= options:
        raise RedisError("ERR XX and NX options at the same time are not compatible")
    if len({b"NX", b"GT", b"LT"} & options) > 1:
        raise RedisError("ERR GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in options and len(entries) > 2:
        raise RedisError("ERR INCR option supports a single increment-element pair")
    return frozenset(options), entries


def _add(db: Keyspace, key: bytes, options: frozenset[bytes], words: tuple[bytes, ...]) -> int:
    """What ZADD does with scores and members in turn, where no scores are added up."""
    entries = [(score_of(words[at]), words[at + 1]) for at in range(0, len(words), 2)]
    value = db.to_write(key, SortedSet)
    limits = limits_of(db.store.config)
    makes = value is None
    if value is None:
        if b"XX" in options:
            return 0
        value = db.edit(key, SortedSet)
    value.expect(len(entries), max([len(member) for _, member in entries]), limits)
    added = updated = 0
    for score, member in entries:
        before = value.score(member)
        if _refused(options, before, score):
            continue
        if before is None:
            added += 1
        elif before != score:
            updated += 1
        else:
            continue
        value.put(member, score, before, limits)
    if (added or updated) and not makes:
        db.changed(key)
    return added + updated if b"CH" in options else added


def _refused(options: frozenset[bytes], before: float | None, score: float) -> bool:
    """Whether the options keep a member, which has a score `before` or is not there, from getting this score."""
    if not options:
        return False
    if before is None:
        return b"XX" in options
    return b"NX" in options or (b"LT" in options and score >= before) or (b"GT" in options and score <= before)


def _increment(db: Keyspace, key: bytes, options: frozenset[bytes], increment: float, member: bytes) -> float | None:
    """The score after it, None if the options are against it.  Raises RedisError if there would be none."""
    if db.heard:
        call(db, b"zincr")
    value = db.to_write(key, SortedSet)
    limits = limits_of(db.store.config)
    makes = value is None
    if value is None:
        if b"XX" in options:
            return None
        value = db.edit(key, SortedSet)
    value.expect(1, len(member), limits)
    before = value.score(member)
    score = increment if before is None else before + increment
    if score != score and b"NX" not in options:
        raise RedisError("ERR resulting score is not a number (NaN)")
    if _refused(options, before, score):
        return None
    if before is None or score != before:
        value.put(member, score, before, limits)
        if not makes:
            db.changed(key)
    return score


@command(
    "ZINCRBY key increment member",
    WRITE | DENYOOM | FAST,
    since="1.2.0",
    complexity="O(log(N)) where N is the number of elements in the sorted set.",
    keys="RW access update",
)
def zincrby(db: Keyspace, key: bytes, increment: bytes, member: bytes) -> float | None:
    """Increments the score of a member in a sorted set."""
    return _increment(db, key, NO_OPTIONS, score_of(increment), member)


@command(
    "ZREM key member [member ...]",
    WRITE | FAST,
    since="1.2.0",
    complexity="O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be"
    " removed.",
    keys="RW delete",
)
def zrem(db: Keyspace, key: bytes, *members: bytes) -> int:
    """Removes one or more members from a sorted set. Deletes the sorted set if all members were removed."""
    value = db.to_write(key, SortedSet)
    if value is None:
        return 0
    removed = 0
    for member in members:
        removed += value.remove(member)
    if removed:
        db.shrunk(key, value)
    return removed


# --- Reading ---------------------------------------------------------------------------------------------------------


@command("ZCARD key", READONLY | FAST, since="1.2.0", complexity="O(1)", keys="RO")
def zcard(db: Keyspace, key: bytes) -> int:
    """Returns the number of members in a sorted set."""
    value = db.get(key, SortedSet)
    return 0 if value is None else len(value)


@command("ZSCORE key member", READONLY | FAST, since="1.2.0", complexity="O(1)")
def zscore(db: Keyspace, key: bytes, member: bytes) -> float | None:
    """Returns the score of a member in a sorted set."""
    return _score(db, key, member)


def _score(db: Keyspace, key: bytes, member: bytes) -> float | None:
    value = db.get(key, SortedSet)
    return None if value is None else value.score(member)


@command(
    "ZMSCORE key member [member ...]",
    READONLY | FAST,
    since="6.2.0",
    complexity="O(N) where N is the number of members being requested.",
)
def zmscore(db: Keyspace, key: bytes, *members: bytes) -> list[float | None]:
    """Returns the score of one or more members in a sorted set."""
    value = db.get(key, SortedSet)
    return [None if value is None else value.score(member) for member in members]


@command("ZRANK key member [WITHSCORE]", READONLY | FAST, since="2.0.0", complexity="O(log(N))")
def zrank(db: Keyspace, key: bytes, member: bytes, *options: bytes) -> int | list[int | float] | NullArray | None:
    """Returns the index of a member in a sorted set ordered by ascending scores."""
    if not options:
        rank = _rank(db, key, member)
        return None if rank < 0 else rank
    return _rank_with_score(db, key, member, options, "zrank")


@command("ZREVRANK key member [WITHSCORE]", READONLY | FAST, since="2.0.0", complexity="O(log(N))")
def zrevrank(db: Keyspace, key: bytes, member: bytes, *options: bytes) -> int | list[int | float] | NullArray | None:
    """Returns the index of a member in a sorted set ordered by descending scores."""
    if not options:
        rank = _rank_from_above(db, key, member)
        return None if rank < 0 else rank
    return _rank_with_score(db, key, member, options, "zrevrank")


def _rank(db: Keyspace, key: bytes, member: bytes) -> int:
    """-1 if it is not there."""
    value = db.get(key, SortedSet)
    return -1 if value is None else value.rank(member)


def _rank_from_above(db: Keyspace, key: bytes, member: bytes) -> int:
    """-1 if it is not there."""
    value = db.get(key, SortedSet)
    if value is None:
        return -1
    rank: int = value.rank(member)
    return -1 if rank < 0 else len(value) - 1 - rank


def _rank_with_score(
    db: Keyspace, key: bytes, member: bytes, options: tuple[bytes, ...], name: str
) -> list[int | float] | NullArray:
    if len(options) > 1:
        raise wrong_arity(name)
    if options[0].upper() != b"WITHSCORE":
        raise SyntaxFault()
    value = db.get(key, SortedSet)
    rank = -1 if value is None else value.rank(member)
    if value is None or rank < 0:
        return NULL_ARRAY
    return [rank if name == "zrank" else len(value) - 1 - rank, value.score(member)]

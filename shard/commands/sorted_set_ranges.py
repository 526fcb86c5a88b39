"""Sorted sets: ranges by rank, by score and by name, read, counted, stored and removed.

One function reads all the range commands: each says beforehand what it fixes, and the options say the rest.
"""

from dataclasses import dataclass
from typing import Any

from common.command import DENYOOM, FAST, READONLY, WRITE
from common.errors import RedisError, SyntaxFault
from common.numbers import integer
from common.resp import Pairs
from shard.commands.sorted_set_bounds import (
    Span,
    limited,
    name_bound,
    score_bound,
    span_by_name,
    span_by_rank,
    span_by_score,
)
from shard.commands.table import TABLE
from shard.events import tell
from shard.keyspace import Keyspace
from shard.values.sorted_set import Limits, SortedSet, limits_of, sorted_set_of

command = TABLE.family("sorted-set")

RANK, SCORE, NAME = b"", b"BYSCORE", b"BYLEX"

Members = list[bytes] | Pairs


@dataclass(slots=True)
class Query:
    """What a call asks for."""

    by: bytes | None = None
    """RANK, SCORE or NAME; None until an option says so."""
    reverse: bool | None = None
    """From the highest on; None until an option says so."""
    with_scores: bool = False
    offset: int = 0
    count: int = -1
    """Members at most, all if negative."""
    low: Any = None
    high: Any = None
    """The bounds, as sorted_set_bounds.py makes them."""

    def span(self, value: SortedSet) -> Span:
        """The ranks that it means. O(log n)."""
        if self.by == RANK:
            return span_by_rank(len(value), self.low, self.high, bool(self.reverse))
        if self.by == SCORE:
            span = span_by_score(value, self.low, self.high)
        else:
            span = span_by_name(value, self.low, self.high, bool(self.reverse))
        return limited(span, self.offset, self.count, bool(self.reverse), value.listpacked)


def query_of(
    first: bytes, last: bytes, words: tuple[bytes, ...], by: bytes | None, reverse: bool | None, stores: bool = False
) -> Query:
    """What a call asks for, whose command fixes `by` and `reverse` unless they are None.  Raises RedisError."""
    query = Query(by, reverse)
    _read_options(query, words, stores)
    if query.by is None:
        query.by = RANK
    if query.count != -1 and query.by == RANK:
        raise RedisError("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
    if query.with_scores and query.by == NAME:
        raise RedisError("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
    if query.by == RANK:
        query.low, query.high = integer(first), integer(last)
    else:
        bound = score_bound if query.by == SCORE else name_bound
        low, high = (last, first) if query.reverse else (first, last)
        query.low, query.high = bound(low), bound(high)
    return query


def _read_options(query: Query, words: tuple[bytes, ...], stores: bool) -> None:
    at = 0
    while at < len(words):
        word = words[at].upper()
        if word == b"WITHSCORES" and not stores:
            query.with_scores = True
        elif word == b"LIMIT" and len(words) - at > 2:
            query.offset, query.count = integer(words[at + 1]), integer(words[at + 2])
            at += 2
        elif word == b"REV" and query.reverse is None:
            query.reverse = True
        elif word in (SCORE, NAME) and query.by is None:
            query.by = word
        else:
            raise SyntaxFault()
        at += 1


# --- Reading ---------------------------------------------------------------------------------------------------------

RANGE_COMPLEXITY = (
    "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned."
)
LIMIT_COMPLEXITY = (
    "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If"
    " M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N))."
)


@command(
    "ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
    READONLY,
    since="1.2.0",
    complexity=RANGE_COMPLEXITY,
    types="start string stop string",
)
def zrange(db: Keyspace, key: bytes, start: bytes, stop: bytes, *options: bytes) -> Members:
    """Returns members in a sorted set within a range of indexes."""
    if not options:
        return _by_rank(db, key, integer(start), integer(stop))
    return _read(db, key, query_of(start, stop, options, None, None))


def _by_rank(db: Keyspace, key: bytes, first: int, last: int) -> list[bytes]:
    """The members between two ranks: most calls are that."""
    value = db.get(key, SortedSet)
    if value is None:
        return []
    span = span_by_rank(len(value), first, last, False)
    members: list[bytes] = value.range(span[0], span[1])
    return members


def _read(db: Keyspace, key: bytes, query: Query) -> Members:
    value = db.get(key, SortedSet)
    if value is None:
        return []
    start, stop = query.span(value)
    members: list[bytes] = value.range(start, stop)
    if query.with_scores:
        scores = value.scores(start, stop)
        if query.reverse:
            scores.reverse()
            members.reverse()
        return Pairs(zip(members, scores, strict=True))
    if query.reverse:
        members.reverse()
    return members


@command("ZREVRANGE key start stop [WITHSCORES]", READONLY, since="1.2.0", complexity=RANGE_COMPLEXITY)
def zrevrange(db: Keyspace, key: bytes, start: bytes, stop: bytes, *options: bytes) -> Members:
    """Returns members in a sorted set within a range of indexes in reverse order."""
    return _read(db, key, query_of(start, stop, options, RANK, True))


@command(
    "ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]",
    READONLY,
    since="1.0.5",
    complexity=LIMIT_COMPLEXITY,
    types="min double max double",
)
def zrangebyscore(db: Keyspace, key: bytes, low: bytes, high: bytes, *options: bytes) -> Members:
    """Returns members in a sorted set within a range of scores."""
    return _read(db, key, query_of(low, high, options, SCORE, False))


@command(
    "ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]",
    READONLY,
    since="2.2.0",
    complexity=LIMIT_COMPLEXITY,
    types="max double min double",
)
def zrevrangebyscore(db: Keyspace, key: bytes, high: bytes, low: bytes, *options: bytes) -> Members:
    """Returns members in a sorted set within a range of scores in reverse order."""
    return _read(db, key, query_of(high, low, options, SCORE, True))


@command("ZRANGEBYLEX key min max [LIMIT offset count]", READONLY, since="2.8.9", complexity=LIMIT_COMPLEXITY)
def zrangebylex(db: Keyspace, key: bytes, low: bytes, high: bytes, *options: bytes) -> Members:
    """Returns members in a sorted set within a lexicographical range."""
    return _read(db, key, query_of(low, high, options, NAME, False))


@command("ZREVRANGEBYLEX key max min [LIMIT offset count]", READONLY, since="2.8.9", complexity=LIMIT_COMPLEXITY)
def zrevrangebylex(db: Keyspace, key: bytes, high: bytes, low: bytes, *options: bytes) -> Members:
    """Returns members in a sorted set within a lexicographical range in reverse order."""
    return _read(db, key, query_of(high, low, options, NAME, True))


@command(
    "ZCOUNT key min max",
    READONLY | FAST,
    since="2.0.0",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    types="min double max double",
)
def zcount(db: Keyspace, key: bytes, low: bytes, high: bytes) -> int:
    """Returns the count of members in a sorted set that have scores within a range."""
    return _count(db, key, query_of(low, high, (), SCORE, False))


@command(
    "ZLEXCOUNT key min max",
    READONLY | FAST,
    since="2.8.9",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
)
def zlexcount(db: Keyspace, key: bytes, low: bytes, high: bytes) -> int:
    """Returns the number of members in a sorted set within a lexicographical range."""
    return _count(db, key, query_of(low, high, (), NAME, False))


def _count(db: Keyspace, key: bytes, query: Query) -> int:
    value = db.get(key, SortedSet)
    if value is None:
        return 0
    start, stop = query.span(value)
    return stop - start


# --- Writing ---------------------------------------------------------------------------------------------------------

REMOVE_COMPLEXITY = (
    "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the"
    " operation."
)


@command(
    "ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
    WRITE | DENYOOM,
    since="6.2.0",
    complexity="O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored"
    " into the destination key.",
)
def zrangestore(db: Keyspace, dst: bytes, src: bytes, low: bytes, high: bytes, *options: bytes) -> int:
    """Stores a range of members from sorted set in a key."""
    query = query_of(low, high, options, None, None, stores=True)
    value = db.get(src, SortedSet)
    start, stop = (0, 0) if value is None else query.span(value)
    if start == stop:
        db.delete(dst)
        return 0
    assert value is not None
    entries = list(zip(value.range(start, stop), value.scores(start, stop), strict=True))
    db.set(dst, _stored(entries, query, limits_of(db.store.config)))
    return stop - start


def _stored(entries: list[tuple[bytes, float]], query: Query, limits: Limits) -> SortedSet:
    """A sorted set of the `entries` of a range."""
    made = sorted_set_of(entries, limits)
    if made.listpacked or 0.0 not in [score for _, score in entries]:
        return made
    # The reference puts in one after the other: what was a listpack until then has lost the sign of its zeros.
    made = SortedSet()
    if query.by == RANK:
        made.expect(len(entries), 0, limits)
    for member, score in reversed(entries) if query.reverse else entries:
        made.put(member, score, None, limits)
    return made


@command("ZREMRANGEBYRANK key start stop", WRITE, since="2.0.0", complexity=REMOVE_COMPLEXITY, keys="RW delete")
def zremrangebyrank(db: Keyspace, key: bytes, start: bytes, stop: bytes) -> int:
    """Removes members in a sorted set within a range of indexes. Deletes the sorted set if all members were removed."""
    return _remove(db, key, query_of(start, stop, (), RANK, False))


@command(
    "ZREMRANGEBYSCORE key min max",
    WRITE,
    since="1.2.0",
    complexity=REMOVE_COMPLEXITY,
    keys="RW delete",
    types="min double max double",
)
def zremrangebyscore(db: Keyspace, key: bytes, low: bytes, high: bytes) -> int:
    """Removes members in a sorted set within a range of scores. Deletes the sorted set if all members were removed."""
    return _remove(db, key, query_of(low, high, (), SCORE, False))


@command(
    "ZREMRANGEBYLEX key min max",
    WRITE,
    since="2.8.9",
    complexity=REMOVE_COMPLEXITY,
    keys="RW delete",
    summary="Removes members in a sorted set within a lexicographical range. Deletes the sorted set if all members"
    " were removed.",
)
def zremrangebylex(db: Keyspace, key: bytes, low: bytes, high: bytes) -> int:
    """Answers how many they were."""
    return _remove(db, key, query_of(low, high, (), NAME, False))


def _remove(db: Keyspace, key: bytes, query: Query) -> int:
    value = db.to_write(key, SortedSet)
    if value is None:
        return 0
    start, stop = query.span(value)
    if stop - start == len(value):
        if db.heard:
            tell(db, key)
        db.delete(key)  # O(1), whatever was in it.
    elif start < stop:
        value.cut(start, stop)
        db.changed(key)
    return stop - start

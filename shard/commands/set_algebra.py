"""Intersections, unions and differences of sets, answered or stored. All are linear in the members that they look at.

What is stored gets the encoding that the reference gives it, which depends on how that goes about it: see `_stored`.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from common.command import DENYOOM, READONLY, WRITE
from common.errors import RedisError, SyntaxFault
from common.resp import Members
from shard.commands.counts import parse_limit, positive
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.set import INTSET, LISTPACK, Set, as_intset, collected, limits_of, made

command = TABLE.family("set")

TOTAL = "O(N) where N is the total number of elements in all given sets."
SMALLEST = "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets."
UNORDERED = "nondeterministic_output_order"

STEP_MEMBERS = 1024
"""How many members of the smallest set are looked for in the others at a time: SINTERCARD stops at its LIMIT."""


# --- Intersection ----------------------------------------------------------------------------------------------------


@command("SINTER key [key ...]", READONLY, since="1.0.0", complexity=SMALLEST, tips=UNORDERED)
def sinter(db: Keyspace, *keys: bytes) -> Members:
    """Returns the intersect of multiple sets."""
    return Members(_common_of_all(_sets(db, keys)))


@command("SINTERSTORE destination key [key ...]", WRITE | DENYOOM, since="1.0.0", complexity=SMALLEST)
def sinterstore(db: Keyspace, destination: bytes, *keys: bytes) -> int:
    """Stores the intersect of multiple sets in a key."""
    sets = _sets(db, keys)
    members = _common_of_all(sets)
    if not members:
        return _store(db, destination, None)
    kind = INTSET if _by_size(sets)[0].kind == INTSET else LISTPACK
    return _store(db, destination, as_intset(collected(kind, members, db.store.config), db.store.config))


@command("SINTERCARD numkeys key [key ...] [LIMIT limit]", READONLY, since="7.0.0", complexity=SMALLEST)
def sintercard(db: Keyspace, numkeys: bytes, *words: bytes) -> int:
    """Returns the number of members of the intersect of multiple sets."""
    count = positive(numkeys, "ERR numkeys should be greater than 0")
    if count > len(words):
        raise RedisError("ERR Number of keys can't be greater than number of args")
    limit = _limit(words[count:])
    found = 0
    for members in _common(_sets(db, words[:count])):
        found += len(members)
        if 0 < limit <= found:
            return limit
    return found


def _limit(words: tuple[bytes, ...]) -> int:
    """The last LIMIT that is said, 0 for none.  Raises RedisError."""
    limit = 0
    rest = iter(words)
    for word in rest:
        number = next(rest, None)
        if word.upper() != b"LIMIT" or number is None:
            raise SyntaxFault()
        limit = parse_limit(number)
    return limit


def _common_of_all(sets: Sequence[Set | None]) -> list[bytes]:
    return list(chain.from_iterable(_common(sets)))


def _common(sets: Sequence[Set | None]) -> Iterator[list[bytes]]:
    """What is in all of them, in some steps, in the order of the smallest."""
    if None in sets:
        return
    smallest, *others = _by_size(sets)
    lookups = [other.lookup() for other in others if other is not smallest]
    rest = iter(smallest)
    while members := list(islice(rest, STEP_MEMBERS)):
        for lookup in lookups:
            members = [member for member in members if member in lookup]
        yield members


def _by_size(sets: Iterable[Set | None]) -> list[Set]:
    return sorted((value for value in sets if value is not None), key=len)


# --- Union -----------------------------------------------------------------------------------------------------------


@command("SUNION key [key ...]", READONLY, since="1.0.0", complexity=TOTAL, tips=UNORDERED)
def sunion(db: Keyspace, *keys: bytes) -> Members:
    """Returns the union of multiple sets."""
    sets = _sets(db, keys)
    members = _union(sets)
    # Of intsets the reference makes another one, which is in order.
    in_order = all(value is None or value.kind == INTSET for value in sets)
    return Members(sorted(members, key=int) if in_order else members)


@command("SUNIONSTORE destination key [key ...]", WRITE | DENYOOM, since="1.0.0", complexity=TOTAL)
def sunionstore(db: Keyspace, destination: bytes, *keys: bytes) -> int:
    """Stores the union of multiple sets in a key."""
    members = _union(_sets(db, keys))
    return _store(db, destination, collected(INTSET, members, db.store.config) if members else None)


def _union(sets: Iterable[Set | None]) -> dict[bytes, None]:
    """Their members, each once, in the order in which they come first."""
    return dict.fromkeys(chain.from_iterable(value for value in sets if value is not None))


# --- Difference ------------------------------------------------------------------------------------------------------


@command("SDIFF key [key ...]", READONLY, since="1.0.0", complexity=TOTAL, tips=UNORDERED)
def sdiff(db: Keyspace, *keys: bytes) -> Members:
    """Returns the difference of multiple sets."""
    return Members(_difference(_sets(db, keys)))


@command("SDIFFSTORE destination key [key ...]", WRITE | DENYOOM, since="1.0.0", complexity=TOTAL)
def sdiffstore(db: Keyspace, destination: bytes, *keys: bytes) -> int:
    """Stores the difference of multiple sets in a key."""
    sets = _sets(db, keys)
    members = _difference(sets)
    if not members:
        return _store(db, destination, None)
    config = db.store.config
    first = sets[0]
    assert first is not None
    if not _takes_away(first, sets):
        return _store(db, destination, collected(INTSET, members, config))
    kind = collected(INTSET, islice(first, max(limits_of(config)) + 1), config).kind
    return _store(db, destination, made(kind, members))


def _takes_away(first: Set, sets: Sequence[Set | None]) -> bool:
    """Whether the reference takes the others' members out of a copy of the first set, which then keeps the encoding
    that it had with all of them; else it looks for each member of the first in the others.
    """
    there = [value for value in sets if value is not None]
    return len(first) * len(there) // 2 > sum(map(len, there))


def _difference(sets: Sequence[Set | None]) -> list[bytes]:
    """What is in the first of them only, in its order."""
    first, *others = sets
    if first is None or first in others:
        return []
    members = first.to_list()
    for other in others:
        if not members:
            break
        if other is not None:
            lookup = other.lookup()
            members = [member for member in members if member not in lookup]
    return members


# --- All of them -----------------------------------------------------------------------------------------------------


def _sets(db: Keyspace, keys: Iterable[bytes]) -> list[Set | None]:
    """The sets at these keys, None where there is none.  Raises WrongType."""
    return [db.get(key, Set) for key in keys]


def _store(db: Keyspace, destination: bytes, value: Set | None) -> int:
    """Puts it there, whatever was there before; without any members nothing is left there."""
    if value is None:
        db.delete(destination)
        return 0
    db.set(destination, value)
    return len(value)

"""Lists: pushing at the ends, and reading."""

from itertools import islice

from common.command import DENYOOM, FAST, READONLY, WRITE
from common.errors import RedisError, SyntaxFault
from common.numbers import integer
from shard.commands.counts import not_negative, symmetric
from shard.commands.list_arguments import bounds, fill_of, place_of
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.list import LEFT, RIGHT, List

command = TABLE.family("list")

ZERO_RANK = (
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from "
    "the end of the list"
)

PUSH_FLAGS = WRITE | DENYOOM | FAST
PUSH_COMPLEXITY = (
    "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."
)


# --- Pushing ---------------------------------------------------------------------------------------------------------


@command("LPUSH key element [element ...]", PUSH_FLAGS, since="1.0.0", complexity=PUSH_COMPLEXITY, keys="RW insert")
def lpush(db: Keyspace, key: bytes, *elements: bytes) -> int:
    """Prepends one or more elements to a list. Creates the key if it doesn't exist."""
    return _push(db, key, elements, LEFT)


@command("RPUSH key element [element ...]", PUSH_FLAGS, since="1.0.0", complexity=PUSH_COMPLEXITY, keys="RW insert")
def rpush(db: Keyspace, key: bytes, *elements: bytes) -> int:
    """Appends one or more elements to a list. Creates the key if it doesn't exist."""
    return _push(db, key, elements, RIGHT)


@command(
    "LPUSHX key element [element ...]",
    PUSH_FLAGS,
    since="2.2.0",
    complexity=PUSH_COMPLEXITY,
    keys="RW insert",
    event="lpush",
)
def lpushx(db: Keyspace, key: bytes, *elements: bytes) -> int:
    """Prepends one or more elements to a list only when the list exists."""
    return 0 if db.to_write(key, List) is None else _push(db, key, elements, LEFT)


@command(
    "RPUSHX key element [element ...]",
    PUSH_FLAGS,
    since="2.2.0",
    complexity=PUSH_COMPLEXITY,
    keys="RW insert",
    event="rpush",
)
def rpushx(db: Keyspace, key: bytes, *elements: bytes) -> int:
    """Appends one or more elements to a list only when the list exists."""
    return 0 if db.to_write(key, List) is None else _push(db, key, elements, RIGHT)


def _push(db: Keyspace, key: bytes, elements: tuple[bytes, ...], end: int) -> int:
    value = db.edit(key, List)
    value.push(elements, end, fill_of(db))
    return len(value)


# --- Reading ---------------------------------------------------------------------------------------------------------


@command("LLEN key", READONLY | FAST, since="1.0.0", complexity="O(1)", keys="RO")
def llen(db: Keyspace, key: bytes) -> int:
    """Returns the length of a list."""
    value = db.get(key, List)
    return 0 if value is None else len(value)


@command(
    "LRANGE key start stop",
    READONLY,
    since="1.0.0",
    complexity="O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or "
    "TAIL) for large lists; and N is the number of elements in the specified range.",
)
def lrange(db: Keyspace, key: bytes, start: bytes, stop: bytes) -> list[bytes]:
    """Returns a range of elements from a list."""
    return _range(db, key, integer(start), integer(stop))


def _range(db: Keyspace, key: bytes, first: int, last: int) -> list[bytes]:
    value = db.get(key, List)
    if value is None:
        return []
    first, end = bounds(first, last, len(value))
    return value.range(first, end - first) if first < end else []


@command(
    "LINDEX key index",
    READONLY,
    since="1.0.0",
    complexity="O(N) where N is the number of elements to traverse to get to the element at index. This makes asking "
    "for the first or the last element of the list O(1).",
)
def lindex(db: Keyspace, key: bytes, index: bytes) -> bytes | None:
    """Returns an element from a list by its index."""
    value = db.get(key, List)
    if value is None:
        return None
    place = place_of(integer(index), len(value))
    return None if place is None else value.index(place)


@command(
    "LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
    READONLY,
    since="6.0.6",
    complexity="O(N) where N is the number of elements in the list, for the average case. When searching for elements "
    "near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant "
    "time.",
)
def lpos(db: Keyspace, key: bytes, element: bytes, *options: bytes) -> list[int] | int | None:
    """Returns the index of matching elements in a list."""
    rank, count, most = _parse_lpos(options)
    value = db.get(key, List)
    indexes = [] if value is None else _matching(value, element, rank, 1 if count is None else count, most)
    if count is None:
        return indexes[0] if indexes else None
    return indexes


def _matching(value: List, element: bytes, rank: int, count: int, most: int) -> list[int]:
    """The indexes of matches: the first is the one of `rank`, from the right if that is negative. 0 is no limit."""
    length = len(value)
    most = min(most or length, length)
    end = LEFT if rank > 0 else RIGHT
    within = (
        index for index in value.matches(element, most, end) if (index if end == LEFT else length - 1 - index) < most
    )
    first = abs(rank) - 1
    return list(islice(within, min(first, length), first + count if count and first + count <= length else None))


def _parse_lpos(words: tuple[bytes, ...]) -> tuple[int, int | None, int]:
    """Rank, count (None if none is said) and how many elements to look at.  Raises RedisError."""
    rank, count, most = 1, None, 0
    rest = iter(words)
    for word in rest:
        name, value = word.upper(), next(rest, None)
        if value is None or name not in (b"RANK", b"COUNT", b"MAXLEN"):
            raise SyntaxFault()
        if name == b"RANK":
            rank = symmetric(value)
            if not rank:
                raise RedisError(ZERO_RANK)
        elif name == b"COUNT":
            count = not_negative(value, "ERR COUNT can't be negative")
        else:
            most = not_negative(value, "ERR MAXLEN can't be negative")
    return rank, count, most

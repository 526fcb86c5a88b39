"""What is measured: a row is a command as redis-benchmark sends it, `__rand_int__` being a random number of 12 digits.

A row that reads needs keys to read: `filled` and `data` say with what the server is filled before.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Commands = Iterator[tuple[str, ...]]

KEYSPACE = 100_000
"""How many different keys there are: redis-benchmark's -r."""

KEY = "key:__rand_int__"
FEW = 1_000
"""Keys of rows that need much in each."""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    argv: tuple[str, ...]
    filled: bool = False
    """If all keys must be there, as strings of VALUE."""
    other_argv: tuple[str, ...] = ()
    """A second command, which half of the clients send."""
    keyspace: int = KEYSPACE
    data: Callable[[], Commands] | None = None
    """The commands that make what the row needs."""
    transaction: tuple[tuple[str, ...], ...] = ()
    """Commands between MULTI and EXEC, counted as one: all their random numbers are the same, and all that they answer
    is equally long each time. Then tests/bench/volleys.py makes the load, not redis-benchmark."""


VALUE = "xxx"
DIGITS = 12
"""Of a __rand_int__."""
CHUNK = 500
"""Elements that one command of `data` puts in."""

POPPED = 1_500
"""Elements of each list that is popped: enough for three rounds at P=64."""
MEMBERS = 100_000
FIELDS = 20


def lists(length: int) -> Commands:
    elements = [VALUE] * length
    for number in range(FEW):
        for first in range(0, length, CHUNK):
            yield "RPUSH", f"list:{number:0{DIGITS}}", *elements[first : first + CHUNK]


def hashes() -> Commands:
    pairs = [word for field in range(FIELDS) for word in (f"field:{field:04}", VALUE)]
    for number in range(FEW):
        yield "HSET", f"hash:{number:0{DIGITS}}", *pairs


def sorted_set() -> Commands:
    for first in range(0, MEMBERS, CHUNK):
        numbers = range(first, first + CHUNK)
        yield "ZADD", "zset", *[word for number in numbers for word in (str(number), f"element:{number:0{DIGITS}}")]


ELEMENT = "element:__rand_int__"
ONE, TWO = "{key:__rand_int__}:1", "{key:__rand_int__}:2"
"""Two keys on one shard."""
FIVE = (("SET", ONE, VALUE), ("SET", TWO, VALUE), ("GET", ONE), ("EXISTS", ONE, TWO), ("GET", TWO))

ROWS = (
    Row("SET", ("SET", KEY, VALUE)),
    Row("GET", ("GET", KEY), filled=True),
    Row("INCR", ("INCR", "counter:__rand_int__")),
    Row("MSET 10", ("MSET", *(KEY, VALUE) * 10)),
    Row("MGET 10", ("MGET", *(KEY,) * 10), filled=True),
    Row("LPUSH", ("LPUSH", "list:__rand_int__", VALUE)),
    Row("RPOP", ("RPOP", "list:__rand_int__"), keyspace=FEW, data=lambda: lists(POPPED)),
    Row("LRANGE 100", ("LRANGE", "list:__rand_int__", "0", "99"), keyspace=FEW, data=lambda: lists(100)),
    Row("SADD", ("SADD", "set:__rand_int__", ELEMENT)),
    Row("HSET", ("HSET", "hash:__rand_int__", "field:__rand_int__", VALUE)),
    Row("HGETALL 20", ("HGETALL", "hash:__rand_int__"), keyspace=FEW, data=hashes),
    Row("ZADD", ("ZADD", "zset", "__rand_int__", ELEMENT), keyspace=MEMBERS, data=sorted_set),
    Row("ZRANGE 10", ("ZRANGE", "zset", "50000", "50009"), data=sorted_set),
    Row("ZRANK", ("ZRANK", "zset", ELEMENT), keyspace=MEMBERS, data=sorted_set),
    Row("EXEC 5", ("EXEC",), transaction=FIVE),
    Row("XADD", ("XADD", "stream:__rand_int__", "*", "field", VALUE), keyspace=FEW),
)


def named(names: list[str]) -> list[Row]:
    """The rows of these names, in any case; all if none is named.  Raises ValueError for an unknown one."""
    by_name = {row.name.lower(): row for row in ROWS}
    unknown = [name for name in names if name.lower() not in by_name]
    if unknown:
        raise ValueError(f"no such row: {', '.join(unknown)}; there are {', '.join(row.name for row in ROWS)}")
    return [by_name[name.lower()] for name in names] or list(ROWS)

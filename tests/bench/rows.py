"""What is measured: a row is a command as redis-benchmark sends it, `__rand_int__` being a random number of 12 digits.

A row that reads needs keys to read: `filled` says with what the server is filled before.
"""

from dataclasses import dataclass

KEYSPACE = 100_000
"""How many different keys there are: redis-benchmark's -r."""

KEY = "key:__rand_int__"


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    argv: tuple[str, ...]
    filled: bool = False
    """If all keys must be there, as strings of VALUE."""
    other_argv: tuple[str, ...] = ()
    """A second command, which half of the clients send."""


VALUE = "xxx"

ROWS = (
    Row("SET", ("SET", KEY, VALUE)),
    Row("GET", ("GET", KEY), filled=True),
    Row("INCR", ("INCR", "counter:__rand_int__")),
    Row("MSET 10", ("MSET", *(KEY, VALUE) * 10)),
    Row("MGET 10", ("MGET", *(KEY,) * 10), filled=True),
)


def named(names: list[str]) -> list[Row]:
    """The rows of these names, in any case; all if none is named.  Raises ValueError for an unknown one."""
    by_name = {row.name.lower(): row for row in ROWS}
    unknown = [name for name in names if name.lower() not in by_name]
    if unknown:
        raise ValueError(f"no such row: {', '.join(unknown)}; there are {', '.join(row.name for row in ROWS)}")
    return [by_name[name.lower()] for name in names] or list(ROWS)

"""Joining the values that several shards answered to one command into one reply.

The names are those of Redis's response policies, which is what a command's declaration says. Each takes the parts'
values, in the order in which the parts were cut; an error of a part never gets here.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any

from common.resp import Status

Merge = Callable[[list[Any]], Any]
"""Joins the values that the shards answered, in the order of the parts, into one reply."""


def concatenated(values: list[Any]) -> Any:
    """Arrays one after the other (KEYS)."""
    return list(chain.from_iterable(values))


def first(values: list[Any]) -> Any:
    """All say the same (FLUSHALL)."""
    return text_status(values[0])


def any_of(values: list[Any]) -> Any:
    """One that is not null, if there is one (RANDOMKEY)."""
    return next((value for value in values if value is not None), None)


def all_true(values: list[Any]) -> Any:
    return int(all(values))


def any_true(values: list[Any]) -> Any:
    return int(any(values))


def text_status(value: Any) -> Any:
    """A text among values is a simple string: texts of other kinds travel as bytes."""
    return Status(value) if type(value) is str else value


MERGES: dict[str, Merge] = {
    "": concatenated,
    "all_succeeded": first,
    "one_succeeded": any_of,
    "agg_sum": sum,
    "agg_min": min,
    "agg_max": max,
    "agg_logical_and": all_true,
    "agg_logical_or": any_true,
    "special": any_of,
}
"""By the response policy of a command's declaration; "" is what Redis Cluster's clients do where there is none."""

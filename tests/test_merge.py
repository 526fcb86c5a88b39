"""Joining the parts' replies: every response policy that a declaration can name."""

from typing import Any

import pytest

from common.flags import Merge
from common.resp import Status
from router.merge import MERGES

CASES: list[tuple[str, list[Any], Any]] = [
    ("", [[b"a"], [], [b"b", b"c"]], [b"a", b"b", b"c"]),
    ("", [[], []], []),
    ("all_succeeded", ["OK", "OK", "OK"], Status("OK")),
    ("one_succeeded", [None, b"k", None], b"k"),
    ("one_succeeded", [None, None], None),
    ("one_succeeded", [None, b""], b""),
    ("agg_sum", [2, 0, 3], 5),
    ("agg_min", [2, 1, 3], 1),
    ("agg_max", [2, 1, 3], 3),
    ("agg_logical_and", [1, 1, 1], 1),
    ("agg_logical_and", [1, 0, 1], 0),
    ("agg_logical_or", [0, 0, 0], 0),
    ("agg_logical_or", [0, 1, 0], 1),
    ("special", [None, 7], 7),
]


@pytest.mark.parametrize(("policy", "values", "joined"), CASES)
def test_each_policy(policy: str, values: list[Any], joined: Any) -> None:
    result = MERGES[policy](values)
    assert (result, type(result)) == (joined, type(joined))


def test_there_is_a_case_for_each_policy_that_can_be_declared() -> None:
    assert {policy for policy, _, _ in CASES} == set(MERGES) == {"", *Merge}

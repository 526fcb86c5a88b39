"""What the router tells, taken apart."""

import pytest

from common.command_stats import CommandStats
from metrics.facts import Facts, number, pairs
from tests.metrics_facts import facts


def test_from_wire() -> None:
    said = {
        "now_ms": 1500, "sections": {"server": {"hz": 10}}, "commands": {"get": CommandStats(3).to_wire()},
        "errors": {"ERR": 1}, "shards": [], "slow": [], "slow_length": 0, "latency_events": {}, "percentiles": [50],
        "router": {},
    }  # fmt: skip
    found = Facts.from_wire(said)
    assert (found.now_s, found.commands["get"].calls, found.number("server", "hz")) == (1.5, 3, 10.0)


def test_fields() -> None:
    known = facts()
    assert known.number("cpu", "used_cpu_sys") == 1.5
    assert known.number("cpu", "none") == 0.0 and known.number("none", "none", 7.0) == 7.0
    assert known.text("replication", "role") == "master" and known.text("none", "none") == ""
    assert known.dbs() == {"db0": {"keys": 20.0, "expires": 4.0, "avg_ttl": 2500.0, "keys_with_volatile_items": 0.0}}


@pytest.mark.parametrize(("value", "found"), [("1.5", 1.5), (2, 2.0), ("ok", -1.0), (None, -1.0)])
def test_numbers(value: object, found: float) -> None:
    assert number(value, -1.0) == found


def test_pairs() -> None:
    assert pairs("a=1,b=x=y,nonsense") == {"a": "1", "b": "x=y"}

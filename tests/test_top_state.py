"""What `shardis top` shows, and what keys do."""

import pytest

from common.command_stats import CommandStats
from metrics.facts import Facts
from metrics.top.state import INTERVALS_S, SORTS, State
from tests.metrics_facts import facts, shard, silent_shard


def counted(calls: int, each_ns: int) -> CommandStats:
    made = CommandStats()
    for _ in range(calls):
        made.count(each_ns)
    return made


def looked(*looks: Facts) -> State:
    state = State("here:6379")
    for place, known in enumerate(looks):
        known.now_s = 1000.0 + place
        state.look(known)
    return state


def test_rates_come_with_the_second_look() -> None:
    state = looked(facts(commands={}), facts(1000.0, commands={"get": counted(10, 2000)}, total_commands_processed=10))
    assert list(state.ops) == [None, 10.0] and [one["name"] for one in state.commands] == ["get"]
    assert 1.0 <= (state.percentiles["p99"] or 0.0) <= 2.1
    assert looked(facts()).percentiles == {}


def test_another_server_begins_anew() -> None:
    one, other = facts(total_commands_processed=5), facts(total_commands_processed=9)
    one.sections["server"]["run_id"], other.sections["server"]["run_id"] = "a", "b"
    assert list(looked(one, other).ops) == [None, None]


@pytest.mark.parametrize(
    ("known", "kind", "text"),
    [
        (facts(), "good", "all 2 shards ready"),
        (facts(1.0, shard(0)), "good", "ready"),
        (facts(1.0, shard(0), silent_shard(1)), "bad", "shard 1 is down"),
        (facts(1.0, silent_shard(0), silent_shard(1)), "bad", "shards 0, 1 are down"),
        (facts(1.0, shard(0), shard(1, state="loading")), "warn", "loading: shard 1"),
        (facts(aof_last_write_status="err"), "bad", "the log can't be written"),
    ],
)
def test_the_verdict(known: Facts, kind: str, text: str) -> None:
    assert looked(known).verdict() == (kind, text)


def test_a_connection_that_is_lost() -> None:
    state = looked(facts(), facts())
    state.lose("Connection refused")
    assert state.verdict() == ("bad", "no connection: Connection refused") and state.ops[-1] is None
    assert state.facts is not None, "what was known stays"
    state.look(facts())
    assert state.verdict()[0] == "good"
    assert State("x").verdict() == ("warn", "connecting")


def test_orders() -> None:
    before: dict[str, CommandStats] = {}
    after = {"a": counted(10, 1000), "b": counted(1, 900_000), "c": counted(100, 100)}
    state = looked(facts(commands=before), facts(commands=after))
    found = {}
    for key in "tcmpn":
        state.key(key)
        found[key] = "".join(one["name"] for one in state.sorted_commands())
    assert found["c"] == "cab" and found["n"] == "abc" and found["m"] == "bac"


def test_s_goes_through_all_orders() -> None:
    state, seen = State("x"), []
    for _ in SORTS:
        state.key("s")
        seen.append(state.sort)
    assert sorted(seen) == sorted(SORTS) and state.sort == "time"


def test_keys() -> None:
    state = State("x")
    assert state.key(" ") and state.paused and state.key(" ") and not state.paused
    assert not state.key("x") and not state.quitting
    for _ in range(10):
        state.key("-")
    assert state.interval_s == INTERVALS_S[-1]
    for _ in range(10):
        state.key("+")
    assert state.interval_s == INTERVALS_S[0]
    assert state.key("q") and state.quitting

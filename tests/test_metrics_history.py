"""The last ten minutes: rates between looks, gaps, what happened."""

from typing import Any

from common.command_stats import CommandStats
from metrics.facts import Facts
from metrics.history import COMMANDS_SHOWN, EVENTS_MAX, KEPT_S, History, Sample
from tests.metrics_facts import facts, shard, silent_shard


def seen(*looks: Facts | None, every_s: float = 1.0) -> History:
    """A history of these looks, one a second."""
    history = History(2)
    for place, known in enumerate(looks):
        if known is not None:
            known.now_s = 1000.0 + place * every_s
        history.look(known, 1000.0 + place * every_s)
    return history


def last(*looks: Facts | None) -> Sample:
    return seen(*looks).samples[-1]


def test_the_first_look_has_levels_and_no_rates() -> None:
    sample = last(facts())
    assert (sample["up"], sample["clients"], sample["keys"], sample["log"]) == (True, 5, 20, 1000)
    assert "ops" not in sample and "ops" not in sample["shards"][0]


def test_rates() -> None:
    before = facts(1000.0, shard(0, 10, hits=10), shard(1, 10), total_commands_processed=100)
    after = facts(1000.0, shard(0, 30, hits=40, misses=11, cpu_user_s=2.5), shard(1, 10), total_commands_processed=250)
    sample = seen(before, after, every_s=2.0).samples[-1]
    assert (sample["ops"], sample["hits"], sample["misses"], sample["hit_ratio"]) == (75.0, 15.0, 5.0, 0.75)
    assert [entry["ops"] for entry in sample["shards"]] == [10.0, 0.0]
    assert sample["shards"][0]["cpu"] == 0.25
    assert 0.5 <= sample["p50"] <= 1.1 and sample["p999"] >= sample["p50"]


def test_without_commands_there_are_no_durations_and_no_ratio() -> None:
    sample = last(facts(), facts())
    assert sample["p99"] is None and sample["hit_ratio"] is None and sample["ops"] == 0.0


def test_counters_that_begin_anew() -> None:
    """CONFIG RESETSTAT: a gap, for nobody knows what was counted in between."""
    before = facts(1000.0, shard(0, 50), total_commands_processed=500)
    sample = last(before, facts(1000.0, shard(0, 4), total_commands_processed=7))
    assert sample["ops"] is None and sample["shards"][0]["ops"] is None


def test_a_shard_that_dies_takes_no_rate_of_the_others_along() -> None:
    def before() -> Facts:
        return facts(1000.0, shard(0, hits=10), shard(1, hits=5000))

    assert last(before(), facts(1000.0, shard(0, hits=30), silent_shard(1)))["hits"] == 20.0
    assert last(before(), facts(1000.0, shard(0, hits=30), shard(1, hits=1, pid=9)))["hits"] == 20.0


def test_a_new_process_of_a_shard_has_no_rates_at_its_first_look() -> None:
    sample = last(facts(1000.0, shard(0, 50, pid=1)), facts(1000.0, shard(0, 4, pid=2)))
    assert sample["shards"][0] == {"keys": 10, "memory": 1 << 20, "log": 500}


def test_old_figures_make_no_rates() -> None:
    sample = last(facts(1000.0, shard(0, 5)), facts(1000.0, shard(0, 5, fresh=False)))
    assert "ops" not in sample["shards"][0] and sample["p50"] is None


def test_a_shard_that_is_down_is_a_gap() -> None:
    assert last(facts(), facts(1000.0, shard(0), silent_shard(1)))["shards"][1] is None


def test_a_router_that_is_gone_is_a_gap_and_so_is_the_first_look_behind_it() -> None:
    history = seen(facts(), None, facts())
    assert [sample["up"] for sample in history.samples] == [True, False, True]
    assert history.samples[1]["shards"] == [None, None] and "ops" not in history.samples[2]
    assert [text for _, text in history.events] == ["the router is gone", "the router answers"]


def test_before_the_router_was_there_is_nothing() -> None:
    assert not seen(None, None).samples and not seen(None, facts()).events


def test_what_is_too_old_is_forgotten() -> None:
    history = seen(*(facts() for _ in range(40)), every_s=30.0)
    assert history.samples[-1]["t"] - history.samples[0]["t"] == KEPT_S


def test_since() -> None:
    history = seen(*(facts() for _ in range(4)))
    assert [sample["t"] for sample in history.since(1001.0)] == [1002.0, 1003.0]
    assert len(history.since(0.0)) == 4 and history.since(1003.0) == []


def test_two_looks_at_once_are_one() -> None:
    history = seen(facts(), facts(), every_s=0.2)
    assert len(history.samples) == 1
    known = facts(1100.0)
    history.look(known, 1100.0)
    history.look(known, 1101.0)  # The answer that was shared.
    assert len(history.samples) == 2


def test_events() -> None:
    history = seen(
        facts(), facts(1000.0, shard(0), silent_shard(1)), facts(1000.0, shard(0), silent_shard(1, "loading")),
        facts(1000.0, shard(0, rewriting=1), shard(1, pid=7)), facts(1000.0, shard(0, refusing=True), shard(1, pid=7)),
    )  # fmt: skip
    assert [(at_s, text) for at_s, text in history.events] == [
        (1001.0, "shard 1 is down"),
        (1002.0, "shard 1 loads"),
        (1003.0, "the log of shard 0 is being rewritten"),
        (1003.0, "shard 1 is ready"),
        (1003.0, "shard 1 runs as a new process"),
        (1004.0, "the log of shard 0 is rewritten"),
        (1004.0, "shard 0 refuses writes"),
    ]


def test_events_are_bounded() -> None:
    looks = [facts(1000.0, shard(0, rewriting=place % 2)) for place in range(2 * EVENTS_MAX)]
    assert len(seen(*looks).events) == EVENTS_MAX


def counted(calls: int, each_ns: int) -> CommandStats:
    made = CommandStats()
    for _ in range(calls):
        made.count(each_ns)
    return made


def test_the_commands_that_took_most_time() -> None:
    before = {"get": counted(100, 1000), "idle": counted(5, 1000)}
    after: dict[str, Any] = {"get": counted(200, 1000), "sort": counted(2, 500_000), "idle": counted(5, 1000)}
    found = seen(facts(commands=before), facts(commands=after)).commands
    assert [one["name"] for one in found] == ["sort", "get"]
    assert (found[0]["calls"], found[0]["mean"]) == (2.0, 500.0) and found[1]["mean"] == 1.0
    many = {f"command{number}": counted(1, 1000) for number in range(30)}
    assert len(seen(facts(), facts(commands=many)).commands) == COMMANDS_SHOWN
    assert seen(facts(commands=before)).commands == []
    assert seen(facts(commands=after), facts(commands=before)).commands == []

"""Facts as series: right by prometheus_client's own parsers, in both formats."""

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from common.command_stats import CommandStats
from metrics.collector import Snapshot, with_types
from metrics.facts import Facts
from tests.metrics_facts import facts, shard, silent_shard


def registry(known: Facts | None, *, openmetrics: bool = False) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(Snapshot(known, 2, openmetrics=openmetrics))
    return made


def samples(known: Facts | None) -> dict[str, float]:
    """Each series, as it is written, and its value."""
    text = exposition.generate_latest(registry(known)).decode()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines(text)}


def lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if not line.startswith("#"))


def counted(*durations_ns: int, **changed: Any) -> CommandStats:
    made = CommandStats(**changed)
    for duration in durations_ns:
        made.count(duration)
    return made


def busy() -> Facts:
    return facts(
        2000.0,
        shard(0, 3),
        shard(1, 5, keys=7, rewriting=1),
        total_commands_processed=8,
        commands={"get": counted(1000, 3000, rejected_calls=1), "config|set": counted(failed_calls=2)},
        errors={"ERR": 2, 'WRONG"TYPE': 1},
        slow=[[4, 1990, 25_000, "sort"]],
        slow_length=5,
        latency_events={"command": [1995, 120, 300]},
        percentiles=[50.0, 99.9],
    )


def test_figures_of_info() -> None:
    found = samples(busy())
    assert found["redis_up"] == 1 and found["redis_uptime_in_seconds"] == 100
    assert found["redis_start_time_seconds"] == 1900
    assert found["redis_commands_processed_total"] == 8 and found["redis_cpu_sys_seconds_total"] == 1.5
    assert found["redis_memory_max_bytes"] == 0 and found["redis_aof_last_write_status"] == 1
    assert samples(facts(aof_last_write_status="err"))["redis_aof_last_write_status"] == 0
    assert found["redis_latest_fork_seconds"] == 0 and found["redis_config_maxclients"] == 100
    info = next(series for series in found if series.startswith("redis_instance_info{"))
    assert 'role="master"' in info and 'redis_version="7.2.4"' in info and 'tcp_port="6379"' in info


def test_a_field_that_is_not_there_is_no_series() -> None:
    assert "redis_aof_current_size_bytes" not in samples(facts())


def test_keys() -> None:
    found = samples(facts())
    assert found['redis_db_keys{db="db0"}'] == 20 and found['redis_db_keys_expiring{db="db0"}'] == 4
    assert found['redis_db_avg_ttl_seconds{db="db0"}'] == 2.5
    empty = facts()
    empty.sections["keyspace"] = {}
    assert samples(empty)['redis_db_keys{db="db0"}'] == 0


def test_commands() -> None:
    found = samples(busy())
    assert found['redis_commands_total{cmd="get"}'] == 2
    assert found['redis_commands_duration_seconds_total{cmd="get"}'] == 4e-6
    assert found['redis_commands_rejected_calls_total{cmd="get"}'] == 1
    assert found['redis_commands_failed_calls_total{cmd="config|set"}'] == 2
    assert found['redis_commands_latencies_usec_bucket{cmd="get",le="1.024"}'] == 1
    assert found['redis_commands_latencies_usec_bucket{cmd="get",le="+Inf"}'] == 2
    assert found['redis_latency_percentiles_usec{cmd="get",quantile="50"}'] == 1.023
    assert found['redis_latency_percentiles_usec{cmd="get",quantile="99.9"}'] == 4.095
    assert found['redis_latency_percentiles_usec_count{cmd="get"}'] == 2
    assert not any(series.startswith("redis_latency_percentiles") for series in samples(facts()))


def test_errors_slow_log_and_events() -> None:
    found = samples(busy())
    assert found['redis_errors_total{err="ERR"}'] == 2 and found['redis_errors_total{err="WRONG\\"TYPE"}'] == 1
    assert found["redis_slowlog_length"] == 5 and found["redis_slowlog_last_id"] == 4
    assert found["redis_last_slow_execution_duration_seconds"] == 0.025
    assert found['redis_latency_spike_last{event_name="command"}'] == 1995
    assert found['redis_latency_spike_duration_seconds{event_name="command"}'] == 0.12


def test_shards() -> None:
    found = samples(busy())
    assert found['shardis_shard_up{shard="0"}'] == 1 and found['shardis_shard_keys{shard="1"}'] == 7
    assert found['shardis_shard_commands_total{shard="1"}'] == 5
    assert found['shardis_shard_command_duration_seconds_count{shard="0"}'] == 3
    assert found['shardis_shard_command_duration_seconds_bucket{le="1.024e-06",shard="0"}'] == 3
    assert found['shardis_shard_cpu_seconds_total{mode="user",shard="0"}'] == 2
    assert found['shardis_shard_rewrite_in_progress{shard="1"}'] == 1
    assert found['shardis_shard_state{shard="0",state="ready"}'] == 1
    assert found['shardis_shard_state{shard="0",state="down"}'] == 0


def test_a_shard_that_is_down_says_so_and_nothing_else() -> None:
    found = samples(facts(1000.0, shard(0), silent_shard(1)))
    assert found['shardis_shard_up{shard="1"}'] == 0 and found['shardis_shard_state{shard="1",state="down"}'] == 1
    assert 'shardis_shard_keys{shard="1"}' not in found and found['shardis_shard_keys{shard="0"}'] == 10
    assert found['shardis_shard_answers{shard="0"}'] == 1 and found['shardis_shard_answers{shard="1"}'] == 0


def test_without_a_router_only_that_is_said() -> None:
    assert samples(None) == {"redis_up": 0, 'shardis_shard_up{shard="0"}': 0, 'shardis_shard_up{shard="1"}': 0}


def test_both_formats_are_what_their_parsers_take() -> None:
    for known in (busy(), facts(), None):
        text = exposition.generate_latest(registry(known)).decode()
        families = list(parse_text(text))
        assert len({family.name for family in families}) == len(families)
        assert all(family.documentation for family in families)
        strict = list(parse_openmetrics(generate_openmetrics(registry(known, openmetrics=True)).decode()))
        assert len(strict) >= len(families) - 1


def test_the_types() -> None:
    text = with_types(exposition.generate_latest(registry(busy())))
    found = {family.name: family.type for family in parse_text(text.decode())}
    assert found["redis_commands_processed"] == "counter" and found["redis_connected_clients"] == "gauge"
    assert found["redis_commands_latencies_usec"] == "histogram"
    assert found["redis_latency_percentiles_usec"] == "summary"
    assert found["redis_total_error_replies"] == "counter"  # In OpenMetrics no counter may be called so.

"""Facts as series for Prometheus, by redis_exporter's names, and those of each shard under `shardis_shard_`."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from metrics.durations import buckets
from metrics.facts import Facts, number
from metrics.names import INSTANCE_INFO, NAMES, OWN_INFO, SHARD_NAMES, STATUS

MICROSECOND_S = 1e-6


class Snapshot(Collector):
    """What is known at one moment; without facts, because the router is not there, only that."""

    def __init__(self, facts: Facts | None, shards: int, *, openmetrics: bool = False) -> None:
        """`shards` is how many there should be; `openmetrics`: for that format, which is stricter."""
        self.facts = facts
        self.shards = shards
        self.openmetrics = openmetrics

    def collect(self) -> Iterator[Metric]:
        facts = self.facts
        yield GaugeMetricFamily("redis_up", "Whether the router answers.", float(facts is not None))
        if facts is None:
            up = _gauge("shardis_shard_up", "Whether the shard serves.", "shard")
            for index in range(self.shards):
                up.add_metric([str(index)], 0.0)
            yield up
            return
        yield from figures(facts)
        yield from keys(facts)
        yield from commands(facts)
        if facts.percentiles:
            yield percentiles(facts, "gauge" if self.openmetrics else "summary")
        yield from others(facts)
        yield from shards(facts)


def _gauge(name: str, help_: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_, labels=labels)


def _counter(name: str, help_: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, help_, labels=labels)


def _single(name: str, help_: str, value: float, *, is_counter: bool) -> Metric:
    if not is_counter:
        return GaugeMetricFamily(name, help_, value)
    if name.endswith("_total"):
        return CounterMetricFamily(name, help_, value)
    found = Metric(name, help_, "unknown")  # redis_exporter's name for it, which no counter of OpenMetrics may have.
    found.add_sample(name, {}, value)
    return found


def with_types(text: bytes) -> bytes:
    """The text format, with these as what they are: they are counters in it, and in no other."""
    for name in NAMES:
        if name.is_counter and not name.name.endswith("_total"):
            head = b"# TYPE redis_%s " % name.name.encode()
            text = text.replace(head + b"untyped\n", head + b"counter\n")
    return text


def figures(facts: Facts) -> Iterator[Metric]:
    """What INFO says, and what kind of server it is."""
    for name in NAMES:
        value = facts.sections.get(name.section, {}).get(name.field)
        if value is not None:
            figure = STATUS[value] if value in STATUS else number(value)
            yield _single(f"redis_{name.name}", name.help, figure, is_counter=name.is_counter)
    for series, labels in (("redis_instance_info", INSTANCE_INFO), ("shardis_info", OWN_INFO)):
        info = _gauge(series, "What kind of server it is.", *labels)
        info.add_metric([facts.text(*place) for place in labels.values()], 1.0)
        yield info
    started_s = facts.now_s - facts.number("server", "uptime_in_seconds")
    yield GaugeMetricFamily("redis_start_time_seconds", "When the router was started, as unix time.", round(started_s))
    forked_s = facts.number("stats", "latest_fork_usec") * MICROSECOND_S
    yield GaugeMetricFamily("redis_latest_fork_seconds", "Duration of the last fork.", forked_s)


def keys(facts: Facts) -> Iterator[Metric]:
    """The dbs that have keys; db0 always, so that a dashboard has something to show."""
    found = {"db0": {"keys": 0.0, "expires": 0.0, "avg_ttl": 0.0}} | facts.dbs()
    count = _gauge("redis_db_keys", "Keys of the db.", "db")
    expiring = _gauge("redis_db_keys_expiring", "Keys of the db that have a time to live.", "db")
    ttl = _gauge("redis_db_avg_ttl_seconds", "Their average time to live.", "db")
    for db, line in found.items():
        count.add_metric([db], line.get("keys", 0.0))
        expiring.add_metric([db], line.get("expires", 0.0))
        ttl.add_metric([db], line.get("avg_ttl", 0.0) / 1000)
    yield from (count, expiring, ttl)


def commands(facts: Facts) -> Iterator[Metric]:
    """What was counted of each command."""
    calls = _counter("redis_commands_total", "Calls of the command.", "cmd")
    seconds = _counter("redis_commands_duration_seconds_total", "Time that they took in the shards.", "cmd")
    rejected = _counter("redis_commands_rejected_calls_total", "Calls that were refused before they ran.", "cmd")
    failed = _counter("redis_commands_failed_calls_total", "Calls that ran and failed.", "cmd")
    latencies = HistogramMetricFamily(
        "redis_commands_latencies_usec", "Durations of calls in the shards, in microseconds.", labels=["cmd"]
    )
    for name, counted in sorted(facts.commands.items()):
        calls.add_metric([name], counted.calls)
        seconds.add_metric([name], counted.nanoseconds / 1e9)
        rejected.add_metric([name], counted.rejected_calls)
        failed.add_metric([name], counted.failed_calls)
        if not counted.calls:
            continue
        latencies.add_metric([name], buckets(counted.histogram, MICROSECOND_S), counted.nanoseconds / 1000)
    yield from (calls, seconds, rejected, failed, latencies)


def percentiles(facts: Facts, kind: str) -> Metric:
    """INFO latencystats. The quantiles are redis_exporter's, in percent: OpenMetrics takes none such in a summary, so
    there they are gauges."""
    found = Metric("redis_latency_percentiles_usec", "Percentiles of these durations since the start.", kind)
    for name, counted in sorted(facts.commands.items()):
        if not counted.calls:
            continue
        for percent in facts.percentiles:
            found.add_sample(found.name, {"cmd": name, "quantile": f"{percent:g}"}, counted.percentile_us(percent))
        if kind == "summary":
            found.add_sample(f"{found.name}_sum", {"cmd": name}, counted.nanoseconds / 1000)
            found.add_sample(f"{found.name}_count", {"cmd": name}, counted.calls)
    return found


def others(facts: Facts) -> Iterator[Metric]:
    """Errors, the slow log, the latency monitor, the router's process."""
    errors = _counter("redis_errors_total", "Replies that were errors, by their first word.", "err")
    for kind, count in sorted(facts.errors.items()):
        errors.add_metric([kind], count)
    yield errors
    newest: list[Any] = facts.slow[0] if facts.slow else [0, 0, 0, ""]
    yield GaugeMetricFamily("redis_slowlog_length", "Entries of the slow log.", facts.slow_length)
    yield GaugeMetricFamily("redis_slowlog_last_id", "Number of the newest of them.", newest[0])
    yield GaugeMetricFamily(
        "redis_last_slow_execution_duration_seconds", "How long that command took.", newest[2] / 1_000_000
    )
    when = _gauge("redis_latency_spike_last", "When the event last took too long, as unix time.", "event_name")
    took = _gauge("redis_latency_spike_duration_seconds", "How long it took then.", "event_name")
    for event, (at_s, last_ms, _) in sorted(facts.latency_events.items()):
        when.add_metric([event], at_s)
        took.add_metric([event], last_ms / 1000)
    yield from (when, took)
    router = facts.router
    yield GaugeMetricFamily("shardis_router_memory_bytes", "Memory of the router's process.", router["rss_bytes"])
    yield _mode_seconds("shardis_router_cpu_seconds", "CPU time of the router's process.", [([], router)], [])


def _mode_seconds(
    name: str, help_: str, processes: Iterable[tuple[list[str], dict[str, float]]], labels: list[str]
) -> Metric:
    seconds = _counter(name, help_, *labels, "mode")
    for values, process in processes:
        seconds.add_metric([*values, "user"], process["cpu_user_s"])
        seconds.add_metric([*values, "system"], process["cpu_system_s"])
    return seconds


def shards(facts: Facts) -> Iterator[Metric]:
    """Each shard for itself. One that is down, or has not answered since it came, has its states and nothing more."""
    up = _gauge("shardis_shard_up", "Whether the shard serves.", "shard")
    state = _gauge("shardis_shard_state", "1 for the state that the shard is in.", "shard", "state")
    fresh = _gauge("shardis_shard_answers", "Whether the shard answered in time; else its figures are old.", "shard")
    for shard in facts.shards:
        index = str(shard["index"])
        up.add_metric([index], float(shard["state"] == "ready"))
        fresh.add_metric([index], float(shard["fresh"]))
        for word in ("down", "loading", "loaded", "ready"):
            state.add_metric([index, word], float(shard["state"] == word))
    yield from (up, state, fresh)
    known = [shard for shard in facts.shards if "keys" in shard]
    for figure in SHARD_NAMES:
        family = (_counter if figure.is_counter else _gauge)(f"shardis_shard_{figure.name}", figure.help, "shard")
        for shard in known:
            family.add_metric([str(shard["index"])], float(shard[figure.key]))
        yield family
    yield _mode_seconds(
        "shardis_shard_cpu_seconds",
        "CPU time of the shard's process.",
        [([str(shard["index"])], shard) for shard in known],
        ["shard"],
    )
    yield from _durations(known)


def _durations(known: list[dict[str, Any]]) -> Iterator[Metric]:
    done = _counter("shardis_shard_commands", "Commands, and parts of commands, that the shard has run.", "shard")
    durations = HistogramMetricFamily(
        "shardis_shard_command_duration_seconds", "How long they took in the shard.", labels=["shard"]
    )
    for shard in known:
        index = str(shard["index"])
        done.add_metric([index], shard["commands"])
        durations.add_metric([index], buckets(shard["histogram"], 1.0), shard["nanoseconds"] / 1e9)
    yield from (done, durations)

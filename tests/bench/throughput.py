"""Rates: every row on every server, in rounds that alternate between the servers, and the medians of the rounds.

The machine is noisy: two runs of one server an hour apart differ by more than two servers in one round do. So only
figures of the same run are compared.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench import load, volleys
from tests.bench.load import Figures
from tests.bench.processes import CpuTime
from tests.bench.rows import Row
from tests.servers import Server

PIPELINES = (1, 16, 64)
REQUESTS_FACTOR = {1: 1, 16: 4, 64: 8}
"""With pipelining a run would be over before it is measured well."""

PREPARED_AT_ONCE = 100
"""Commands of a row's data, which are long ones."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """The medians of one row on one server."""

    row: str
    pipeline: int
    server: str
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, CpuTime]
    ratios: dict[str, float]
    """The rate divided by that of each other server, round by round."""


def measure(
    servers: Sequence[Server], rows: Iterable[Row], pipelines: Iterable[int], requests: int, rounds: int, say: Say
) -> list[Result]:
    found = []
    for row in rows:
        if strangers := [server.kind for server in servers if not load.knows(server, row.argv[0])]:
            say(f"{row.name:<10} left out: {row.argv[0]} is unknown to {', '.join(strangers)}")
            continue
        for pipeline in pipelines:
            prepare(servers, row)
            count = requests * REQUESTS_FACTOR.get(pipeline, 4)
            run = volleys.run_row if row.transaction else load.run
            figures: dict[str, list[Figures]] = {server.kind: [] for server in servers}
            for round_ in range(rounds):
                for server in servers if round_ % 2 == 0 else reversed(servers):
                    figures[server.kind].append(run(server, row, pipeline=pipeline, requests=count))
            results = [_result(row, pipeline, server.kind, figures) for server in servers]
            found += results
            for result in results:
                say(line(result))
    return found


def prepare(servers: Iterable[Server], row: Row) -> None:
    for server in servers:
        with server.connect(timeout_s=60.0) as client:
            client.call("FLUSHALL")
            if row.filled:
                load.fill(client)
            if row.data is not None:
                load.pipelined(client, row.data(), batch=PREPARED_AT_ONCE)


def _result(row: Row, pipeline: int, kind: str, figures: dict[str, list[Figures]]) -> Result:
    mine = figures[kind]
    ratios = {
        other: statistics.median(one.rate / two.rate for one, two in zip(mine, theirs, strict=True))
        for other, theirs in figures.items()
        if other != kind
    }
    return Result(
        row.name,
        pipeline,
        kind,
        statistics.median(run.rate for run in mine),
        statistics.median(run.p50_ms for run in mine),
        statistics.median(run.p99_ms for run in mine),
        median_cpu([run.cpu_us for run in mine]),
        ratios,
    )


def median_cpu(runs: Sequence[dict[str, CpuTime]]) -> dict[str, CpuTime]:
    return {
        role: CpuTime(
            statistics.median(run[role].user_s for run in runs if role in run),
            statistics.median(run[role].system_s for run in runs if role in run),
        )
        for role in runs[0]
    }


HEAD = (
    f"{'row':<10} {'P':>3}  {'server':<13} {'rate/s':>9}  {'x redis':>7} {'x valkey':>8}  {'p50 ms':>7} {'p99 ms':>7}"
    "  CPU µs per command, user+system"
)


def line(result: Result) -> str:
    """A line of the table."""
    ratios = [result.ratios.get(other) for other in ("redis-server", "reference")]
    shown = [f"{ratio:.2f}" if ratio else "" for ratio in ratios]
    return (
        f"{result.row:<10} {result.pipeline:>3}  {result.server:<13} {result.rate:>9,.0f}  {shown[0]:>7} {shown[1]:>8}"
        f"  {result.p50_ms:>7.3f} {result.p99_ms:>7.3f}  {cpu_text(result.cpu_us)}"
    )


def cpu_text(cpu_us: dict[str, CpuTime]) -> str:
    parts = [f"{role} {time.user_s:.2f}+{time.system_s:.2f}" for role, time in cpu_us.items() if time.total_s >= 0.005]
    return ", ".join(parts)


def as_json(results: Iterable[Result]) -> list[dict[str, Any]]:
    return [
        {
            "row": result.row,
            "pipeline": result.pipeline,
            "server": result.server,
            "rate": round(result.rate),
            "p50_ms": result.p50_ms,
            "p99_ms": result.p99_ms,
            "ratios": {other: round(ratio, 3) for other, ratio in result.ratios.items()},
            "cpu_us": {role: [round(time.user_s, 3), round(time.system_s, 3)] for role, time in result.cpu_us.items()},
        }
        for result in results
    ]

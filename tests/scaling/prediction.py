"""From CPU time per command to the rate of a machine with a core for every process.

    router-bound   one router handles 1 / (its CPU time per command)
    shard-bound    N shards handle N / (CPU time per command of all shards together)
    predicted      the smaller of the two

On a machine with fewer cores the processes wait for each other, batches are as large as they get, and a command costs
the least; where each has a core of its own, batches are smaller under the same load and larger under more. So this is
what the cores could do when kept busy, not what 50 clients would make them do.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.load import Figures


@dataclass(frozen=True, slots=True)
class Point:
    """One load on one number of shards: medians of the runs, and what follows from them."""

    load: str
    shards: int
    rate: float
    p99_ms: float
    router_us: float
    """CPU time per command."""
    shards_us: float
    """Of all shards together, per command."""
    busiest_share: float
    """What part of the shards' work the busiest one does: 1 / N if it is even."""

    @property
    def router_bound(self) -> float:
        return 1e6 / self.router_us if self.router_us else 0.0

    @property
    def shard_bound(self) -> float:
        return self.shards * 1e6 / self.shards_us if self.shards_us else 0.0

    @property
    def predicted(self) -> float:
        return min(self.router_bound, self.shard_bound)


def point(load: str, shards: int, runs: Sequence[Figures]) -> Point:
    return Point(
        load,
        shards,
        statistics.median(run.rate for run in runs),
        statistics.median(run.p99_ms for run in runs),
        statistics.median(run.cpu_us["router"].total_s for run in runs),
        statistics.median(sum(_of_shards(run)) for run in runs),
        statistics.median(max(_of_shards(run)) / max(sum(_of_shards(run)), 1e-9) for run in runs),
    )


def _of_shards(run: Figures) -> list[float]:
    return [time.total_s for role, time in run.cpu_us.items() if role.startswith("shard ")]


HEAD = (
    f"{'load':<10} {'shards':>6} {'rate/s':>9} {'p99 ms':>8} {'router µs':>10} {'shards µs':>10} {'busiest':>8}"
    f" {'router-bound':>13} {'shard-bound':>12} {'predicted':>10}"
)


def line(found: Point) -> str:
    """A line of the table."""
    return (
        f"{found.load:<10} {found.shards:>6} {found.rate:>9,.0f} {found.p99_ms:>8.2f} {found.router_us:>10.2f}"
        f" {found.shards_us:>10.2f} {found.busiest_share:>8.0%} {found.router_bound:>13,.0f}"
        f" {found.shard_bound:>12,.0f} {found.predicted:>10,.0f}"
    )

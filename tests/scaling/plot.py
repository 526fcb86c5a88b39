"""The picture: for each load, rates above and CPU time per command below, over the number of shards."""

from collections.abc import Sequence
from pathlib import Path

from tests.scaling.prediction import Point


def draw(points: Sequence[Point], title: str, path: Path) -> None:
    """Writes a PNG.  Raises ImportError where matplotlib is not installed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    loads = list(dict.fromkeys(point.load for point in points))
    figure, axes = pyplot.subplots(2, len(loads), figsize=(4.2 * len(loads), 7), squeeze=False, layout="constrained")
    for column, load in enumerate(loads):
        mine = sorted((point for point in points if point.load == load), key=lambda point: point.shards)
        shards = [point.shards for point in mine]
        rates, costs = axes[0][column], axes[1][column]
        rates.plot(shards, [point.rate / 1000 for point in mine], "o-", label="measured")
        rates.plot(shards, [point.predicted / 1000 for point in mine], "s--", label="predicted, a core each")
        rates.plot(shards, [point.router_bound / 1000 for point in mine], ":", label="router-bound")
        rates.plot(shards, [point.shard_bound / 1000 for point in mine], ":", label="shard-bound")
        rates.set(title=load, ylabel="thousand commands/s")
        costs.plot(shards, [point.router_us for point in mine], "o-", label="router")
        costs.plot(shards, [point.shards_us for point in mine], "s-", label="shards, together")
        costs.set(xlabel="shards", ylabel="CPU µs per command")
        for axis in (rates, costs):
            axis.set_xticks(shards)
            axis.grid(alpha=0.3)
        # Not up to the bound that does not bind: the rest would lie flat on the ground.
        rates.set_ylim(0, 1.4 * max(max(point.predicted, point.rate) for point in mine) / 1000)
        costs.set_ylim(0, 1.2 * max(max(point.router_us, point.shards_us) for point in mine))
        if column == 0:
            rates.legend(fontsize=8)
            costs.legend(fontsize=8)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)

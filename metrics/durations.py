"""Durations out of histograms whose buckets double: see common/command_stats.py."""

from collections.abc import Sequence

from common.command_stats import BUCKETS

EDGE_BITS = tuple(range(10, 35, 2))
"""The buckets that Prometheus is told: from 1 µs to 17 s, each four times the one before."""


def grown(after: Sequence[int], before: Sequence[int]) -> list[int]:
    """What was counted between two looks. Where counts are smaller than before they began anew, and all of them are."""
    before = before or [0] * BUCKETS
    if not after or sum(after) < sum(before) or len(after) != len(before):
        return list(after)
    return [max(0, one - other) for one, other in zip(after, before, strict=True)]


def added(histograms: Sequence[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*(one for one in histograms if one), strict=True)]


def percentile_us(histogram: Sequence[int], percent: float) -> float | None:
    """The duration in µs that `percent` of the samples did not exceed; None without samples.

    Inside its bucket it is where it would be if the logarithms of the durations were spread evenly: so the line of a
    chart does not jump by a factor of two.
    """
    wanted = sum(histogram) * percent / 100
    seen = 0
    for bits, count in enumerate(histogram):
        if count and seen + count >= wanted:
            return float(2 ** (bits - 1 + (wanted - seen) / count)) / 1000
        seen += count
    return None


def buckets(histogram: Sequence[int], unit_s: float) -> list[tuple[str, float]]:
    """For Prometheus: by their upper edge, in `unit_s` seconds, how many samples did not last longer."""
    found = [(f"{(1 << bits) * 1e-9 / unit_s:.9g}", float(sum(histogram[: bits + 1]))) for bits in EDGE_BITS]
    return [*found, ("+Inf", float(sum(histogram)))]

"""Durations out of histograms whose buckets double."""

import random

import pytest

from common.command_stats import CommandStats
from metrics.durations import added, buckets, grown, percentile_us


def histogram(*durations_ns: int) -> list[int]:
    counted = CommandStats()
    for duration in durations_ns:
        counted.count(duration)
    return counted.histogram


def test_without_samples_there_is_no_percentile() -> None:
    assert percentile_us([], 50) is None and percentile_us(histogram(), 99) is None


@pytest.mark.parametrize("percent", [1.0, 50.0, 90.0, 99.0, 99.9, 100.0])
def test_a_percentile_is_in_the_bucket_of_the_true_one(percent: float) -> None:
    chance = random.Random(7)
    durations = [int(chance.lognormvariate(8, 1.5)) + 1 for _ in range(5000)]
    true_ns = sorted(durations)[max(0, round(len(durations) * percent / 100) - 1)]
    found = percentile_us(histogram(*durations), percent)
    assert found is not None and true_ns / 2 <= found * 1000 <= true_ns * 2


def test_percentiles_grow_with_the_percent() -> None:
    counts = histogram(*range(100, 100_000, 37))
    found = [percentile_us(counts, percent) or 0.0 for percent in range(1, 101)]
    assert found == sorted(found)


def test_what_was_counted_since() -> None:
    before, after = histogram(10, 10, 5000), histogram(10, 10, 10, 5000, 5000)
    assert grown(after, before) == histogram(10, 5000)
    assert grown(before, after) == before, "they began anew"
    assert grown(after, []) == after


def test_sums() -> None:
    assert added([histogram(10), [], histogram(10, 3000)]) == histogram(10, 10, 3000)
    assert added([]) == []


def test_buckets_are_cumulative_and_end_with_all() -> None:
    counts = histogram(500, 1500, 5000, 10**12)
    found = buckets(counts, 1e-6)
    assert found[0] == ("1.024", 1.0) and found[-1] == ("+Inf", 4.0)
    assert found[1] == ("4.096", 2.0) and found[-2][1] == 3.0
    assert [value for _, value in found] == sorted(value for _, value in found)
    assert buckets(counts, 1.0)[0][0] == "1.024e-06"

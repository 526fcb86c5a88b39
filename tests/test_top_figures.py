"""How `shardis top` writes figures."""

import pytest

from metrics.top import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (7, "7"), (3.25, "3.2"), (999, "999"), (1234, "1.23k"), (45_678, "45.7k"), (2.5e6, "2.50M"),
     (7e9, "7.00G")],
)  # fmt: skip
def test_counts(value: float | None, text: str) -> None:
    assert figures.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (1536, "1.5 KB"), (1 << 30, "1.0 GB"), (1 << 55, "32768 TB")],
)
def test_sizes(value: float | None, text: str) -> None:
    assert figures.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.5, "0.5 µs"), (110, "110 µs"), (3260, "3.26 ms"), (25_000, "25.0 ms"), (2e6, "2.00 s")],
)
def test_durations_of_commands(value: float | None, text: str) -> None:
    assert figures.micros(value) == text


@pytest.mark.parametrize(("value", "text"), [(5, "5 s"), (125, "2 min"), (12_000, "3 h 20 min"), (172_800, "2 days")])
def test_uptimes(value: float, text: str) -> None:
    assert figures.duration(value) == text


def test_percents() -> None:
    assert [figures.percent(value) for value in (None, 0.0, 0.884, 1.0)] == ["–", "0.0 %", "88.4 %", "100 %"]


def test_a_sparkline_has_its_width_and_shows_gaps() -> None:
    assert figures.sparkline([0.0, 50.0, None, 100.0], 6) == "  ▁▅ █"
    assert figures.sparkline([1.0, 2.0, 3.0], 2) == "▆█"
    assert figures.sparkline([0.0, 0.0], 2) == "▁▁" and figures.sparkline([], 3) == "   "


def test_bars() -> None:
    assert [len(figures.bar(share, 10)) for share in (0.0, 0.001, 0.5, 1.0, 7.0)] == [0, 1, 5, 10, 10]

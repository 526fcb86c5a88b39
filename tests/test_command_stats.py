"""Counts of a command: added up over processes, and what the buckets tell of durations."""

from hypothesis import given
from hypothesis import strategies as st

from common.command_stats import BUCKETS, CommandStats

DURATIONS_NS = st.lists(st.integers(0, 2**62))


def counted(durations_ns: list[int]) -> CommandStats:
    stats = CommandStats()
    for duration_ns in durations_ns:
        stats.count(duration_ns)
    return stats


def test_nothing_was_counted() -> None:
    assert CommandStats().to_wire() == [0, 0, 0, 0, [0] * BUCKETS]
    assert CommandStats().percentile_us(99) == 0.0


def test_a_call_is_in_the_bucket_of_its_bits() -> None:
    stats = counted([0, 1, 2, 3, 4, 1023, 1024])
    assert stats.calls == 7 and stats.nanoseconds == 2057
    assert stats.histogram[:12] == [1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1, 1]


def test_percentiles() -> None:
    stats = counted([1000] * 98 + [100_000, 5_000_000])
    assert [stats.percentile_us(percent) for percent in (50, 98, 99, 99.9, 100)] == [
        1.023,
        1.023,
        131.071,
        8388.607,
        8388.607,
    ]


@given(DURATIONS_NS, st.floats(0.1, 100))
def test_a_percentile_is_at_most_twice_what_was_counted(durations_ns: list[int], percent: float) -> None:
    found_ns = counted(durations_ns).percentile_us(percent) * 1000
    assert found_ns == 0 if not durations_ns else found_ns <= 2 * max(durations_ns)


@given(DURATIONS_NS, DURATIONS_NS)
def test_two_processes_add_up_to_one(some_ns: list[int], more_ns: list[int]) -> None:
    stats, other = counted(some_ns), counted(more_ns)
    stats.failed_calls, other.failed_calls = 1, 2
    stats.rejected_calls, other.rejected_calls = 3, 4
    stats.add(CommandStats(*other.to_wire()))  # type: ignore[arg-type]
    together = counted(some_ns + more_ns)
    assert stats.to_wire() == [together.calls, together.nanoseconds, 7, 3, together.histogram]


def test_reset_forgets_all_and_shares_nothing() -> None:
    stats = counted([5])
    stats.failed_calls = stats.rejected_calls = 1
    before = stats.histogram
    stats.reset()
    assert stats == CommandStats()
    assert stats.histogram is not before

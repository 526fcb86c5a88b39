"""The router's counters: each session's are added once, and kinds of error have a limit."""

from types import SimpleNamespace
from typing import Any

from common.command_stats import ERROR_KINDS_MAX
from router.stats import Stats


def make_session(commands: int, bytes_in: int, bytes_out: int, reads: int, writes: int) -> Any:
    """What of a session is counted."""
    return SimpleNamespace(
        commands=commands,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        reads=reads,
        writes=writes,
        gathered=(0, 0, 0, 0, 0),
    )


def traffic(stats: Stats) -> tuple[int, ...]:
    return (
        stats.total_commands_processed,
        stats.total_net_input_bytes,
        stats.total_net_output_bytes,
        stats.total_reads_processed,
        stats.total_writes_processed,
    )


def test_what_a_session_counted_is_added_once() -> None:
    stats, one, other = Stats(), make_session(1, 20, 300, 4, 5), make_session(10, 10, 10, 10, 10)
    for _ in range(3):
        stats.gather(one)
        stats.gather(other)
    assert traffic(stats) == (11, 30, 310, 14, 15)
    one.commands, one.bytes_in = 3, 25
    stats.gather(one)
    assert traffic(stats) == (13, 35, 310, 14, 15)


def test_new_counters_begin_with_what_comes_then() -> None:
    """CONFIG RESETSTAT gathers first and then begins with new counters."""
    session = make_session(5, 5, 5, 5, 5)
    Stats().gather(session)
    session.commands = 7
    stats = Stats()
    stats.gather(session)
    assert traffic(stats) == (2, 0, 0, 0, 0)


def test_errors_are_counted_by_their_first_word() -> None:
    stats = Stats()
    for text in ("ERR syntax error", "ERR no such key", "WRONGTYPE Operation", "NOAUTH", ""):
        stats.count_error(text)
    assert stats.errors == {"ERR": 2, "WRONGTYPE": 1, "NOAUTH": 1, "": 1}
    assert stats.total_error_replies == 5


def test_kinds_of_error_have_a_limit() -> None:
    stats = Stats()
    for number in range(ERROR_KINDS_MAX + 5):
        stats.count_error(f"E{number} x")
    stats.count_error("E0 again")
    assert len(stats.errors) == ERROR_KINDS_MAX
    assert stats.errors["E0"] == 2
    assert stats.total_error_replies == ERROR_KINDS_MAX + 6

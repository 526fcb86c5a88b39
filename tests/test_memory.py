"""What a process says of its memory: exact to what it holds, whatever the resident set is."""

import ctypes
import logging

import pytest

from common import memory
from common.memory import Allocators, Gauge

MB = 2**20


def test_what_is_held_is_in_use_and_what_is_freed_is_not() -> None:
    gauge = Gauge()
    small = [b"%0100d" % number for number in range(100_000)]
    held_bytes = gauge.look_bytes()
    # Each takes 133 bytes, so 144, and 8 in the list.
    assert 15.0 * MB > held_bytes > 14.0 * MB
    large = [bytearray(1000) for _ in range(10_000)]
    assert 11.5 * MB > gauge.look_bytes() - held_bytes > 9.5 * MB
    del small, large
    assert gauge.look_bytes() < MB / 4
    assert gauge.grown_bytes() >= 0


def test_large_pieces_of_their_own_are_in_use() -> None:
    gauge = Gauge()
    piece = bytearray(64 * MB)
    assert 65 * MB > gauge.look_bytes() >= 64 * MB
    del piece
    assert gauge.look_bytes() < MB


def test_what_was_there_at_the_beginning_does_not_count() -> None:
    gauge = Gauge()
    held = bytearray(8 * MB)
    assert gauge.look_bytes() >= 8 * MB
    gauge.begin()
    gauge.look_at_ns += 10**12
    assert gauge.recent_bytes() == 0
    assert gauge.look_bytes() < MB and held


def test_what_it_takes_without_data_is_the_program() -> None:
    gauge = Gauge()
    before = gauge.info()
    tables = bytearray(MB // 2)
    assert gauge.look_bytes() >= MB // 2
    gauge.note_empty()
    assert gauge.recent_bytes() == 0 and gauge.look_bytes() < MB // 8
    told = gauge.info()
    assert told["rss_start_bytes"] - before["rss_start_bytes"] >= MB // 2
    data = bytearray(8 * MB)
    assert gauge.look_bytes() >= 8 * MB and tables
    # What is large was on its way somewhere.
    gauge.note_empty()
    assert 6 * MB < gauge.look_bytes() < 7 * MB and data


def test_between_two_looks_the_last_one_holds() -> None:
    gauge = Gauge()
    before = gauge.look_bytes()
    gauge.look_at_ns += 10**12
    held = bytearray(8 * MB)
    assert gauge.recent_bytes() == before
    gauge.look_at_ns = 0
    assert gauge.recent_bytes() >= before + len(held)


def test_what_is_free_is_given_back() -> None:
    gauge = Gauge()
    pieces = [bytes(20_000) + b"%d" % number for number in range(2000)]
    kept = pieces[::100]
    before = gauge.rss_bytes()
    del pieces
    gauge.purge()
    # Whatever the pieces that stay keep the C library from giving back by itself.
    assert before - gauge.rss_bytes() > 25 * MB and kept


def test_much_that_is_free_is_given_back_once() -> None:
    gauge = Gauge()
    assert not gauge.give_back()
    count = max(40 * MB, gauge.rss_bytes() // 4) // 20_000  # It has to be a part of what this process has.
    pieces = [bytes(20_000) + b"%d" % number for number in range(count)]
    kept = pieces[::100]
    before = gauge.rss_bytes()
    assert gauge.may_give_back() and not gauge.give_back(), "all is in use"
    del pieces
    assert gauge.may_give_back() and gauge.give_back()
    assert before - gauge.rss_bytes() > 25 * MB and kept
    assert not gauge.give_back(), "what is left of it is shared with what stays"
    assert gauge.info()["used_bytes"] > 0.8 * gauge.rss_bytes()


def test_info() -> None:
    told = Gauge().info()
    assert told["rss_peak_bytes"] >= told["rss_bytes"] > MB
    assert told["used_bytes"] >= told["rss_start_bytes"] > MB


def test_where_allocators_tell_nothing_the_resident_set_counts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Older:
        def __init__(self) -> None:
            raise AttributeError("mallinfo2")

    monkeypatch.setattr(memory, "Allocators", Older)
    with caplog.at_level(logging.WARNING):
        gauge = Gauge()
    assert "what was freed counts" in caplog.text
    held = bytearray(b"x") * (32 * MB)
    assert gauge.look_bytes() >= 30 * MB and held


def test_a_report_without_arenas(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PYTHONMALLOC=malloc CPython's report has no line of arenas."""
    allocators = Allocators()
    all_bytes = allocators.allocated_bytes()
    silent = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda stream: None)
    monkeypatch.setattr(allocators, "_report", silent)
    assert 0 < allocators.allocated_bytes() < all_bytes

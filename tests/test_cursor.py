"""Cursors of SCAN: what is one, asked of the reference, and the place that a cursor names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.cursor import NUMBER_MAX, cursor_of, parse_cursor, place_of
from common.errors import RedisError
from common.slot import SLOTS
from tests.resp_client import Client, Error

WORDS = [
    *(b"0", b"1", b"17", b"007", b"-0", b"+5", b" 5", b"\t\n 5", b"5 ", b"", b" ", b"a", b"5a", b"0x10", b"1.0"),
    *(b"-1", b"-07", b" -7", b"-9223372036854775808", b"-9223372036854775809", b"9223372036854775808"),
    *(b"18446744073709551615", b"18446744073709551616", b"99999999999999999999", b"00000000000000000000000000001"),
    *(b"-18446744073709551615", b"-18446744073709551616", b"5\x00x", b"\x005", b"--5", b"+-5", b"_1", b"1_0"),
]


@pytest.mark.parametrize("word", WORDS)
def test_the_reference_takes_the_same_words(word: bytes, reference_client: Client) -> None:
    refused = isinstance(reference_client.call("SCAN", word), Error)
    if refused:
        with pytest.raises(RedisError, match="ERR invalid cursor"):
            parse_cursor(word)
    else:
        assert 0 <= parse_cursor(word) <= NUMBER_MAX


def test_a_negative_number_is_counted_down() -> None:
    assert parse_cursor(b"-07") == 2**64 - 7
    assert parse_cursor(b"-0") == 0


@given(st.integers(0, SLOTS - 1), st.integers(0, 2**50 - 1))
def test_a_place_comes_back(slot: int, part: int) -> None:
    cursor = cursor_of(slot, part)
    assert place_of(cursor) == (slot, part)
    assert parse_cursor(b"%d" % cursor) == cursor


@given(st.integers(0, NUMBER_MAX))
def test_any_number_names_a_slot(cursor: int) -> None:
    slot, part = place_of(cursor)
    assert 0 <= slot < SLOTS and cursor_of(slot, part) == cursor

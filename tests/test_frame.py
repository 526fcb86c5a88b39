"""Frames: what goes in comes out, however the bytes are cut, and errors travel as errors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RedisError, WrongType
from common.frame import (
    CONTROL,
    DB_SHIFT,
    JOINED,
    LARGE_SIZE_BYTES,
    NO_TOUCH,
    RESP3,
    VALUES,
    Frames,
    packer,
    pieces,
    unpacker,
)

REQUEST = [1_700_000_000_000, RESP3 | JOINED, [[b"GET", b"k"], [b"SET", b"\x00\xff", b""]], CONTROL, [["info"]]]
REPLIES = [b"+OK\r\n", [b"$-1\r\n", None, 7, [b"a", None]], None]
EVENTS: list[dict[str, Any]] = [
    {"hello": {"index": 0, "state": "ready", "table": []}},
    {"late": {3: [b":1\r\n"]}},
    {"slow": [[0, 1, 20_000]]},
]
FRAMES: list[Any] = [REQUEST, REPLIES, *EVENTS]


def read(data: bytes, size: int) -> list[Any]:
    """The frames in `data`, which comes in pieces of that size."""
    stream = unpacker()
    frames: list[Any] = []
    for at in range(0, len(data), size):
        stream.feed(data[at : at + size])
        frames += stream
    return frames


@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
def test_frames_come_out_as_they_went_in(size: int) -> None:
    pack = packer().pack
    assert read(b"".join(map(pack, FRAMES)), size) == FRAMES


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_is_there_with_its_last_byte_and_not_before(frame: Any) -> None:
    data = packer().pack(frame)
    for end in range(len(data)):
        assert read(data[:end], 1_000) == []
    assert read(data + data[:-1], 1_000) == [frame]


def test_a_value_larger_than_msgpacks_own_limit() -> None:
    value = bytes(101 * 1024 * 1024)
    assert read(packer().pack([value, b"tail"]), 64 * 1024 * 1024) == [[value, b"tail"]]


def is_error(value: Any, text: str) -> bool:
    return isinstance(value, RedisError) and str(value) == text


def test_an_error_travels() -> None:
    (values,) = read(packer().pack([1, RedisError("ERR a \udcff"), [WrongType()]]), 3)
    assert values[0] == 1
    assert is_error(values[1], "ERR a \udcff")
    assert is_error(values[2][0], WrongType.text)


def test_a_set_travels_as_a_list() -> None:
    (values,) = read(packer().pack([{b"a"}, frozenset([b"b"])]), 100)
    assert values == [[b"a"], [b"b"]]


def test_what_cannot_travel_is_a_bug() -> None:
    with pytest.raises(TypeError, match="a object cannot travel between processes"):
        packer().pack([object()])


def test_the_bits_of_a_header_are_apart() -> None:
    bits = [RESP3, JOINED, VALUES, CONTROL, NO_TOUCH]
    assert len({*bits}) == len(bits) and all(bit.bit_count() == 1 and bit < 1 << DB_SHIFT for bit in bits)


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 9) | st.text(max_size=3), inner),
    max_leaves=20,
)


@given(st.lists(VALUE.map(lambda value: [value]), max_size=4), st.integers(1, 50))
def test_any_values_in_any_pieces(frames: list[Any], size: int) -> None:
    assert read(b"".join(map(packer().pack, frames)), size) == frames


@pytest.mark.parametrize("size", [0, LARGE_SIZE_BYTES - 1, LARGE_SIZE_BYTES, LARGE_SIZE_BYTES + 1])
def test_what_is_large_is_a_piece_of_its_own(size: int) -> None:
    large = bytes(size)
    for frame in ([1, 2, [[b"SET", b"k", large], [b"GET", b"k"]]], [large, None, [large, WrongType()]], *FRAMES):
        found = pieces(frame, {})
        assert b"".join(found) == packer().pack(frame)
        if size >= LARGE_SIZE_BYTES and frame not in FRAMES:
            assert sum(piece is large for piece in found) == (1 if type(frame[0]) is int else 2)


@pytest.mark.parametrize("size", [1000, LARGE_SIZE_BYTES // 3, 10 * LARGE_SIZE_BYTES])
def test_frames_behind_a_large_one_come_out_of_a_new_unpacker(size: int) -> None:
    stream = Frames()
    frames = [[1], [bytes(2 * LARGE_SIZE_BYTES)], *([number, b"v"] for number in range(50))]
    data = b"".join(map(packer().pack, frames))
    first = stream.unpacker
    found: list[Any] = []
    for at in range(0, len(data), size):
        stream.feed(data[at : at + size])
        found += stream
    assert found == frames
    stream.feed(packer().pack([2]))
    assert list(stream) == [[2]]
    assert stream.unpacker is not first


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_unpacker_stays_where_nothing_is_large(size: int) -> None:
    stream = Frames()
    data = b"".join(map(packer().pack, FRAMES))
    first = stream.unpacker
    found: list[Any] = []
    for at in range(0, len(data), size):
        stream.feed(data[at : at + size])
        found += stream
    assert found == FRAMES and stream.unpacker is first

"""Lengths, strings and numbers of RDB: there and back, at every limit, cut anywhere."""

from random import Random
from typing import Any

import pytest

from shard.rdb.encoding import BadObject, Reader, Writer, length

LENGTHS = [
    (0, b"\x00"),
    (63, b"\x3f"),
    (64, b"\x40\x40"),
    (16383, b"\x7f\xff"),
    (16384, b"\x80\x00\x00\x40\x00"),
    ((1 << 32) - 1, b"\x80\xff\xff\xff\xff"),
    (1 << 32, b"\x81\x00\x00\x00\x01\x00\x00\x00\x00"),
    ((1 << 64) - 1, b"\x81" + b"\xff" * 8),
]
STRINGS = [
    (b"", b"\x00"),
    (b"a", b"\x01a"),
    (b"0", b"\xc0\x00"),
    (b"-128", b"\xc0\x80"),
    (b"128", b"\xc1\x80\x00"),
    (b"-32768", b"\xc1\x00\x80"),
    (b"32768", b"\xc2\x00\x80\x00\x00"),
    (b"2147483647", b"\xc2\xff\xff\xff\x7f"),
    (b"-2147483648", b"\xc2\x00\x00\x00\x80"),
    (b"2147483648", b"\x0a2147483648"),
    (b"-2147483649", b"\x0b-2147483649"),
    (b"01", b"\x0201"),
    (b"-0", b"\x02-0"),
    (b"a" * 20, b"\x14" + b"a" * 20),
    (b"a" * 21, b"\xc3\x06\x15\x01aa\xe0\x0a\x00"),
    (bytes(range(100)), b"\x40\x64" + bytes(range(100))),
]


def written(act: str, *values: Any, compressing: bool = True) -> bytes:
    writer = Writer(compressing)
    for value in values:
        getattr(writer, act)(value)
    return b"".join(writer.parts)


@pytest.mark.parametrize(("number", "data"), LENGTHS)
def test_lengths(number: int, data: bytes) -> None:
    assert length(number) == data == written("length", number)
    reader = Reader(data + b"rest")
    assert reader.length() == number and reader.left() == 4
    for size in range(len(data)):
        with pytest.raises(BadObject):
            Reader(data[:size]).length()


def test_odd_lengths() -> None:
    assert Reader(b"\xc5").length() == 5, "the kind of a string's encoding"
    for kind in range(0x82, 0xC0):
        with pytest.raises(BadObject):
            Reader(bytes([kind]) + bytes(8)).length()


@pytest.mark.parametrize(("text", "data"), STRINGS)
def test_strings(text: bytes, data: bytes) -> None:
    assert written("string", text) == data
    reader = Reader(data + b"rest")
    assert reader.string() == text and reader.left() == 4
    for size in range(len(data)):
        with pytest.raises(BadObject):
            Reader(data[:size]).string()
    plain = written("string", text, compressing=False)
    assert Reader(plain).string() == text and (plain == data or data[0] == 0xC3)


@pytest.mark.parametrize("size", [63, 64, 16383, 16384, 70_000])
def test_sizes_of_strings(size: int) -> None:
    text = Random(size).randbytes(size)
    assert written("string", text) == length(size) + text
    assert Reader(written("string", text)).string() == text


def test_counts() -> None:
    """There is a byte at least for each of them."""
    assert Reader(b"\x03abc").count() == 3
    for data in (b"\x04abc", b"\x00abc", b"\x80\xff\xff\xff\xffabc", b""):
        with pytest.raises(BadObject):
            Reader(data).count()


def test_numbers() -> None:
    for number in (0, -1, 1 << 62, -(1 << 63)):
        assert Reader(written("integer", number)).integer(8) == number
    for double in (0.0, 1.5, -1e300, float("inf")):
        assert Reader(written("real", double)).real() == double
    reader = Reader(b"\x05ab", 1)
    assert reader.take(1) == b"a" and reader.byte() == ord("b") and reader.left() == 0
    for act in (reader.byte, lambda: reader.take(1), lambda: reader.integer(2), reader.real, reader.string):
        with pytest.raises(BadObject):
            act()

"""The letters of RDB: lengths, strings and numbers. A reader over bytes, and a writer of them.

    00llllll                            a length of 6 bits      10000001 + 8 bytes  of 64 bits, high byte first
    01llllll + 1 byte                   of 14 bits              11000000 + 1 byte   a string that is an integer
    10000000 + 4 bytes                  of 32 bits              11000001 + 2        of 16 bits, low byte first
    11000011 length length + bytes      an LZF string           11000010 + 4        of 32

A string is its length and its bytes, or one of the four at the bottom.
"""

from struct import Struct

from common.numbers import maybe_integer
from shard.rdb import lzf

INTEGER_KINDS = 0xC0
LZF_KIND = 0xC3

INTEGER_TEXT_BYTES_MAX = 11
"""Of the longest integer of 32 bits."""
COMPRESSED_FROM_BYTES = 21
"""Shorter strings are never compressed."""
COMPRESSION_BYTES_SAVED_MIN = 4

DOUBLE = Struct("<d")

_SHORT_LENGTHS = [b"%c" % number for number in range(1 << 6)]
"""Each is written twice for a small string: to look it up takes a third of the time of making it."""


class BadObject(Exception):
    """Bytes that are no object of RDB."""


class Reader:
    """Reads `data` from the place `at` on. Every method takes one thing and raises BadObject where that is not there.

    >>> reader = Reader(b"\\x02hi\\x05")
    >>> reader.string(), reader.length(), reader.left()
    (b'hi', 5, 0)
    """

    __slots__ = ("data", "at")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self.data) - self.at

    def byte(self) -> int:
        """One byte."""
        if self.at >= len(self.data):
            raise BadObject()
        self.at += 1
        return self.data[self.at - 1]

    def take(self, size: int) -> bytes:
        """So many bytes as they are. O(size)."""
        start = self.at
        if size > len(self.data) - start:
            raise BadObject()
        self.at = start + size
        return self.data[start : start + size]

    def length(self) -> int:
        """A length, up to 2**64 - 1. The kind of a string's encoding is taken for a length, as Redis does."""
        kind = self.byte()
        if kind < 0x40 or kind >= 0xC0:
            return kind & 63
        if kind < 0x80:
            return (kind & 63) << 8 | self.byte()
        if kind == 0x80:
            return int.from_bytes(self.take(4), "big")
        if kind == 0x81:
            return int.from_bytes(self.take(8), "big")
        raise BadObject()

    def count(self) -> int:
        """How many things follow: more than 0, and each has a byte at least."""
        number = self.length()
        if not 0 < number <= self.left():
            raise BadObject()
        return number

    def string(self) -> bytes:
        """A string. O(size), which is at most 89 times that of its bytes here."""
        at = self.at
        if at < len(self.data) and self.data[at] < 0x40:
            self.at = at + 1
            return self.take(self.data[at])
        kind = self.byte()
        if kind < 0xC0:
            self.at = at
            size = self.length()
            if size > self.left():
                raise BadObject()
            return self.take(size)
        if kind < LZF_KIND:
            return b"%d" % self.integer(1 << (kind - INTEGER_KINDS))
        if kind > LZF_KIND:
            raise BadObject()
        return self._compressed()

    def _compressed(self) -> bytes:
        packed_size = self.length()
        size = self.length()
        if packed_size > self.left():
            raise BadObject()
        packed = self.take(packed_size)
        try:
            return lzf.decompress(packed, size) if size else b""
        except (lzf.BadCompression, OverflowError):
            raise BadObject() from None

    def integer(self, size: int) -> int:
        """A signed integer of that many bytes, low byte first."""
        return int.from_bytes(self.take(size), "little", signed=True)

    def real(self) -> float:
        """A double, as eight bytes."""
        number: float = DOUBLE.unpack(self.take(8))[0]
        return number


class Writer:
    """Writes to the list `parts`; `compressing` is rdbcompression."""

    __slots__ = ("parts", "compressing")

    def __init__(self, compressing: bool = True) -> None:
        self.parts: list[bytes] = []
        self.compressing = compressing

    def length(self, number: int) -> None:
        """A length."""
        self.parts.append(length(number))

    def string(self, text: bytes) -> None:
        """A string. O(size)."""
        size = len(text)
        if 0 < size <= INTEGER_TEXT_BYTES_MAX and 0x2D <= text[0] <= 0x39:
            number = maybe_integer(text)
            if number is not None and -(1 << 31) <= number < 1 << 31:
                self.parts.append(_integer(number))
                return
        if size >= COMPRESSED_FROM_BYTES and self.compressing:
            packed = lzf.compress(text, size - COMPRESSION_BYTES_SAVED_MIN)
            if packed:
                self.parts += [b"\xc3", length(len(packed)), length(size), packed]
                return
        self.parts += (length(size), text)

    def integer(self, number: int) -> None:
        """A signed integer of eight bytes, low byte first."""
        self.parts.append(number.to_bytes(8, "little", signed=True))

    def real(self, number: float) -> None:
        """A double, as eight bytes."""
        self.parts.append(DOUBLE.pack(number))

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self.parts.append(data)


def length(number: int) -> bytes:
    """A length as it is written."""
    if number < 1 << 6:
        return _SHORT_LENGTHS[number]
    if number < 1 << 14:
        return b"%c%c" % (0x40 | number >> 8, number & 0xFF)
    if number < 1 << 32:
        return b"\x80" + number.to_bytes(4, "big")
    return b"\x81" + number.to_bytes(8, "big")


def _integer(number: int) -> bytes:
    if -128 <= number < 128:
        return b"\xc0%c" % (number & 0xFF)
    if -32768 <= number < 32768:
        return b"\xc1" + number.to_bytes(2, "little", signed=True)
    return b"\xc2" + number.to_bytes(4, "little", signed=True)

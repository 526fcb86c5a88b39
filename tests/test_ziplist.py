"""Ziplists, zipmaps and intsets: read when they are sound, and otherwise refused."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from shard.rdb.encoding import BadObject, Reader
from shard.rdb.ziplist import intset, ziplist, zipmap
from tests import rdb_payloads

NUMBERS = [sign * (1 << bits) + more for bits in (0, 3, 7, 15, 23, 31, 62) for sign in (1, -1) for more in (-1, 0, 1)]
TEXTS = [b"%d" % number for number in NUMBERS] + [
    b"x" * size for size in (0, 1, 63, 64, 250, 251, 252, 253, 254, 16384)
]
TEXTS += [b"-0", b"007", b"\xff", b"9223372036854775807", b"-9223372036854775808"]


def bare(string: bytes) -> bytes:
    return Reader(string).string()


def test_a_ziplist() -> None:
    chance = Random(1)
    for size in range(40):
        texts = chance.choices(TEXTS, k=size)
        assert ziplist(bare(rdb_payloads.ziplist(*texts))) == texts


def test_a_zipmap() -> None:
    chance = Random(2)
    for size in range(1, 20):
        texts = chance.choices(TEXTS, k=2 * size)
        assert zipmap(bare(rdb_payloads.zipmap(*texts))) == texts
    assert len(zipmap(bare(rdb_payloads.zipmap(*[b"a"] * 600)))) == 600
    unused = b"\x01\x01k\x02\x03ab...\xff"
    assert zipmap(unused) == [b"k", b"ab"]


def test_an_intset() -> None:
    for size in (2, 4, 8):
        numbers = sorted({number % (1 << 8 * size - 1) - 5 for number in NUMBERS if number > 4})
        assert intset(bare(rdb_payloads.intset(numbers, size))) == numbers
    for numbers in ([], [1, 1], [2, 1]):
        with pytest.raises(BadObject):
            intset(bare(rdb_payloads.intset(numbers, 2)))
    for size in (0, 1, 3, 16):
        with pytest.raises(BadObject):
            intset(size.to_bytes(4, "little") + (1).to_bytes(4, "little") + bytes(size))


@pytest.mark.parametrize(
    ("read", "sound"),
    [
        (ziplist, bare(rdb_payloads.ziplist(b"a", b"12", b"500", b"x" * 64, b"x" * 300, b"y"))),
        (zipmap, bare(rdb_payloads.zipmap(b"a", b"12", b"b", b"x" * 300))),
        (intset, bare(rdb_payloads.intset([-2, 1, 5], 4))),
    ],
)
def test_any_bytes(read: Callable[[bytes], list[Any]], sound: bytes) -> None:
    """Each byte changed, one after the other, and cuts."""
    for size in range(len(sound)):
        with pytest.raises(BadObject):
            read(sound[:size])
    with pytest.raises(BadObject):
        read(sound + b"\xff")
    for place in range(len(sound)):
        for byte in (0, 1, 0x40, 0x7F, 0x80, 0xC0, 0xF0, 0xF1, 0xFE, 0xFF, sound[place] ^ 1):
            changed = sound[:place] + bytes([byte]) + sound[place + 1 :]
            try:
                assert read(changed)
            except BadObject:
                continue

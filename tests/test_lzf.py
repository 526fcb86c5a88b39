"""LZF: what Redis compresses is the same bytes here, and damage is noticed."""

from random import Random

import pytest

from shard.rdb.lzf import COMPRESSED_BYTES_MAX, BadCompression, compress, decompress
from tests.resp_client import Client


def text(chance: Random, size: int) -> bytes:
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(size)
    if kind == 1:
        return bytes(chance.choices(b"ab", k=size))
    if kind == 2:
        return bytes(chance.choices(b"abcdefghijkl", k=size))
    if kind == 3:
        return b"".join(b"key:%d %d;" % (chance.randrange(9), chance.randrange(99)) for _ in range(size // 9))
    return chance.choice((b"a", b"abc", b"0123456789abcdefghijk")) * (size // 5) + chance.randbytes(chance.randrange(4))


@pytest.mark.parametrize("seed", range(3))
def test_there_and_back(seed: int, reference_client: Client) -> None:
    chance = Random(seed)
    for _ in range(150):
        data = text(chance, int(2 ** chance.uniform(1, 13)))
        packed = compress(data, len(data) - 4)
        if packed:
            assert len(packed) < len(data) - 3
            assert decompress(packed, len(data)) == data
        if len(data) > 20:
            reference_client.call("SET", "k", data)
            object_ = reference_client.call("DUMP", "k")[:-10]
            assert object_.endswith(packed or data) and (object_[1] == 0xC3) is bool(packed)


def test_sizes() -> None:
    for size in range(300):
        data = b"x" * size
        packed = compress(data, 1000)
        assert bool(packed) is (size >= 4)
        if packed:
            assert decompress(packed, size) == data
    for most in range(12):
        assert len(compress(b"x" * 100, most)) <= most
    assert compress(b"x" * COMPRESSED_BYTES_MAX, COMPRESSED_BYTES_MAX)
    assert not compress(b"x" * (COMPRESSED_BYTES_MAX + 1), COMPRESSED_BYTES_MAX)


def test_what_is_not_compressed() -> None:
    for data, size in (
        (b"", 1),
        (b"\x00", 1),
        (b"\x01a", 2),
        (b"\x00a", 2),
        (b"\x00ab", 2),
        (b"\x20\x00", 3),
        (b"\x00a\x20", 4),
        (b"\x00a\xe0\x00", 10),
        (b"\x00a\x20\x01", 4),
        (b"\x00a\xe0\x00\x00", 1 << 62),
    ):
        with pytest.raises(BadCompression):
            decompress(data, size)
    assert decompress(b"\x00a\x20\x00", 4) == b"aaaa"


def test_any_bytes() -> None:
    chance = Random(5)
    for _ in range(5000):
        text = b"0123456789" * chance.randrange(1, 30)
        data = bytearray(compress(text, 1000))
        data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            assert len(decompress(bytes(data), len(text))) == len(text)
        except BadCompression:
            continue

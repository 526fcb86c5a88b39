"""The checksum of RDB: against the plain form, bit by bit."""

from random import Random

from shard.rdb.crc64 import crc64

POLYNOMIAL = 0xAD93D23594C935A9


def plain(data: bytes) -> int:
    """The definition: reflected in and out, from 0."""
    crc = 0
    for byte in data:
        for bit in range(8):
            top = crc >> 63 ^ byte >> bit & 1
            crc = crc << 1 & (1 << 64) - 1
            if top:
                crc ^= POLYNOMIAL
    return int(f"{crc:064b}"[::-1], 2)


def test_what_redis_checks() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert crc64(b"") == 0


def test_any_bytes_in_pieces() -> None:
    chance = Random(1)
    for size in range(70):
        data = chance.randbytes(size)
        cut = chance.randrange(size + 1)
        assert crc64(data) == plain(data) == crc64(data[cut:], crc64(data[:cut]))

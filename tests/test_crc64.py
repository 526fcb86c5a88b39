"""The checksum of RDB: against the plain form, bit by bit."""

from random import Random

import pytest

from shard.rdb.crc64 import crc64, crc64_combine

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


def test_two_checksums_give_that_of_both() -> None:
    chance = Random(2)
    for size in [*range(70), 255, 256, 1000, 4097]:
        data = chance.randbytes(size)
        for cut in {0, size, chance.randrange(size + 1)}:
            first, second = data[:cut], data[cut:]
            assert crc64_combine(crc64(first), crc64(second), len(second)) == crc64(data)
    with pytest.raises(ValueError):
        crc64_combine(1, 2, -1)


def test_many_checksums_and_large_sizes() -> None:
    """Zeros are put behind a text without having them."""
    chance = Random(3)
    parts = [chance.randbytes(chance.randrange(100)) for _ in range(50)]
    crc = 0
    for part in parts:
        crc = crc64_combine(crc, crc64(part), len(part))
    assert crc == crc64(b"".join(parts))
    for size in (1 << 16, 100_000):
        assert crc64_combine(crc, 0, size) == crc64(bytes(size), crc)
    huge = (1 << 40) + 12345
    assert crc64_combine(crc64_combine(crc, 0, 1 << 40), 0, 12345) == crc64_combine(crc, 0, huge)

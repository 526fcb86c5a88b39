"""Bits by long integers against bits one by one."""

from random import Random

import pytest

from shard.values import bits
from shard.values.bits import PIECE_BYTES, combined, count_bits, field, find_bit, set_field


def digits(data: bytes | bytearray) -> str:
    """All bits, a character each."""
    return "".join(f"{byte:08b}" for byte in data)


@pytest.fixture(params=[2, 5, PIECE_BYTES])
def piece_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that a short string has several."""
    size: int = request.param
    for name, value in (("PIECE_BYTES", size), ("NONE_SET", bytes(size)), ("ALL_SET", b"\xff" * size)):
        monkeypatch.setattr(bits, name, value)


@pytest.mark.usefixtures("piece_bytes")
def test_count_and_find() -> None:
    random = Random(1)
    for _ in range(3000):
        pool = random.choice((b"\x00", b"\xff", b"\x00\xff", bytes(range(256)), b"\x00\x00\x00\x10", b"\xff\xff\xfe"))
        data = bytes(random.choices(pool, k=random.randint(1, 20)))
        plain = digits(data)
        first = random.randrange(len(plain))
        last = random.randrange(first, len(plain))
        assert count_bits(data, first, last) == plain[first : last + 1].count("1")
        for bit in (0, 1):
            assert find_bit(bytearray(data), bit, first, last) == plain.find(str(bit), first, last + 1)


@pytest.mark.usefixtures("piece_bytes")
def test_combined() -> None:
    random = Random(2)
    for _ in range(500):
        strings = [random.randbytes(random.choice((0, 1, 5, 9))) for _ in range(random.randint(1, 4))]
        size = max(map(len, strings))
        columns = list(zip(*[string.ljust(size, b"\0") for string in strings], strict=True))
        plain = {b"AND": bytearray(), b"OR": bytearray(), b"XOR": bytearray()}
        for column in columns:
            both, any_, odd = 255, 0, 0
            for byte in column:
                both, any_, odd = both & byte, any_ | byte, odd ^ byte
            for name, byte in zip(plain, (both, any_, odd), strict=True):
                plain[name].append(byte)
        for name, expected in plain.items():
            assert combined(name, strings) == expected
        assert combined(b"NOT", strings[:1]) == bytes(byte ^ 255 for byte in strings[0])


def test_fields() -> None:
    random = Random(3)
    data = bytearray(random.randbytes(20))
    for _ in range(3000):
        width = random.randint(1, 64)
        offset = random.randrange(160 - width + 1)
        number = random.getrandbits(width)
        plain = digits(data)
        assert field(data, offset, width) == int(plain[offset : offset + width], 2)
        set_field(data, offset, width, number)
        assert digits(data) == plain[:offset] + f"{number:0{width}b}" + plain[offset + width :]


def test_a_field_behind_the_end_is_0() -> None:
    assert field(b"\xff", 4, 8) == 0xF0
    assert field(b"\xff", 8, 64) == 0
    assert field(b"", 2**40, 3) == 0


def test_at_the_limit_of_a_piece() -> None:
    for size in (PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES):
        data = bytearray(size)
        data[-1] = 1
        assert find_bit(data, 1, 0, 8 * size - 1) == 8 * size - 1
        assert find_bit(data, 1, 0, 8 * size - 2) == -1
        assert count_bits(data, 0, 8 * size - 1) == 1
        assert combined(b"OR", [data, b"\x80"])[0] == 128

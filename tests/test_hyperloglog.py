"""HyperLogLogs against registers one by one, and against what the reference made of the same elements."""

from hashlib import sha1
from random import Random

import pytest

from shard.values import hyperloglog as hll


def made_of(elements: list[bytes], sparse_bytes_max: int = hll.SPARSE_BYTES_MAX) -> bytearray:
    data = hll.new()
    for element in elements:
        assert hll.add(data, hll.place_of(element), sparse_bytes_max) >= 0
    return data


def check(data: bytearray) -> bytes:
    """Asserts every invariant, and gives the registers."""
    assert hll.is_valid(data)
    values = hll.registers(data)
    assert values is not None and len(values) == hll.REGISTERS
    if hll.is_sparse(data):
        runs = hll.runs(data)
        assert sum(length for _, length, _ in runs) == hll.REGISTERS
        assert b"".join(bytes((value,)) * length for value, length, _ in runs) == values
        assert max(values) <= hll.SPARSE_VALUE_MAX
    return values


def test_places_of_all_lengths() -> None:
    """Of a last word that is not whole, too; the registers and values are what the reference gives."""
    known = [
        (5938, 2),
        (12711, 2),
        (719, 1),
        (9474, 1),
        (11070, 8),
        (3726, 4),
        (13647, 2),
        (5634, 2),
        (1383, 1),
        (6903, 1),
        (12228, 1),
        (14121, 1),
        (9695, 5),
        (9157, 1),
        (5697, 2),
        (12377, 4),
        (9328, 1),
        (4271, 1),
    ]
    for size, (index, value) in enumerate(known):
        assert hll.place_of(b"abcdefghijklmnopq"[:size]) == index << 6 | value


@pytest.mark.parametrize("sparse_bytes_max", [0, 30, 100, 3000, 20_000])
def test_as_registers_one_by_one(sparse_bytes_max: int) -> None:
    random = Random(sparse_bytes_max)
    data = hll.new()
    plain = bytearray(hll.REGISTERS)
    for step in range(3000):
        place = hll.place_of(b"%d" % random.randrange(10**6))
        if random.random() < 0.2:  # Neighbours, and values that are rare, so that runs are joined and split.
            place = random.choice((5, 6, 7, 8, 9, 16382, 16383)) << 6 | random.choice((1, 1, 2, 3, 32))
        index, value = place >> 6, place & 63
        assert hll.add(data, place, sparse_bytes_max) == (plain[index] < value)
        plain[index] = max(plain[index], value)
        if not step % 50 or step < 100:
            assert check(data) == plain


def test_a_large_value_makes_it_dense() -> None:
    data = hll.new()
    assert hll.add(data, 7 << 6 | 32, 3000) == 1 and hll.is_sparse(data)
    assert hll.add(data, 9 << 6 | 33, 3000) == 1 and not hll.is_sparse(data)
    values = check(data)
    assert values[7] == 32 and values[9] == 33 and sum(values) == 65


def test_dense_registers_are_packed_from_the_lowest_bit_on() -> None:
    random = Random(1)
    for _ in range(20):
        values = bytes(random.choices(range(64), k=hll.REGISTERS))
        number = sum(value << 6 * place for place, value in enumerate(values[:400]))
        packed = hll.packed(values)
        assert packed[:300] == number.to_bytes(300, "little")
        data = hll.new()
        hll.put_dense(data, values)
        assert hll.registers(data) == values
        assert all(hll.would_change(data, [place << 6 | 63]) == (values[place] < 63) for place in range(400))


def test_merged() -> None:
    random = Random(2)
    one, other = (bytes(random.choices(range(64), k=hll.REGISTERS)) for _ in range(2))
    assert hll.merged(one, other) == bytes(map(max, one, other))


@pytest.mark.parametrize("sparse_bytes_max", [60, 3000])
def test_raising_all_is_raising_one_by_one(sparse_bytes_max: int) -> None:
    random = Random(3)
    for _ in range(60):
        elements = [b"%d" % random.randrange(3000) for _ in range(random.choice((1, 10, 300)))]
        values = bytearray(check(made_of(elements)))
        for _ in range(random.choice((0, 5, 40))):  # Neighbours: so runs are joined.
            values[random.randrange(100)] = random.randint(1, 3)
        data = made_of([b"%d" % random.randrange(3000) for _ in range(100)], sparse_bytes_max)
        plain = data.copy()
        for index, value in enumerate(values):
            if value:
                hll.add(plain, index << 6 | value, sparse_bytes_max)
        hll.raise_to(data, bytes(values), sparse_bytes_max)
        assert data == plain


def test_one_that_is_none() -> None:
    for runs in (b"", b"\x00", b"\x7f\xfe", b"\x7f\xff\x00", b"\x7f", b"\x80" * 4):
        data = bytearray(hll.new()[: hll.HEADER_BYTES] + runs)
        assert hll.is_valid(data)
        assert hll.registers(data) is None
        assert not hll.to_dense(data) and data[hll.HEADER_BYTES :] == runs
    assert hll.add(bytearray(hll.new()[: hll.HEADER_BYTES]), 5 << 6 | 1, 3000) == -1
    for other in (b"", b"HYLL", b"hyll" + bytes(12), b"HYLL\x02" + bytes(20), b"HYLL\x00" + bytes(12298)):
        assert not hll.is_valid(other)


def test_cached_count() -> None:
    data = hll.new()
    assert hll.cached_count(data) == 0
    hll.make_stale(data)
    assert hll.cached_count(data) == -1
    hll.keep_count(data, 12345)
    assert hll.cached_count(data) == 12345


def test_as_the_reference() -> None:
    """What Valkey 9.1 keeps of the elements e0, e1 ..., and what it counts."""
    known = {
        1: ("3eb3234681303a26e57d597ed228af6a15d63ac1", 1),
        10: ("771d194bc0a419552a28bb34101cac65f9c44a11", 10),
        500: ("dc4c5c567a263152bb03598f9664eccf9ac734e6", 506),
        1300: ("2b7e1381d2c7d9bc53523d4608ab33934fd27ca1", 1309),
        1500: ("f17ea61075556d348df7ba5c18a023987abf0faf", 1509),
        2000: ("d89749d695c9bf2d520372e472f50f24ee53f88b", 2000),
        5000: ("21f2bcbf124c89c42b46e149b5d2218e30c42fd1", 4968),
        20000: ("80c8d28c0e5c72674ca1f6e63a5648f6b664ba0b", 19901),
    }
    for number, (digest, count) in known.items():
        data = made_of([b"e%d" % element for element in range(number)])
        hll.make_stale(data)
        assert sha1(data).hexdigest() == digest
        assert hll.count(check(data)) == count


def test_counts_are_near() -> None:
    for number in (1, 100, 5000, 30_000):
        count = hll.count(check(made_of([b"%d" % element for element in range(number)])))
        assert abs(count - number) <= number * 0.03


def test_counts_of_registers_that_no_elements_make() -> None:
    assert hll.count(bytes(hll.REGISTERS)) == 0
    assert hll.count(b"\x3f" * hll.REGISTERS) == hll.IMPOSSIBLE_COUNT
    assert hll.count(b"\x33" * hll.REGISTERS) == hll.IMPOSSIBLE_COUNT
    data = hll.new()
    hll.keep_count(data, hll.IMPOSSIBLE_COUNT)
    assert hll.cached_count(data) == -1

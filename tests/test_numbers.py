"""Numbers: what is one, and sums of long doubles, against the real server.

`long_double`, `add` and `long_double_text` are the plain form: `float_sum`'s short cut must give the same.
"""

from random import Random

import pytest

from common.errors import NotAFloat, NotAnInteger, RedisError
from common.numbers import (
    FIXED_MAX,
    INFINITE,
    INTEGER_MAX,
    INTEGER_MIN,
    LONG_DOUBLE_BYTES_MAX,
    MANTISSA_BITS,
    UNIT,
    add,
    double,
    float_sum,
    integer,
    long_double,
    long_double_text,
    maybe_double,
    maybe_integer,
)
from tests.resp_client import Client, Error

SIZES = [sign * (10**digits + more) for digits in (17, 18) for more in (-1, 0, 1) for sign in (1, -1)]


@pytest.mark.parametrize("number", [0, 1, -1, 9, 10, 1023, -1024, INTEGER_MAX, INTEGER_MIN, *SIZES])
def test_an_integer(number: int) -> None:
    word = b"%d" % number
    assert integer(word) == integer(bytearray(word)) == maybe_integer(word) == number


NO_INTEGERS = [
    *(b"", b"-", b"+", b"+1", b"-0", b"00", b"01", b"-01", b" 1", b"1 ", b"1\n", b"1_0", b"1.0", b"1e3", b"0x10", b"x"),
    *(b"1\0", b"\0", b"\xd9\xa1", b"%d" % (INTEGER_MAX + 1), b"%d" % (INTEGER_MIN - 1), b"1" * 5000, b"0" * 21),
]


def test_integers_against_the_plain_form() -> None:
    random = Random(1)
    for _ in range(20_000):
        word = bytes(random.choices(b"0123456789-+ _", (1, *[3] * 9, 1, 0.1, 0.1, 0.1), k=random.randrange(1, 23)))
        try:
            number = int(word)
        except ValueError:
            assert maybe_integer(word) is None
            continue
        is_one = b"%d" % number == word and INTEGER_MIN <= number <= INTEGER_MAX
        assert maybe_integer(word) == maybe_integer(bytearray(word)) == (number if is_one else None)


@pytest.mark.parametrize("word", NO_INTEGERS)
def test_no_integer(word: bytes) -> None:
    assert maybe_integer(word) is None
    assert maybe_integer(bytearray(word)) is None
    with pytest.raises(NotAnInteger):
        integer(word)


@pytest.mark.parametrize(
    ("word", "number"),
    [
        *((b"1", 1.0), (b"+1", 1.0), (b"-1.5", -1.5), (b".5", 0.5), (b"5.", 5.0), (b"1e3", 1000.0), (b"1E+3", 1000.0)),
        *((b"007", 7.0), (b"0e9999", 0.0), (b"1e-320", 1e-320), (b"-0", -0.0)),
        *((b"inf", float("inf")), (b"-INF", float("-inf")), (b"+Infinity", float("inf"))),
    ],
)
def test_a_double(word: bytes, number: float) -> None:
    assert repr(double(word)) == repr(double(bytearray(word))) == repr(number)


NO_NUMBERS = [
    *(
        b"",
        b"-",
        b".",
        b"e5",
        b"1e",
        b"1e5.5",
        b"1_0",
        b" 1",
        b"1 ",
        b"1\n",
        b"--1",
        b"+-1",
        b"1x",
        b"x",
        b"1\0",
        b"\0",
    ),
    *(b"nan", b"-nan", b"nan(1)", b"infi", b"0x", b"0xg", b"1,5", b"1e+", b"..5", b"1.2.3"),
]


@pytest.mark.parametrize("word", [*NO_NUMBERS, b"0x10", b"1e400", b"-1e400", b"1e-400", b"1" * 400])
def test_no_double(word: bytes) -> None:
    assert maybe_double(word) is None
    with pytest.raises(NotAFloat):
        double(word)


@pytest.mark.parametrize(
    "word", [*NO_NUMBERS, b"0x.p1", b"1e5000", b"1e-5000", b"1e" + b"9" * 5000, b"0x1p16384", b"1" * 5120]
)
def test_no_long_double(word: bytes) -> None:
    with pytest.raises(NotAFloat):
        long_double(word)


@pytest.mark.parametrize(
    "word", [b"0" * LONG_DOUBLE_BYTES_MAX, b"0e" + b"9" * 5000, b"-0x.0p-99999", b"0." + b"0" * 5000]
)
def test_a_long_way_to_write_0(word: bytes) -> None:
    assert long_double(word).mantissa == 0
    assert float_sum(word, b"-0") == b"0"


@pytest.mark.parametrize(
    ("value", "increment", "expected"),
    [
        (b"10.50", b"0.1", b"10.6"),
        (b"1000.1", b"0.2", b"1000.29999999999999999"),
        (b"5.0e3", b"0x10", b"5016"),
        (b"-0.1", b"-.9", b"-1"),
        (b"-0", b"-0", b"0"),
        (b"0", b"-4e-18", b"0"),
        (b"9223372036854775807", b"1", b"9223372036854775808"),
        (b"18446744073709551616", b"1", b"18446744073709551616"),  # The 65th bit: a half goes to the even neighbour,
        (b"18446744073709551618", b"1", b"18446744073709551620"),  # below and above.
    ],
)
def test_sums(value: bytes, increment: bytes, expected: bytes) -> None:
    assert float_sum(value, increment) == float_sum(bytearray(value), increment) == expected


@pytest.mark.parametrize(
    ("value", "increment"), [(b"inf", b"1"), (b"1", b"-inf"), (b"inf", b"-inf"), (b"1.1e4932", b"1.1e4932")]
)
def test_a_sum_that_is_not_finite(value: bytes, increment: bytes) -> None:
    with pytest.raises(RedisError, match="^ERR increment would produce NaN or Infinity$"):
        float_sum(value, increment)


def plain_sum(value: bytes, increment: bytes) -> bytes:
    return long_double_text(add(long_double(value), long_double(increment)))


def test_fixed_point_gives_the_same_up_to_its_limit() -> None:
    random = Random(1)
    largest = b"31." + b"9" * 17
    assert float_sum(largest, largest) == plain_sum(largest, largest) == b"63." + b"9" * 16 + b"8"
    for _ in range(5000):
        words = []
        for _ in range(2):
            number = random.randrange(random.choice((FIXED_MAX, FIXED_MAX + UNIT, UNIT, 1000)))
            text = f"{number // UNIT}.{number % UNIT:017d}"
            words.append((random.choice(("", "-")) + text[: random.randint(2, len(text))]).encode())
        assert float_sum(*words) == plain_sum(*words), words


def test_every_result_is_a_long_double() -> None:
    random = Random(2)
    for _ in range(2000):
        number = long_double(random_number(random))
        if number.exponent != INFINITE:
            assert number.mantissa.bit_length() <= MANTISSA_BITS or abs(number.mantissa) == 1 << MANTISSA_BITS
            assert add(number, long_double(b"0")) == add(long_double(b"0"), number)


def random_number(random: Random) -> bytes:
    """One of many shapes: short and long, small and large, decimal and hexadecimal, half way between two numbers."""

    def digits(least: int, most: int) -> str:
        return "".join(random.choices("0123456789", k=random.randint(least, most)))

    def decimal() -> str:
        return digits(1, 4) + "." + digits(0, 4)

    def long_decimal() -> str:
        return digits(1, 22) + "." + digits(0, 25)

    def with_exponent() -> str:
        return digits(1, 4) + random.choice(("e", "E+", "e-")) + str(random.choice((random.randrange(26), 4900)))

    def hexadecimal() -> str:
        return f"0x{random.getrandbits(random.choice((4, 64, 65, 200))):x}{random.choice(('', '.8', 'p3', 'P-70'))}"

    def half_way() -> str:
        return f"{2 * ((1 << 63) | random.getrandbits(63)) + 1}{random.choice(('', '.0', '.00000000000000000001'))}"

    shape = random.choice((decimal, decimal, long_decimal, with_exponent, hexadecimal, half_way))
    return (random.choice(("", "-", "+")) + shape()).encode()


def test_sums_are_those_of_the_reference(reference_client: Client) -> None:
    random = Random(3)
    for _ in range(2000):
        value, increment = random_number(random), random_number(random)
        reference_client.call("SET", "x", value)
        expected = reference_client.call("INCRBYFLOAT", "x", increment)
        try:
            got = float_sum(value, increment)
        except RedisError as error:
            got = Error(str(error).encode())
        assert got == expected, (value, increment)


@pytest.mark.parametrize("word", [*NO_NUMBERS, b"1e400", b"1e-400", b"1e-320", b"+5", b"5.", b"0x10", b"iNf", b"0e999"])
def test_a_double_is_what_the_reference_takes(reference_client: Client, word: bytes) -> None:
    taken = not isinstance(reference_client.call("ZADD", "z", word, "member"), Error)
    assert taken == (maybe_double(word) is not None)

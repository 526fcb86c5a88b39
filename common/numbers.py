"""Numbers as clients write them, read and written exactly as Redis does.

- An integer is what Redis itself would print: no plus sign, no leading zero, no space, 64 bits.
- A double is what C's strtod takes, without spaces, hexadecimal digits and NaN.
- A long double is what INCRBYFLOAT and HINCRBYFLOAT reckon with: x86's 80 bits, of which 64 are the mantissa. Python
  has no such type: its values are whole numbers times a power of two here, each result rounded as the processor does.
"""

import re
from math import copysign
from typing import NamedTuple

from common.errors import NotAFloat, NotAnInteger, RedisError
from common.grisu import digits_of

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1
INTEGER_DIGITS_MAX = 20
"""Characters of the longest integer: a sign and 19 digits."""
INT_MIN = -(2**31)
INT_MAX = 2**31 - 1
"""What Redis takes where it reads a C int: the number of a db."""
ZERO = 48

LONG_DOUBLE_BYTES_MAX = 5 * 1024 - 1
"""The longest text that Redis reads a long double from; it also bounds the work."""


# --- Integers --------------------------------------------------------------------------------------------------------


def integer(word: bytes | bytearray) -> int:
    """The 64 bit integer that `word` is.  Raises NotAnInteger.

    int() takes more than Redis (b" +1_0 "), but whatever prints as it was written was written as Redis prints it. So
    were digits that do not begin with a zero, and to see that takes a fifth of the time.
    """
    if len(word) < INTEGER_DIGITS_MAX - 1 and word.isdigit() and (word[0] != ZERO or len(word) == 1):
        return int(word)
    if len(word) <= INTEGER_DIGITS_MAX:
        try:
            number = int(word)
        except ValueError:
            raise NotAnInteger() from None
        if b"%d" % number == word and INTEGER_MIN <= number <= INTEGER_MAX:
            return number
    raise NotAnInteger()


def maybe_integer(word: bytes | bytearray) -> int | None:
    """The 64 bit integer that `word` is, None if it is none."""
    try:
        return integer(word)
    except NotAnInteger:
        return None


# --- Doubles ---------------------------------------------------------------------------------------------------------

DOUBLE = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|(inf|infinity))", re.IGNORECASE)


def double(word: bytes | bytearray) -> float:
    """The double that `word` is.  Raises NotAFloat."""
    number = maybe_double(word)
    if number is None:
        raise NotAFloat()
    return number


def maybe_double(word: bytes | bytearray) -> float | None:
    """The double that `word` is, None if it is none, too large, or so small that it would read as 0."""
    match = DOUBLE.fullmatch(word)
    if match is None:
        return None
    number = float(word)
    if match[1] is None and (number in (INFINITY, -INFINITY) or (number == 0 and has_digits(word))):
        return None
    return number


INFINITY = float("inf")


def has_digits(word: bytes | bytearray) -> bool:
    """Whether the mantissa of a decimal number has a digit but 0."""
    mantissa = re.split(b"[eE]", word, maxsplit=1)[0]
    return bool(mantissa.strip(b"+-.0"))


# A double as text, as the reference's fpconv_dtoa writes it: the digits of grisu.py, in a form by the exponent.

ZEROS_MAX = 7
"""Zeros between a number's digits and the point, before it is written with an exponent."""


def shortest_text(number: float) -> bytes:
    """The shortest text that reads back to the same number, or nearly the shortest: "1", "0.1", "1e+21", "-inf"."""
    if number != number or number in (INFINITY, -INFINITY):
        return b"nan" if number != number else b"inf" if number > 0 else b"-inf"
    if not number:
        return b"-0" if copysign(1.0, number) < 0 else b"0"
    digits, exponent = digits_of(abs(number))
    text = _placed(digits, exponent).encode()
    return b"-" + text if number < 0 else text


def _placed(digits: str, exponent: int) -> str:
    """The number `digits * 10**exponent`."""
    size = abs(exponent + len(digits) - 1)
    if exponent >= 0 and size < len(digits) + ZEROS_MAX:
        return digits + "0" * exponent
    if exponent < 0 and (exponent > -ZEROS_MAX or size < 4):
        point = len(digits) + exponent
        return f"0.{'0' * -point}{digits}" if point <= 0 else f"{digits[:point]}.{digits[point:]}"
    point_and_rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{point_and_rest}e{'-' if exponent + len(digits) - 1 < 0 else '+'}{size}"


# --- Long doubles ----------------------------------------------------------------------------------------------------


class LongDouble(NamedTuple):
    """The number `mantissa * 2**exponent`, with at most 64 bits of mantissa; infinite if the exponent is `INFINITE`."""

    mantissa: int
    exponent: int


MANTISSA_BITS = 64
EXPONENT_MIN = -16445
"""Of the smallest number above 0."""
MAGNITUDE_MAX = 16384
"""All finite numbers are below two to this power."""
INFINITE = 1 << 62
DECIMAL_EXPONENT_MAX = 5_000
"""10 to this power is infinite."""
DECIMAL_EXPONENT_MIN = -LONG_DOUBLE_BYTES_MAX - 5_000
"""10 to this power is 0 even if it comes behind as many digits as a text may have."""
EXPONENT_DIGITS_MAX = 6
"""An exponent of more digits is as good as the largest of so many: a client may write one of five thousand."""

DECIMALS = 17
"""Digits behind the point that Redis prints, where they aren't 0."""
UNIT = 10**DECIMALS

LONG_DOUBLE = re.compile(
    rb"""(?P<sign>[+-]?)(?:
        0x (?=\.?[\da-f]) (?P<hex_whole>[\da-f]*) \.? (?P<hex_fraction>[\da-f]*) (?:p(?P<power>[+-]?\d+))?
        | (?=\.?\d) (?P<whole>\d*) \.? (?P<fraction>\d*) (?:e(?P<exponent>[+-]?\d+))?
        | (?P<infinite>inf(?:inity)?)
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def float_sum(value: bytes | bytearray, increment: bytes) -> bytes:
    """What INCRBYFLOAT makes of `value`: the sum, in Redis's form.

    Raises NotAFloat if either is no number, RedisError if the sum is infinite.
    """
    one, other = _fixed(value), _fixed(increment)
    if one is not None and other is not None:
        return _fixed_text(one + other)
    return long_double_text(add(long_double(value), long_double(increment)))


def long_double(word: bytes | bytearray) -> LongDouble:
    """The long double that `word` is, decimal, hexadecimal or infinite, as C's strtold reads it.

    Raises NotAFloat, also where the number is too large, or so small that it would read as 0.
    """
    match = LONG_DOUBLE.fullmatch(word) if len(word) <= LONG_DOUBLE_BYTES_MAX else None
    if match is None:
        raise NotAFloat()
    negative = match["sign"] == b"-"
    if match["infinite"]:
        return LongDouble(-1 if negative else 1, INFINITE)
    if match["whole"] is not None:
        digits, fraction, exponent = match["whole"] + match["fraction"], match["fraction"], match["exponent"]
        number = _scaled(_digits_value(digits), 10, _clamped(exponent) - len(fraction))
    else:
        digits, fraction, exponent = match["hex_whole"] + match["hex_fraction"], match["hex_fraction"], match["power"]
        number = _scaled(int(digits, 16), 2, _clamped(exponent) - 4 * len(fraction))
    if number.exponent == INFINITE or (not number.mantissa and digits.strip(b"0")):
        raise NotAFloat()
    return LongDouble(-number.mantissa, number.exponent) if negative else number


def add(one: LongDouble, other: LongDouble) -> LongDouble:
    """The sum, rounded.  Raises RedisError if it is no finite number."""
    if one.exponent < other.exponent:
        one, other = other, one
    if one.exponent != INFINITE:
        mantissa = (one.mantissa << (one.exponent - other.exponent)) + other.mantissa
        number = _rounded(abs(mantissa), 1, other.exponent)
        if number.exponent != INFINITE:
            return LongDouble(-number.mantissa, number.exponent) if mantissa < 0 else number
    raise RedisError("ERR increment would produce NaN or Infinity")


def long_double_text(number: LongDouble) -> bytes:
    """A finite number as C's "%.17Lf" writes it, without zeros at the end, and 0 without a sign."""
    mantissa, exponent = number
    if exponent >= 0:
        return _fixed_text((mantissa << exponent) * UNIT)
    fixed = _rounded_quotient(abs(mantissa) * UNIT, 1 << -exponent)
    return _fixed_text(-fixed if mantissa < 0 else fixed)


def _rounded_quotient(numerator: int, denominator: int) -> int:
    """The nearest whole number, the even one of two."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient & 1))


def _rounded(numerator: int, denominator: int, exponent: int = 0) -> LongDouble:
    """The long double nearest to `numerator / denominator * 2**exponent`, for a numerator that is not negative."""
    if not numerator:
        return LongDouble(0, 0)
    bits = numerator.bit_length() - denominator.bit_length()
    if numerator >= denominator << bits if bits >= 0 else numerator << -bits >= denominator:
        bits += 1  # Now the quotient's whole part has exactly so many.
    shift = max(bits - MANTISSA_BITS, EXPONENT_MIN - exponent)
    if shift >= 0:
        mantissa = _rounded_quotient(numerator, denominator << shift)
    else:
        mantissa = _rounded_quotient(numerator << -shift, denominator)
    exponent += shift
    if mantissa.bit_length() + exponent > MAGNITUDE_MAX:
        return LongDouble(1, INFINITE)
    return LongDouble(mantissa, exponent)


def _scaled(digits: int, base: int, exponent: int) -> LongDouble:
    """The long double nearest to `digits * base**exponent`."""
    if base == 2:
        return _rounded(digits, 1, exponent)
    exponent = min(max(exponent, DECIMAL_EXPONENT_MIN), DECIMAL_EXPONENT_MAX)
    return _rounded(digits * 10**exponent, 1) if exponent >= 0 else _rounded(digits, 10**-exponent)


def _clamped(exponent: bytes | None) -> int:
    """An exponent of a text, cut to what makes a difference."""
    if exponent is None:
        return 0
    digits = exponent.lstrip(b"+-0") or b"0"
    number = int(digits) if len(digits) <= EXPONENT_DIGITS_MAX else 10**EXPONENT_DIGITS_MAX
    return -number if exponent[:1] == b"-" else number


# Fixed point: whole numbers of 1e-17.

FIXED_MAX = 32 * UNIT
"""Numbers below 32 are added in fixed point, which gives the same: a long double below 32 is off by at most 2**-60, and
the rounding of a sum below 64 adds at most 2**-59: 3.5e-18 in all. The exact sum is a multiple of 1e-17, so that is
what printing 17 decimals rounds to."""
FIXED_UNITS: list[int] = [10 ** (DECIMALS - decimals) for decimals in range(DECIMALS + 1)]
"""By the number of decimals that a word has."""

PLAIN_DIGITS_MAX = 4000
"""Python refuses to turn more than 4300 digits into a number or back; longer ones go in pieces."""
PLAIN_UNIT: int = 10**PLAIN_DIGITS_MAX


def _fixed(word: bytes | bytearray) -> int | None:
    """A decimal number below FIXED_MAX, of at most 17 decimals, times 1e17; None for any other word."""
    whole, _, fraction = word.partition(b".")
    digits = whole.removeprefix(b"-") + fraction
    if len(fraction) > DECIMALS or len(whole) > 3 or not digits.isdigit():
        return None
    number = int(digits) * FIXED_UNITS[len(fraction)]
    if number >= FIXED_MAX:
        return None
    return -number if whole[:1] == b"-" else number


def _fixed_text(number: int) -> bytes:
    """`number` times 1e-17, without zeros at the end."""
    whole, fraction = divmod(abs(number), UNIT)
    text = _digits_text(whole)
    if fraction:
        text += (b".%017d" % fraction).rstrip(b"0")
    return b"-" + text if number < 0 else text


def _digits_value(digits: bytes) -> int:
    if len(digits) <= PLAIN_DIGITS_MAX:
        return int(digits)
    return int(digits[:-PLAIN_DIGITS_MAX]) * PLAIN_UNIT + int(digits[-PLAIN_DIGITS_MAX:])


def _digits_text(number: int) -> bytes:
    if number < 10**18:
        return b"%d" % number
    high, low = divmod(number, PLAIN_UNIT)
    return b"%d%0*d" % (high, PLAIN_DIGITS_MAX, low) if high else b"%d" % low

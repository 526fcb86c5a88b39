"""The digits of a double, as the reference finds them: Grisu2, by its library fpconv.

Rule: the digits read back to the same number, and are nearly always the shortest that do, and of these the nearest. Of
      one number in five hundred they are not, as in 99999999999999990000000 for 1e+23, for Grisu2 reckons with 64 bits
      and keeps away from what it can't be sure of. So each step here is as it is there, and none may be exact.

Source: Florian Loitsch, "Printing floating-point numbers quickly and accurately with integers", PLDI 2010.
"""

from math import frexp, ldexp

FRACTION_BITS = 52
HIDDEN_BIT = 0x10_0000_0000_0000
"""What a double does not keep of its fraction. No shift: in C that would be one of an int."""
EXPONENT_MIN = -1074
"""Of the last bit of a double."""
POWER_FIRST, POWER_STEP, POWERS_COUNT = -348, 8, 87
POWER_BITS_MIN, POWER_BITS_MAX = -60, -32
"""Between these the exponent of a product has to be: then the digits before its point fit 32 bits, and those behind it
64 with room for one more."""
LOG10_2 = 0.30102999566398114
INTEGER_DIGITS, DIVISOR_FIRST = 10, 1_000_000_000
"""Digits before the point of a product, with zeros, and what the first of them counts."""
LOW = 0xFFFF_FFFF


def _power(power: int) -> tuple[int, int]:
    """10**power as a number of 64 bits, rounded, and a power of two."""
    exact, shift = 10 ** abs(power), 0
    if power < 0:
        shift = exact.bit_length() + 64
        exact = (1 << shift) // exact
    size = exact.bit_length() - 64
    if size <= 0:
        return exact << -size, size - shift
    return (exact >> size) + (exact >> (size - 1) & 1), size - shift


POWERS = [_power(POWER_FIRST + POWER_STEP * place) for place in range(POWERS_COUNT)]


def digits_of(number: float) -> tuple[str, int]:
    """The digits of a finite number above 0, and the power of ten by which they are to be multiplied.

    >>> digits_of(1234.5), digits_of(1e23)
    (('12345', -1), ('9999999999999999', 7))
    """
    exponent = max(frexp(number)[1] - FRACTION_BITS - 1, EXPONENT_MIN)
    fraction = int(ldexp(number, -exponent))
    # The bounds of what reads back to this number, half way to its neighbours, and itself: with the same exponent.
    upper = (fraction << 1) + 1
    exponent -= 1
    lower = upper - 2
    if fraction == HIDDEN_BIT:  # The neighbour below is half as far away.
        upper <<= 1
        lower = upper - 3
        exponent -= 1
    middle = fraction << (2 if fraction == HIDDEN_BIT else 1)
    while not upper >> 63:
        upper <<= 1
        lower <<= 1
        middle <<= 1
        exponent -= 1

    place = (int(-(exponent + POWERS_COUNT) * LOG10_2) - POWER_FIRST) // POWER_STEP
    power, power_exponent = POWERS[place]
    while exponent + power_exponent + 64 < POWER_BITS_MIN:
        place += 1
        power, power_exponent = POWERS[place]
    while exponent + power_exponent + 64 > POWER_BITS_MAX:
        place -= 1
        power, power_exponent = POWERS[place]
    # Within the bounds by one, so that no error of a product leads out of them.
    upper = product(upper, power) - 1
    lower = product(lower, power) + 1
    middle = product(middle, power)
    return _digits(upper, upper - lower, upper - middle, -(exponent + power_exponent + 64), place)


def product(one: int, other: int) -> int:
    """The upper 64 bits of a product, rounded."""
    high_low = (one >> 32) * (other & LOW)
    low_high = (one & LOW) * (other >> 32)
    low_low = (one & LOW) * (other & LOW)
    middle = (high_low & LOW) + (low_high & LOW) + (low_low >> 32) + (1 << 31)
    return (one >> 32) * (other >> 32) + (high_low >> 32) + (low_high >> 32) + (middle >> 32)


def _digits(upper: int, width: int, distance: int, point: int, place: int) -> tuple[str, int]:
    """The fewest digits of `upper` that are no more than `width` below it, the last one moved towards what is
    `distance` below it. Of all three `point` bits are behind the point."""
    unit = 1
    unit <<= point  # Not in one line, as above.
    whole = upper >> point
    rest = upper & (unit - 1)
    left = INTEGER_DIGITS
    divisor = DIVISOR_FIRST
    digits = 0
    while left:
        digits = digits * 10 + whole // divisor
        whole %= divisor
        left -= 1
        below = (whole << point) + rest
        if below <= width:
            digits -= _steps(below, distance, width, divisor << point)
            return str(digits), left - POWER_FIRST - POWER_STEP * place
        divisor //= 10
    while True:
        rest *= 10
        width *= 10
        distance *= 10
        left -= 1
        digits = digits * 10 + (rest >> point)
        rest &= unit - 1
        if rest < width:
            digits -= _steps(rest, distance, width, unit)
            return str(digits), left - POWER_FIRST - POWER_STEP * place


def _steps(below: int, distance: int, width: int, step: int) -> int:
    """By how many steps to go down, so as to come as near to `distance` as may be, and not below `width`."""
    steps = 0
    while (
        below < distance
        and width - below >= step
        and (below + step < distance or distance - below > below + step - distance)
    ):
        steps += 1
        below += step
    return steps

"""The digits of doubles: those of the reference, also where they are not the shortest."""

import struct
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.grisu import digits_of
from common.numbers import shortest_text
from common.resp import double_text
from tests.resp_client import Client, encode_command

COUNT = 5000


def bits(random: Random) -> float:
    """Any double, each as likely."""
    (number,) = struct.unpack("<d", random.randbytes(8))
    return float(number) if abs(number) < float("inf") else 0.5


def numbers(kind: str) -> Iterable[float]:
    random = Random(1)
    if kind == "powers":
        return [2.0**power for power in range(-1074, 1024)] + [10.0**power for power in range(-323, 309)]
    if kind == "any":
        return [bits(random) for _ in range(COUNT)]
    if kind == "decimals":
        return [round(random.random() * 10 ** random.randrange(8), random.randrange(1, 5)) for _ in range(COUNT)]
    return [random.random() * 10.0 ** random.randrange(-8, 20) for _ in range(COUNT)]


@pytest.mark.parametrize("kind", ["powers", "any", "decimals", "fractions"])
def test_the_texts_of_the_reference(kind: str, reference_client: Client) -> None:
    asked = list(numbers(kind))
    differing = []
    for begin in range(0, len(asked), 1000):
        some = asked[begin : begin + 1000]
        calls = [call for number in some for call in (["ZADD", "z", repr(number), "m"], ["ZSCORE", "z", "m"])]
        reference_client.send_bytes(b"".join(map(encode_command, calls)))
        texts = [reply.value for reply in reference_client.read_many(len(calls))][1::2]
        differing += [
            (number, text, ours)
            for number, text in zip(some, texts, strict=True)
            if text != (ours := double_text(number))
        ]
    assert not differing


@pytest.mark.parametrize(
    ("number", "digits"),
    [
        (1.0, ("1", 0)),
        (0.1, ("1", -1)),
        (5e-324, ("5", -324)),
        (1.7976931348623157e308, ("17976931348623157", 292)),
        (1e23, ("9999999999999999", 7)),
        (740411103443322.2, ("7404111034433223", -1)),
        (2.4521172111789127e-4, ("24521172111789126", -20)),
    ],
)
def test_digits(number: float, digits: tuple[str, int]) -> None:
    """The last three are not the nearest or not the shortest, and the reference's all the same."""
    assert digits_of(number) == digits


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
@example(2.2250738585072014e-308)
@example(2.225073858507201e-308)
def test_they_read_back_to_the_same_number(number: float) -> None:
    digits, power = digits_of(number)
    assert float(f"{digits}e{power}") == number
    assert digits[0] != "0" and digits[-1] != "0" and len(digits) <= 17
    assert float(shortest_text(-number)) == -number

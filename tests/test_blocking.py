"""When a call that waits ends."""

import pytest

from common.errors import RedisError
from shard.blocking import FOREVER, Blocked, deadline_ms, deadline_of_ms
from shard.values.list import List

NOW_MS = 1_700_000_000_000
LONGEST_MS = 2**63 - 1 - NOW_MS


@pytest.mark.parametrize(
    ("timeout", "duration_ms"),
    [
        (b"1", 1000),
        (b"0.001", 1),
        (b"0.003", 3),
        (b"2.675", 2675),
        (b"0.0001", 1),
        (b"1.0001", 1001),
        (b"1e-4940", 1),
        (b"0x10", 16000),
        (b"1e3", 1_000_000),
        (b"%d" % (LONGEST_MS // 1000), LONGEST_MS // 1000 * 1000),
    ],
)
def test_seconds(timeout: bytes, duration_ms: int) -> None:
    assert deadline_ms(timeout, NOW_MS) == NOW_MS + duration_ms


@pytest.mark.parametrize("timeout", [b"0", b"0.0", b"-0", b"-0.0001", b"0e9"])
def test_for_ever(timeout: bytes) -> None:
    assert deadline_ms(timeout, NOW_MS) == FOREVER


FAULTS = {
    b"": "not a float or out of range",
    b" 1": "not a float or out of range",
    b"1s": "not a float or out of range",
    b"nan": "not a float or out of range",
    b"-1": "negative",
    b"-0.002": "negative",
    b"-inf": "negative",
    b"inf": "out of range",
    b"1e400": "out of range",
    b"%d" % (LONGEST_MS // 1000 + 1): "out of range",
}


@pytest.mark.parametrize("timeout", FAULTS)
def test_what_is_no_timeout(timeout: bytes) -> None:
    with pytest.raises(RedisError) as fault:
        deadline_ms(timeout, NOW_MS)
    ending = FAULTS[timeout]
    assert str(fault.value) == f"ERR timeout is {ending}"


def test_milliseconds() -> None:
    assert deadline_of_ms(b"1", NOW_MS) == NOW_MS + 1
    assert deadline_of_ms(b"0", NOW_MS) == FOREVER
    assert deadline_of_ms(b"%d" % LONGEST_MS, NOW_MS) == 2**63 - 1
    for word, ending in {b"1.5": "not an integer or out of range", b"-1": "negative"}.items():
        with pytest.raises(RedisError, match=f"^ERR timeout is {ending}$"):
            deadline_of_ms(word, NOW_MS)
    with pytest.raises(RedisError, match="^ERR timeout is out of range$"):
        deadline_of_ms(b"%d" % (LONGEST_MS + 1), NOW_MS)


def test_what_a_call_waits_for() -> None:
    plain = Blocked((b"a", b"b", b"a"), List, FOREVER)
    assert plain.keys == (b"a", b"b")
    assert [plain.wants(value) for value in (List(), b"string", None)] == [True, False, False]
    lasting = Blocked((b"a",), List, FOREVER, lasting=True)
    assert all(lasting.wants(value) for value in (List(), b"string", None))

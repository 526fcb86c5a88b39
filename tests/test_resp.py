"""Replies as bytes: every type in both protocols, and read back by a client that shares no code with the encoder."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RedisError, SyntaxFault, WrongType
from common.resp import (
    NO_REPLY,
    NULL_ARRAY,
    OK,
    Chunks,
    Decimal,
    Push,
    Status,
    Verbatim,
    double_text,
    encode,
    error_reply,
    joined,
)
from tests import resp_client
from tests.resp_client import Client, parse_reply

CASES: list[tuple[Any, bytes, bytes]] = [
    (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    (b"a\r\nb", b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n"),
    (bytearray(b"ab"), b"$2\r\nab\r\n", b"$2\r\nab\r\n"),
    ("\u00e9", b"$2\r\n\xc3\xa9\r\n", b"$2\r\n\xc3\xa9\r\n"),
    (OK, b"+OK\r\n", b"+OK\r\n"),
    (Status("QUEUED"), b"+QUEUED\r\n", b"+QUEUED\r\n"),
    (0, b":0\r\n", b":0\r\n"),
    (1023, b":1023\r\n", b":1023\r\n"),
    (1024, b":1024\r\n", b":1024\r\n"),
    (-1, b":-1\r\n", b":-1\r\n"),
    (-(2**63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
    (None, b"$-1\r\n", b"_\r\n"),
    (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
    (NO_REPLY, b"", b""),
    (True, b":1\r\n", b"#t\r\n"),
    (False, b":0\r\n", b"#f\r\n"),
    (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
    (Decimal("1.50"), b"$4\r\n1.50\r\n", b",1.50\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
    ([b"a", 1, None], b"*3\r\n$1\r\na\r\n:1\r\n$-1\r\n", b"*3\r\n$1\r\na\r\n:1\r\n_\r\n"),
    ((b"a", [OK]), b"*2\r\n$1\r\na\r\n*1\r\n+OK\r\n", b"*2\r\n$1\r\na\r\n*1\r\n+OK\r\n"),
    ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
    ({b"a": {}}, b"*2\r\n$1\r\na\r\n*0\r\n", b"%1\r\n$1\r\na\r\n%0\r\n"),
    ({7}, b"*1\r\n:7\r\n", b"~1\r\n:7\r\n"),
    (frozenset([b"x"]), b"*1\r\n$1\r\nx\r\n", b"~1\r\n$1\r\nx\r\n"),
    (Push([b"message", b"c"]), b"*2\r\n$7\r\nmessage\r\n$1\r\nc\r\n", b">2\r\n$7\r\nmessage\r\n$1\r\nc\r\n"),
    (Verbatim("a\nb"), b"$3\r\na\nb\r\n", b"=7\r\ntxt:a\nb\r\n"),
    (Verbatim("\udcff"), b"$1\r\n\xff\r\n", b"=5\r\ntxt:\xff\r\n"),
    (SyntaxFault(), b"-ERR syntax error\r\n", b"-ERR syntax error\r\n"),
    ([RedisError("ERR x")], b"*1\r\n-ERR x\r\n", b"*1\r\n-ERR x\r\n"),
    (RedisError("ERR a\r\nb\nc"), b"-ERR a  b c\r\n", b"-ERR a  b c\r\n"),
    (RedisError("ERR \udcff"), b"-ERR \xff\r\n", b"-ERR \xff\r\n"),
]


@pytest.mark.parametrize(("reply", "resp2", "resp3"), CASES, ids=[repr(case[0])[:30] for case in CASES])
def test_every_type_in_both_protocols(reply: Any, resp2: bytes, resp3: bytes) -> None:
    assert (encode(reply, 2), encode(reply, 3)) == (resp2, resp3)


def test_every_type_inside_each_container() -> None:
    for reply, *encoded in CASES:
        for protocol, one in zip((2, 3), encoded, strict=True):
            if one:
                assert encode([reply, reply], protocol) == b"*2\r\n" + 2 * one
                assert encode({b"k": reply}, protocol).endswith(b"$1\r\nk\r\n" + one)
                assert encode(Push([reply]), protocol).endswith(b"1\r\n" + one)


def test_every_type_among_many_short_strings() -> None:
    for reply, *encoded in CASES:
        for protocol, one in zip((2, 3), encoded, strict=True):
            for size in (0, 3, 1023, 1024):
                strings = b"".join([b"$%d\r\n%b\r\n" % (size, b"x" * size)] * 20)
                assert encode([b"x" * size] * 20, protocol) == b"*20\r\n" + strings
                assert encode((*[b"x" * size] * 20, reply), protocol) == b"*21\r\n" + strings + one
                assert encode([reply, *[b"x" * size] * 20], protocol) == b"*21\r\n" + one + strings


@pytest.mark.parametrize("value", [object(), [object()], {b"a": {1j}}, range(3), type])
def test_what_is_no_reply_is_a_bug(value: Any) -> None:
    with pytest.raises(TypeError, match="no reply can be made of a "):
        encode(value, 3)


def test_a_subclass_is_encoded_as_what_it_is_made_of() -> None:
    class Rows(list[Any]): ...

    class Refused(WrongType): ...

    assert encode(Rows([1]), 2) == b"*1\r\n:1\r\n"
    assert encode(Refused(), 3) == error_reply(WrongType())


# Read back


def received(reply: Any, protocol: int) -> Any:
    """What a client has of `reply`, in the words of tests/resp_client.py."""
    if reply is None or isinstance(reply, bytes):
        return reply
    if isinstance(reply, bool):
        return reply if protocol == 3 else int(reply)
    if isinstance(reply, int):
        return reply
    if isinstance(reply, float):
        return resp_client.Double(double_text(reply)) if protocol == 3 else double_text(reply)
    if isinstance(reply, Status):
        return resp_client.Status(reply.encode())
    if isinstance(reply, RedisError):
        return resp_client.Error(str(reply).encode())
    if isinstance(reply, Verbatim):
        return resp_client.Verbatim(b"txt:" + reply.encode()) if protocol == 3 else reply.encode()
    if isinstance(reply, dict):
        pairs = [(received(key, protocol), received(value, protocol)) for key, value in reply.items()]
        return resp_client.Map(pairs) if protocol == 3 else [item for pair in pairs for item in pair]
    items = [received(item, protocol) for item in reply]
    if protocol == 3 and isinstance(reply, frozenset):
        return resp_client.Set(items)
    return resp_client.Push(items) if protocol == 3 and isinstance(reply, Push) else items


WORDS = st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=8)
ATOMS = (
    st.binary(max_size=20)
    | st.integers(-(2**63), 2**63 - 1)
    | st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | WORDS.map(Status)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(Verbatim)
    | WORDS.map(lambda text: RedisError(f"ERR {text}"))
)
REPLIES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(Push)
        | st.dictionaries(st.binary(max_size=4), inner, max_size=4)
        | st.frozensets(st.binary(max_size=4), max_size=4)
    ),
    max_leaves=12,
)


@given(REPLIES, st.sampled_from((2, 3)))
def test_a_client_reads_back_what_was_replied(reply: Any, protocol: int) -> None:
    data = encode(reply, protocol)
    assert parse_reply(data + b"+OK\r\n") == (received(reply, protocol), len(data))


@given(REPLIES, st.sampled_from((2, 3)))
def test_a_reply_is_whole_only_with_its_last_byte(reply: Any, protocol: int) -> None:
    data = encode(reply, protocol)
    for size in range(len(data)):
        with pytest.raises(resp_client.Incomplete):
            parse_reply(data[:size])


# Doubles

DOUBLES = [
    (0.0, b"0"),
    (3.0, b"3"),
    (-3.25, b"-3.25"),
    (0.1, b"0.1"),
    (0.0001, b"0.0001"),
    (1e-6, b"0.000001"),
    (1e-7, b"1e-7"),
    (1.5e-7, b"1.5e-7"),
    (1 / 3, b"0.3333333333333333"),
    (-773588.0706937113, b"-7.735880706937113e+5"),
    (1e15, b"1000000000000000"),
    (1.5e17, b"150000000000000000"),
    (-58016210948245712.0, b"-58016210948245712"),
    (2.0**62, b"4611686018427387904"),
    (2.0**62 + 1024, b"4611686018427389000"),
    (-(2.0**62) - 1024, b"-4611686018427389000"),
    (4.7e18, b"4.7e+18"),
    (1e20, b"1e+20"),
    (1e22, b"1e+22"),
    (5e-324, b"5e-324"),
    (1.7976931348623157e308, b"1.7976931348623157e+308"),
    (float("inf"), b"inf"),
    (float("-inf"), b"-inf"),
]


@pytest.mark.parametrize(("number", "text"), DOUBLES)
def test_a_double_is_written_as_the_reference_writes_it(number: float, text: bytes, reference_client: Client) -> None:
    reference_client.call("ZADD", "scores", repr(number), "member")
    assert (double_text(number), reference_client.call("ZSCORE", "scores", "member")) == (text, text)


def test_a_zero_keeps_its_sign(reference_client: Client) -> None:
    reference_client.call("DEL", "scores")
    assert (double_text(-0.0), reference_client.call("ZADD", "scores", "INCR", "-0", "member")) == (b"-0", b"-0")


def test_not_a_number() -> None:
    assert double_text(float("nan")) == b"nan"


@given(st.floats(allow_nan=False))
def test_a_double_reads_back_to_the_same_number(number: float) -> None:
    assert float(double_text(number)) == number


def test_replies_are_joined_unless_some_are_in_chunks() -> None:
    assert joined([b"a", b"", b"b"]) == b"ab" and joined([]) == b""
    found = joined([b"a", Chunks((b"b", b"c")), b"d"])
    assert type(found) is Chunks and found == [b"a", b"b", b"c", b"d"]

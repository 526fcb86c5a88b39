"""Walking over objects of RDB: as far as they are read, and what is cut off is told from what is wrong."""

from random import Random

import pytest

from shard.rdb.encoding import BadObject, Reader, length
from shard.rdb.objects import read_object
from shard.rdb.walk import MODULE, Short, Walker
from tests.rdb_payloads import SOUND, UNSOUND, cases, mutated, packed, string, strings


def walked(body: bytes) -> int:
    walker = Walker(body, 1)
    walker.pass_object(body[0])
    return walker.at


@pytest.mark.parametrize(**cases(SOUND))
def test_it_ends_where_reading_ends(body: bytes) -> None:
    reader = Reader(body, 1)
    read_object(reader, body[0], {})
    assert walked(body) == reader.at
    assert walked(body + b"\xc4junk") == reader.at


@pytest.mark.parametrize(**cases(SOUND))
def test_what_is_cut_off_is_short(body: bytes) -> None:
    """And with what is needed it goes on, so that it comes to the end in steps."""
    end = walked(body)
    for size in range(1, end):
        with pytest.raises(Short) as raised:
            walked(body[:size])
        assert size < raised.value.needed <= end


@pytest.mark.parametrize("seed", range(4))
def test_what_is_read_is_walked(seed: int) -> None:
    """Any bytes: to the same place. What is walked may be no object all the same."""
    chance = Random(seed)
    compared = 0
    for _ in range(2000):
        body = mutated(chance, chance.choice(SOUND + UNSOUND)[1])
        if not body:
            continue
        reader = Reader(body, 1)
        try:
            read_object(reader, body[0], {})
        except BadObject:
            try:
                assert 0 < walked(body) <= len(body)
            except (BadObject, Short):
                continue
        else:
            assert walked(body) == reader.at, body
            compared += 1
    assert compared > 100


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\xc4\x01a",
        b"\x00\x82\0\0\0\0abc",
        b"\x00\x81" + (1 << 33).to_bytes(8, "big"),
        b"\x00\xc3\x05\x81" + (1 << 33).to_bytes(8, "big") + b"abcde",
        b"\x63\x01a",
        bytes([MODULE]) + b"\x05\x00",
        b"\x15\x00" + bytes(8) + b"\x01\x01g\0\0\0\x00\x01\x01c" + bytes(16) + b"\x81" + b"\xff" * 8,
    ],
)
def test_what_nothing_could_make_right(body: bytes) -> None:
    with pytest.raises(BadObject):
        walked(body)


def test_a_length_at_the_limit_and_past_it() -> None:
    with pytest.raises(Short) as raised:
        walked(b"\x00" + length(1 << 32) + b"abc")
    assert raised.value.needed == 1 + 9 + (1 << 32)
    with pytest.raises(BadObject):
        walked(b"\x00" + length((1 << 32) + 1) + b"abc")


def test_a_count_is_not_believed() -> None:
    """Walking ends where the bytes do, however many things there should be."""
    for kind in (1, 2, 4, 5, 14, 15, 18, 19, 21, 22):
        with pytest.raises(Short) as raised:
            walked(bytes([kind]) + b"\x81" + b"\xff" * 8 + b"\x00" * 1000)
        assert raised.value.needed < 1100


def test_hashes_of_redis() -> None:
    """Types that mean other things there, as redis.io's rdb.c from 7.4 on writes them."""
    pairs = b"\x02" + b"\x00" + strings(b"f", b"v")[1:] + length(70000) + strings(b"g", b"w")[1:]
    for body in (
        b"\x16" + pairs,
        b"\x17" + packed(b"f", b"v", b"0"),
        b"\x18" + bytes(8) + pairs,
        b"\x19" + bytes(8) + string(b"x"),
    ):
        walker = Walker(body + b"more", 1)
        walker.of_redis = True
        walker.pass_object(body[0])
        assert walker.at == len(body)
    walker = Walker(b"\x1a" + pairs, 1)
    walker.of_redis = True
    with pytest.raises(BadObject):
        walker.pass_object(0x1A)

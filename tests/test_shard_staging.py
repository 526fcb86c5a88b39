"""Large strings that were sent ahead: put together, named once, or forgotten."""

from typing import Any

import pytest

from common.errors import RedisError
from common.frame import LARGE_SIZE_BYTES, Frames, pieces
from shard.control import CONTROLS
from shard.staging import Stage

LARGE = bytes(range(256)) * (LARGE_SIZE_BYTES // 256)


class Shard:
    """As far as the messages need one: the link that they came by."""

    def __init__(self) -> None:
        self.room = self
        self.origin = self
        self.staged = Stage()

    def tell(self, name: str, *words: Any) -> None:
        CONTROLS[name](self, *words)


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_pieces_become_the_string_which_is_named_once(size: int) -> None:
    shard = Shard()
    value = LARGE[:3000] if size == 1 else LARGE
    for at in range(0, len(value), size):
        assert not shard.staged.here
        shard.tell("stage", 7, value[at : at + size], max(len(value) - at - size, 0))
    assert shard.staged.here == {7: value} and not shard.staged.coming
    staged = {id(LARGE): (7, LARGE)}
    stream = Frames(shard.staged.value_of)
    data = pieces([1, [[b"SET", b"k", LARGE], [b"SET", b"l", LARGE]], RedisError("ERR x")], staged)
    assert not staged and sum(map(len, data)) < len(LARGE) + 100
    stream.feed(b"".join(data))
    ((_, requests, error),) = list(stream)
    assert requests[0][2] == value and requests[1][2] == LARGE and isinstance(error, RedisError)
    assert not shard.staged.here


def test_another_string_with_the_same_bytes_is_not_named() -> None:
    other = bytes(bytearray(LARGE))
    data = pieces([[b"SET", b"k", other]], {id(LARGE): (7, LARGE)})
    assert any(piece is other for piece in data)


def test_what_is_not_here_cannot_be_named() -> None:
    stream = Frames(Shard().staged.value_of)
    stream.feed(b"".join(pieces([LARGE], {id(LARGE): (7, LARGE)})))
    with pytest.raises(KeyError):
        list(stream)


@pytest.mark.parametrize("left", [0, 5])
def test_what_is_not_wanted_is_forgotten(left: int) -> None:
    shard = Shard()
    shard.tell("stage", 7, b"piece", left)
    shard.tell("unstage", 7)
    shard.tell("unstage", 8)
    assert not shard.staged.here and not shard.staged.coming


def test_two_at_a_time() -> None:
    shard = Shard()
    for number, piece, left in ((1, b"a", 1), (2, b"x", 1), (1, b"b", 0), (2, b"y", 0)):
        shard.tell("stage", number, piece, left)
    assert shard.staged.here == {1: b"ab", 2: b"xy"}

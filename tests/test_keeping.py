"""Large replies that stay with the shard: whatever pieces are asked for, they are the reply."""

from random import Random
from typing import Any

import pytest

from common.frame import LARGE_SIZE_BYTES, Large, packer, unpack
from common.resp import Chunks
from shard.keeping import KEPT_SIZE_BYTES_MIN, Keeping, Kept
from shard.link import size_of

LARGE = bytes(LARGE_SIZE_BYTES)
SMALL = bytes(LARGE_SIZE_BYTES - 1)
UNKEPT = bytes(KEPT_SIZE_BYTES_MIN - 1)


@pytest.mark.parametrize("seed", range(10))
def test_any_pieces(seed: int) -> None:
    random = Random(seed)
    parts = [random.randbytes(random.choice((0, 1, 7, 1000))) for _ in range(20)] + [b"end"]
    kept, taken = Kept(parts), []
    while kept.parts:
        size = random.randrange(1, 1500)
        taken.append(kept.take(size))
        assert len(taken[-1]) == size or not kept.parts
    assert b"".join(taken) == b"".join(parts)


def test_what_is_large_is_named_and_all_else_is_as_it_was() -> None:
    keeping = Keeping()
    answer: Any = [b"+OK\r\n", LARGE, [UNKEPT, Chunks((b"$", SMALL)), None], 7, {"late": 1}]
    named = keeping.named(answer)
    assert named[0] == b"+OK\r\n" and named[2][0] is UNKEPT and named[2][2] is None and named[3:] == [7, {"late": 1}]
    larges = [named[1], named[2][1]]
    assert all(type(large) is Large for large in larges)
    assert [large.size_bytes for large in larges] == [len(LARGE), 1 + len(SMALL)]
    assert keeping.take(larges[1].number, 1 << 30) == b"$" + SMALL
    assert keeping.take(larges[0].number, 1000) == bytes(1000)
    assert list(keeping.kept) == [larges[0].number]


@pytest.mark.parametrize(
    "answers, large",
    [
        ([], False),
        ([b"", None, [b"", [1, None]], {"a": LARGE}], False),
        ([[[SMALL]]], False),
        ([[[SMALL]], None, b"v"], True),
        ([bytearray(LARGE)], False),
        ([LARGE], True),
        ([b"", [b"", LARGE]], True),
        ([[[None, [LARGE]]]], True),
        ([Chunks((b"a",))], True),
        ([[b"", Chunks()]], True),
    ],
)
def test_whether_a_frame_is_large(answers: list[Any], large: bool) -> None:
    assert (size_of(answers) >= LARGE_SIZE_BYTES) == large


def test_a_name_is_none_for_who_does_not_fetch() -> None:
    with pytest.raises(ValueError, match="an extension of type 3 stands for nothing here"):
        unpack(packer().pack([Large(1, 2)]))

"""The nodes of lists: walks over listpacks of all kinds of entries, against a plain list."""

import pytest

from shard.values import listpack
from shard.values.list_nodes import LEFT, RIGHT, count_of, numbers_of, place_of, places_of, remove_from

TEXTS = [b"", b"5", b"-1", b"127", b"128", b"-4096", b"32767", b"-8388608", b"2147483647", b"9223372036854775807"]
TEXTS += [b"a" * size for size in (1, 63, 64, 126, 127, 4095, 4096, 20_000)] + [b"5", b"a", b"05"]
LARGE = b"x" * 100_000


def test_every_place_from_either_end() -> None:
    for length in range(len(TEXTS) + 1):
        for texts in (TEXTS[:length], TEXTS[len(TEXTS) - length :]):
            pack = listpack.of(texts)
            at = listpack.first(pack)
            for number in range(length + 1):
                assert place_of(pack, number) == at
                assert listpack.texts_from(pack, at, 3) == texts[number : number + 3]
                at = listpack.following(pack, at)
            assert count_of(pack) == length


@pytest.mark.parametrize("text", [b"5", b"a", b"05", b"nothing", b"a" * 4096])
def test_what_is_equal(text: bytes) -> None:
    pack = listpack.of(TEXTS)
    numbers = [number for number, found in enumerate(TEXTS) if found == text]
    assert numbers_of(pack, text, listpack.entry(text)) == numbers
    assert places_of(pack, listpack.entry(text)) == [place_of(pack, number) for number in numbers]


@pytest.mark.parametrize(("end", "left"), [(LEFT, [b"b", b"a", b"c", b"a"]), (RIGHT, [b"a", b"b", b"a", b"c"])])
def test_removing_some_from_an_end(end: int, left: list[bytes]) -> None:
    pack = listpack.of([b"a", b"b", b"a", b"c", b"a"])
    assert remove_from(pack, b"a", listpack.entry(b"a"), 1, end) == 1
    assert listpack.texts(pack) == left
    assert remove_from(pack, b"a", listpack.entry(b"a"), 9, end) == 2
    assert listpack.texts(pack) == [b"b", b"c"]
    assert remove_from(pack, b"a", listpack.entry(b"a"), 9, end) == 0
    assert listpack.whole(bytes(pack))


def test_a_large_element_by_itself() -> None:
    assert count_of(LARGE) == 1
    assert numbers_of(LARGE, LARGE, b"") == [0] and numbers_of(LARGE, b"x", b"") == []
    assert remove_from(LARGE, LARGE, b"", 1, LEFT) == 1 and remove_from(LARGE, b"x", b"", 1, LEFT) == 0

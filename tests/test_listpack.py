"""Listpacks: as Redis has them, byte for byte, and as a plain list of texts would behave."""

from collections.abc import Callable
from random import Random

import pytest

from shard.values import listpack
from shard.values.listpack import END
from tests.reference import Reference
from tests.servers import Server

HASH_LISTPACK = 16
"""The type in a dump of a small hash."""
TRAILER_BYTES = 10

BORDERS = [1 << bits for bits in (7, 12, 15, 23, 31, 63)]
INTEGERS = [sign * border + more for border in BORDERS for sign in (1, -1) for more in (-2, -1, 0, 1, 2)]
SIZES = [0, 1, 62, 63, 64, 65, 125, 126, 127, 4095, 4096, 16376, 16377, 16378, 16379, 16380, 16381, 16382, 16383, 16384]
SIZES += [2097145, 2097146, 2097147, 2097150]
TEXTS = [b"%d" % number for number in INTEGERS] + [b"x" * size for size in SIZES]
TEXTS += [b"-", b"-0", b"00", b"01", b"+1", b" 1", b"1 ", b"1.5", b"1e3", b"/", b".", b"\xff", b"\0", b"-a", b"1" * 20]


def word(chance: Random) -> bytes:
    """Often one that was there before, and often the bytes of another one's entry."""
    kind = chance.randrange(6)
    if kind == 0:
        return b"%d" % chance.randrange(-200, 200)
    if kind == 1:
        return b"%d" % chance.randrange(-(2 ** chance.randrange(64)), 2 ** chance.randrange(1, 64))
    if kind == 2:
        return bytes(chance.choices(b"0123456789-", k=chance.randrange(5)))
    if kind == 3:
        return b"x" * chance.choice(SIZES[:10])
    if kind == 4:
        return b"field:%d" % chance.randrange(20)
    return listpack.entry(b"%d" % chance.randrange(1000))[: chance.randrange(4)]


def places(pack: bytearray) -> list[int]:
    found, at = [], listpack.first(pack)
    while pack[at] != END:
        found.append(at)
        at = listpack.following(pack, at)
    return found


def check(pack: bytearray, texts: list[bytes]) -> None:
    assert listpack.whole(bytes(pack))
    assert listpack.texts(pack) == texts
    assert listpack.count(pack) == len(texts)
    assert listpack.of(texts) == pack


def test_an_empty_one() -> None:
    pack = listpack.new()
    check(pack, [])
    end = listpack.first(pack)
    assert pack[end] == END and listpack.following(pack, end) == end and listpack.preceding(pack, end) == -1
    assert listpack.nth(pack, 0) == listpack.nth(pack, -1) == listpack.find(pack, listpack.entry(b"")) == -1


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: f"{text[:10]!r}{len(text)}")
def test_a_text(text: bytes) -> None:
    pack = listpack.of([b"before", text, b"behind"])
    check(pack, [b"before", text, b"behind"])
    at = listpack.following(pack, listpack.first(pack))
    assert listpack.text(pack, at) == text
    assert listpack.find(pack, listpack.entry(text)) == at
    assert listpack.preceding(pack, listpack.preceding(pack, len(pack) - 1)) == at


@pytest.mark.parametrize("seed", range(20))
def test_places(seed: int) -> None:
    chance = Random(seed)
    for _ in range(20):
        texts = [word(chance) for _ in range(chance.randrange(40))]
        pack = listpack.of(texts)
        check(pack, texts)
        found = places(pack)
        assert [listpack.text(pack, at) for at in found] == texts
        backwards, at = [], len(pack) - 1
        while (at := listpack.preceding(pack, at)) >= 0:
            backwards.append(at)
        assert backwards[::-1] == found
        for index in range(-len(texts) - 2, len(texts) + 2):
            expected = found[index] if -len(texts) <= index < len(texts) else -1
            assert listpack.nth(pack, index) == expected
        for text in {*texts, word(chance), word(chance)}:
            for step in (1, 2, 3):
                expected = next((found[i] for i in range(0, len(texts), step) if texts[i] == text), -1)
                assert listpack.find(pack, listpack.entry(text), step) == expected


@pytest.mark.parametrize("seed", range(20))
def test_edits(seed: int) -> None:
    chance = Random(seed)
    pack, texts = listpack.new(), list[bytes]()
    for _ in range(150):
        index = chance.randrange(len(texts) + 1)
        at = [*places(pack), len(pack) - 1][index]
        act = chance.randrange(5)
        if act < 2:
            some = [word(chance) for _ in range(chance.randrange(1, 4))]
            listpack.insert(pack, at, b"".join(map(listpack.entry, some)), len(some))
            texts[index:index] = some
        elif act == 2 and index < len(texts):
            texts[index] = word(chance)
            listpack.replace(pack, at, listpack.entry(texts[index]))
        elif act > 2:
            count = chance.randrange(4)
            listpack.remove(pack, at, count)
            del texts[index : index + count]
        check(pack, texts)


def test_more_entries_than_the_header_can_count() -> None:
    pack = listpack.of([b"1"] * 65534)
    assert pack[4:6] == b"\xfe\xff" and listpack.count(pack) == 65534
    listpack.insert(pack, listpack.first(pack), listpack.entry(b"2"), 1)
    assert pack[4:6] == b"\xff\xff" and listpack.count(pack) == 65535 and listpack.whole(bytes(pack))
    listpack.insert(pack, listpack.first(pack), listpack.entry(b"3"), 1)
    assert listpack.count(pack) == 65536 and listpack.whole(bytes(pack))
    listpack.remove(pack, listpack.first(pack), 65530)
    assert pack[4:6] == b"\xff\xff"
    assert listpack.count(pack) == 6 and pack[4:6] == b"\x06\x00", "a count that had to be made is kept"


def test_what_is_not_whole() -> None:
    sound = bytes(listpack.of([b"a", b"12", b"-5000", b"70000", b"x" * 70, b"x" * 5000]))
    assert listpack.whole(sound)
    for size in range(200):
        assert not listpack.whole(sound[:size])
    assert not listpack.whole(sound + b"\xff") and not listpack.whole(b"")
    assert not listpack.whole(sound[:4] + b"\x05\x00" + sound[6:]), "another count"
    assert listpack.whole(sound[:4] + b"\xff\xff" + sound[6:]), "no count"
    for kind in (0xF5, 0xFE, 0xFF):
        assert not listpack.whole(sound[:6] + bytes([kind]) + sound[7:])
    assert not listpack.whole(b"\x0c\0\0\0\x01\0\xf0\xff\xff\xff\xff\xff"), "a length of 4 GB"
    assert not listpack.whole(b"\x08\0\0\0\x01\0\xf0\xff"), "a length cut off"
    assert listpack.whole(b"\x0a\0\0\0\x01\0\x81a\x02\xff")
    for size in (0, 1, 3, 0x82):
        assert not listpack.whole(b"\x0a\0\0\0\x01\0\x81a%c\xff" % size), "a length behind that differs"


def test_any_bytes_are_whole_or_not() -> None:
    """Whatever is found whole can be walked both ways."""
    chance = Random(7)
    found = 0
    for _ in range(20_000):
        pack = bytearray(listpack.of([word(chance) for _ in range(chance.randrange(1, 5))]))
        for _ in range(chance.randrange(1, 3)):
            pack[chance.randrange(6, len(pack))] = chance.choice((0, 1, 127, 128, 192, 224, 240, chance.randrange(256)))
        if listpack.whole(bytes(pack)):
            found += 1
            assert len(listpack.texts(pack)) == listpack.count(pack) == len(places(pack))
            at = len(pack) - 1
            for _ in range(listpack.count(pack)):
                at = listpack.preceding(pack, at)
            assert at == listpack.first(pack)
    assert found > 100


def test_the_bytes_of_the_reference(start: Callable[[Server], Server]) -> None:
    """A dump of a small hash is the type, the listpack's size, and the listpack."""
    server = Reference(rdbcompression="no", hash_max_listpack_value=1 << 30, hash_max_listpack_entries=1 << 20)
    with start(server).connect() as client:
        for at in range(0, len(TEXTS), 10):
            some = dict.fromkeys(TEXTS[at : at + 10], b"value").items()
            texts = [text for pair in some for text in pair] + [b"field", TEXTS[at]]
            client.call("DEL", "h")
            client.call("HSET", "h", *texts)
            dump = client.call("DUMP", "h")
            assert dump[0] == HASH_LISTPACK and dump[:-TRAILER_BYTES].endswith(bytes(listpack.of(texts)))
        client.call("DEL", "h")
        texts = [text for number in range(32_800) for text in (b"%d" % number, b"")]
        client.call("HSET", "h", *texts)
        assert client.call("DUMP", "h")[:-TRAILER_BYTES].endswith(bytes(listpack.of(texts)))

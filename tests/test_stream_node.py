"""Nodes of streams: as a list of entries would behave, and byte for byte as Valkey has them."""

from random import Random

import pytest

from shard.values import listpack
from shard.values.stream_node import MASK, Node, of_listpack

WORDS = [b"f", b"g", b"", b"0", b"127", b"128", b"-1", b"4095", b"-70000", b"9" * 12, b"x" * 63, b"x" * 64, b"y" * 5000]
WORDS += [b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"01", b"\xff\0"]
STEPS = [1, 1, 2, 200, 2**12, 2**40, 2**64, 2**64 + 5, 2**70]


def id_of(ms: int, sequence: int) -> int:
    return ms << 64 | sequence


@pytest.mark.parametrize("seed", range(8))
def test_against_a_list(seed: int) -> None:
    random = Random(seed)
    id_ = id_of(random.randrange(2**40), random.choice((0, 5, MASK)))
    fields = tuple(random.choices(WORDS, k=random.choice((1, 1, 2, 20))))
    node = Node(id_, fields)
    entries: dict[int, list[bytes]] = {}
    deleted = 0
    for _ in range(random.choice((20, 60))):
        same = random.random() < 0.6
        count = len(fields) if same else random.choice((1, 2, 20))
        words = [word for place in range(count) for word in (fields[place] if same else b"h", random.choice(WORDS))]
        node.append(id_, same, words)
        entries[id_] = words
        if len(entries) > 1 and random.random() < 0.3:
            gone = random.choice(sorted(entries))
            node.remove(node.find(gone))
            del entries[gone]
            deleted += 1
            assert node.find(gone) == -1
        node._check()
        check_against(node, entries, random.choice((id_, id_ + 1, id_ - random.randrange(2**66))))
        id_ += random.choice(STEPS)
    assert (node.count, node.deleted) == (len(entries), deleted)
    assert node.fields() == fields
    other = node.copy()
    other.append(id_, True, [word for field in fields for word in (field, b"")])
    check_against(node, entries, 0)
    check_against(other, entries | {id_: [word for field in fields for word in (field, b"")]}, 0)


def check_against(node: Node, entries: dict[int, list[bytes]], probe: int) -> None:
    items = sorted(entries.items())
    up: list[tuple[int, list[bytes]]] = []
    node.collect(up, probe, 2**128, 0)
    assert up == [item for item in items if item[0] >= probe]
    down: list[tuple[int, list[bytes]]] = []
    node.collect_back(down, 0, probe, 2)
    assert down == [item for item in items if item[0] <= probe][::-1][:2]
    assert node.first_id() == items[0][0] and node.last_id() == items[-1][0]
    assert (node.find(probe) >= 0) == (probe in entries)


def test_as_listpack() -> None:
    node = Node(id_of(5, 1), (b"a", b"12"))
    node.append(id_of(5, 1), True, [b"a", b"x", b"12", b"300"])
    node.append(id_of(5, 0x8000), False, [b"b", b""])
    node.remove(0)
    words = listpack.texts(bytearray(node.to_listpack()))
    header = [b"1", b"1", b"2", b"a", b"12", b"0"]
    assert words == [*header, b"3", b"0", b"0", b"x", b"300", b"5", b"0", b"0", b"32767", b"1", b"b", b"", b"6"]
    assert node.size_bytes() == len(node.to_listpack())


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [b"1"],
        [b"1", b"0"],
        [b"1", b"0", b"1", b"a", b"0"],
        [b"0", b"0", b"1", b"a", b"0"],
        [b"1", b"0", b"x", b"a", b"0", b"2", b"0", b"0", b"v", b"4"],
        [b"1", b"0", b"9", b"a", b"0", b"2", b"0", b"0", b"v", b"4"],
        [b"1", b"0", b"-1", b"0", b"2", b"0", b"0", b"v", b"4"],
        [b"1", b"0", b"1", b"a", b"1", b"2", b"0", b"0", b"v", b"4"],
        [b"1", b"0", b"1", b"a", b"0", b"2", b"0", b"0", b"v", b"5"],
        [b"1", b"0", b"1", b"a", b"0", b"2", b"0", b"0", b"v"],
        [b"1", b"0", b"1", b"a", b"0", b"4", b"0", b"0", b"v", b"4"],
        [b"1", b"0", b"1", b"a", b"0", b"3", b"0", b"0", b"v", b"4"],
        [b"2", b"0", b"1", b"a", b"0", b"2", b"0", b"0", b"v", b"4"],
        [b"1", b"0", b"1", b"a", b"0", b"0", b"0", b"0", b"-9", b"f", b"v", b"6"],
        [b"1", b"0", b"1", b"a", b"0", b"2", b"x", b"0", b"v", b"4"],
        [b"1", b"0", b"1", b"a", b"0", b"2", b"0", b"y", b"v", b"4"],
    ],
)
def test_what_is_no_node(texts: list[bytes]) -> None:
    with pytest.raises(ValueError):
        of_listpack(0, bytes(listpack.of(texts)))


def test_what_is_no_listpack() -> None:
    with pytest.raises(ValueError):
        of_listpack(0, b"nonsense")

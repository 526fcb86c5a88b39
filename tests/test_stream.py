"""Streams: as a dict of entries would behave, and node for node as Valkey has them."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from shard.values.stream import ID_MAX, Stream
from shard.values.stream_groups import Consumer, Group
from shard.values.stream_log import id_text
from tests.reference import Reference
from tests.resp_client import Client, Error

Oracle = dict[int, list[bytes]]
FIELDS = [b"f", b"g", b"12", b"x" * 70]
VALUES = [b"v", b"1", b"-70000", b"9" * 12, b"y" * 100, b"z" * 5000, b""]


def next_id(id_: int, random: Random) -> int:
    ms, sequence = id_ >> 64, id_ & (2**64 - 1)
    step = random.choice((0, 0, 1, 1, 2, 200, 65536, 2**30))
    return (ms + step) << 64 | (random.choice((0, 1, 256, 2**40)) if step else sequence + random.choice((1, 1, 300)))


def words(random: Random) -> list[bytes]:
    count = random.choice((1, 1, 2))
    return [word for _ in range(count) for word in (random.choice(FIELDS), random.choice(VALUES))]


@pytest.mark.parametrize("seed", range(6))
def test_against_a_dict(seed: int) -> None:
    random = Random(seed)
    entries_max, bytes_max = random.choice((0, 1, 2, 3, 100)), random.choice((0, 60, 4096))
    stream = Stream()
    oracle: Oracle = {}
    for step in range(400):
        act = random.random()
        if act < 0.7:
            id_ = next_id(stream.last_id, random)
            oracle[id_] = words(random)
            stream.append(id_, oracle[id_], entries_max, bytes_max)
        elif act < 0.9 and oracle:
            id_ = random.choice([*oracle, 7])
            assert stream.remove(id_) == (oracle.pop(id_, None) is not None)
        else:
            trim(stream, oracle, random)
        if step % 10 == 0:
            stream._check()
            check_against(stream, oracle, random)
    again = Stream.from_wire(stream.to_wire())
    again._check()
    assert again.to_wire() == stream.to_wire() and again is not stream
    check_against(again, oracle, random)


def trim(stream: Stream, oracle: Oracle, random: Random) -> None:
    approximately = random.random() < 0.5
    limit = random.choice((0, 0, 3))
    if random.random() < 0.5:
        length_max, id_min = random.randrange(len(oracle) + 5), 0
        gone = sorted(oracle)[: max(0, len(oracle) - length_max)]
    else:
        length_max, id_min = -1, random.choice([*oracle, 0, 2**70])
        gone = [id_ for id_ in sorted(oracle) if id_ < id_min]
    deleted = stream.trim(length_max, id_min, approximately=approximately, limit=limit)
    assert deleted <= len(gone)
    if not approximately and not limit:
        assert deleted == len(gone)
    for id_ in sorted(oracle)[:deleted]:
        del oracle[id_]


def check_against(stream: Stream, oracle: Oracle, random: Random) -> None:
    items = sorted(oracle.items())
    ids = [id_ for id_, _ in items]
    start, end = (random.choice([*ids, 0, ID_MAX]) + random.choice((-1, 0, 1)) for _ in range(2))
    inside = [item for item in items if start <= item[0] <= end]
    limit = random.choice((0, 1, 5))
    assert stream.entries(start, end, limit) == inside[: limit or None]
    assert stream.entries_back(start, end, limit) == inside[::-1][: limit or None]
    assert stream.has(start) == (start in oracle) and stream.entry(start) == oracle.get(start)
    assert len(stream) == len(items)
    assert list(stream.items()) == [((id_ >> 64, id_ & (2**64 - 1)), text) for id_, text in items]


def test_an_empty_one() -> None:
    stream = Stream()
    stream._check()
    assert not len(stream) and stream.type_name == stream.encoding({}) == "stream"
    assert stream.entries(0, ID_MAX) == stream.entries_back(0, ID_MAX) == stream.containers() == []
    assert stream.trim(0, 0, approximately=False, limit=0) == 0
    assert not stream.remove(5) and stream.top_id() == -1 and stream.lag(Group(0, -1)) == 0
    assert [argv[0] for argv in stream.commands(b"k")] == [b"XADD", b"XSETID"]


def test_a_copy_shares_nothing() -> None:
    stream = Stream()
    stream.append(1 << 64, [b"f", b"v"], 100, 4096)
    group = stream.groups[b"g"] = Group(0, 0)
    group.consumers[b"c"] = Consumer(0)
    group.assign(1 << 64, b"c", 5, 1)
    other = stream.copy()
    other.append(2 << 64, [b"f", b"v"], 100, 4096)
    other.groups[b"g"].forget(1 << 64)
    assert stream.length == 1 and len(group.pending) == 1
    stream._check()
    other._check()


# Against the real server


@pytest.fixture(scope="module")
def reference() -> Iterator[Client]:
    with Reference() as server, Client(server.address) as client:
        client.call("CONFIG", "SET", "rdbcompression", "no")
        yield client


@pytest.mark.parametrize("seed", range(3))
def test_nodes_are_those_of_the_reference(reference: Client, seed: int) -> None:
    random = Random(seed)
    entries_max, bytes_max = random.choice((0, 1, 2, 3, 5)), random.choice((0, 60, 100, 4096))
    reference.call("CONFIG", "SET", "stream-node-max-entries", entries_max)
    reference.call("CONFIG", "SET", "stream-node-max-bytes", bytes_max)
    reference.call("DEL", "s")
    stream = Stream()
    id_ = 0
    for _ in range(150):
        act = random.random()
        ids = [found for found, _ in stream.entries(0, ID_MAX)]
        if act < 0.6:
            id_, text = next_id(id_, random), words(random)
            stream.append(id_, text, entries_max, bytes_max)
            reference.call("XADD", "s", id_text(id_), *text)
        elif act < 0.8 and ids:
            gone = random.choice(ids)
            assert reference.call("XDEL", "s", id_text(gone)) == stream.remove(gone)
        elif ids:
            limit = random.choice((0, 3, 10))
            how = ["~", *_trim_words(id_min := random.choice([0, *ids])), "LIMIT", limit]
            deleted = stream.trim(-1 if id_min else 2, id_min, approximately=True, limit=limit)
            assert reference.call("XTRIM", "s", how.pop(1), *how) == deleted
        if stream.added:
            check_info(stream, reference)


def _trim_words(id_min: int) -> list[Any]:
    return ["MINID", id_text(id_min)] if id_min else ["MAXLEN", 2]


def check_info(stream: Stream, reference: Client) -> None:
    found = reference.call("XINFO", "STREAM", "s")
    assert not isinstance(found, Error)
    info = dict(zip(found[::2], found[1::2], strict=True))
    assert info[b"radix-tree-keys"] == len(stream.nodes)
    assert info[b"radix-tree-nodes"] == stream.radix_nodes
    assert info[b"recorded-first-entry-id"] == id_text(stream.first_id)
    dump = reference.call("DUMP", "s")
    assert all(node.to_listpack() in dump for _, node in stream.nodes.items())

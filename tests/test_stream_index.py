"""The sorted map of IDs: as a dict that is sorted at each step would behave; and the nodes of Valkey's radix tree."""

from bisect import bisect_left, bisect_right
from random import Random

import pytest

from shard.values.stream_index import BLOCK_MAX, ID_BYTES, Index, radix_nodes_more


def check_against(index: Index, oracle: dict[int, int], probe: int) -> None:
    keys = sorted(oracle)
    at, behind = bisect_left(keys, probe), bisect_right(keys, probe)
    items = [(key, oracle[key]) for key in keys]
    assert len(index) == len(keys)
    assert index.get(probe) == oracle.get(probe)
    assert index.floor(probe) == (items[behind - 1] if behind else None)
    assert index.ceiling(probe) == (items[at] if at < len(items) else None)
    assert index.first() == (items[0] if items else None)
    assert index.last() == (items[-1] if items else None)
    assert list(index.items(probe)) == items[at:]
    assert list(index.descending(probe)) == items[:behind][::-1]
    assert list(index.some(3)) == items[:3] and list(index.some(0)) == items


@pytest.mark.parametrize("seed", range(6))
def test_against_a_dict(seed: int) -> None:
    random = Random(seed)
    index = Index()
    oracle: dict[int, int] = {}
    room = random.choice((20, 2000))
    for step in range(1500):
        growing = step // 500 != 1
        key = random.randrange(room) if random.random() < 0.5 else max(oracle, default=0) + random.randrange(3)
        if random.random() < (0.75 if growing else 0.25):
            index.put(key, step)
            oracle[key] = step
        else:
            gone = random.choice(sorted(oracle)) if oracle and random.random() < 0.8 else key
            assert index.pop(gone) == oracle.pop(gone, None)
        if step % 20 == 0:
            index._check()
            check_against(index, oracle, random.randrange(room + 10))
    for key in random.sample(sorted(oracle), len(oracle)):
        assert index.pop(key) == oracle.pop(key)
    index._check()
    check_against(index, oracle, 0)


def test_filled_in_order_it_has_only_full_blocks() -> None:
    index = Index()
    for key in range(10 * BLOCK_MAX):
        index.put(key, key)
    assert {len(keys) for keys in index.keys} == {BLOCK_MAX}
    for key in range(10 * BLOCK_MAX - 2):
        index.pop(key)
    index._check()
    assert list(index.items()) == [(key, key) for key in range(10 * BLOCK_MAX - 2, 10 * BLOCK_MAX)]


def radix_nodes(keys: list[bytes], depth: int = 0) -> int:
    """Nodes of the compressed tree of these keys below `depth`, by its definition."""
    if len(keys) == 1:
        return 1 + (depth < ID_BYTES)
    fork = next(place for place in range(depth, ID_BYTES) if len({key[place] for key in keys}) > 1)
    branches: dict[int, list[bytes]] = {}
    for key in keys:
        branches.setdefault(key[fork], []).append(key)
    return 1 + (fork > depth) + sum(radix_nodes(branch, fork + 1) for branch in branches.values())


@pytest.mark.parametrize("seed", range(4))
def test_radix_nodes(seed: int) -> None:
    random = Random(seed)
    index = Index()
    nodes = 1
    keys: set[int] = set()
    for _ in range(300):
        key = random.choice((0, 1, 255, 256, 1 << 64, 5 << 64, 1 << 120)) * random.randrange(4) + random.randrange(3)
        if key in keys:
            keys.remove(key)
            index.pop(key)
            nodes -= radix_nodes_more(index, key)
        else:
            nodes += radix_nodes_more(index, key)
            keys.add(key)
            index.put(key, key)
        assert nodes == (radix_nodes(sorted(key.to_bytes(ID_BYTES, "big") for key in keys)) if keys else 1)

"""What the benchmarks of maxmemory do: their keys are where they should be, and their figures are of what they say."""

from functools import partial

from common.slot import SLOTS, slot_of
from tests.bench import evicting, hit_ratio, told
from tests.reference import Reference
from tests.servers import Shardis


def test_old_keys_are_on_the_first_shard() -> None:
    old, young = evicting.keys_of_shards(3)
    assert len(old) == evicting.OLD and len(young) == evicting.YOUNG
    assert {slot_of(key.encode()) * 3 // SLOTS for key in old} == {0}
    assert {slot_of(key.encode()) * 3 // SLOTS for key in young} == {1, 2}


def test_an_uneven_load_has_its_frequent_keys_on_the_others() -> None:
    for cold, most in ((0, 0.4), (2, 0.8)):
        batches = hit_ratio.questions(1000, 20_000, cold)
        slots = [slot_of(hit_ratio.NAME % number) for batch in batches for number in batch]
        share = sum(slot >= SLOTS // 2 for slot in slots) / 20_000
        assert share > most if cold else abs(share - 0.5) < 0.1


def test_each_set_evicts_another_key() -> None:
    kinds = [partial(Shardis, 1), Reference]
    found = evicting.costs(kinds, print, ["noeviction EX", "volatile-ttl EX"], resident=20_000, count=4000)
    assert [row["evicted"] for row in found[:2]] == [0, 0]
    assert all(row["evicted"] > 0.5 * 4000 for row in found[2:])
    assert all(row["cost_us"] > 0 for row in found)


def test_the_figures_are_of_the_data_and_of_none() -> None:
    data = {"20 hashes of 2,000": lambda: told.holders("HSET", 20, 2000, lambda each: (f"field:{each}", "x" * 100))}
    (row,) = told.told([partial(Shardis, 2)], print, data)
    full, flushed = row["full"], row["flushed"]
    assert full["used_bytes"] - flushed["used_bytes"] > 4_000_000
    assert 0.5 < full["used_bytes"] / full["rss_bytes"] < 1

"""Slots: the reference's own, and the shards' ranges, which must be a partition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.slot import SLOTS, Owners, shard_of_slot, slot_function, slot_of, slot_of_whole, slots_of_shard
from tests.resp_client import Client

KEYS = [
    b"",
    b"foo",
    b"123456789",
    b"{user1000}.following",
    b"{user1000}.followers",
    b"foo{}{bar}",
    b"foo{{bar}}zap",
    b"foo{bar}{zap}",
    b"foo{bar",
    b"foo}bar{",
    b"}{a}",
    b"{}",
    b"{a}",
    b"{",
    b"\x00{\xff}\r\n",
    b"a" * 1000,
]


@pytest.mark.parametrize("key", KEYS)
def test_the_reference_has_the_same_slot(key: bytes, reference_client: Client) -> None:
    assert slot_of(key) == reference_client.call("CLUSTER", "KEYSLOT", key)


def test_the_reference_has_the_same_slots_for_anything(reference_client: Client) -> None:
    @given(st.binary(max_size=12) | st.text("{}a", max_size=8).map(str.encode))
    def same(key: bytes) -> None:
        assert slot_of(key) == reference_client.call("CLUSTER", "KEYSLOT", key)

    same()


def test_known_slots() -> None:
    assert slot_of(b"123456789") == 0x31C3  # The check value of this CRC.
    assert slot_of(b"{user1000}.following") == slot_of(b"user1000") != slot_of_whole(b"{user1000}.following")


def test_without_tags_the_whole_key_counts() -> None:
    assert slot_function(hash_tags=True)(b"{a}b") == slot_of(b"a")
    assert slot_function(hash_tags=False)(b"{a}b") == slot_of_whole(b"{a}b") != slot_of(b"a")


@pytest.mark.parametrize("shards", [*range(1, 33), 100, 255, 256, 257, 1000, 16383, 16384])
def test_shards_partition_the_slots(shards: int) -> None:
    ranges = [slots_of_shard(index, shards) for index in range(shards)]
    assert [slot for slots in ranges for slot in slots] == list(range(SLOTS))
    assert {len(slots) for slots in ranges} <= {SLOTS // shards, SLOTS // shards + 1}
    for index, slots in enumerate(ranges):
        assert shard_of_slot(slots[0], shards) == shard_of_slot(slots[-1], shards) == index


@given(st.integers(1, SLOTS), st.integers(0, SLOTS - 1))
def test_a_slot_is_in_the_range_of_its_shard(shards: int, slot: int) -> None:
    assert slot in slots_of_shard(shard_of_slot(slot, shards), shards)


@pytest.mark.parametrize("hash_tags", [True, False])
@pytest.mark.parametrize("shards", [1, 2, 3, 7, 300])
def test_owners(shards: int, hash_tags: bool) -> None:
    owners = Owners(shards, hash_tags)
    keys = [*KEYS, *[b"key:%d" % number for number in range(500)]]
    expected = [shard_of_slot(slot_function(hash_tags)(key), shards) for key in keys]
    assert [owners.of(key) for key in keys] == owners.of_all(keys) == expected

"""Slots: which of 16384 parts of the keyspace a key belongs to, and which shard owns it.

Exactly Redis Cluster's: CRC16 of the key or, where the key has one, of its {hash tag}. `binascii.crc_hqx(key, 0)` is
that CRC, in C. Each shard owns one contiguous range of slots.
"""

from array import array
from binascii import crc_hqx
from collections.abc import Callable

SLOTS = 16384


def slot_of(key: bytes) -> int:
    """The slot of `key`: of its first `{...}` if that is not empty, else of the whole key."""
    if b"{" in key:
        start = key.index(b"{") + 1
        end = key.find(b"}", start)
        if end > start:
            key = key[start:end]
    return crc_hqx(key, 0) & 16383


def slot_of_whole(key: bytes) -> int:
    """The slot of `key` where the directive `hash-tags no` makes the whole key count."""
    return crc_hqx(key, 0) & 16383


def slot_function(hash_tags: bool) -> Callable[[bytes], int]:
    """The function that this server goes by."""
    return slot_of if hash_tags else slot_of_whole


class Owners:
    """Which shard owns a key, for a given number of shards: what the router asks for every key of every command."""

    __slots__ = ("shards", "hash_tags", "_shard_of_slot")

    def __init__(self, shards: int, hash_tags: bool) -> None:
        self.shards = shards
        self.hash_tags = hash_tags
        self._shard_of_slot = array("H", [shard_of_slot(slot, shards) for slot in range(SLOTS)])

    def of(self, key: bytes) -> int:
        """The index of the shard that owns `key`. O(1)."""
        if self.shards == 1:
            return 0
        if self.hash_tags and b"{" in key:
            return self._shard_of_slot[slot_of(key)]
        return self._shard_of_slot[crc_hqx(key, 0) & 16383]

    def of_all(self, keys: list[bytes]) -> list[int]:
        """The owner of each of `keys`."""
        return [self.of(key) for key in keys]


def shard_of_slot(slot: int, shards: int) -> int:
    """The index of the shard that owns `slot`."""
    return slot * shards // SLOTS


def slots_of_shard(index: int, shards: int) -> range:
    """The slots that shard `index` owns: the inverse of `shard_of_slot`."""
    return range(-(-index * SLOTS // shards), -(-(index + 1) * SLOTS // shards))

"""Slots: which of 16384 parts of the keyspace a key belongs to, and which shard owns it.

Exactly Redis Cluster's: CRC16 of the key or, where the key has one, of its {hash tag}. `binascii.crc_hqx(key, 0)` is
that CRC, in C. Each shard owns one contiguous range of slots.
"""

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


def shard_of_slot(slot: int, shards: int) -> int:
    """The index of the shard that owns `slot`."""
    return slot * shards // SLOTS


def slots_of_shard(index: int, shards: int) -> range:
    """The slots that shard `index` owns: the inverse of `shard_of_slot`."""
    return range(-(-index * SLOTS // shards), -(-(index + 1) * SLOTS // shards))

"""Keys that are held: very many of them at once, and those that have queues."""

from shard.blocked_keys import BUCKETS_COUNT, BlockedKeys, ManyKeys


def test_very_many_are_spread_over_small_sets() -> None:
    keys = ManyKeys()
    names = [b"key:%d" % number for number in range(100 * BUCKETS_COUNT)]
    keys.update(names)
    keys.update(names[:10])
    assert sorted(keys) == sorted(names)
    assert all(name in keys for name in names) and b"key:-1" not in keys
    assert max(map(len, keys.buckets)) < 300


def test_blocked_is_what_has_a_queue_and_what_a_hold_of_very_many_has() -> None:
    blocked = BlockedKeys()
    assert not blocked and b"a" not in blocked
    blocked.queues[b"a"] = None
    assert blocked and b"a" in blocked and b"b" not in blocked
    blocked.many = ManyKeys()
    blocked.many.update([b"b"])
    assert b"a" in blocked and b"b" in blocked and b"c" not in blocked
    blocked.queues.clear()
    assert blocked

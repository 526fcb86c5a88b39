"""The state of a key as it travels between shards."""

from typing import Any

import pytest

from common.frame import packer, unpacker
from shard.invariants import check
from shard.keyspace import Store
from shard.states import effects_of, laid_over, packed, put, state, unpacked
from tests.held_shard import NOW_MS, HeldShard

MAKING = [
    [b"SET", b"k", b"v"],
    [b"APPEND", b"k", b"edited in place"],
    [b"RPUSH", b"k", b"a", b"b" * 9000],
    [b"HSET", b"k", b"f", b"v"],
    [b"SADD", b"k", b"a", b"1"],
    [b"ZADD", b"k", b"1.5", b"m"],
    [b"XADD", b"k", b"1-1", b"f", b"v"],
]


@pytest.mark.parametrize("argv", MAKING, ids=lambda argv: argv[0].decode())
def test_a_state_makes_the_same_key_elsewhere(argv: list[bytes]) -> None:
    shard, other, replayed = HeldShard(), HeldShard(), HeldShard()
    shard.send(0, [argv, [b"PEXPIREAT", b"k", b"%d" % (NOW_MS + 1000)]])
    travelling = unpacker()
    travelling.feed(packer().pack([0, b"k", *(state(shard.store.dbs[0], b"k") or ())]))
    put(other.store, travelling)
    for effect in effects_of(other.store, (0, b"k")):
        replayed.executor.replay(*effect)
    dumps = [one.replies[one.send(0, [[b"DUMP", b"k"]])] for one in (shard, other, replayed)]
    assert dumps[0] == dumps[1] == dumps[2] != [b"$-1\r\n"]
    assert [one.store.dbs[0].expiry_ms(b"k") for one in (shard, other, replayed)] == [NOW_MS + 1000] * 3
    assert other.store.changes == 0 and not other.bare.logged


def test_values_travel_as_what_they_are() -> None:
    for value in (b"", b"bytes", bytearray(b"edited in place")):
        again = unpacked(packed(value))
        assert again == value and type(again) is type(value)


def test_no_key() -> None:
    shard = HeldShard()
    assert state(shard.store.dbs[0], b"missing") is None
    assert effects_of(shard.store, (0, b"missing")) == [(0, [b"DEL", b"missing"])]


def test_what_is_laid_over_is_gone_afterwards() -> None:
    store = Store()
    db = store.dbs[0]
    heard: list[Any] = []
    with laid_over(store, {(0, b"a"): [b"1", 5], (0, b"b"): None}):
        assert db.held(b"a") == b"1" and db.expiry_ms(b"a") == 5 and db.held(b"b") is None
        db.set(b"b", b"made")
        heard.append(db.heard)
    assert db.size == 0 and not any(db.slots) and not db.expiries.count
    check(db)

"""Keyspace events of a shard: what each call tells, in which class, and what tells nothing."""

from collections import defaultdict

import pytest

from shard.events import Notices
from tests.bare_shard import BareShard, ShardConnection
from tests.event_cases import Told, cases, told_by_server, told_by_shard
from tests.reference import Reference

NOW_MS = 1_600_000_000_000

CLASSES = {
    "g": "copy_to del expire move_from move_to persist rename_from rename_to restore",
    "$": "append incrby incrbyfloat pfadd set setbit setrange",
    "l": "linsert lpop lpush lrem lset ltrim rpop rpush sortstore",
    "s": "sadd sdiffstore sinterstore spop srem sunionstore",
    "h": "hdel hexpire hexpired hincrby hincrbyfloat hpersist hset",
    "z": "georadiusstore geosearchstore zadd zdiffstore zincr zinterstore zpopmax zpopmin zrangestore zrem"
    " zremrangebylex zremrangebyrank zremrangebyscore zunionstore",
    "x": "expired",
    "t": "xadd xdel xgroup-create xgroup-createconsumer xgroup-delconsumer xgroup-destroy xgroup-setid xsetid xtrim",
    "m": "keymiss",
    "n": "new",
    "e": "",
    "d": "",
}
"""What the reference tells in the cases where one class alone is asked for."""


def told(shard: BareShard) -> list[str]:
    """What it has told since it was asked last."""
    events, shard.executor.store.events = shard.executor.store.events, []
    return [f"{event.decode()} {key.decode()} {db}" for _, _, event, db, key in events]


def noisy_shard(classes: str = "KEA") -> tuple[BareShard, ShardConnection]:
    shard = BareShard(NOW_MS)
    shard.executor.notify(classes)
    return shard, ShardConnection(shard)


def test_every_call_tells_what_it_tells_on_the_reference() -> None:
    with Reference() as reference:
        expected = told_by_server(reference.address)
        wanted: list[Told] = []
        for case in cases():
            told_there = [next(expected) for call in case if call != "wait"]
            wanted += told_there if "MULTI" not in case else []
    found = list(told_by_shard())
    assert len(found) == len(wanted)
    assert [one for one, other in zip(found, wanted, strict=True) if one != other] == []


def test_each_event_has_the_class_that_it_has_on_the_reference() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for class_ in CLASSES:
        for _, events in told_by_shard("KE" + class_):
            found[class_] |= {event.split(" ")[0] for event in events}
    assert {class_: " ".join(sorted(events)) for class_, events in found.items()} == CLASSES


@pytest.mark.parametrize(
    ("wanted", "classes", "channels"),
    [
        ("", "", ""),
        ("A", "", ""),
        ("K", "", "K"),
        ("AE", "g$lshzxetd", "E"),
        ("AnKEm", "g$lshzxetdnm", "KE"),
        ("g$nKEm", "g$nm", "KE"),
    ],
)
def test_the_directive(wanted: str, classes: str, channels: str) -> None:
    notices = Notices()
    notices.configure(wanted)
    assert "".join(letter for letter in notices.classes if letter not in "KE") == classes
    assert notices.channels == channels


def test_nobody_hears_where_nothing_is_asked_for() -> None:
    shard, client = noisy_shard("A")
    assert not any(db.heard for db in shard.executor.store.dbs)
    assert shard.executor.usual
    shard.executor.notify("KA")
    assert all(db.heard for db in shard.executor.store.dbs)
    client.call("SET", "k", 1)
    assert told(shard) == ["set k 0"]
    shard.executor.notify("")
    client.call("SET", "k", 1)
    assert told(shard) == []
    assert not any(db.heard for db in shard.executor.store.dbs)
    assert shard.executor.usual


def test_a_refused_or_failed_call_tells_nothing_and_leaves_nothing_to_the_next() -> None:
    shard, client = noisy_shard()
    client.call("LPUSH", "l", "x")
    client.call("SET", "l", "x", "NX")
    client.call("INCR", "l")
    client.call("NOSUCH", "l")
    client.call("SET", "l")
    client.call("HINCRBY", "h", "f", "1")
    assert told(shard) == ["lpush l 0", "hincrby h 0"]


def test_keys_that_the_shard_finds_expired_by_itself() -> None:
    shard, client = noisy_shard()
    client.call("SET", "k", 1, "PX", 10)
    client.call("HSET", "h", "f", 1, "g", 2, "stays", 3)
    client.call("HPEXPIRE", "h", 10, "FIELDS", 2, "f", "g")
    client.call("HSETEX", "gone", "PX", 10, "FIELDS", 1, "f", 1)
    told(shard)
    shard.advance(1000)
    for _ in shard.executor.store.dbs[0].expire_due(NOW_MS + 900):
        pass
    assert sorted(told(shard)) == ["del gone 0", "expired k 0", "hexpired gone 0", "hexpired h 0"]


def test_fields_that_a_call_finds_expired() -> None:
    shard, client = noisy_shard("KEAm")
    client.call("HSET", "h", "f", 1, "g", 2)
    client.call("HPEXPIRE", "h", 10, "FIELDS", 1, "f")
    client.call("HSETEX", "gone", "PX", 10, "FIELDS", 1, "f", 1)
    told(shard)
    shard.advance(1000)
    client.call("HGET", "h", "f")
    client.call("HGET", "gone", "f")
    assert told(shard) == ["hexpired h 0", "hexpired gone 0", "del gone 0", "keymiss gone 0"]


def test_whole_dbs_tell_nothing_of_their_keys() -> None:
    shard, client = noisy_shard("KEAn")
    client.call("MSET", "a", 1, "b", 2)
    told(shard)
    client.call("SWAPDB", 0, 1)
    client.call("FLUSHALL")
    assert told(shard) == []


def test_a_replay_tells_nothing() -> None:
    shard, client = noisy_shard()
    client.call("SET", "k", 1)
    client.call("DEL", "k")
    told(shard)
    shard.executor.store.expiring = False
    for db, argv in shard.logged:
        shard.executor.replay(db, argv)
    assert told(shard) == []

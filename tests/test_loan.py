"""A command at home, over keys that other shards have lent."""

from typing import Any

from common.frame import CONTROL, VALUES
from shard.loan import Hold, packed, unpacked
from tests.held_shard import NOW_MS, HeldShard, contents


def run_at_home(shard: HeldShard, own: list[bytes], lent: dict[bytes, Any], *argv: bytes) -> Any:
    """What `borrow` answers to a command whose other keys are lent, [value, expiry] or None."""
    shard.hold(1, own, export=False)
    states = [[0, key, *state] for key, state in lent.items() if state is not None]
    number = shard.message("borrow", 1, 0, [list(argv)], [[0, key] for key in lent], states)
    return shard.replies[number][0]


def test_a_command_runs_over_borrowed_keys() -> None:
    shard = HeldShard()
    shard.send(0, [[b"SET", b"own", b"1"], [b"SET", b"bystander", b"2"]])
    db = shard.store.dbs[0]
    before = [list(map(id, containers)) for containers in (db.slots,)]
    logged = len(shard.bare.logged)
    at_ms = NOW_MS + 5000
    answer = run_at_home(shard, [b"own"], {b"away": [["string", b"v"], at_ms]}, b"RENAME", b"away", b"own")
    assert answer == [[b"+OK\r\n"], [[0, b"away", None, -1]]]
    assert shard.bare.logged[logged:] == [(0, [b"SET", b"own", b"v", b"PXAT", b"%d" % at_ms])]
    assert contents(shard.store) == {(0, b"own"): (b"v", at_ms), (0, b"bystander"): (b"2", -1)}
    assert [list(map(id, containers)) for containers in (db.slots,)] == before
    assert not shard.room.holds.line and shard.store.changes == 0


def test_what_a_command_leaves_as_it_is_does_not_travel() -> None:
    shard = HeldShard()
    assert run_at_home(shard, [b"own"], {b"x": [b"1", -1], b"y": None}, b"MSETNX", b"own", b"1", b"x", b"2") == [
        [b":0\r\n"],
        [],
    ]
    assert run_at_home(shard, [b"own"], {b"x": None}, b"MSETNX", b"own", b"1", b"x", b"2") == [
        [b":1\r\n"],
        [[0, b"x", b"2", -1]],
    ]
    assert run_at_home(shard, [b"own"], {b"x": None}, b"RENAME", b"x", b"own") == [[b"-ERR no such key\r\n"], []]
    assert shard.bare.logged == [(0, [b"SET", b"own", b"1"])]


MANY = [b"%d:%s" % (number, b"x" * 70) for number in range(300)]
"""So many that a hash, a set or a sorted set of them is in no order of its own."""


def test_of_the_sources_of_a_command_nothing_goes_home() -> None:
    shard = HeldShard()
    away = HeldShard()
    away.send(0, [[b"SADD", b"s", *MANY], [b"ZADD", b"z", *(word for member in MANY for word in (b"1", member))]])
    lent = {key: [packed(away.store.dbs[0].peek(key)), -1] for key in (b"s", b"z")}
    shard.send(0, [[b"SADD", b"own", *reversed(MANY)]])
    logged = len(shard.bare.logged)
    argv = b"ZUNIONSTORE", b"to", b"3", b"own", b"s", b"z"
    answer = run_at_home(shard, [b"own", b"to"], lent, *argv)
    assert answer == [[b":300\r\n"], []]
    assert {effect[1] for _, effect in shard.bare.logged[logged:]} == {b"to"}


def test_a_command_that_reads_logs_only_what_expires() -> None:
    shard = HeldShard()
    at_ms = NOW_MS + 5
    shard.send(0, [[b"SADD", b"own", *MANY], [b"SADD", b"due", b"1"], [b"PEXPIREAT", b"due", b"%d" % at_ms]])
    logged = len(shard.bare.logged)
    shard.message("hold", 1, [b"own", b"due"], [0], False, False)
    states = [[0, b"away", packed(shard.store.dbs[0].peek(b"own")), at_ms]]
    call = [b"SUNION", b"own", b"due", b"away"]
    number = shard.message("borrow", 1, 0, [call], [[0, b"away"]], states)
    assert shard.replies[number][0][1] == [] and len(shard.bare.logged) == logged
    shard.message("release", 1, [])
    shard.send(CONTROL | VALUES, [["hold", 2, [b"own", b"due"], [0], False, False]], now_ms=at_ms + 1)
    number = shard.message("borrow", 2, 0, [call], [[0, b"away"]], states)
    assert shard.replies[number][0][1] == [] and shard.bare.logged[logged:] == [(0, [b"DEL", b"due"])]


def test_holds_are_tickets_that_stay() -> None:
    hold = Hold((None, 1), [(0, b"a"), (1, b"a")], export=True, writes=True)
    assert hold.keys == (b"a",) and hold.stays


def test_values_travel_as_what_they_are() -> None:
    for value in (b"", b"bytes", bytearray(b"edited in place")):
        again = unpacked(packed(value))
        assert again == value and type(again) is type(value)

"""What waits for a held key, against doing all in order."""

from random import Random
from typing import Any

import pytest

from common.errors import RedisError
from common.frame import CONTROL, DB_SHIFT, JOINED, VALUES
from common.resp import OK
from shard.invariants import check
from tests.held_shard import NOW_MS, HeldShard, contents

KEYS = [b"a", b"b", b"c", b"d", b"e"]


def test_who_waits_and_who_does_not() -> None:
    shard = HeldShard()
    shard.send(JOINED, [[b"MSET", b"a", b"1", b"b", b"2"]])
    granted = shard.hold(1, [b"a", b"missing"])
    assert shard.replies[granted] == [[[0, b"a", b"1", -1]]]
    mixed = shard.send(JOINED, [[b"SET", b"a", b"3"], [b"GET", b"b"], [b"MGET", b"a", b"b"], [b"SET", b"b", b"4"]])
    other = shard.send(0, [[b"GET", b"c"], [b"GET"], [b"NOSUCH", b"a"]])
    assert mixed not in shard.replies
    assert [reply[:4] for reply in shard.replies[other]] == [b"$-1\r", b"-ERR", b"-ERR"]
    size = shard.send(VALUES, [[b"DBSIZE"]])
    behind = shard.send(VALUES, [[b"SET", b"c", b"5"]])
    assert size not in shard.replies and behind not in shard.replies
    assert shard.replies[shard.message("active_expiry", True)] == [None]
    shard.message(
        "release", 1, [[0, b"a", None, -1, True, True, []], [0, b"missing", b"new", NOW_MS + 1000, True, True, []]]
    )
    assert shard.replies[mixed] == b"+OK\r\n$1\r\n2\r\n*2\r\n$1\r\n3\r\n$1\r\n2\r\n+OK\r\n"
    assert shard.replies[size] == [3] and shard.replies[behind] == [OK]
    assert shard.bare.logged[1:] == [
        (0, [b"DEL", b"a"]),
        (0, [b"SET", b"missing", b"new", b"PXAT", b"%d" % (NOW_MS + 1000)]),
        (0, [b"SET", b"a", b"3"]),
        (0, [b"SET", b"b", b"4"]),
        (0, [b"SET", b"c", b"5"]),
    ]


def test_what_waits_is_done_at_its_own_time() -> None:
    shard = HeldShard()
    shard.send(0, [[b"SET", b"a", b"1", b"PXAT", b"%d" % (NOW_MS + 10)]])
    shard.hold(1, [b"a"])
    waiting = shard.send(JOINED, [[b"GET", b"a"]], NOW_MS + 9)
    late = shard.send(JOINED, [[b"GET", b"a"]], NOW_MS + 10)
    shard.send(CONTROL | VALUES, [["release", 1, []]], NOW_MS + 20)
    assert shard.replies[waiting] == b"$1\r\n1\r\n" and shard.replies[late] == b"$-1\r\n"
    assert shard.store.now_ms == NOW_MS + 20


def test_a_held_key_does_not_expire() -> None:
    shard = HeldShard()
    db = shard.store.dbs[0]
    shard.send(0, [[b"SET", key, b"1", b"PXAT", b"%d" % (NOW_MS + 10)] for key in (b"a", b"b")])
    shard.hold(1, [b"a"])
    assert [key for key in db.expire_due(NOW_MS + 1000) if key] == [b"b"]
    assert db.expiry_ms(b"a") == NOW_MS + 10
    check(db)
    shard.message("release", 1, [])
    assert [key for key in db.expire_due(NOW_MS + 2000) if key] == [b"a"]
    check(db)


def test_a_link_that_goes_takes_its_holds_along() -> None:
    shard = HeldShard()
    shard.room.origin = "one"
    shard.hold(1, [b"a"])
    waiting_hold = shard.hold(2, [b"a", b"b"])
    write = shard.send(JOINED, [[b"SET", b"b", b"1"]])
    shard.room.origin = "other"
    read = shard.send(JOINED, [[b"GET", b"b"]])
    whole = shard.message("random_key", 0)
    assert not {waiting_hold, write, read, whole} & shard.replies.keys()
    shard.room.forget("one")
    assert shard.room.take(None) == {
        "one": {waiting_hold: [None], write: b"+OK\r\n"},
        "other": {read: b"$1\r\n1\r\n", whole: [[1, b"b", pytest.approx(0.5, abs=0.5)]]},
    }
    assert not shard.room.holds.line and not shard.room.named and shard.executor.detour is None


def test_a_hold_that_waits_can_be_released() -> None:
    shard = HeldShard()
    shard.hold(1, [b"a"])
    second = shard.hold(2, [b"a", b"b"])
    read = shard.send(JOINED, [[b"GET", b"b"]])
    shard.message("release", 2, [])
    assert shard.replies[second] == [None] and shard.replies[read] == b"$-1\r\n"
    shard.message("release", 1, [])
    assert not shard.room.holds.line


def test_no_late_write_is_ok_if_the_log_was_not_written() -> None:
    fault = RedisError("MISCONF no space")
    shard = HeldShard()
    shard.hold(1, [b"a"])
    first = shard.send(0, [[b"SET", b"b", b"1"], [b"SET", b"a", b"2"], [b"GET", b"b"]], refused=fault)
    second = shard.send(JOINED, [[b"SET", b"a", b"3"], [b"GET", b"a"]])
    shard.send(CONTROL | VALUES, [["release", 1, [[0, b"a", b"0", -1, True, True, []]]]], refused=fault)
    assert shard.replies[first] == [b"-MISCONF no space\r\n", b"-MISCONF no space\r\n", b"$1\r\n1\r\n"]
    assert shard.replies[second] == b"-MISCONF no space\r\n$1\r\n3\r\n"
    assert [str(error) for error in shard.replies[shard.number - 1][0]] == ["MISCONF no space"]


def test_a_shard_that_cannot_write_refuses_to_hold_for_a_write() -> None:
    shard = HeldShard()
    shard.executor.state(loading=False, refusal=RedisError("MISCONF no space"))
    assert str(shard.replies[shard.hold(1, [b"a"])][0]) == "MISCONF no space"
    assert not shard.room.holds.line and not shard.room.named
    shard.message("release", 1, [])


def random_command(random: Random) -> list[bytes]:
    key, other = random.choice(KEYS), random.choice(KEYS)
    return random.choice(
        [
            [b"SET", key, b"%d" % random.randrange(100)],
            [b"SET", key, b"x", b"PX", b"%d" % random.randrange(1, 20)],
            [b"APPEND", key, b"."],
            [b"GET", key],
            [b"PTTL", key],
            [b"DEL", key, other],
            [b"MGET", key, other],
            [b"RENAME", key, other],
            [b"MOVE", key, b"1"],
            [b"COPY", key, other, b"DB", b"1", b"REPLACE"],
            [b"DBSIZE"],
            [b"NOSUCH", key],
        ]
        + ([[b"FLUSHALL"], [b"SWAPDB", b"0", b"1"]] if random.random() < 0.2 else [])
    )


@pytest.mark.parametrize("seed", range(15))
def test_all_is_as_if_nobody_had_waited(seed: int) -> None:
    """Commands and holds at random; what a hold changes is done, in the model, when the hold came."""
    random = Random(seed)
    shard, model = HeldShard(), HeldShard()
    held: list[tuple[int, list[list[Any]]]] = []
    wanted: dict[int, Any] = {}
    now_ms = NOW_MS
    for step in range(600):
        now_ms += random.randrange(4)
        chance = random.random()
        if chance < 0.15 and len(held) < 4:
            keys = random.sample(KEYS, random.randrange(1, 4))
            shard.send(CONTROL | VALUES, [["hold", step, keys, [0], "values", True]], now_ms)
            changes = [
                [0, key, random.choice([None, b"lent"]), -1, True, True, []] for key in keys if random.random() < 0.5
            ]
            held.append((step, changes))
            model.send(CONTROL | VALUES, [["hold", 0, keys, [0], "values", True], ["release", 0, changes]], now_ms)
        elif chance < 0.3 and held:
            # Only what has its turn can change anything.
            ready = [(id_, changes) for id_, changes in held if shard.room.named[None, id_].granted]
            id_, changes = random.choice(ready)
            held.remove((id_, changes))
            shard.send(CONTROL | VALUES, [["release", id_, changes]], now_ms)
        else:
            header = random.choice((0, JOINED)) | random.randrange(2) << DB_SHIFT
            requests = [random_command(random) for _ in range(random.randrange(1, 5))]
            number = shard.send(header, requests, now_ms)
            wanted[number] = model.replies[model.send(header, requests, now_ms)]
    while held:
        id_, changes = next((id_, changes) for id_, changes in held if shard.room.named[None, id_].granted)
        held.remove((id_, changes))
        shard.message("release", id_, changes)
    assert {number: shard.replies[number] for number in wanted} == wanted
    assert contents(shard.store) == contents(model.store)
    assert not shard.room.holds.line and not shard.store.blocked
    replayed = shard.bare.replayed().executor.store
    assert contents(replayed) == contents(shard.store)

"""What is done under a hold: a command at home, over keys that other shards have lent, and what the log gets of it."""

from typing import Any

import pytest

from common.frame import CONTROL, VALUES, unpack
from shard.loan import Hold
from shard.states import packed
from tests.held_shard import NOW_MS, HeldShard, contents


def run_at_home(shard: HeldShard, own: list[bytes], lent: dict[bytes, Any], *argv: bytes, last: bool = True) -> Any:
    """What `borrow` answers to a command whose other keys are lent, [value, expiry] or None; the `last` is released."""
    if (None, 1) not in shard.room.named:
        shard.hold(1, own, gives="nothing")
    states = [[0, key, *(state or (None, -1))] for key, state in lent.items()]
    number = shard.message("borrow", 1, 0, list(argv), [[0, key] for key in own], states, last)
    reply, changes, how, done = shard.replies[number][0]
    if not last or changes:
        logged = len(shard.bare.logged)
        if last:
            shard.message("release", 1, [])
            if shard.store.logging:
                assert [list(effect) for effect in shard.bare.logged[logged:]] == (unpack(done) if done else [])
    else:
        assert done == b""
    return [reply, changes, how]


def test_a_command_runs_over_borrowed_keys() -> None:
    shard = HeldShard()
    shard.send(0, [[b"SET", b"own", b"1"], [b"SET", b"bystander", b"2"]])
    db = shard.store.dbs[0]
    before = [list(map(id, containers)) for containers in (db.slots,)]
    logged = len(shard.bare.logged)
    at_ms = NOW_MS + 5000
    answer = run_at_home(shard, [b"own"], {b"away": [["string", b"v"], at_ms]}, b"RENAME", b"away", b"own")
    assert answer == [b"+OK\r\n", [[0, b"away", None, -1, True, True, []]], None]
    assert shard.bare.logged[logged:] == [(0, [b"SET", b"own", b"v", b"PXAT", b"%d" % at_ms])]
    assert contents(shard.store) == {(0, b"own"): (b"v", at_ms), (0, b"bystander"): (b"2", -1)}
    assert [list(map(id, containers)) for containers in (db.slots,)] == before
    assert not shard.room.holds.line and shard.store.changes == 0


def test_what_a_command_leaves_as_it_is_does_not_travel() -> None:
    shard = HeldShard()
    assert run_at_home(shard, [b"own"], {b"x": [b"1", -1], b"y": None}, b"MSETNX", b"own", b"1", b"x", b"2") == [
        b":0\r\n",
        [],
        None,
    ]
    assert run_at_home(shard, [b"own"], {b"x": None}, b"MSETNX", b"own", b"1", b"x", b"2") == [
        b":1\r\n",
        [[0, b"x", b"2", -1, True, True, []]],
        None,
    ]
    assert run_at_home(shard, [b"own"], {b"x": None}, b"RENAME", b"x", b"own") == [b"-ERR no such key\r\n", [], None]
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
    assert answer == [b":300\r\n", [], None]
    assert {effect[1] for _, effect in shard.bare.logged[logged:]} == {b"to"}


def test_a_command_that_reads_logs_only_what_expires() -> None:
    shard = HeldShard()
    at_ms = NOW_MS + 5
    shard.send(0, [[b"SADD", b"own", *MANY], [b"SADD", b"due", b"1"], [b"PEXPIREAT", b"due", b"%d" % at_ms]])
    logged = len(shard.bare.logged)
    shard.message("hold", 1, [b"own", b"due"], [0], "nothing", False)
    own = [[0, b"own"], [0, b"due"]]
    states = [[0, b"away", packed(shard.store.dbs[0].peek(b"own")), at_ms]]
    call = [b"SUNION", b"own", b"due", b"away"]
    number = shard.message("borrow", 1, 0, call, own, states, True)
    assert shard.replies[number][0][1] == [] and len(shard.bare.logged) == logged
    shard.message("release", 1, [])
    shard.send(CONTROL | VALUES, [["hold", 2, [b"own", b"due"], [0], "nothing", False]], now_ms=at_ms + 1)
    number = shard.message("borrow", 2, 0, call, own, states, True)
    assert shard.replies[number][0][1] == [] and shard.bare.logged[logged:] == [(0, [b"DEL", b"due"])]


def test_an_effect_on_keys_of_this_shard_is_logged_as_it_is() -> None:
    """And not as all of a long list, when one element was taken off it."""
    shard = HeldShard()
    shard.send(0, [[b"RPUSH", b"own", *MANY]])
    logged = len(shard.bare.logged)
    answer = run_at_home(shard, [b"own"], {}, b"LMPOP", b"2", b"away", b"own", b"LEFT")
    assert answer[0].startswith(b"*2\r\n$3\r\nown") and answer[1] == []
    assert shard.bare.logged[logged:] == [(0, [b"LMPOP", b"2", b"away", b"own", b"LEFT"])]


def test_of_an_effect_on_keys_of_both_each_gets_its_own() -> None:
    """And no more than that, also of long values: a move is two effects where the keys are apart."""
    shard, away = HeldShard(), HeldShard()
    shard.send(0, [[b"RPUSH", b"own", *MANY], [b"SADD", b"s", b"x", b"y"]])
    away.send(0, [[b"RPUSH", b"l", *MANY], [b"SADD", b"t", b"x"]])
    for call, own, other, effects in (
        (b"LMOVE own l LEFT RIGHT", b"own", b"l", [[b"LPOP", b"own"], [b"RPUSH", b"l", MANY[0]]]),
        (b"BLMOVE own l RIGHT LEFT 0", b"own", b"l", [[b"RPOP", b"own"], [b"LPUSH", b"l", MANY[-1]]]),
        (b"RPOPLPUSH l own", b"own", b"l", [[b"LPUSH", b"own", MANY[0]], [b"RPOP", b"l"]]),
        (b"BRPOPLPUSH l own 0", b"own", b"l", [[b"LPUSH", b"own", MANY[-1]], [b"RPOP", b"l"]]),
        (b"SMOVE s t y", b"s", b"t", [[b"SREM", b"s", b"y"], [b"SADD", b"t", b"y"]]),
    ):
        logged = len(shard.bare.logged), len(away.bare.logged)
        away.hold(1, [other])
        given = packed(away.store.dbs[0].peek(other))
        answer = run_at_home(shard, [own], {other: [given, -1]}, *call.split())
        (change,) = answer[1]
        assert change == [0, other, None, -1, True, True, [effects[1]]]
        away.message("release", 1, answer[1])
        assert [argv for _, argv in shard.bare.logged[logged[0] :]] == effects[:1], call
        assert [argv for _, argv in away.bare.logged[logged[1] :]] == effects[1:], call
    assert len(shard.store.dbs[0].peek(b"own")) == len(away.store.dbs[0].peek(b"l")) == len(MANY)
    for one in (shard, away):
        replayed = one.bare.replayed().executor.store.dbs[0]
        assert {key: sorted(value) for key, value in replayed.items()} == {
            key: sorted(value) for key, value in one.store.dbs[0].items()
        }


def test_a_command_that_reads_more_than_it_names_is_logged_as_what_it_made() -> None:
    shard = HeldShard()
    shard.send(0, [[b"RPUSH", b"own", b"a", b"b"]])
    logged = len(shard.bare.logged)
    lent: dict[bytes, Any] = {b"w_a": [b"2", -1], b"w_b": [b"1", -1]}
    answer = run_at_home(shard, [b"own", b"to"], lent, b"SORT", b"own", b"BY", b"w_*", b"STORE", b"to")
    assert answer == [b":2\r\n", [], None]
    assert [argv for _, argv in shard.bare.logged[logged:]] == [[b"DEL", b"to"], [b"RPUSH", b"to", b"b", b"a"]]


@pytest.mark.parametrize("logging", [True, False])
def test_what_changes_is_known_without_a_log(logging: bool) -> None:
    """A handler that says itself what to log says nothing where there is no log; but here it must be heard."""
    shard = HeldShard()
    shard.store.logging = logging
    shard.send(0, [[b"RPUSH", b"own", b"a"]])
    answer = run_at_home(shard, [b"own"], {b"away": None}, b"BLMOVE", b"own", b"away", b"LEFT", b"LEFT", b"0")
    assert [change[1] for change in answer[1]] == [b"away"]
    assert shard.store.logging == logging


def test_many_things_under_one_hold_are_one_group_in_the_log() -> None:
    shard = HeldShard()
    shard.send(0, [[b"RPUSH", b"l", b"1", b"2"], [b"SET", b"s", b"v", b"PXAT", b"%d" % (NOW_MS + 10)]])
    groups: list[Any] = []
    shard.executor.log_group = groups.append
    logged = len(shard.bare.logged)
    shard.hold(1, None, gives="nothing")
    waiting = shard.send(0, [[b"LLEN", b"l"]], now_ms=NOW_MS + 20)
    answer = run_at_home(shard, [b"y"], {b"x": [b"old", -1]}, b"RENAME", b"x", b"y", last=False)
    assert answer == [b"+OK\r\n", [[0, b"x", None, -1, True, True, []]], None]
    number = shard.message("lend", 1, [[0, b"l"], [0, b"s"], [0, b"missing"]])
    assert [given[1] for given in shard.replies[number][0]] == [b"l", b"s"]  # All is at the time of the hold.
    shard.message("give_back", 1, [[0, b"s", None, -1, True, True, []]])
    assert waiting not in shard.replies and not groups and len(shard.bare.logged) == logged
    shard.message("release", 1, [[0, b"l", None, -1, True, True, []]])
    effects = [[b"SET", b"y", b"old"], [b"DEL", b"s"], [b"DEL", b"l"]]
    assert groups == [[(0, argv) for argv in effects]] and len(shard.bare.logged) == logged
    assert shard.replies[waiting] == [b":0\r\n"]


def test_who_waits_is_served_when_the_hold_ends_and_before_who_came_later() -> None:
    shard = HeldShard()
    blocked = shard.send(0, [[b"BLPOP", b"l", b"0"]])
    shard.hold(1, [b"l"])
    later = shard.send(0, [[b"LPOP", b"l"]])
    shard.message("give_back", 1, [[0, b"l", list_state(), -1, True, True, []]])
    assert not {blocked, later} & shard.replies.keys()
    shard.message("release", 1, [])
    assert shard.replies[blocked] == [b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n"]
    assert shard.replies[later] == [b"$-1\r\n"]


def list_state() -> Any:
    other = HeldShard()
    other.send(0, [[b"RPUSH", b"k", b"x"]])
    return packed(other.store.dbs[0].peek(b"k"))


def test_the_keys_that_sort_forms() -> None:
    shard = HeldShard()
    shard.send(0, [[b"RPUSH", b"l", b"3", b"1", b"2"]])
    shard.hold(1, None)

    def formed(*options: bytes) -> Any:
        return shard.replies[shard.message("formed", 1, 0, [b"SORT", b"l", *options])][0]

    assert formed(b"BY", b"w_*", b"GET", b"d_*->f") == [b"w_3", b"w_1", b"w_2", b"d_3", b"d_1", b"d_2"]
    assert formed(b"GET", b"#", b"GET", b"d_*", b"LIMIT", b"0", b"2") == [b"d_1", b"d_2"]
    assert formed(b"BY", b"nosort", b"GET", b"plain") == []
    assert str(formed(b"FOO")) == "ERR syntax error"
    assert shard.replies[shard.message("formed", 1, 0, [b"SORT", b"missing", b"BY", b"w_*"])][0] == []


def test_a_link_that_goes_leaves_what_was_done_in_the_log() -> None:
    shard = HeldShard()
    shard.hold(1, [b"k"])
    run_at_home(shard, [b"k"], {}, b"SET", b"k", b"1", last=False)
    assert not shard.bare.logged
    shard.room.forget(None)
    assert shard.bare.logged == [(0, [b"SET", b"k", b"1"])]
    assert not shard.room.holds.line


def test_nobody_hears_of_what_is_laid_over() -> None:
    """But of what the command changes, at home, and where the key lives."""
    shard = HeldShard()
    store = shard.store
    store.watches.add((None, 1), 0, [b"away", b"own"])
    store.tracked = True
    store.dbs[0].heard = True
    run_at_home(shard, [b"own"], {b"away": [b"v", -1]}, b"COPY", b"away", b"own")
    changed = [event for event in store.events if event[0] == "changed"]
    assert [event[-1] for event in changed] == [b"own"]
    assert store.watches.touched((None, 1))
    store.events.clear()
    shard.hold(2, [b"away"])
    store.watches.add((None, 2), 0, [b"away"])
    shard.message("release", 2, [[0, b"away", b"w", -1, False, True, []]])
    assert "changed" not in [event[0] for event in store.events] and store.watches.touched((None, 2))


def test_holds_are_tickets_that_stay() -> None:
    hold = Hold((None, 1), [b"a"], [0, 1], "values", True, 0)
    assert hold.keys == (b"a",) and hold.places == [(0, b"a"), (1, b"a")] and hold.stays
    assert Hold((None, 1), None, [0], "nothing", True, 0).places == []


def test_what_is_no_change_of_the_value_wakes_nobody() -> None:
    """A consumer that is made where there is nothing to read: others that wait keep their places."""
    away, shard = HeldShard(), HeldShard()
    away.send(0, [[b"XGROUP", b"CREATE", b"s", b"g", b"$", b"MKSTREAM"]])
    call = [b"XREADGROUP", b"GROUP", b"g", b"me", b"BLOCK", b"0", b"STREAMS", b"own", b"s", b">", b">"]
    shard.send(0, [[b"XGROUP", b"CREATE", b"own", b"g", b"$", b"MKSTREAM"]])
    shard.hold(1, [b"own"])
    lent = [[0, b"s", packed(away.store.dbs[0].peek(b"s")), -1]]
    number = shard.message("borrow", 1, 0, call, [[0, b"own"]], lent, True, True)
    reply, changes, how, done = shard.replies[number][0]
    assert unpack(done) == [[0, [b"XGROUP", b"CREATECONSUMER", b"own", b"g", b"me"]]]
    assert reply == b"" and how[1:4] == ["stream", True, 0]
    made = [b"XGROUP", b"CREATECONSUMER", b"s", b"g", b"me"]
    assert [(change[1], *change[4:]) for change in changes] == [(b"s", False, False, [made])]
    waiting = away.send(0, [[b"XREADGROUP", *call[1:-4], b"s", b">"]])
    tried = away.executor.command_stats().get("xreadgroup")
    away.hold(2, [b"s"])
    away.message("release", 2, changes)
    assert waiting not in away.replies and away.executor.command_stats().get("xreadgroup") == tried
    assert b"me" in away.store.dbs[0].peek(b"s").groups[b"g"].consumers
    assert shard.room.named  # The hold goes on, and its effects wait for the end.
    shard.message("release", 1, [])
    assert shard.bare.logged[-1][1][:2] == [b"XGROUP", b"CREATECONSUMER"]

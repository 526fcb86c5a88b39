"""A share of an EXEC on one shard: as one, in its turn, and in the log as one."""

from typing import Any

import shard.transaction  # noqa: F401  The messages there answer to their names.
from common.errors import RedisError
from common.frame import AS_ONE, CONTROL, JOINED, VALUES
from tests.held_shard import NOW_MS, HeldShard


def logged(held: HeldShard) -> list[Any]:
    return [argv for _, argv in held.bare.logged]


def test_all_replies_each_run_in_its_own_form() -> None:
    held = HeldShard()
    runs = [
        [0, [[b"SET", b"a", b"1"], [b"INCR", b"a"]]],
        [VALUES, [[b"MGET", b"a", b"b"]]],
        [JOINED, [[b"GET", b"a"], [b"LPUSH", b"a", b"x"]]],
        [CONTROL | VALUES, [["random_key", 0]]],
    ]
    answer = held.replies[held.message("transact", None, None, runs)][0]
    assert answer[0] == [b"+OK\r\n", b":2\r\n"]
    assert answer[1] == [[b"2", None]]
    assert answer[2].startswith(b"$1\r\n2\r\n-WRONGTYPE")
    assert answer[3][0][:2] == [1, b"a"]
    assert logged(held) == [[b"SET", b"a", b"1"], [b"INCR", b"a"]]


def test_it_waits_for_its_turn_at_all_its_keys() -> None:
    """What comes behind it for one of them waits too, what is for another key does not."""
    held = HeldShard()
    held.message("hold", 1, [b"a"], [0], "nothing", True)
    exec_ = held.message("transact", None, None, [[0, [[b"SET", b"a", b"1"], [b"SET", b"b", b"1"]]]])
    behind = held.send(0, [[b"GET", b"b"]])
    beside = held.send(0, [[b"GET", b"c"]])
    assert exec_ not in held.replies and behind not in held.replies and beside in held.replies
    held.message("release", 1, [])
    assert held.replies[exec_] == [[[b"+OK\r\n", b"+OK\r\n"]]] and held.replies[behind] == [b"$1\r\n1\r\n"]


def test_a_whole_one_waits_for_everybody() -> None:
    held = HeldShard()
    held.message("hold", 1, [b"a"], [0], "nothing", True)
    exec_ = held.message("transact", None, None, [[VALUES, [[b"DBSIZE"]]]])
    assert exec_ not in held.replies
    held.message("release", 1, [])
    assert held.replies[exec_] == [[[0]]]


def test_a_touched_watch_has_nothing_run() -> None:
    held = HeldShard()
    held.message("watch", 5, 0, [b"a"])
    held.send(0, [[b"SET", b"a", b"1"]])
    assert held.replies[held.message("transact", None, 5, [[0, [[b"SET", b"b", b"1"]]]])] == [None]
    assert b"b" not in held.store.dbs[0].slots[held.store.slot_of(b"b")]
    assert not held.store.watches.named


def test_an_untouched_one_lets_it_run_and_is_over() -> None:
    held = HeldShard()
    held.message("watch", 5, 0, [b"a"])
    assert held.replies[held.message("transact", None, 5, [[0, [[b"SET", b"a", b"1"]]]])] == [[[b"+OK\r\n"]]]
    assert not held.store.watches.named


def test_its_own_commands_touch_others_watches() -> None:
    held = HeldShard()
    held.message("watch", 5, 0, [b"a"])
    held.message("watch", 6, 0, [b"a"])
    held.message("transact", None, 5, [[0, [[b"SET", b"a", b"1"]]]])
    assert held.replies[held.message("watched", 6)] == [True]


def test_to_watch_is_a_command_on_its_keys() -> None:
    """It comes behind what holds them: that is no change since it is watched."""
    held = HeldShard()
    held.message("hold", 1, [b"a"], [0], "nothing", True)
    watch = held.message("watch", 5, 0, [b"a"])
    assert watch not in held.replies
    held.message("transact", 1, None, [[0, [[b"SET", b"a", b"1"]]]])
    held.message("release", 1, [])
    assert watch in held.replies
    assert held.replies[held.message("watched", 5)] == [False]


def test_it_waits_for_its_turn_at_what_it_watches() -> None:
    """What holds the key may change it, and the WATCH itself may wait for it."""
    held = HeldShard()
    held.message("hold", 1, [b"a"], [0], "nothing", True)
    held.message("watch", 5, 0, [b"a"])
    exec_ = held.message("transact", None, 5, [[0, [[b"SET", b"b", b"1"]]]], [b"a"])
    assert exec_ not in held.replies
    held.message("release", 1, [])
    assert held.replies[exec_] == [[[b"+OK\r\n"]]]
    held.message("watch", 5, 0, [b"a"])
    held.message("hold", 2, [b"a"], [0], "nothing", True)
    exec_ = held.message("transact", None, 5, [[0, [[b"SET", b"b", b"1"]]]], [b"a"])
    held.message("transact", 2, None, [[0, [[b"SET", b"a", b"1"]]]])
    held.message("release", 2, [])
    assert held.replies[exec_] == [None]


def test_under_a_hold_nobody_sees_it_before_the_release() -> None:
    held = HeldShard()
    held.message("hold", 1, [b"a", b"b"], [0], "nothing", True)
    assert held.replies[held.message("transact", 1, None, [[0, [[b"SET", b"a", b"1"]]]])] == [[[b"+OK\r\n"]]]
    read = held.send(0, [[b"GET", b"a"]])
    assert held.replies[held.message("transact", 1, None, [[0, [[b"INCR", b"a"]]]])] == [[[b":2\r\n"]]]
    assert read not in held.replies and not logged(held)
    held.message("release", 1, [])
    assert held.replies[read] == [b"$1\r\n2\r\n"]
    assert logged(held) == [[b"SET", b"a", b"1"], [b"INCR", b"a"]]


def test_writes_that_the_log_did_not_take_are_told_so() -> None:
    held = HeldShard()
    error = RedisError("MISCONF no room")
    message = ["transact", None, None, [[0, [[b"SET", b"a", b"1"], [b"GET", b"a"]]]]]
    number = held.send(CONTROL | VALUES, [message], refused=error)
    assert held.replies[number] == [[[b"-MISCONF no room\r\n", b"$1\r\n1\r\n"]]]


def test_who_is_blocked_is_served_after_the_whole() -> None:
    held = HeldShard()
    blocked = held.send(0, [[b"BLPOP", b"k", b"0"]])
    held.message("transact", None, None, [[0, [[b"RPUSH", b"k", b"x"], [b"LPOP", b"k"]]]])
    assert blocked not in held.replies
    held.message("transact", None, None, [[0, [[b"RPUSH", b"k", b"x"], [b"RPUSH", b"k", b"y"]]]])
    assert held.replies[blocked] == [b"*2\r\n$1\r\nk\r\n$1\r\nx\r\n"]


# --- One that is a run of its own ------------------------------------------------------------------------------------


def as_one(held: HeldShard, *requests: list[bytes], refused: RedisError | None = None) -> int:
    """Sends it, and gives its number."""
    header = JOINED | AS_ONE
    number = held.number
    held.number += 1
    held.executor.turn(NOW_MS)
    held.executor.number = number
    answer = shard.transaction.run_as_one(held, header, list(requests))  # type: ignore[arg-type]
    if answer is not None:
        held.replies[number] = answer
    for answers in held.room.take(refused).values():
        held.replies |= answers
    return number


def test_a_run_of_its_own_is_one_group() -> None:
    held = HeldShard()
    blocked = held.send(0, [[b"BLPOP", b"k", b"0"]])
    number = as_one(held, [b"RPUSH", b"k", b"x"], [b"LPOP", b"k"], [b"INCR", b"n"], [b"GET", b"k"])
    assert held.replies[number] == b":1\r\n$1\r\nx\r\n:1\r\n$-1\r\n"
    assert blocked not in held.replies
    assert logged(held) == [[b"RPUSH", b"k", b"x"], [b"LPOP", b"k"], [b"INCR", b"n"]]
    as_one(held, [b"RPUSH", b"k", b"y"], [b"RPUSH", b"k", b"z"])
    assert held.replies[blocked] == [b"*2\r\n$1\r\nk\r\n$1\r\ny\r\n"]


def test_a_run_of_its_own_waits_for_its_turn() -> None:
    held = HeldShard()
    held.message("hold", 1, [b"a"], [0], "nothing", True)
    number = as_one(held, [b"SET", b"b", b"1"], [b"SET", b"a", b"1"])
    beside = as_one(held, [b"SET", b"c", b"1"])
    behind = held.send(0, [[b"GET", b"b"]])
    assert number not in held.replies and behind not in held.replies and held.replies[beside] == b"+OK\r\n"
    held.message("release", 1, [])
    assert held.replies[number] == b"+OK\r\n+OK\r\n" and held.replies[behind] == [b"$1\r\n1\r\n"]


def test_a_late_one_that_the_log_did_not_take_is_told_so() -> None:
    held = HeldShard()
    held.message("hold", 1, [b"a"], [0], "nothing", True)
    number = as_one(held, [b"SET", b"a", b"1"], [b"GET", b"a"])
    held.send(CONTROL | VALUES, [["release", 1, []]], refused=RedisError("MISCONF no room"))
    assert held.replies[number] == b"-MISCONF no room\r\n$1\r\n1\r\n"


def test_nothing_in_it_blocks() -> None:
    held = HeldShard()
    number = held.message("transact", None, None, [[0, [[b"BLPOP", b"k", b"0"], [b"SET", b"k2", b"1"]]]])
    assert held.replies[number] == [[[b"*-1\r\n", b"+OK\r\n"]]]

"""Calls that wait, in a shard without a process: who is served when, against doing all by hand."""

from collections import deque
from random import Random
from typing import Any

import pytest

from common.errors import RedisError
from common.frame import CONTROL, DB_SHIFT, JOINED, RESP3, VALUES
from common.resp import NULL_ARRAY, encode
from shard.waiters import GONE
from tests.held_shard import NOW_MS, HeldShard

KEYS = [b"a", b"b", b"c", b"d"]
TIMED_OUT = None


def popped(key: bytes, element: bytes) -> bytes:
    return encode([key, element], 2)


def test_a_call_is_answered_once() -> None:
    shard = HeldShard()
    served, ended, gone = (shard.send(JOINED, [[b"BLPOP", b"a", b"b", b"7"]]) for _ in range(3))
    refused = shard.send(JOINED | RESP3, [[b"BLPOP", b"b", b"0"]])
    assert shard.room.waiters.take_new() == {
        None: [(served, NOW_MS + 7000), (ended, NOW_MS + 7000), (gone, NOW_MS + 7000), (refused, 0)]
    }
    shard.send(JOINED, [[b"RPUSH", b"b", b"x"]])
    assert shard.replies[served] == popped(b"b", b"x")
    for number, reason, reply in (
        (served, TIMED_OUT, popped(b"b", b"x")),
        (ended, TIMED_OUT, b"*-1\r\n"),
        (gone, GONE, b""),
        (refused, "UNBLOCKED by somebody", b"-UNBLOCKED by somebody\r\n"),
    ):
        assert shard.replies[shard.message("unblock", number, reason)] == [number != served]
        assert shard.replies[shard.message("unblock", number, reason)] == [False]
        assert shard.replies[number] == reply
    shard.send(JOINED, [[b"RPUSH", b"b", b"y"]])
    assert shard.replies[shard.send(JOINED, [[b"LLEN", b"b"]])] == b":1\r\n"
    assert not any(db.waiting for db in shard.store.dbs)
    stats = shard.executor.command_stats()["blpop"]
    assert (stats.calls, stats.failed_calls) == (3, 1)
    assert shard.executor.errors == {"UNBLOCKED": 1}


def test_news_of_what_was_served_meanwhile_is_none() -> None:
    shard = HeldShard()
    shard.send(JOINED, [[b"BLPOP", b"a", b"7"]])
    shard.send(JOINED, [[b"RPUSH", b"a", b"x"]])
    assert shard.room.waiters.take_new() == {}


def test_each_is_served_in_its_own_db_and_protocol() -> None:
    shard = HeldShard()
    here = shard.send(JOINED, [[b"BZPOPMIN", b"a", b"0"]])
    there = shard.send(JOINED | RESP3 | 3 << DB_SHIFT, [[b"BZPOPMIN", b"a", b"0"]])
    shard.send(JOINED | 3 << DB_SHIFT, [[b"ZADD", b"a", b"1", b"m"]])
    assert here not in shard.replies and shard.replies[there].endswith(b"\r\n,1\r\n")
    assert shard.bare.logged == [(3, [b"ZADD", b"a", b"1", b"m"]), (3, [b"ZPOPMIN", b"a"])]


def test_only_a_call_that_is_alone_waits() -> None:
    """Where one that comes with others finds nothing, it does not wait, and neither do those."""
    shard = HeldShard()
    number = shard.send(JOINED, [[b"SET", b"a", b"1"], [b"BLPOP", b"b", b"0"], [b"GET", b"a"]])
    assert shard.replies[number] == b"+OK\r\n*-1\r\n$1\r\n1\r\n"


def test_what_is_served_is_not_said_before_the_log_is_written() -> None:
    fault = RedisError("MISCONF no space")
    shard = HeldShard()
    waiting = shard.send(JOINED, [[b"BLPOP", b"a", b"0"]])
    shard.send(JOINED, [[b"RPUSH", b"a", b"x"]], refused=fault)
    assert shard.replies[waiting] == b"-MISCONF no space\r\n"


def test_a_link_that_goes_takes_its_calls_along() -> None:
    shard = HeldShard()
    shard.room.origin = "one"
    shard.send(JOINED, [[b"BLPOP", b"a", b"0"]])
    shard.room.origin = "other"
    waiting = shard.send(JOINED, [[b"BLPOP", b"a", b"0"]])
    shard.room.forget("one")
    shard.send(JOINED, [[b"RPUSH", b"a", b"x", b"y"]])
    assert shard.replies[waiting] == popped(b"a", b"x")


# --- Held keys -------------------------------------------------------------------------------------------------------


def test_what_a_release_puts_there_is_served() -> None:
    shard = HeldShard()
    waiting = shard.send(JOINED, [[b"BLPOP", b"a", b"0"]])
    shard.hold(1, [b"a"])
    shard.message("release", 1, [[0, b"a", lent_list(), -1, True, True, []]])
    assert shard.replies[waiting] == popped(b"a", b"x")


def lent_list() -> Any:
    other = HeldShard()
    other.send(JOINED, [[b"RPUSH", b"k", b"x", b"y"]])
    return other.replies[other.hold(1, [b"k"])][0][0][2]


def test_a_call_does_not_pass_a_hold() -> None:
    """Its other key is held; who came for that meanwhile goes first."""
    shard = HeldShard()
    moves = shard.send(JOINED, [[b"BLMOVE", b"a", b"b", b"LEFT", b"RIGHT", b"0"]])
    shard.hold(1, [b"b"])
    length = shard.send(JOINED, [[b"LLEN", b"b"]])
    shard.send(JOINED, [[b"RPUSH", b"a", b"x"]])
    assert moves not in shard.replies
    shard.message("release", 1, [])
    assert shard.replies[length] == b":0\r\n" and shard.replies[moves] == b"$1\r\nx\r\n"


def test_a_call_that_waits_for_a_hold_and_then_for_a_key() -> None:
    shard = HeldShard()
    shard.hold(1, [b"a"])
    waiting, gone = (shard.send(JOINED, [[b"BLPOP", b"a", b"0"]]) for _ in range(2))
    # Nobody is blocked yet; but who is gone must not be, either.
    assert shard.replies[shard.message("unblock", waiting, TIMED_OUT)] == [False]
    assert shard.replies[shard.message("unblock", gone, GONE)] == [True]
    assert shard.replies[gone] == b""
    shard.message("release", 1, [])
    assert shard.room.waiters.take_new() == {None: [(waiting, 0)]}
    shard.send(JOINED, [[b"RPUSH", b"a", b"x", b"y"]])
    assert shard.replies[waiting] == popped(b"a", b"x")


def test_a_call_ends_while_it_waits_for_a_hold() -> None:
    shard = HeldShard()
    moves = shard.send(JOINED, [[b"BLMOVE", b"a", b"b", b"LEFT", b"RIGHT", b"0"]])
    shard.hold(1, [b"b"])
    shard.send(JOINED, [[b"RPUSH", b"a", b"x"]])
    assert shard.replies[shard.message("unblock", moves, TIMED_OUT)] == [True]
    assert shard.replies[moves] == b"*-1\r\n"
    shard.message("release", 1, [])
    assert shard.replies[shard.send(JOINED, [[b"LLEN", b"a"]])] == b":1\r\n"


def test_a_call_over_lent_keys_does_not_wait() -> None:
    shard = HeldShard()
    shard.hold(1, [b"a"])
    call = [b"BLPOP", b"a", b"z", b"0"]
    number = shard.message("borrow", 1, 0, call, [[0, b"a"]], [[0, b"z", None, -1]], True)
    assert shard.replies[number] == [[b"*-1\r\n", [], None, b""]]
    assert shard.executor.command_stats()["blpop"].calls == 1
    assert not any(db.waiting for db in shard.store.dbs) and not shard.room.holds.line


def test_what_a_call_over_lent_keys_makes_is_served() -> None:
    shard = HeldShard()
    waiting = shard.send(JOINED, [[b"BLPOP", b"a", b"0"]])
    shard.hold(1, [b"a"])
    pushes = shard.send(JOINED, [[b"RPUSH", b"a", b"later"]])
    lent = [[0, b"z", lent_list(), -1]]
    number = shard.message("borrow", 1, 0, [b"RENAME", b"z", b"a"], [[0, b"a"]], lent, True)
    assert shard.replies[number][0][0] == b"+OK\r\n"
    assert waiting not in shard.replies
    shard.message("release", 1, [])
    assert shard.replies[waiting] == popped(b"a", b"x")
    assert shard.replies[pushes] == b":2\r\n"
    made = [[b"DEL", b"a"], [b"RPUSH", b"a", b"x", b"y"]]
    assert [argv for _, argv in shard.bare.logged] == [*made, [b"LPOP", b"a"], [b"RPUSH", b"a", b"later"]]


# --- At random -------------------------------------------------------------------------------------------------------


class Model:
    """Lists, and calls that wait for them, in the plainest way."""

    def __init__(self) -> None:
        self.lists: dict[bytes, deque[bytes]] = {}
        self.waiting: list[tuple[int, list[bytes]]] = []
        """Number and call, in the order in which they came."""
        self.replies: dict[int, bytes] = {}

    def send(self, number: int, argv: list[bytes]) -> None:
        ready: list[bytes] = []
        if not self.do(number, argv, ready):
            self.waiting.append((number, argv))
        while ready:
            key = ready.pop(0)
            for call in [one for one in self.waiting if key in keys_of(one[1])]:
                if key in self.lists and self.do(*call, ready):
                    self.waiting.remove(call)

    def do(self, number: int, argv: list[bytes], ready: list[bytes]) -> bool:
        """Whether it is answered."""
        name = argv[0]
        if name == b"RPUSH":
            self.replies[number] = b":%d\r\n" % self.push(argv[1], argv[2:], ready)
            return True
        key = next((key for key in keys_of(argv) if key in self.lists), None)
        if key is None:
            return False
        element = self.lists[key].popleft() if name != b"BRPOP" else self.lists[key].pop()
        if not self.lists[key]:
            del self.lists[key]
        if name == b"BLMOVE":
            self.push(argv[2], [element], ready)
        self.replies[number] = encode(element if name == b"BLMOVE" else [key, element], 2)
        return True

    def push(self, key: bytes, elements: list[bytes], ready: list[bytes]) -> int:
        if key not in self.lists and key not in ready:
            ready.append(key)
        self.lists.setdefault(key, deque()).extend(elements)
        return len(self.lists[key])


def keys_of(argv: list[bytes]) -> list[bytes]:
    return argv[1:2] if argv[0] == b"BLMOVE" else argv[1:-1]


def random_call(random: Random, number: int) -> list[bytes]:
    key, other = random.choice(KEYS), random.choice(KEYS)
    if random.random() < 0.45:
        return [b"RPUSH", key, *[b"%d.%d" % (number, place) for place in range(random.randrange(1, 4))]]
    return random.choice(
        [
            [b"BLPOP", key, b"0"],
            [b"BRPOP", key, other, b"0"],
            [b"BLMOVE", key, other, b"LEFT", b"RIGHT", b"0"],
            [b"BLPOP", *random.sample(KEYS, 3), b"0"],
        ]
    )


def elements_of(shard: HeldShard) -> list[bytes]:
    return [text for db in shard.store.dbs for _, value in db.items() for text in value]


@pytest.mark.parametrize("seed", range(20))
def test_all_is_served_in_order(seed: int) -> None:
    random = Random(seed)
    shard, model = HeldShard(), Model()
    for _ in range(300):
        call = random_call(random, shard.number)
        model.send(shard.number, call)
        shard.send(JOINED, [call])
        if model.waiting and random.random() < 0.1:
            number, call = model.waiting.pop(random.randrange(len(model.waiting)))
            shard.message("unblock", number, TIMED_OUT)
            model.replies[number] = encode(NULL_ARRAY, 2)
        shard.room.waiters._check()
        assert {number: shard.replies[number] for number in model.replies} == model.replies
        assert not {number for number, _ in model.waiting} & shard.replies.keys()
    assert sorted(elements_of(shard)) == sorted(text for texts in model.lists.values() for text in texts)
    replayed = shard.bare.replayed().executor.store
    assert dict((key, list(value)) for key, value in replayed.dbs[0].items()) == dict(
        (key, list(texts)) for key, texts in model.lists.items()
    )


@pytest.mark.parametrize("seed", range(20))
def test_with_holds_nothing_is_lost_and_nobody_forgotten(seed: int) -> None:
    random = Random(seed)
    shard = HeldShard()
    held: list[int] = []
    calls: dict[int, list[bytes]] = {}
    for step in range(400):
        chance = random.random()
        if chance < 0.15 and len(held) < 3:
            shard.send(
                CONTROL | VALUES, [["hold", step, random.sample(KEYS, random.randrange(1, 3)), [0], "nothing", True]]
            )
            held.append(step)
        elif chance < 0.3 and held:
            shard.message("release", held.pop(random.randrange(len(held))), [])
        elif chance < 0.35 and (blocking := [number for number, call in calls.items() if call[0] != b"RPUSH"]):
            shard.message("unblock", random.choice(blocking), random.choice([TIMED_OUT, GONE]))
        else:
            calls[shard.number] = call = random_call(random, shard.number)
            shard.send(JOINED, [call])
        shard.room.waiters._check()
    for id_ in held:
        shard.message("release", id_, [])
    assert not shard.room.holds.line
    answers = {number: shard.replies[number] for number in calls if number in shard.replies}
    waiting = {name[1] for name in shard.room.waiters.named}
    assert waiting == calls.keys() - answers.keys()
    for number in waiting:
        assert not any(shard.store.dbs[0].peek(key) is not None for key in keys_of(calls[number]))
    pushed = [text for number in answers if calls[number][0] == b"RPUSH" for text in calls[number][2:]]
    taken = [
        reply.split(b"\r\n")[-2]
        for number, reply in answers.items()
        if calls[number][0] in (b"BLPOP", b"BRPOP") and reply not in (b"", b"*-1\r\n")
    ]
    assert sorted(pushed) == sorted(taken + elements_of(shard))

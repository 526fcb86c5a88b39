"""Holds: who has its turn when, against a model that looks at all tickets; and what waits, against doing it in order."""

from random import Random
from typing import Any

import pytest

from common.errors import RedisError
from common.frame import CONTROL, DB_SHIFT, JOINED, VALUES
from common.resp import OK
from shard.control import CONTROLS, WHOLES
from shard.holds import Holds, Ticket
from shard.keyspace import Store
from shard.late import Room
from shard.loan import Hold
from tests.bare_shard import BareShard

KEYS = [b"a", b"b", b"c", b"d", b"e"]
NOW_MS = 1_700_000_000_000


# --- The queues ------------------------------------------------------------------------------------------------------


def conflict(one: Ticket, other: Ticket) -> bool:
    return one.keys is None or other.keys is None or bool(set(one.keys) & set(other.keys))


def expected(line: list[Ticket]) -> list[Ticket]:
    """Those that have their turn: nobody before them in the way."""
    return [ticket for place, ticket in enumerate(line) if not any(conflict(ticket, one) for one in line[:place])]


@pytest.mark.parametrize("seed", range(20))
def test_turns_are_those_of_the_model(seed: int) -> None:
    random = Random(seed)
    holds = Holds()
    line: list[Ticket] = []
    for _ in range(400):
        before = expected(line)
        if not line or random.random() < 0.5:
            whole = random.random() < 0.1
            ticket = Ticket(None if whole else random.choices(KEYS, k=random.randrange(4)))
            assert holds.blocks(ticket.keys) == any(conflict(ticket, one) for one in line)
            line.append(ticket)
            assert holds.enter(ticket) == (ticket in expected(line))
        else:
            # Mostly one that has its turn; else one that gives up waiting.
            ticket = random.choice(before if random.random() < 0.8 else line)
            line.remove(ticket)
            assert set(holds.leave(ticket)) == set(expected(line)) - set(before)
        assert [one for one in line if one.granted] == expected(line)
        holds._check()
    for ticket in line:
        holds.leave(ticket)
        holds._check()
    assert not holds.queues and not holds.line and not holds.wholes


def test_a_long_queue_is_left_from_its_front() -> None:
    holds = Holds()
    tickets = [Ticket([b"k"]) for _ in range(50_000)]
    assert [holds.enter(ticket) for ticket in tickets].count(True) == 1
    for ticket, following in zip(tickets, tickets[1:], strict=False):
        assert holds.leave(ticket) == [following]


# --- A shard whose keys are held -------------------------------------------------------------------------------------


class HeldShard:
    """A shard without a process, as far as the messages of the router need one."""

    def __init__(self) -> None:
        self.bare = BareShard(NOW_MS)
        self.executor = self.bare.executor
        self.store: Store = self.executor.store
        self.room = Room(self.executor, self.control, WHOLES)
        self.number = 0
        self.replies: dict[int, Any] = {}
        """By the number of the run, in the order in which they came."""

    def control(self, message: list[Any], place: int) -> Any:
        try:
            return CONTROLS[message[0]](self, *message[1:])
        except RedisError as error:
            return error

    def send(self, header: int, requests: list[list[Any]], now_ms: int = NOW_MS, refused: RedisError | None = None) -> int:
        """A frame with one run; its number."""
        number = self.number
        self.number += 1
        self.executor.turn(now_ms)
        self.executor.number = number
        answer = self.room.messages(header, requests) if header & CONTROL else self.executor.run(header, requests)
        if answer is not None:
            self.replies[number] = answer
        for answers in self.room.take(refused).values():
            assert not self.replies.keys() & answers.keys()
            self.replies |= answers
        self.room.holds._check()
        assert (self.executor.detour is not None) == bool(self.room.holds.line)
        return number

    def message(self, *message: Any) -> int:
        return self.send(CONTROL | VALUES, [list(message)])

    def hold(self, id_: int, keys: list[bytes], *, export: bool = True) -> int:
        return self.message("hold", id_, keys, [0], export, True)


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
    assert shard.replies[shard.message("reset_stats")] == [None]
    shard.message("release", 1, [[0, b"a", None, -1], [0, b"missing", b"new", NOW_MS + 1000]])
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
    db._check()
    shard.message("release", 1, [])
    assert [key for key in db.expire_due(NOW_MS + 2000) if key] == [b"a"]
    db._check()


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
    shard.send(CONTROL | VALUES, [["release", 1, [[0, b"a", b"0", -1]]]], refused=fault)
    assert shard.replies[first] == [b"-MISCONF no space\r\n", b"-MISCONF no space\r\n", b"$1\r\n1\r\n"]
    assert shard.replies[second] == b"-MISCONF no space\r\n$1\r\n3\r\n"
    assert [str(error) for error in shard.replies[shard.number - 1][0]] == ["MISCONF no space"]


def test_a_shard_that_cannot_write_refuses_to_hold_for_a_write() -> None:
    shard = HeldShard()
    shard.executor.state(loading=False, refusal=RedisError("MISCONF no space"))
    assert str(shard.replies[shard.hold(1, [b"a"])][0]) == "MISCONF no space"
    assert not shard.room.holds.line and not shard.room.named
    shard.message("release", 1, [])


# --- Against doing it in order ---------------------------------------------------------------------------------------


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
            shard.send(CONTROL | VALUES, [["hold", step, keys, [0], True, True]], now_ms)
            changes = [[0, key, random.choice([None, b"lent"]), -1] for key in keys if random.random() < 0.5]
            held.append((step, changes))
            model.send(CONTROL | VALUES, [["hold", 0, keys, [0], True, True], ["release", 0, changes]], now_ms)
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


def contents(store: Store) -> dict[Any, Any]:
    for db in store.dbs:
        db._check()
    return {
        (db.index, key): (bytes(slot[key]), db.expiry_ms(key)) for db in store.dbs for slot in db.slots for key in slot
    }


# --- A command at home, over borrowed keys ---------------------------------------------------------------------------


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
    before = [list(map(id, containers)) for containers in (db.slots, db.idle.slots)]
    logged = len(shard.bare.logged)
    at_ms = NOW_MS + 5000
    answer = run_at_home(shard, [b"own"], {b"away": [["string", b"v"], at_ms]}, b"RENAME", b"away", b"own")
    assert answer == [[b"+OK\r\n"], [[0, b"away", None, -1]]]
    assert shard.bare.logged[logged:] == [(0, [b"SET", b"own", b"v", b"PXAT", b"%d" % at_ms])]
    assert contents(shard.store) == {(0, b"own"): (b"v", at_ms), (0, b"bystander"): (b"2", -1)}
    assert [list(map(id, containers)) for containers in (db.slots, db.idle.slots)] == before
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


def test_holds_are_tickets_that_stay() -> None:
    hold = Hold((None, 1), [(0, b"a"), (1, b"a")], export=True, writes=True)
    assert hold.keys == (b"a",) and hold.stays

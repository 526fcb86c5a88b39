"""Commands whose writes the log takes beside the loop: who waits for them and who does not, and in which order."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from common.errors import RedisError
from common.frame import JOINED, VALUES
from common.resp import OK
from shard import beside
from shard.log_buffer import LogBuffer, encode
from tests.held_shard import NOW_MS, Enabled, HeldShard

LARGE = b"v" * 1000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "BESIDE_BYTES_MIN", len(LARGE))


class Room:
    """What the log makes for a write."""

    def __init__(self, data: bytes, done: Callable[[], None]) -> None:
        self.data, self.done = data, done
        self.filled = True


class SlowLog(Enabled):
    """A log that takes what is large when the test says so."""

    def __init__(self, written: list[Any]) -> None:
        self.reserves = True
        self.rooms: list[Room] = []
        self.finished: list[Room] = []
        self.written = written

    def reserve_for(self, write: LogBuffer, done: Callable[[], None]) -> Room | None:
        if not self.reserves:
            return None
        self.rooms.append(Room(b"".join(write.gather()), done))
        return self.rooms[-1]

    def finish(self, room: Room) -> bool:
        self.finished.append(room)
        return room.filled


class BesideShard(HeldShard):
    """A shard whose frames may have large strings in them."""

    def __init__(self) -> None:
        super().__init__()
        self.aof: Any = SlowLog(self.bare.logged)
        self.loop = self
        self.refused: RedisError | None = None

    def call_soon_threadsafe(self, act: Callable[..., None], *words: Any) -> None:
        act(*words)

    def between_turns(self, act: Callable[[], None]) -> None:
        self.executor.turn(NOW_MS + 1000)
        act()
        for answers in self.room.take(self.refused).values():
            assert not self.replies.keys() & answers.keys()
            self.replies |= answers

    def large(self, header: int, *requests: list[bytes]) -> int:
        """As `send`, of a run with large strings."""
        self.executor.detour = partial(beside.run, self)
        return self.send(header, list(requests))

    def fill(self, place: int = 0) -> None:
        self.aof.rooms.pop(place).done()
        self.room.holds._check()
        assert (self.executor.detour is not None) == bool(self.room.holds.line)


def encoded(db: int, *argvs: list[bytes]) -> bytes:
    return b"".join(map(encode, [[b"SELECT", b"%d" % db], *argvs]))


def test_its_client_and_its_keys_wait_and_nobody_else() -> None:
    shard = BesideShard()
    large = shard.large(JOINED, [b"SET", b"k", LARGE])
    same = shard.send(JOINED, [[b"STRLEN", b"k"], [b"SET", b"k", b"1"]])
    other = shard.send(JOINED, [[b"SET", b"other", b"1"], [b"GET", b"other"]])
    assert shard.replies == {other: b"+OK\r\n$1\r\n1\r\n"}
    assert shard.bare.logged == [(0, [b"SET", b"other", b"1"])]
    assert [room.data for room in shard.aof.rooms] == [encoded(0, [b"SET", b"k", LARGE])]
    shard.fill()
    assert shard.replies[large] == b"+OK\r\n" and shard.replies[same] == b":1000\r\n+OK\r\n"
    assert shard.bare.logged[1:] == [(0, [b"SET", b"k", b"1"])]
    assert len(shard.aof.finished) == 1


def test_the_commands_of_a_run_keep_their_order() -> None:
    shard = BesideShard()
    calls = [[b"SET", b"a", LARGE], [b"APPEND", b"a", b"x"], [b"SET", b"b", LARGE], [b"STRLEN", b"a"], [b"PTTL", b"c"]]
    run = shard.large(VALUES, *calls)
    assert run not in shard.replies and len(shard.aof.rooms) == 2
    shard.fill(1)
    assert run not in shard.replies and not shard.bare.logged
    shard.fill()
    assert shard.replies[run] == [OK, 1001, OK, 1001, -2]
    assert shard.bare.logged == [(0, [b"APPEND", b"a", b"x"])]


def test_one_that_waits_for_another_is_done_at_its_own_time() -> None:
    shard = BesideShard()
    first = shard.large(JOINED, [b"SET", b"k", LARGE])
    second = shard.large(JOINED, [b"SET", b"k", LARGE + b"2", b"EX", b"10"])
    assert len(shard.aof.rooms) == 1
    shard.fill()
    assert first in shard.replies and second not in shard.replies
    (room,) = shard.aof.rooms
    assert room.data == encoded(0, [b"SET", b"k", LARGE + b"2", b"PXAT", b"%d" % (NOW_MS + 10_000)])
    shard.fill()
    assert shard.replies[second] == b"+OK\r\n"


def test_what_changes_little_or_nothing_goes_the_usual_way() -> None:
    shard = BesideShard()
    calls = [[b"SET", b"k", LARGE, b"XX"], [b"LPUSHX", b"k", LARGE], [b"GETDEL", LARGE], [b"INCR", b"n"]]
    run = shard.large(JOINED, *calls)
    assert not shard.aof.rooms
    assert shard.replies[run] == b"$-1\r\n:0\r\n$-1\r\n:1\r\n"
    assert shard.bare.logged == [(0, [b"INCR", b"n"])]
    shard.aof.reserves = False
    run = shard.large(JOINED, [b"SET", b"k", LARGE])
    assert shard.replies[run] == b"+OK\r\n"
    assert shard.bare.logged[-1] == (0, [b"SET", b"k", LARGE])


def test_where_no_room_can_be_made_it_is_logged_in_its_turn() -> None:
    shard = BesideShard()
    shard.aof.reserve_for = lambda write, done: None
    run = shard.large(JOINED, [b"SET", b"k", LARGE])
    assert shard.replies[run] == b"+OK\r\n"
    assert shard.bare.logged == [(0, [b"SET", b"k", LARGE])]


@pytest.mark.parametrize("refused", [None, RedisError("MISCONF no room")])
def test_who_is_told_when_it_can_not_be_filled(refused: RedisError | None) -> None:
    """It is in the log's buffer then, and the reply goes by whether that could be written."""
    shard = BesideShard()
    run = shard.large(JOINED, [b"SET", b"k", LARGE])
    shard.aof.rooms[0].filled = False
    shard.refused = refused
    shard.fill()
    assert shard.replies[run] == (b"+OK\r\n" if refused is None else b"-MISCONF no room\r\n")


def test_a_log_that_fails_for_others_does_not_fail_for_what_is_on_disk() -> None:
    shard = BesideShard()
    run = shard.large(JOINED, [b"SET", b"k", LARGE])
    shard.refused = RedisError("MISCONF no room")
    shard.fill()
    assert shard.replies[run] == b"+OK\r\n"


def test_who_is_blocked_is_served_when_it_is_on_disk() -> None:
    shard = BesideShard()
    blocked = shard.send(0, [[b"BLPOP", b"l", b"0"]])
    run = shard.large(JOINED, [b"RPUSH", b"l", LARGE, b"2"])
    assert not shard.replies and not shard.bare.logged
    assert shard.aof.rooms[0].data == encoded(0, [b"RPUSH", b"l", LARGE, b"2"])
    shard.fill()
    assert shard.replies[run] == b":2\r\n"
    assert LARGE in shard.replies[blocked][0] and shard.bare.logged == [(0, [b"LPOP", b"l"])]


def test_what_was_found_expired_is_in_the_same_write() -> None:
    shard = BesideShard()
    shard.send(0, [[b"SET", b"k", b"1", b"PX", b"5"]])
    shard.executor.detour = partial(beside.run, shard)
    shard.send(JOINED, [[b"RPUSH", b"k", LARGE]], NOW_MS + 10)
    (room,) = shard.aof.rooms
    words = [encode([b"DEL", b"k"]), encode([b"RPUSH", b"k", LARGE])]
    assert room.data == b"".join([encode([b"MULTI"]), encoded(0), *words, encode([b"EXEC"])])
    assert len(shard.bare.logged) == 1


def test_a_router_that_is_gone_leaves_nothing_held() -> None:
    shard = BesideShard()
    shard.large(JOINED, [b"SET", b"k", LARGE])
    waiting = shard.large(JOINED, [b"SET", b"k", LARGE + b"2"])
    shard.room.drop(None)
    shard.room.forget(None)
    assert len(shard.aof.finished) == 1 and not shard.room.holds.line
    shard.fill()  # The thread says so later.
    assert len(shard.aof.finished) == 1 and not shard.aof.rooms
    read = shard.send(JOINED, [[b"STRLEN", b"k"]])
    assert shard.replies[read] == b":1000\r\n" and shard.replies.get(waiting) in (None, b"")

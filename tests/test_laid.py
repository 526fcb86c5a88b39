"""Very many keys of a shard: laid aside part by part, held by one message, and what is done under that hold."""

from typing import Any

import pytest

import shard.transaction  # noqa: F401  The messages there answer to their names.
from common.errors import RedisError
from common.frame import JOINED
from common.record import COMMAND, packed_item, part_of
from common.requests import Requests
from shard.garbage import free_some
from shard.loan import orphaned
from shard.log_buffer import LogBuffer
from tests.held_shard import NOW_MS, HeldShard, contents

KEYS = [b"k%d" % number for number in range(100)]
RECORD = 7


def logged(held: HeldShard) -> list[list[bytes]]:
    """What is in the log, also what came there encoded."""
    found: list[list[bytes]] = []
    for _, argv in held.bare.logged:
        if isinstance(argv, LogBuffer):
            found += Requests().feed(b"".join(argv.gather()))
        else:
            found.append(argv)
    return found


def hold(held: HeldShard, *, record: int = 0) -> None:
    """Holds KEYS as 1, of which some parts are laid aside."""
    for start in range(0, len(KEYS), 10):
        held.message("lay", 9, KEYS[start : start + 10])
    answer = held.message("hold", 1, 9, [0], "nothing", True, 0, record, 0, True)
    assert held.replies[answer] == [[]]


def sets(keys: list[bytes]) -> list[Any]:
    return [[JOINED, [[b"SET", key, b"v"] for key in keys]]]


def test_nobody_waits_for_what_is_laid_aside() -> None:
    held = HeldShard()
    held.message("lay", 9, KEYS)
    assert held.replies[held.send(0, [[b"GET", KEYS[0]]])] == [b"$-1\r\n"]
    held.message("unlay", 9)
    assert not held.room.laid
    while free_some(held.store.garbage):
        pass
    answer = held.message("hold", 1, 9, [0], "nothing", True)
    assert isinstance(held.replies[answer][0], RedisError) and not held.room.holds.line


def test_what_is_laid_aside_goes_with_its_link() -> None:
    held = HeldShard()
    held.message("lay", 9, KEYS)
    held.room.forget(held.room.origin)
    assert not held.room.laid


def test_others_wait_for_its_keys_and_for_no_others() -> None:
    held = HeldShard()
    hold(held)
    held.message("transact", 1, None, sets(KEYS[:50]))
    waits = held.send(0, [[b"GET", KEYS[0]]])
    both = held.send(0, [[b"MSET", KEYS[1], b"late", b"other", b"late"]])
    assert held.replies[held.send(0, [[b"SET", b"free", b"1"], [b"GET", b"free"]])] == [b"+OK\r\n", b"$1\r\n1\r\n"]
    behind = held.send(0, [[b"GET", b"other"]])
    assert not {waits, both, behind} & held.replies.keys()
    held.message("transact", 1, None, sets(KEYS[50:]))
    held.message("release", 1, [])
    assert held.replies[waits] == [b"$1\r\nv\r\n"] and held.replies[both] == [b"+OK\r\n"]
    assert held.replies[behind] == [b"$4\r\nlate\r\n"]
    assert logged(held)[0] == [b"SET", b"free", b"1"]
    assert logged(held)[1:-1] == [[b"SELECT", b"0"], *([b"SET", key, b"v"] for key in KEYS)]
    assert not held.store.blocked and held.store.garbage


def test_what_expires_meanwhile_is_left_alone_where_it_is_held() -> None:
    held = HeldShard()
    held.send(0, [[b"SET", KEYS[0], b"v", b"PX", b"10"], [b"SET", b"free", b"v", b"PX", b"10"]])
    hold(held)
    held.executor.turn(NOW_MS + 1000)
    assert [key for key in held.store.dbs[0].expire_due(NOW_MS + 1000) if key is not None] == [b"free"]


@pytest.mark.parametrize("done", [True, False], ids=["something", "nothing"])
def test_the_record_of_it_all_is_put_together_of_what_was_noted(done: bool) -> None:
    held = HeldShard()
    hold(held, record=RECORD)
    runs = sets(KEYS[:3]) if done else [[JOINED, [[b"DEL", KEYS[0]]]]]
    held.message("transact", 1, None, runs)
    held.message("note", 1, 0, packed_item(["runs", runs]))
    held.message("note", 1, 1, packed_item(["runs", sets([b"far"])]))
    held.message("release", 1, [], [RECORD, NOW_MS, [0, 1]])
    words = logged(held)[0]
    assert words[0] == COMMAND and held.book.participants() == {RECORD: [0, 1] if done else []}
    if done:
        assert part_of(words[1], 0) == (NOW_MS, [["runs", runs]])
        assert part_of(words[1], 1) == (NOW_MS, [["runs", sets([b"far"])]])
        other = HeldShard()
        other.index = 1
        other.message("redo", words[1])
        assert contents(other.store) == {(0, b"far"): (b"v", -1)}


def test_what_is_abandoned_is_not_logged_and_the_shard_begins_anew() -> None:
    held = HeldShard()
    hold(held)
    held.message("transact", 1, None, sets(KEYS))
    held.message("abandon", 1)
    assert held.failed and not logged(held)


def test_nor_is_what_its_router_has_left() -> None:
    held = HeldShard()
    hold(held)
    held.message("transact", 1, None, sets(KEYS[:1]))
    orphaned(held, held.room.held_by(held.room.origin))  # type: ignore[arg-type]  # As far as it is one.
    held.room.forget(held.room.origin)
    assert held.failed and not logged(held) and not held.store.blocked


def test_without_a_log_nothing_is_kept_for_it() -> None:
    held = HeldShard()
    held.store.logging = False
    hold(held)
    held.message("transact", 1, None, sets(KEYS))
    held.message("abandon", 1)
    assert not held.failed and not held.store.blocked
    assert held.replies[held.send(0, [[b"GET", KEYS[0]]])] == [b"$1\r\nv\r\n"]

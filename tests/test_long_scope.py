"""Which keys a long transaction touches: found out in slices, and the same as of a short one."""

import pytest

from router.long_scope import SLICE_WORDS, WORD_BYTES, LongScope, slice_end
from router.scope import Scope
from router.transaction import Transaction
from tests.bare_router import BareRouter, on_a_loop

CALLS = [
    [b"SET", b"{a}1", b"v"],
    [b"GET", b"{b}1"],
    [b"MSET", b"{c}1", b"v", b"{d}1", b"v"],
    [b"MGET", b"{e}1", b"{f}1"],
    [b"MSET", b"{c}1", b"v", b"{d}1"],
    [b"RENAME", b"{a}1", b"{b}2"],
    [b"RENAME", b"{a}1", b"{a}2"],
    [b"PUBLISH", b"news", b"x"],
    [b"EXPIRE", b"{g}1", b"100"],
]


def test_a_slice_has_one_command_at_least() -> None:
    long = [b"w"] * (2 * SLICE_WORDS)
    assert slice_end([long, long], 0, 2) == 1
    assert slice_end([[b"PING"]] * 5000, 10, 5000) == 10 + SLICE_WORDS
    assert slice_end([[b"PING"]] * 5000, 10, 20) == 20


def test_a_slice_of_large_words_has_fewer() -> None:
    call = [b"SET", b"k", bytes(9 * WORD_BYTES)]
    assert slice_end([call] * 5000, 0, 5000) == -(-SLICE_WORDS // 12)


@pytest.mark.parametrize("whole", [False, True], ids=["some", "all"])
def test_its_keys_are_those_that_a_short_one_finds(whole: bool) -> None:
    async def body() -> None:
        bare = BareRouter(shards=3)
        session = bare.connect().session
        transaction = Transaction()
        transaction.queued = CALLS * 200 + [[b"DBSIZE"]] * whole
        find = bare.router.table.find
        usual = [find(argv).name in ("set", "get", "mset", "mget", "expire") for argv in transaction.queued]
        transaction.unusual = {place: find(transaction.queued[place]) for place, one in enumerate(usual) if not one}
        short, long = Scope(bare.router, transaction), LongScope(session, transaction, 9)
        keys: dict[int, set[bytes]] = {}
        slices = 0
        while not long.over:
            slices += 1
            for shard, found in long.look().items():
                keys.setdefault(shard, set()).update(found)
        assert slices > 2 and long.lone == short.lone
        assert all(long.commands[place].name == "rename" for place in long.lone)
        expected = short.union()
        assert long.held == {shard: None if whole else 9 for shard in expected}
        assert keys == {shard: set(some) for shard, some in expected.items() if some is not None} or whole
        assert long.writes() and long.recorded()
        assert {shard for shard, some in expected.items() if some is None or b"{g}1" in some} <= long.writing.keys()

    on_a_loop(body)


def test_something_is_held_where_there_are_no_keys() -> None:
    async def body() -> None:
        session = BareRouter(shards=3).connect().session
        transaction = Transaction()
        transaction.queued = [[b"PUBLISH", b"news", b"x"]]
        scope = LongScope(session, transaction, 9)
        assert scope.look() == {0: set()} and scope.held == {0: 9} and scope.over and not scope.writes()

    on_a_loop(body)

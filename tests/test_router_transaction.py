"""What is queued after MULTI, and how little is sent for it."""

from typing import Any

from common.frame import AS_ONE, JOINED
from router.batch import Batch
from router.replies import Replies
from router.transaction import SHED_BYTES_MAX, SHED_MAX, shed
from tests.bare_router import BareRouter, on_a_loop

QUEUED = b"+QUEUED\r\n"


def test_what_is_queued_is_not_sent() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        await bare.settle()
        client = bare.connect()
        calls = [[b"MULTI"], [b"SET", b"a", b"1"], [b"get", b"b"], [b"MGET", b"a", b"b"], [b"PING"]]
        client.send(*calls)
        assert client.take() == b"+OK\r\n" + 4 * QUEUED
        await bare.sent()
        assert not any(shard.frames for shard in bare.shards)
        transaction = client.session.transaction
        assert transaction is not None and transaction.queued == calls[1:]
        assert {place: command.name for place, command in transaction.unusual.items()} == {3: "ping"}

    on_a_loop(scene)


def test_exec_is_one_message_to_each_shard() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        await bare.settle()
        client = bare.connect()
        keys = [bare.key_of(0), bare.key_of(1), bare.key_of(0, 1)]
        client.send([b"GET", keys[0]], [b"MULTI"], *([b"SET", key, b"1"] for key in keys), [b"EXEC"], [b"GET", keys[1]])
        await bare.sent()
        frames = [[run for frame in shard.frames for run in frame[2::2]] for shard in bare.shards]
        assert frames[0][0] == [[b"GET", keys[0]]] and frames[1][1] == [[b"GET", keys[1]]] and not frames[2]
        first = [[b"SET", keys[0], b"1"], [b"SET", keys[2], b"1"]]
        assert frames[0][1] == [["transact", None, None, [[0, first]]]]
        assert frames[1][0] == [["transact", None, None, [[0, [[b"SET", keys[1], b"1"]]]]]]

    on_a_loop(scene)


def test_one_that_comes_whole_is_one_run() -> None:
    """If all of it is usual and on one shard; anything else goes the long way, with the same replies."""

    async def scene() -> None:
        bare = BareRouter(2)
        await bare.settle()
        client = bare.connect()
        key = bare.key_of(1)
        calls = [[b"MULTI"], [b"MSET", key, b"1", bare.key_of(1, 1), b"2"], [b"INCR", key], [b"EXEC"]]
        client.send([b"GET", key], *calls, [b"GET", key])
        await bare.sent()
        runs = [run for frame in bare.shards[1].frames for run in zip(frame[1::2], frame[2::2], strict=True)]
        assert runs[1] == (JOINED | AS_ONE, calls[1:3])
        assert client.session.last_command == "get"
        await bare.settle()
        assert client.take() == b"$-1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:2\r\n$1\r\n2\r\n"
        for calls in (
            [[b"MULTI"], [b"SET", key, b"1"]],
            [[b"MULTI"], [b"EXEC"]],
            [[b"MULTI"], [b"MSET", key, b"1", key], [b"EXEC"]],
            [[b"MULTI"], [b"GET", key], [b"MGET", key, bare.key_of(0)], [b"EXEC"]],
            [[b"MULTI"], [b"SET", key], [b"EXEC"]],
            [[b"MULTI"], [b"PING"], [b"EXEC"]],
            [[b"MULTI"], [b"SET", key, b"1"], [b"DISCARD"]],
            [[b"MULTI", b"x"], [b"GET", key], [b"EXEC"]],
            [[b"MULTI"], [b"GET", key], [b"EXEC", b"x"]],
            [[b"MULTI"], [b"MULTI"], [b"EXEC"]],
        ):
            client = bare.connect()
            batch = Batch(client.session, 2, 0)
            assert batch.transact(calls, 0, bare.router.routes, bare.router.owners) == 0
            assert not batch.steps and not batch.runs

    on_a_loop(scene)


def test_no_more_than_what_is_wanted_is_answered() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        client = bare.connect()
        client.send([b"CLIENT", b"REPLY", b"OFF"], [b"MULTI"], [b"SET", b"a", b"1"], [b"PING"])
        assert client.take() == b"" and client.session.replies is Replies.OFF
        assert client.session.transaction is not None and len(client.session.transaction.queued) == 2

    on_a_loop(scene)


def test_what_comes_behind_a_broken_one_is_not_lost() -> None:
    async def scene() -> None:
        bare = BareRouter(2)
        client = bare.connect()
        client.send([b"MULTI"], [b"NONSENSE"], [b"SET", b"a", b"1"], [b"EXEC"], [b"PING"])
        await bare.settle()
        assert client.take().splitlines()[2:] == [
            b"+QUEUED",
            b"-EXECABORT Transaction discarded because of previous errors.",
            b"+PONG",
        ]
        assert client.session.transaction is None and client.session.plain

    on_a_loop(scene)


def test_what_was_queued_is_freed_some_at_a_time() -> None:
    later: list[tuple[Any, ...]] = []
    queued = [[b"PING"]] * SHED_MAX + [[b"SET", b"k", bytes(SHED_BYTES_MAX)]] * 2 + [[b"PING"]]
    left = []
    shed(lambda *call: later.append(call), queued)
    while later:
        left.append(len(queued))
        act, *arguments = later.pop()
        act(*arguments)
    assert left == [SHED_MAX + 1, SHED_MAX] and queued == []

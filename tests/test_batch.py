"""Batches: whatever order the shards answer in, each client gets its replies in its own order.

The oracle is one shard alone that executes all commands in the order in which the router's turns began them: the order
that the router promises to be the serial one.
"""

import re
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from common.errors import RedisError
from common.frame import DB_SHIFT, JOINED, VALUES
from common.resp import error_reply
from router.batch import Batch, Later
from router.session import WINDOW_COMMANDS_MAX
from tests.bare_router import BareRouter, on_a_loop
from tests.bare_shard import BareShard

KEYS = [b"a", b"b", b"c", b"{a}1", b"key:1", b"key:2", b"key:3"]


def drawn(random: Random) -> list[bytes]:
    """A command of any plan."""
    key, value = random.choice(KEYS), b"%d" % random.randrange(100)
    several = random.choices(KEYS, k=random.randrange(1, 5))
    pairs = [word for key in several for word in (key, b"%d" % random.randrange(100))]
    return random.choice(
        [
            [b"GET", key],
            [b"SET", key, value],
            [b"append", key, value],
            [b"INCR", key],
            [b"MGET", *several],
            [b"MSET", *pairs],
            [b"DEL", *several],
            [b"EXISTS", *several],
            [b"DBSIZE"],
            [b"FLUSHALL"],
            [b"ECHO", value],
            [b"SELECT", b"%d" % random.randrange(3)],
            [b"NOSUCH", value],
            [b"GET"],
            [b"MSET", key],
        ]
    )


class Oracle:
    """One shard, and what of a client the commands above need."""

    def __init__(self) -> None:
        self.executor = BareShard(0).executor
        self.dbs: dict[int, int] = {}

    def reply(self, client: int, argv: list[bytes]) -> bytes:
        if argv[0] == b"ECHO":
            return b"$%d\r\n%b\r\n" % (len(argv[1]), argv[1])
        if argv[0] == b"SELECT":
            self.dbs[client] = int(argv[1])
            return b"+OK\r\n"
        try:
            self.executor.table.find(argv)
        except RedisError as error:
            return error_reply(error)
        reply = self.executor.run(self.dbs.get(client, 0) << DB_SHIFT | JOINED, [argv])
        assert isinstance(reply, bytes)
        return reply


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_replies_are_in_order_whatever_order_the_shards_answer_in(shards: int, seed: int) -> None:
    async def scene() -> None:
        random = Random(seed)
        bare, oracle = BareRouter(shards), Oracle()
        clients = [bare.connect() for _ in range(3)]
        for client in clients:
            client.session.window = WINDOW_COMMANDS_MAX  # The oracle has every command begun when it comes.
        expected = [b""] * len(clients)
        for _ in range(60):
            number = random.randrange(len(clients))
            calls = [drawn(random) for _ in range(random.choice((1, 1, 2, 5)))]
            clients[number].send(*calls)
            for argv in calls:
                expected[number] += oracle.reply(number, argv)
            if random.random() < 0.5:
                await bare.sent()
            if random.random() < 0.4:
                random.choice(bare.shards).answer(random.randrange(1, 4))
                for client, replies in zip(clients, expected, strict=True):
                    assert replies.startswith(client.received)
        await bare.settle()
        assert [client.received for client in clients] == expected

    on_a_loop(scene)


def test_a_pipeline_for_one_shard_is_one_run_and_joined_there() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client, key = bare.connect(), bare.key_of(1)
        client.send([b"SET", key, b"v"], [b"GET", key], [b"INCR", key])
        await bare.sent()
        frame = bare.shards[1].frames[-1]
        assert frame[-2:] == [JOINED, [[b"SET", key, b"v"], [b"GET", key], [b"INCR", key]]]
        await bare.settle()
        assert client.take() == b"+OK\r\n$1\r\nv\r\n-ERR value is not an integer or out of range\r\n"

    on_a_loop(scene)


def test_another_header_begins_another_run() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        client = bare.connect()
        client.send([b"SET", b"k", b"v"], [b"SELECT", b"3"], [b"GET", b"k"], [b"HELLO", b"3"], [b"GET", b"k"])
        await bare.sent()
        assert bare.shards[0].headers == [0, 3 << DB_SHIFT, 3 << DB_SHIFT | 1]
        await bare.settle()
        assert re.fullmatch(rb"\+OK\r\n\+OK\r\n\$-1\r\n%7\r\n.*\r\n_\r\n", client.take(), re.DOTALL)

    on_a_loop(scene)


def test_a_step_that_comes_later_holds_back_what_is_behind_it() -> None:
    completed: list[bytes] = []
    session: Any = SimpleNamespace(router=None)
    batch = Batch(session, 1, 0)
    session.completed = lambda: completed.append(batch.replies())
    later, other = Later(batch), Later(batch)
    for step in (b"+1\r\n", later, other, b"+4\r\n"):
        batch.add_step(step)
    batch.dispatch([])
    other.finish(b"+3\r\n")
    other.finish(b"+again\r\n")
    assert not completed
    later.finish(b"+2\r\n")
    assert completed == [b"+1\r\n+2\r\n+3\r\n+4\r\n"]


def test_a_step_that_is_finished_before_the_turn_is_over_completes_with_it() -> None:
    session: Any = SimpleNamespace(router=None, completed=lambda: pytest.fail("not dispatched yet"))
    batch = Batch(session, 1, 0)
    later = Later(batch)
    batch.add_step(later)
    later.finish(b"+1\r\n")
    batch.dispatch([])
    assert (batch.waiting, batch.replies()) == (0, b"+1\r\n")


@pytest.mark.parametrize(
    ("header", "replies"), [(0, [b"-X y\r\n"] * 2), (JOINED, b"-X y\r\n-X y\r\n"), (VALUES, ["X y"] * 2)]
)
def test_a_run_that_fails_answers_each_of_its_commands(header: int, replies: Any) -> None:
    session: Any = SimpleNamespace(router=None, completed=lambda: None)
    batch = Batch(session, 1, 0)
    run = batch.run(0, header)
    run.requests += [[b"GET", b"k"], [b"GET", b"k"]]
    run.fail(RedisError("X y"))
    assert [str(value) for value in run.replies] == replies if header & VALUES else run.replies == replies

"""A long EXEC: in slices, between which others are served; as one for who looks at its keys, or not at all."""

import os
import signal
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from router.transaction import LONG_WORDS
from shard.keyspace import Keyspace
from shard.states import state
from tests.bare_router import ClientEnd, on_a_loop
from tests.bench.processes import roles
from tests.held_router import HeldRouter
from tests.resp_client import NULL_ARRAY, Client, Error, Status, encode_command
from tests.servers import Server, Shardis

Start = Callable[[Server], Server]
OK, QUEUED = Status(b"OK"), Status(b"QUEUED")
COUNT = LONG_WORDS // 2


async def answered(bare: HeldRouter, client: ClientEnd) -> bytes:
    """What the client gets, whenever that is."""
    while not client.received:
        await bare.settle()
    return client.take()


async def sliced(bare: HeldRouter, client: ClientEnd, step: Callable[[], None]) -> bytes:
    """The same, `step` being called between all turns."""
    while not client.received:
        await bare.sent()
        step()
        for shard in bare.shards:
            shard.answer(1)
    return client.take()


def queue(client: ClientEnd, calls: list[list[bytes]]) -> None:
    client.send([b"MULTI"], *calls)


def states(db: Keyspace) -> dict[bytes, Any]:
    """What is at each key, as it travels."""
    return {key: state(db, key) for key, _ in db.items()}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few commands are many."""
    monkeypatch.setattr("router.transaction.LONG_WORDS", 8)
    monkeypatch.setattr("router.long_scope.SLICE_WORDS", 4)


def calls_at_random(random: Random, bare: HeldRouter) -> list[list[bytes]]:
    """Of all kinds: on one shard and on several, wrong ones, and what the router does itself."""
    keys = [bare.key_of(shard, number) for shard in range(2) for number in range(3)]

    def key() -> bytes:
        return random.choice(keys)

    kinds: list[Callable[[], list[bytes]]] = [
        lambda: [b"INCR", key()],
        lambda: [b"SET", key(), b"%d" % random.randrange(10)],
        lambda: [b"GET", key()],
        lambda: [b"MSET", key(), b"1", key(), b"2"],
        lambda: [b"MGET", key(), key()],
        lambda: [b"RENAME", key(), key()],
        lambda: [b"LPUSH", key(), b"x"],
        lambda: [b"BLPOP", key(), b"0"],
        lambda: [b"DEL", key(), key()],
        lambda: [b"PUBLISH", b"news", b"x"],
        lambda: [b"SELECT", b"0"],
    ]
    return [random.choice(kinds)() for _ in range(20)]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("seed", range(10))
def test_it_does_what_a_short_one_does(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        random = Random(seed)
        one, other = HeldRouter(shards=2), HeldRouter(shards=2)
        for _ in range(10):
            calls = calls_at_random(random, one)
            results = []
            for bare, words in ((one, 8), (other, 100_000)):
                monkeypatch.setattr("router.transaction.LONG_WORDS", words)
                client = bare.connect()
                queue(client, calls)
                client.take()
                client.send([b"EXEC"], [b"PING"])
                reply = await answered(bare, client)
                assert not bare.router.long_executions and not bare.router.holdings
                results.append((reply, [states(shard.held.store.dbs[0]) for shard in bare.shards]))
            assert results[0] == results[1]
            assert all(shard.is_idle() for shard in one.shards)

    on_a_loop(body)


@pytest.mark.usefixtures("short")
def test_others_are_served_between_the_slices_and_see_all_of_it_or_nothing() -> None:
    async def body() -> None:
        bare = HeldRouter(shards=2)
        near, far = bare.key_of(0), bare.key_of(1)
        client, other, looker = bare.connect(), bare.connect(), bare.connect()
        queue(client, [[b"INCR", near], [b"INCR", far]] * 20)
        client.take()
        free = bare.key_of(0, 1)
        seen: list[bytes] = []
        served: list[bytes] = []

        def step() -> None:
            if looker.received or not seen:
                seen.append(looker.take())
                looker.send([b"MGET", near, far])
            served.append(other.take())
            other.send([b"INCR", free])

        client.send([b"EXEC"])
        reply = await sliced(bare, client, step)
        assert reply == b"*40\r\n" + b"".join(b":%d\r\n" % (number // 2 + 1) for number in range(40))
        assert len(b"".join(served).split(b"\r\n")) > 20
        await bare.settle()
        seen.append(looker.take())
        nothing, all_ = b"*2\r\n$-1\r\n$-1\r\n", b"*2\r\n$2\r\n20\r\n$2\r\n20\r\n"
        assert set(seen) == {b"", nothing, all_}

    on_a_loop(body)


@pytest.mark.usefixtures("short")
def test_there_is_one_at_a_time() -> None:
    async def body() -> None:
        bare = HeldRouter(shards=2)
        clients = [bare.connect() for _ in range(3)]
        for client in clients:
            queue(client, [[b"INCR", bare.key_of(number % 2)] for number in range(10)])
            client.take()
        for client in clients:
            client.send([b"EXEC"])
        assert len(bare.router.long_executions) == 3
        replies = [await answered(bare, client) for client in clients]
        assert [reply.split(b"\r\n")[1] for reply in replies] == [b":1", b":6", b":11"]
        assert not bare.router.long_executions

    on_a_loop(body)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("touched", [False, True])
def test_watched_keys(touched: bool) -> None:
    async def body() -> None:
        bare = HeldRouter(shards=2)
        client, other = bare.connect(), bare.connect()
        client.send([b"WATCH", bare.key_of(1)])
        await bare.settle()
        queue(client, [[b"INCR", bare.key_of(0)]] * 10)
        client.take()
        client.send([b"EXEC"])
        if touched:  # Between the EXEC and its holds: it counts by its place in the order.
            other.send([b"SET", bare.key_of(1), b"1"])
        reply = await answered(bare, client)
        assert reply == (b"*-1\r\n" if touched else b"*10\r\n" + b"".join(b":%d\r\n" % n for n in range(1, 11)))
        assert all(shard.is_idle() for shard in bare.shards) and not bare.router.long_executions

    on_a_loop(body)


@pytest.mark.usefixtures("short")
def test_who_has_left_with_what_he_watched_changes_nothing() -> None:
    async def body() -> None:
        bare = HeldRouter(shards=2)
        client, other = bare.connect(), bare.connect()
        client.send([b"WATCH", bare.key_of(1)])
        await bare.settle()
        queue(client, [[b"INCR", bare.key_of(0)]] * 10)
        client.send([b"EXEC"])
        client.session.connection_lost(None)
        while bare.router.long_executions:
            await bare.settle()
        other.send([b"GET", bare.key_of(0)])
        assert await answered(bare, other) == b"$-1\r\n"
        assert all(shard.is_idle() and not shard.held.room.laid for shard in bare.shards)

    on_a_loop(body)


@pytest.mark.usefixtures("short")
def test_a_pause_that_began_before_it_was_held_has_it_wait() -> None:
    async def body() -> None:
        bare = HeldRouter(shards=2)
        client, other = bare.connect(), bare.connect()
        queue(client, [[b"INCR", bare.key_of(0)]] * 10)
        client.take()
        client.send([b"EXEC"])
        other.send([b"CLIENT", b"PAUSE", b"100000", b"WRITE"])
        for _ in range(20):
            await bare.settle()
        assert not client.take() and not bare.shards[0].contents()
        other.send([b"CLIENT", b"UNPAUSE"])
        assert (await answered(bare, client)).startswith(b"*10\r\n")

    on_a_loop(body)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("turns", range(8))
def test_a_shard_that_dies_at_any_moment(turns: int) -> None:
    async def body() -> None:
        bare = HeldRouter(2, "--appendonly", "yes")
        client = bare.connect()
        queue(client, [[b"INCR", bare.key_of(0)], [b"INCR", bare.key_of(1)]] * 10)
        client.take()
        client.send([b"EXEC"])
        for _ in range(turns):
            await bare.sent()
            for shard in bare.shards:
                shard.answer()
        bare.shards[1].die()
        while not client.received:
            await bare.sent()
            bare.shards[0].answer()
        assert client.take().startswith(b"-EXECABORT Transaction discarded because of: SHARDDOWN")
        await bare.sent()
        bare.shards[0].answer()
        held = bare.shards[0].held
        assert held.failed or not bare.shards[0].contents()
        assert not held.bare.logged and not held.store.blocked and not held.room.laid
        assert not bare.router.long_executions and not bare.router.holdings

    on_a_loop(body)


def test_much_that_was_queued_is_let_go_of_in_slices() -> None:
    async def body() -> None:
        bare = HeldRouter(shards=2)
        client = bare.connect()
        for last in ([b"DISCARD"], None):
            queue(client, [[b"INCR", b"k"]] * 10)
            transaction = client.session.transaction
            assert transaction is not None
            transaction.queued = queued = [[b"INCR", b"k"]] * 10_000
            if last is None:
                bare.router.session_lost(client.session)
            else:
                client.send(last)
            assert 0 < len(queued) < 10_000
            for _ in range(10):
                await bare.sent()
            assert len(queued) <= 2000

    on_a_loop(body)


# With processes


def queue_sets(client: Client, count: int = COUNT, value: bytes = b"v") -> None:
    client.send_bytes(encode_command([b"MULTI"]))
    calls = [encode_command([b"SET", b"long:%d" % number, value]) for number in range(count)]
    assert client.read().value == OK
    for start in range(0, count, 1000):
        some = calls[start : start + 1000]
        client.send_bytes(b"".join(some))
        assert {bytes(reply.value) for reply in client.read_many(len(some))} == {b"QUEUED"}


@pytest.mark.parametrize("fsync", ["everysec", "always"])
@pytest.mark.parametrize("shards", [1, 3])
def test_it_is_there_after_a_crash_of_all(start: Start, shards: int, fsync: str) -> None:
    server = start(Shardis(shards=shards, appendfsync=fsync))
    with server.connect() as client:
        queue_sets(client)
        client.send("EXEC")
        assert client.read(60).value == [OK] * COUNT
    for role, pid in roles(server).items():
        if role.startswith("shard "):
            os.kill(pid, signal.SIGKILL)
    server.wait_ready()
    with server.connect() as client:
        assert client.call("DBSIZE") == COUNT
        assert client.call("GET", f"long:{COUNT - 1}") == b"v"


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("role", ["shard 0", "router"])
@pytest.mark.parametrize("seed", range(2))
def test_what_a_crash_in_the_middle_leaves_is_nothing_or_all(start: Start, shards: int, role: str, seed: int) -> None:
    """What others wrote meanwhile, and were told so, is there."""
    server = start(Shardis(shards=shards))
    moment = Random(f"{shards} {role} {seed}").randrange(1, 60)
    written: list[bytes] = []
    with server.connect() as client, server.connect() as other:
        queue_sets(client, 4 * COUNT)
        client.send("EXEC")
        for number in range(moment):
            assert other.call("SET", f"other:{number}", "v") == OK
            written.append(b"other:%d" % number)
        os.kill(roles(server)[role], signal.SIGKILL)
        reply: Any = None
        try:
            reply = client.read(60).value
        except ConnectionError:
            assert role == "router"
    server.wait_ready()
    with server.connect() as client:
        found = client.call("EXISTS", *[f"long:{number}" for number in range(4 * COUNT)])
        assert found in (0, 4 * COUNT)
        if isinstance(reply, list):
            assert found == 4 * COUNT
        elif reply is not None:
            assert isinstance(reply, Error)
            assert found == 0 or b"unknown" in bytes(reply)
        assert client.call("EXISTS", *written) == len(written)


def test_watched_and_touched(start: Start) -> None:
    server = start(Shardis(shards=2))
    with server.connect() as client, server.connect() as other:
        assert client.call("WATCH", "watched") == OK
        queue_sets(client)
        assert other.call("SET", "watched", "1") == OK
        assert client.call("EXEC") == NULL_ARRAY
        assert client.call("DBSIZE") == 1

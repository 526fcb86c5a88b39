"""WAIT and WAITAOF with shards that answer when the test wants it; wait*.session has them beside the reference."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.bare_router import BareRouter, ClientEnd, ShardEnd, on_a_loop
from tests.bench.processes import roles
from tests.servers import Shardis
from tests.test_crash import SHARDS, key_on, kill, wait_for_reply

Start = Callable[[Shardis], Shardis]


def answer(shard: ShardEnd, *answers: Any) -> list[Any]:
    """Answers the messages of a frame by these values; the messages."""
    frame = shard.frames.popleft()
    messages = [message for run in frame[2::2] for message in run]
    shard.send([[value] for value in answers])
    return messages


async def got(client: ClientEnd) -> bytes:
    """What the client gets next."""
    while not (data := client.take()):
        await asyncio.sleep(0.001)
    return data


async def asking(bare: BareRouter, *words: bytes) -> tuple[ClientEnd, int]:
    """A client that waits, and the id by which the shards were asked."""
    client = bare.connect()
    await bare.settle()
    client.send([b"WAITAOF", *words])
    await bare.sent()
    (message,) = bare.shards[0].frames[0][2]
    assert message[0] == "await_sync"
    return client, message[1]


def test_all_shards_have_to_be_synced() -> None:
    async def scene() -> None:
        bare = BareRouter(3, "--appendonly", "yes")
        client, id_ = await asking(bare, b"1", b"0", b"0")
        answer(bare.shards[0], True)
        answer(bare.shards[1], False)
        answer(bare.shards[2], False)
        assert not client.take()
        bare.shards[2].send({"events": [["synced", id_]]})
        assert not client.take()
        bare.shards[1].send({"events": [["synced", id_ + 1]]})
        assert not client.take()
        bare.shards[1].send({"events": [["synced", id_]]})
        assert client.take() == b"*2\r\n:1\r\n:0\r\n"
        assert client.session.blocking is None and not bare.router.log_syncs

    on_a_loop(scene)


def test_the_event_may_come_before_the_answer() -> None:
    async def scene() -> None:
        bare = BareRouter(3, "--appendonly", "yes")
        client, id_ = await asking(bare, b"1", b"0", b"0")
        for shard in bare.shards:
            shard.send({"events": [["synced", id_]]})
            answer(shard, False)
        assert client.take() == b"*2\r\n:1\r\n:0\r\n"

    on_a_loop(scene)


def test_at_the_deadline_it_says_how_it_is() -> None:
    async def scene() -> None:
        bare = BareRouter(3, "--appendonly", "yes")
        client, _ = await asking(bare, b"1", b"0", b"5")
        for shard, value in zip(bare.shards, (True, False, True), strict=True):
            answer(shard, value)
        assert await got(client) == b"*2\r\n:0\r\n:0\r\n"
        client, _ = await asking(bare, b"0", b"1", b"5")
        for shard in bare.shards:
            answer(shard, True)
        assert await got(client) == b"*2\r\n:1\r\n:0\r\n"
        assert not bare.router.log_syncs

    on_a_loop(scene)


def test_a_shard_that_is_back_is_asked_again() -> None:
    async def scene() -> None:
        bare = BareRouter(3, "--appendonly", "yes")
        bare.shards[1].die()
        client, _ = await asking(bare, b"1", b"0", b"0")
        answer(bare.shards[0], True)
        answer(bare.shards[2], True)
        assert not client.take()
        bare.shards[1].greet()
        await bare.sent()
        assert any(message[0] == "await_sync" for message in answer(bare.shards[1], None, True))
        assert client.take() == b"*2\r\n:1\r\n:0\r\n"

    on_a_loop(scene)


def test_what_is_behind_it_waits_and_its_client_may_go() -> None:
    async def scene() -> None:
        bare = BareRouter()
        client = bare.connect()
        client.send([b"WAIT", b"1", b"5"], [b"PING"])
        assert not client.take()
        assert await got(client) == b":0\r\n+PONG\r\n"
        client.send([b"WAIT", b"1", b"0"], [b"PING"])
        client.session.eof_received()
        assert client.closed and not client.take()
        client.session.connection_lost(None)
        assert not bare.router.sessions

    on_a_loop(scene)


def test_after_a_crash_it_tells_the_truth(start: Start) -> None:
    """What was answered is in the log of the shard that died, and synced once it is back."""
    server = start(Shardis(shards=SHARDS, appendfsync="no"))
    with server.connect() as client:
        key = key_on(1)
        assert client.call("WAITAOF", 1, 0, 0) == [1, 0]
        client.call("SET", key, "1")
        assert client.call("WAITAOF", 1, 0, 20) == [0, 0]
        client.send("WAITAOF", 1, 0, 0)
        kill(roles(server)["shard 1"])
        assert client.read().value == [1, 0]
        assert wait_for_reply(client, [b"GET", key], lambda reply: reply == b"1") == b"1"

"""Clients that go: all are closed, some in a turn."""

import asyncio

import pytest

from router.departures import CLOSED_MAX
from tests.bare_router import BareRouter, on_a_loop


@pytest.mark.parametrize("over", [0, 1])
def test_so_many_are_closed_in_a_turn(over: int) -> None:
    async def scene() -> None:
        bare = BareRouter()
        clients = [bare.connect() for _ in range(CLOSED_MAX + over)]
        for client in clients:
            assert client.session.eof_received()
            assert not client.closed
        await asyncio.sleep(0)
        assert [client.closed for client in clients] == [True] * CLOSED_MAX + [False] * over
        await asyncio.sleep(0)
        assert all(client.closed for client in clients)
        last = bare.connect()
        last.session.eof_received()
        await asyncio.sleep(0)
        assert last.closed

    on_a_loop(scene)


def test_who_is_owed_a_reply_goes_when_it_has_it() -> None:
    async def scene() -> None:
        bare = BareRouter()
        client = bare.connect()
        client.send([b"GET", bare.key_of(0)], [b"GET", bare.key_of(1)])
        assert client.session.eof_received()
        await bare.sent()
        bare.shards[0].answer()
        await bare.sent()
        assert not client.closed
        bare.shards[1].answer()
        assert client.take() == b"$-1\r\n$-1\r\n"
        await bare.sent()
        assert client.closed

    on_a_loop(scene)


def test_who_is_gone_before_its_turn() -> None:
    async def scene() -> None:
        bare = BareRouter()
        clients = [bare.connect() for _ in range(2)]
        for client in clients:
            client.session.eof_received()
        clients[0].session.connection_lost(None)
        clients[1].session.kill()
        await bare.sent()
        assert not bare.router.sessions and not bare.router.departures.left

    on_a_loop(scene)


def test_who_goes_makes_room_at_once() -> None:
    async def scene() -> None:
        bare = BareRouter(1, "--maxclients", "1")
        first, second = bare.connect(), bare.connect()
        assert second.take() == b"-ERR max number of clients reached\r\n"
        first.send([b"SUBSCRIBE", b"a"])
        first.session.eof_received()
        third = bare.connect()
        third.send([b"PUBLISH", b"a", b"1"])
        assert third.take() == b":0\r\n" and not first.closed
        await bare.sent()
        assert first.closed and not third.closed

    on_a_loop(scene)

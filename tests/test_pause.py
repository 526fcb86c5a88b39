"""The pause itself: test_session.py has it with clients, client_pause*.session beside the reference."""

import asyncio
from typing import cast

import pytest

from common.command import MAY_REPLICATE, READONLY, STALE, WRITE, Flag
from common.declaration import Command, Declaration, build
from router.session import Session
from tests.bare_router import BareRouter, on_a_loop


class Client:
    """All that a pause knows of a session."""

    monitoring = False
    transaction = None

    def __init__(self) -> None:
        self.held = False
        self.pumped = False

    def hold(self) -> None:
        self.held = True

    def pump(self) -> None:
        self.pumped = True


def command(flags: Flag) -> Command:
    return build(Declaration("NAME", int(flags)))


@pytest.mark.parametrize(
    ("flags", "by_write", "by_all"),
    [(WRITE, True, True), (MAY_REPLICATE, True, True), (READONLY, False, True), (STALE, False, True)],
)
def test_what_is_stopped(flags: Flag, by_write: bool, by_all: bool) -> None:
    async def scene() -> None:
        pause = BareRouter().router.pause
        for all_commands, expected in ((False, by_write), (True, by_all)):
            client = Client()
            session = cast(Session, client)
            assert not pause.stops(command(flags), session)
            pause.begin(100_000, all_commands=all_commands)
            assert pause.stops(command(flags), session) is expected
            assert client.held is expected
            client.monitoring = True
            assert not pause.stops(command(flags), session)
            client.monitoring = False
            pause.end()
            assert not pause.stops(command(flags), session)

    on_a_loop(scene)


def test_a_later_pause_only_adds() -> None:
    async def scene() -> None:
        pause = BareRouter().router.pause
        pause.router.now_ms = lambda: 1000  # type: ignore[method-assign]
        pause.begin(100, all_commands=True)
        pause.begin(50, all_commands=False)
        assert (pause.until_ms, pause.all_commands) == (1100, True)
        pause.begin(200, all_commands=False)
        assert (pause.until_ms, pause.all_commands) == (1200, True)
        pause.end()
        pause.begin(50, all_commands=False)
        assert (pause.until_ms, pause.all_commands) == (1050, False)

    on_a_loop(scene)


def test_who_is_held_goes_on_in_that_order() -> None:
    async def scene() -> None:
        pause = BareRouter().router.pause
        pause.begin(100_000, all_commands=False)
        clients = [Client() for _ in range(5)]
        order: list[int] = []
        for number, client in enumerate(clients):
            client.pump = lambda number=number: order.append(number)  # type: ignore[method-assign,misc]
            assert pause.stops(command(WRITE), cast(Session, client))
        pause.forget(cast(Session, clients[2]))
        pause.forget(cast(Session, Client()))
        pause.end()
        assert not order
        await asyncio.sleep(0)
        assert order == [0, 1, 3, 4]
        assert [client.held for client in clients] == [False, False, True, False, False]
        assert not pause.active and not pause.held

    on_a_loop(scene)


def test_it_ends_in_time() -> None:
    async def scene() -> None:
        pause = BareRouter().router.pause
        pause.begin(1, all_commands=False)
        while pause.active:
            await asyncio.sleep(0.001)

    on_a_loop(scene)


def test_a_client_that_goes_takes_along_what_was_kept_waiting() -> None:
    async def scene() -> None:
        bare = BareRouter()
        client, key = bare.connect(), bare.key_of(1)
        client.send([b"GET", key])
        await bare.settle()
        bare.router.pause.begin(100_000, all_commands=False)
        client.send([b"SET", key, b"1"], [b"GET", key])
        assert client.session.held and not client.session.reading_paused
        assert client.session.eof_received()
        client.session.connection_lost(None)
        bare.router.pause.end()
        await bare.settle()
        assert bare.shards[1].commands == [[b"GET", key]]

    on_a_loop(scene)


def test_what_is_read_of_a_paused_client_is_bounded() -> None:
    async def scene() -> None:
        bare = BareRouter()
        client = bare.connect()
        bare.router.pause.begin(100_000, all_commands=True)
        client.send([b"ECHO", b"x"])
        assert not client.session.reading_paused
        client.send([b"ECHO", b"x" * (1 << 20)])
        assert client.session.reading_paused
        bare.router.pause.end()
        await bare.settle()
        assert not client.session.reading_paused
        assert client.take().startswith(b"$1\r\nx\r\n$1048576\r\n")

    on_a_loop(scene)

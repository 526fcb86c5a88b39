"""Clients that ask for the first time, many at once: they wait for each other, and nobody waits for them."""

import asyncio

import pytest

from router.newcomers import BEGUN_MAX
from tests.bare_router import BareRouter, ClientEnd, on_a_loop

PING = [b"PING"]
PONG = b"+PONG\r\n"


def busy() -> BareRouter:
    bare = BareRouter()
    bare.router.newcomers.begun_max = BEGUN_MAX
    return bare


def crowd(bare: BareRouter, count: int) -> list[ClientEnd]:
    """So many, of whom so many as may have begun."""
    clients = [bare.connect() for _ in range(count)]
    for client in clients:
        client.send(PING)
    assert [client.take() for client in clients[:BEGUN_MAX]] == [PONG] * BEGUN_MAX
    return clients


@pytest.mark.parametrize("over", [1, BEGUN_MAX, 2 * BEGUN_MAX + 1])
def test_so_many_begin_in_a_turn(over: int) -> None:
    async def scene() -> None:
        bare = busy()
        clients = crowd(bare, BEGUN_MAX + over)
        later = clients[BEGUN_MAX:]
        while later:
            assert all(client.take() == b"" for client in later)
            await asyncio.sleep(0)
            turn, later = later[:BEGUN_MAX], later[BEGUN_MAX:]
            assert [client.take() for client in turn] == [PONG] * len(turn)
        await asyncio.sleep(0)
        assert not bare.router.newcomers.due
        crowd(bare, BEGUN_MAX)

    on_a_loop(scene)


def test_who_was_here_before_does_not_wait() -> None:
    async def scene() -> None:
        bare = busy()
        guest = bare.connect()
        guest.send(PING)
        assert guest.take() == PONG
        await asyncio.sleep(0)
        *_, last = crowd(bare, BEGUN_MAX + 1)
        guest.send(PING, PING)
        assert guest.take() == PONG + PONG and last.take() == b""
        await asyncio.sleep(0)
        assert last.take() == PONG

    on_a_loop(scene)


def test_who_comes_behind_those_that_wait_waits_as_well() -> None:
    async def scene() -> None:
        bare = busy()
        clients = crowd(bare, 2 * BEGUN_MAX + 1)
        await asyncio.sleep(0)
        late = bare.connect()
        late.send(PING)
        await asyncio.sleep(0)
        assert clients[-1].take() == PONG and late.take() == PONG

    on_a_loop(scene)


def test_what_comes_meanwhile_is_done_behind_it_and_read_once() -> None:
    async def scene() -> None:
        bare = busy()
        *_, last = crowd(bare, BEGUN_MAX + 1)
        assert not last.session.reading_paused
        last.send([b"ECHO", b"2"])
        assert last.session.reading_paused and last.take() == b""
        await asyncio.sleep(0)
        assert not last.session.reading_paused
        assert last.take() == PONG + b"$1\r\n2\r\n"

    on_a_loop(scene)


def test_a_fault_behind_the_first_requests_is_told_in_its_turn() -> None:
    async def scene() -> None:
        bare = busy()
        *_, last = crowd(bare, BEGUN_MAX + 1)
        last.send_bytes(b"*1\r\nx\r\n")
        assert last.take() == b"" and not last.closed
        await bare.sent()
        assert last.take().startswith(PONG + b"-ERR Protocol error") and last.closed

    on_a_loop(scene)


def test_who_is_gone_before_its_turn() -> None:
    async def scene() -> None:
        bare = busy()
        *_, ended, lost, killed = crowd(bare, BEGUN_MAX + 3)
        assert ended.session.eof_received()
        lost.session.connection_lost(None)
        killed.session.kill()
        await bare.sent()
        assert ended.take() == PONG and ended.closed
        assert lost.take() == killed.take() == b""
        assert not bare.router.newcomers.waiting

    on_a_loop(scene)


def test_who_has_sent_a_part_of_a_request_does_not_take_the_turn_of_another() -> None:
    async def scene() -> None:
        bare = busy()
        for _ in range(BEGUN_MAX):
            bare.connect().send_bytes(b"*1\r\n$4\r\nPI")
        crowd(bare, BEGUN_MAX)

    on_a_loop(scene)

"""maxmemory as the sessions of a router see it: who waits, and who is refused."""

import asyncio

from tests.bare_router import BareRouter, on_a_loop

OOM = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"


def test_commands_wait_until_all_shards_have_answered() -> None:
    async def scene() -> None:
        router = BareRouter(2)
        client, other = router.connect(), router.connect()
        await router.settle()
        client.send([b"CONFIG", b"SET", b"maxmemory", b"1"], [b"SET", b"k", b"v"], [b"GET", b"k"])
        other.send([b"GET", b"k"], [b"MULTI"], [b"SET", b"k", b"v"])
        await router.sent()
        assert not any([b"SET", b"k", b"v"] in shard.commands for shard in router.shards)
        budget = router.router.budget
        assert budget.gated and len(budget.recount.held) == 2
        await router.settle()  # These shards say nothing of their memory: what clients take is more than 1.
        assert not budget.recount.held and budget.refusing
        # CONFIG SET is answered by whatever these shards say to it.
        assert client.take().endswith(OOM + b"$-1\r\n")
        assert other.take() == b"$-1\r\n+OK\r\n" + OOM
        assert not any([b"SET", b"k", b"v"] in shard.commands for shard in router.shards)

    on_a_loop(scene)


def test_a_client_that_goes_while_it_waits() -> None:
    async def scene() -> None:
        router = BareRouter(2)
        client, other = router.connect(), router.connect()
        await router.settle()
        client.send([b"CONFIG", b"SET", b"maxmemory", b"1"])
        other.send([b"SET", b"k", b"v"])
        await router.sent()
        assert other.session in router.router.budget.recount.held
        other.session.connection_lost(None)
        await router.settle()
        assert not router.router.budget.recount.held and other.take() == b""

    on_a_loop(scene)


def test_a_client_that_waits_again_and_again_is_not_read_on() -> None:
    async def scene() -> None:
        router = BareRouter(2)
        client, other = router.connect(), router.connect()
        await router.settle()
        other.send([b"CONFIG", b"SET", b"maxmemory", b"1"])
        session, recount = client.session, router.router.budget.recount
        value = bytes(400_000)
        for waits in range(4):
            client.send(*([b"SET", b"k", value], [b"PING"]) * 2)
            assert session.held and session.reading_paused == (waits > 1)  # 1 MB behind the first that waited.
            recount.release([session], informed=True)
            await asyncio.sleep(0)
        await router.settle()
        assert not session.held and not session.reading_paused and not session.backlog
        assert client.take().count(b"+PONG\r\n") == 8

    on_a_loop(scene)


def test_a_client_that_has_sent_all_is_answered() -> None:
    """Also one whose end is seen between the last answer and the turn in which it goes on."""

    async def scene() -> None:
        router = BareRouter(2)
        client, other = router.connect(), router.connect()
        await router.settle()
        client.send([b"CONFIG", b"SET", b"maxmemory", b"1"])
        other.send([b"SET", b"k", b"v"])
        await router.sent()
        recount = router.router.budget.recount
        recount.release(recount.held, informed=True)
        other.session.eof_received()
        await router.settle()
        assert other.take() in (OOM, b"+OK\r\n")

    on_a_loop(scene)


def test_without_a_limit_nothing_is_asked() -> None:
    async def scene() -> None:
        router = BareRouter(2)
        await router.settle()
        client = router.connect()
        client.send([b"SET", b"k", b"v"])
        await router.sent()
        assert b"SET" in router.router.routes and not router.router.budget.gated
        client.send([b"CONFIG", b"SET", b"maxmemory", b"1"])
        assert b"SET" not in router.router.routes and b"GET" in router.router.routes
        await router.settle()
        client.send([b"CONFIG", b"SET", b"maxmemory", b"0"])
        assert b"SET" in router.router.routes
        await router.settle()

    on_a_loop(scene)

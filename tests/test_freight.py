"""Large replies are fetched in pieces: whole frames stay small, and nobody but their client waits for them."""

from typing import Any

import pytest

from common.frame import LARGE_SIZE_BYTES
from router.freight import PIECE_SIZE_BYTES, WINDOW
from router.session import WINDOW_COMMANDS_MAX, WINDOW_COMMANDS_MIN
from tests.bare_router import on_a_loop
from tests.freight_router import FreightClient, FreightRouter, parcels_alive

pytestmark = pytest.mark.usefixtures("without_collections")

LARGE = bytes(range(256)) * (LARGE_SIZE_BYTES // 256) + b"end"
OTHER = LARGE[::-1]


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


async def filled(bare: FreightRouter, values: dict[bytes, bytes]) -> FreightClient:
    """A client, when these keys are set."""
    client = bare.connect()
    for key, value in values.items():
        client.send_in_pieces([b"SET", key, value])
        await bare.settle()
    client.take()
    for end in bare.ends:
        end.pieces = end.frame_size_bytes_max = 0
    return client


def check_idle(bare: FreightRouter) -> None:
    """Asserts that nothing is kept, and nothing under way."""
    assert not any(end.keeping.kept for end in bare.ends)
    assert parcels_alive() == []
    for link in bare.router.links:
        assert not link.late and not link.awaiting and not link.freight.waiting and not link.freight.under_way


@pytest.mark.parametrize(
    "calls, replies",
    [
        ([[b"GET", b"k"]], bulk(LARGE)),
        ([[b"GET", b"k"]] * 9, bulk(LARGE) * 9),
        ([[b"GET", b"small"], [b"GET", b"k"], [b"STRLEN", b"k"]], bulk(b"v") + bulk(LARGE) + b":%d\r\n" % len(LARGE)),
        ([[b"MGET", b"k", b"small", b"l"]], b"*3\r\n" + bulk(LARGE) + bulk(b"v") + bulk(OTHER)),
        ([[b"MULTI"], [b"GET", b"k"], [b"GET", b"l"], [b"EXEC"]], b"*2\r\n" + bulk(LARGE) + bulk(OTHER)),
        ([[b"MULTI"], [b"GET", b"k"], [b"PING"], [b"EXEC"]], b"*2\r\n" + bulk(LARGE) + b"+PONG\r\n"),
        ([[b"MULTI"], [b"GET", b"k"], [b"MGET", b"k", b"l"], [b"EXEC"]], None),
        ([[b"SET", b"k", b"n", b"GET"], [b"GET", b"k"]], bulk(LARGE) + bulk(b"n")),
        ([[b"GETDEL", b"k"], [b"EXISTS", b"k"]], bulk(LARGE) + b":0\r\n"),
        ([[b"GETRANGE", b"k", b"1", b"-1"]], bulk(LARGE[1:])),
        ([[b"RENAME", b"k", b"new"], [b"GET", b"new"]], b"+OK\r\n" + bulk(LARGE)),
        ([[b"COPY", b"k", b"m", b"REPLACE"], [b"GET", b"m"]], b":1\r\n" + bulk(LARGE)),
        ([[b"GET", b"k"], [b"SUBSCRIBE", b"c"]], bulk(LARGE) + b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"),
        ([[b"CLIENT", b"REPLY", b"SKIP"], [b"GET", b"k"], [b"PING"]], b"+PONG\r\n"),
    ],
)
@pytest.mark.parametrize("shards", [1, 3])
def test_any_reply_comes_whole(shards: int, calls: list[list[bytes]], replies: bytes | None) -> None:
    if replies is None:
        replies = b"*2\r\n" + bulk(LARGE) + b"*2\r\n" + bulk(LARGE) + bulk(OTHER)

    async def scene() -> None:
        bare = FreightRouter(shards)
        client = await filled(bare, {b"k": LARGE, b"small": b"v", b"l": OTHER})
        client.send(*calls)
        await bare.settle()
        received = client.take()
        if calls[0] == [b"MULTI"]:
            received = received.removeprefix(b"+OK\r\n").removeprefix(b"+QUEUED\r\n").removeprefix(b"+QUEUED\r\n")
        assert received == replies
        check_idle(bare)

    on_a_loop(scene)


def test_nine_at_once_are_no_frame_of_nine() -> None:
    """Beyond 4 GB no frame could be read."""

    async def scene() -> None:
        bare = FreightRouter(1)
        client = await filled(bare, {b"k": LARGE})
        client.send(*[[b"GET", b"k"]] * 9)
        await bare.settle()
        assert client.take() == bulk(LARGE) * 9
        end = bare.ends[0]
        assert end.sent_size_bytes_max < 3 * PIECE_SIZE_BYTES
        assert end.pieces == -(-9 * len(bulk(LARGE)) // PIECE_SIZE_BYTES)

    on_a_loop(scene)


def test_others_go_on_and_few_pieces_are_under_way() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        client = await filled(bare, {b"k": LARGE, b"small": b"v"})
        others = [bare.connect() for _ in range(4)]
        client.send([b"GET", b"k"])
        for other in others[1:]:
            other.send([b"GET", b"k"])
        await bare.sent()
        bare.ends[0].answer()
        await bare.sent()
        assert bare.ends[0].pieces_under_way() == WINDOW
        others[0].send([b"GET", b"small"], [b"DEL", b"k"])
        await bare.sent()
        bare.ends[0].answer()
        assert others[0].take() == bulk(b"v") + b":1\r\n" and client.take() == b""
        await bare.settle()
        assert client.take() == bulk(LARGE)  # As it was when it was read.
        assert [other.take() for other in others[1:]] == [bulk(LARGE)] * 3
        check_idle(bare)

    on_a_loop(scene)


def test_replies_keep_their_order() -> None:
    async def scene() -> None:
        bare = FreightRouter(2)
        keys = [bare.key_of(0), bare.key_of(1)]
        client = await filled(bare, {keys[0]: LARGE, keys[1]: b"v"})
        client.send([b"GET", keys[0]])
        await bare.sent()
        client.send([b"GET", keys[1]], [b"PING"])
        await bare.sent()
        for end in bare.ends:
            end.answer()
        assert client.take() == b""
        await bare.settle()
        assert client.take() == bulk(LARGE) + bulk(b"v") + b"+PONG\r\n"

    on_a_loop(scene)


def test_a_client_that_is_gone_half_way() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        client = await filled(bare, {b"k": LARGE})
        client.send([b"GET", b"k"], [b"GET", b"k"])
        await bare.sent()
        bare.ends[0].answer()
        await bare.sent()
        client.session.connection_lost(None)
        await bare.settle()
        assert bare.ends[0].pieces <= 2 * WINDOW
        check_idle(bare)

    on_a_loop(scene)


def test_a_shard_that_dies_half_way() -> None:
    async def scene() -> None:
        bare = FreightRouter(2)
        keys = [bare.key_of(0), bare.key_of(1)]
        client = await filled(bare, {keys[0]: LARGE, keys[1]: OTHER})
        client.send([b"GET", keys[0]], [b"GET", keys[1]])
        await bare.sent()
        for end in bare.ends:
            end.answer()
        await bare.sent()
        bare.ends[0].die()
        await bare.settle()
        unknown = b"-SHARDDOWN shard 0 went down, the outcome of this command is unknown\r\n"
        assert client.take() == unknown + bulk(OTHER)
        link = bare.router.links[0]
        assert not link.late and not link.freight.waiting and not link.freight.under_way

    on_a_loop(scene)


def test_what_comes_late_and_is_large() -> None:
    async def scene() -> None:
        bare = FreightRouter(2)
        keys = [bare.key_of(0), bare.key_of(1)]
        for key in ([keys[0]], keys):
            client, pusher = bare.connect(), bare.connect()
            client.send([b"BLPOP", *key, b"0"])
            await bare.settle()
            pusher.send_in_pieces([b"RPUSH", keys[0], LARGE])
            await bare.settle()
            assert pusher.take() == b":1\r\n"
            assert client.take() == b"*2\r\n" + bulk(keys[0]) + bulk(LARGE)
            check_idle(bare)

    on_a_loop(scene)


def test_what_was_changed_while_it_was_fetched_is_told() -> None:
    """A client that caches what it reads is told, and behind the reply."""

    async def scene() -> None:
        bare = FreightRouter(1)
        client = await filled(bare, {b"k": LARGE})
        other: Any = bare.connect()
        client.send([b"HELLO", b"3"], [b"CLIENT", b"TRACKING", b"ON"])
        await bare.settle()
        client.take()
        client.send([b"GET", b"k"])
        await bare.sent()
        bare.ends[0].answer()
        other.send([b"SET", b"k", b"new"])
        await bare.settle()
        received = client.take()
        assert received.startswith(bulk(LARGE))
        assert received.removeprefix(bulk(LARGE)).startswith(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n")

    on_a_loop(scene)


def test_many_replies_that_are_large_together_are_no_large_frame() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        value = bytes(100_000)
        await filled(bare, {b"k": value})
        clients = [bare.connect() for _ in range(20)]
        for client in clients:
            client.send([b"GET", b"k"], [b"GET", b"k"])
        await bare.settle()
        assert [client.take() for client in clients] == [bulk(value) * 2] * 20
        assert bare.ends[0].sent_size_bytes_max < 3 * PIECE_SIZE_BYTES
        check_idle(bare)

    on_a_loop(scene)


def test_the_window_of_large_replies_opens_again() -> None:
    async def scene() -> None:
        bare = FreightRouter(1)
        client = await filled(bare, {b"k": LARGE, b"small": b"v"})
        for key, window in ((b"k", WINDOW_COMMANDS_MIN), (b"small", WINDOW_COMMANDS_MAX)):
            client.send(*[[b"GET", key]] * 20)
            await bare.settle()
            client.send(*[[b"GET", key]] * (4 * WINDOW_COMMANDS_MAX if key == b"small" else 4))
            await bare.settle()
            client.take()
            assert client.session.window == window

    on_a_loop(scene)

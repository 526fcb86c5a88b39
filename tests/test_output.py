"""Limits for clients that do not read what they are sent."""

import asyncio
import logging
import re
import socket
from collections.abc import Callable, Iterator

import pytest

from common.errors import RedisError
from router.output import MARK_BYTES_MAX, unsent_bytes
from router.session import Session
from tests.bare_router import BareRouter, ClientEnd, on_a_loop
from tests.resp_client import Client, Status, encode_command
from tests.servers import Server, Shardis

HEAD_BYTES = len(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$100\r\n\r\n")
"""Of a message of 100 to 999 bytes to the channel "a"."""


class DeafEnd(ClientEnd):
    """A client that reads nothing, unless it is told to, and whose kernel takes nothing either."""

    def __init__(self, session: Session) -> None:
        self.unsent = b""
        self.mark_bytes = 0
        super().__init__(session)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self.mark_bytes = high

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.unsent += data
        if len(self.unsent) > self.mark_bytes and not self.session.writing_paused:
            self.session.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def hear(self, size_bytes: int) -> None:
        """Reads that much, from which on it is not known to be slow."""
        self.unsent = self.unsent[size_bytes:]
        if self.session.writing_paused and len(self.unsent) <= self.mark_bytes // 4:
            self.session.resume_writing()

    def abort(self) -> None:
        super().abort()
        asyncio.get_running_loop().call_soon(self.session.connection_lost, None)


def deaf(bare: BareRouter, *calls: list[bytes]) -> DeafEnd:
    """Such a client, which has had the replies to these calls."""
    client = DeafEnd(Session(bare.router))
    client.send(*calls)
    client.hear(len(client.unsent))
    return client


def limited(limits: str, shards: int = 1) -> BareRouter:
    bare = BareRouter(shards)
    bare.router.config.set_arguments([b"client-output-buffer-limit", limits.encode()])
    bare.router.configure()
    return bare


def disconnections(bare: BareRouter) -> int:
    return bare.router.stats.client_output_buffer_limit_disconnections


# --- The hard limit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [1, 0])
def test_who_reaches_the_hard_limit_is_closed(room: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        bare = limited("pubsub 1000 0 0")
        slow, other = deaf(bare, [b"SUBSCRIBE", b"a"]), bare.connect()
        publisher = bare.connect()
        other.send([b"SUBSCRIBE", b"a"])
        slow.session.name = b"somebody"
        for size in (400, 600 - 2 * HEAD_BYTES - room):
            publisher.send([b"PUBLISH", b"a", bytes(size)])
        publisher.take()
        await bare.sent()
        assert slow.get_write_buffer_size() == 1000 - room
        assert slow.closed is (room == 0)
        assert disconnections(bare) == (room == 0)
        publisher.send([b"PUBLISH", b"a", b""])
        await bare.sent()
        assert slow.closed
        assert disconnections(bare) == 1
        await bare.settle()
        assert slow.session.id not in bare.router.sessions
        assert len(bare.router.pubsub.channels[b"a"].sessions) == 1
        assert not other.closed

    with caplog.at_level(logging.WARNING):
        on_a_loop(scene)
    (line,) = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(
        r"Client id=\d+ .* name=\*redacted\* .*flags=P .*omem=\d+ .*user=\*redacted\* .*"
        r"closed for overcoming of output buffer limits\.",
        line,
    )


def test_a_client_without_a_limit_is_not_closed() -> None:
    async def scene() -> None:
        bare = limited("pubsub 0 0 0")
        slow, publisher = deaf(bare, [b"SUBSCRIBE", b"a"]), bare.connect()
        for _ in range(3):
            publisher.send([b"PUBLISH", b"a", bytes(MARK_BYTES_MAX)])
            await bare.sent()
        assert unsent_bytes(slow.session) > 3 * MARK_BYTES_MAX
        assert not slow.closed

    on_a_loop(scene)


def test_each_class_has_its_own_limit() -> None:
    async def scene() -> None:
        bare = limited("normal 2000 0 0 pubsub 1000 0 0")
        normal, subscriber = deaf(bare), deaf(bare, [b"SUBSCRIBE", b"a"])
        normal.send([b"ECHO", bytes(1500)])
        subscriber.send([b"PING", bytes(1500)])
        assert (normal.closed, subscriber.closed) == (False, True)
        was_subscriber = deaf(bare, [b"SUBSCRIBE", b"a"], [b"UNSUBSCRIBE"])
        was_subscriber.send([b"ECHO", bytes(1500)])
        assert not was_subscriber.closed
        normal.hear(1500)
        normal.send([b"ECHO", bytes(1900)])
        normal.send([b"ECHO", bytes(100)])
        assert normal.closed

    on_a_loop(scene)


@pytest.mark.parametrize("room", [1, 0])
def test_messages_behind_replies_under_way_count(room: int) -> None:
    async def scene() -> None:
        bare = limited("pubsub 1000 0 0")
        reader, publisher = bare.connect(), bare.connect()
        reader.send([b"HELLO", b"3"], [b"SUBSCRIBE", b"a"])
        reader.send([b"GET", b"k"])
        publisher.send([b"PUBLISH", b"a", bytes(400)], [b"PUBLISH", b"a", bytes(600 - 2 * HEAD_BYTES - room)])
        await bare.sent()
        assert reader.session.queued_bytes == 1000 - room
        assert reader.closed is (room == 0)
        if room:
            reader.take()
            await bare.settle()
            assert reader.session.queued_bytes == 0
            assert len(reader.take()) == len(b"_\r\n") + 1000 - room

    on_a_loop(scene)


# --- The soft limit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over_ms", [0, 1])
def test_the_soft_limit_grants_seconds(over_ms: int) -> None:
    async def scene() -> None:
        bare = limited("pubsub 0 1000 5")
        now_ms = 1_000_000
        bare.router.now_ms = lambda: now_ms
        slow, publisher = deaf(bare, [b"SUBSCRIBE", b"a"]), bare.connect()
        publisher.send([b"PUBLISH", b"a", bytes(1000 - HEAD_BYTES - 1)])
        await bare.sent()
        now_ms += 60_000
        publisher.send([b"PUBLISH", b"a", b""])
        await bare.sent()
        assert not slow.closed
        now_ms += 5000 + over_ms
        publisher.send([b"PUBLISH", b"a", b""])
        await bare.sent()
        assert slow.closed is (over_ms == 1)
        assert disconnections(bare) == over_ms

    on_a_loop(scene)


def test_who_catches_up_has_all_seconds_again() -> None:
    async def scene() -> None:
        bare = limited("pubsub 0 1000 5")
        now_ms = 1_000_000
        bare.router.now_ms = lambda: now_ms
        slow, publisher = deaf(bare, [b"SUBSCRIBE", b"a"]), bare.connect()
        for heard in (1100, 500):
            publisher.send([b"PUBLISH", b"a", bytes(1100)])
            await bare.sent()
            now_ms += 4000
            slow.hear(heard)
            publisher.send([b"PUBLISH", b"a", b""])
            await bare.sent()
            now_ms += 4000
        assert not slow.closed

    on_a_loop(scene)


def test_a_client_that_gets_nothing_more_is_looked_at_too() -> None:
    async def scene() -> None:
        bare = limited("pubsub 0 1000 5")
        now_ms = 1_000_000
        bare.router.now_ms = lambda: now_ms
        slow, publisher = deaf(bare, [b"SUBSCRIBE", b"a"]), bare.connect()
        publisher.send([b"PUBLISH", b"a", bytes(1000)])
        await bare.sent()
        now_ms += 5001
        while not slow.closed:
            await asyncio.sleep(0)
        while bare.router.output.watched or bare.router.output.checking:
            await asyncio.sleep(0)
        await bare.sent()
        assert slow.session.id not in bare.router.sessions

    on_a_loop(scene)


def test_nobody_is_looked_at_who_reads() -> None:
    async def scene() -> None:
        bare = limited("pubsub 0 1000 5")
        slow, publisher = deaf(bare, [b"SUBSCRIBE", b"a"]), bare.connect()
        publisher.send([b"PUBLISH", b"a", bytes(900)])
        await bare.sent()
        assert not bare.router.output.watched
        publisher.send([b"PUBLISH", b"a", bytes(900)])
        await bare.sent()
        assert list(bare.router.output.watched) == [slow.session]
        slow.hear(2000)
        while bare.router.output.watched:
            await asyncio.sleep(0)
        assert not slow.closed

    on_a_loop(scene)


# --- The directive ---------------------------------------------------------------------------------------------------


def test_the_mark_is_below_all_limits() -> None:
    async def scene() -> None:
        bare = limited("normal 0 0 0 slave 0 0 0 pubsub 0 0 0")
        client = deaf(bare)
        assert client.mark_bytes == MARK_BYTES_MAX
        for limits, mark_bytes in (
            ("pubsub 32mb 8mb 60", MARK_BYTES_MAX),
            ("normal 500 0 0", 499),
            ("pubsub 1000 400 0", 399),
            ("normal 1 0 0", 0),
            ("normal 0 0 0 pubsub 0 0 0", MARK_BYTES_MAX),
        ):
            bare.router.config.set_arguments([b"client-output-buffer-limit", limits.encode()])
            bare.router.configure()
            assert client.mark_bytes == mark_bytes
        with pytest.raises(RedisError):
            bare.router.config.set_arguments([b"client-output-buffer-limit", b"pubsub 1 1"])

    on_a_loop(scene)


def test_a_limit_that_comes_later_holds_for_what_is_unsent() -> None:
    async def scene() -> None:
        bare = limited("pubsub 0 0 0")
        slow, publisher = deaf(bare, [b"SUBSCRIBE", b"a"]), bare.connect()
        publisher.send([b"PUBLISH", b"a", bytes(5000)])
        await bare.sent()
        bare.router.config.set_arguments([b"client-output-buffer-limit", b"pubsub 4000 0 0"])
        bare.router.configure()
        while not slow.closed:
            await asyncio.sleep(0)

    on_a_loop(scene)


# --- On a server -----------------------------------------------------------------------------------------------------


@pytest.fixture
def server(start: Callable[[Server], Server]) -> Iterator[Server]:
    yield start(Shardis(shards=1, client_output_buffer_limit="pubsub 1mb 0 0"))


def test_a_slow_subscriber_harms_nobody(server: Server) -> None:
    """It is closed, and all others have all messages; what it had not read is not kept."""
    with server.connect() as publisher, server.connect() as reader, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(server.address)
        slow.sendall(encode_command(["SUBSCRIBE", "a"]))
        assert slow.recv(4096).startswith(b"*3\r\n$9\r\nsubscribe")
        reader.call("SUBSCRIBE", "a")
        text = b"x" * 100_000
        sent = 0
        while publisher.call("PUBLISH", "a", text) == 2:
            sent += 1
            assert reader.read().value == [b"message", b"a", text]
            assert sent < 1000
        assert reader.read().value == [b"message", b"a", text]
        info = publisher.call("INFO", "stats")
        assert b"\r\nclient_output_buffer_limit_disconnections:1\r\n" in info
        assert publisher.call("CLIENT", "LIST", "TYPE", "pubsub").count(b"\n") == 1
        assert publisher.call("PUBLISH", "a", "end") == 1
        assert reader.read().value == [b"message", b"a", b"end"]
        with pytest.raises(ConnectionError):
            while slow.recv(1 << 20):
                pass
            raise ConnectionError("the end of what the kernel had")
        assert "closed for overcoming of output buffer limits" in server.log()


def test_a_subscriber_that_reads_now_and_then_is_not_closed(server: Server) -> None:
    with server.connect() as publisher, Client(server.address) as reader:
        reader.call("SUBSCRIBE", "a")
        for _ in range(10):
            publisher.send_bytes(encode_command(["PUBLISH", "a", b"x" * 50_000]) * 10)
            assert publisher.read_many(10)[-1].value == 1
            assert [len(reply.value[2]) for reply in reader.read_many(10)] == [50_000] * 10
        assert publisher.call("PING") == Status(b"PONG")

"""TLS between a TCP transport and a session, without sockets: a client of Python's ssl, and the test as the network."""

import asyncio
import logging
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from router import encrypted
from router.encrypted import SLICE_BYTES, Encrypted
from tests.bare_router import BareRouter, on_a_loop
from tests.certificates import Authority
from tests.resp_client import encode_command

PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"


class Wire(asyncio.Transport):
    """The TCP transport of the server's end: what was written waits here until the test hands it on."""

    def __init__(self, connection: Encrypted) -> None:
        super().__init__()
        self.connection = connection
        self.sent = bytearray()
        self.largest_bytes = 0
        self.closed = self.aborted = self.paused = False
        self.high: int | None = None
        connection.connection_made(self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 6380)}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, "uvloop's transports raise an error then"
        self.sent += data
        self.largest_bytes = max(self.largest_bytes, len(data))

    def get_write_buffer_size(self) -> int:
        return len(self.sent)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()


class Pair:
    """A client and its connection to a router."""

    def __init__(self, bare: BareRouter, context: ssl.SSLContext, chunk_bytes: int = 0) -> None:
        self.bare = bare
        self.wire = Wire(Encrypted(bare.router, bare.router.listeners.tls))
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.stream = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.chunk_bytes = chunk_bytes
        """So many bytes at a time reach the server; 0: all at once."""

    @property
    def connection(self) -> Encrypted:
        return self.wire.connection

    def flush(self) -> None:
        """What the client has sent reaches the server."""
        data = self.outgoing.read()
        step = self.chunk_bytes or len(data) or 1
        for at in range(0, len(data), step):
            self.connection.data_received(data[at : at + step])

    def hear(self) -> None:
        """What the server has sent reaches the client."""
        self.incoming.write(bytes(self.wire.sent))
        self.wire.sent.clear()

    def shake_hands(self) -> "Pair":
        while True:
            try:
                self.stream.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self.hear()
        self.flush()
        return self

    def send(self, data: bytes) -> None:
        self.stream.write(data)
        self.flush()

    def take(self) -> bytes:
        """What came, decrypted."""
        self.hear()
        found = b""
        try:
            while piece := self.stream.read(1 << 16):
                found += piece
        except ssl.SSLWantReadError:
            pass
        return found


def with_tls(authority: Authority, *options: str) -> BareRouter:
    bare = BareRouter(2, *options)
    pairs = {name.replace("_", "-"): text for name, text in authority.directives().items()}
    bare.router.config.set(list(({"tls-auth-clients": "no"} | pairs).items()))
    bare.router.listeners.tls.load()
    return bare


@pytest.fixture
def handshakes_are_short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(encrypted, "HANDSHAKE_S", 0.01)
    yield


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("chunk_bytes", [0, 1, 7])
def test_commands_whole_and_in_pieces(authority: Authority, version: ssl.TLSVersion, chunk_bytes: int) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        context = authority.context()
        context.minimum_version = context.maximum_version = version
        pair = Pair(bare, context, chunk_bytes).shake_hands()
        assert pair.stream.version() == version.name.replace("_", ".")
        pair.send(PING + PING[:5])
        await bare.settle()
        assert pair.take() == PONG
        pair.send(PING[5:] + encode_command([b"MSET", b"a", b"1", b"b", b"2"]) + encode_command([b"MGET", b"a", b"b"]))
        await bare.settle()
        assert pair.take() == PONG + b"+OK\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n"

    on_a_loop(scene)


def test_nobody_hears_of_a_client_before_its_handshake(authority: Authority) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        stats = bare.router.stats
        pair = Pair(bare, authority.context())
        assert not bare.router.sessions and len(bare.router.listeners.tls.handshakes) == 1
        assert stats.total_connections_received == 0
        pair.shake_hands()
        assert list(bare.router.sessions) == [pair.connection.session.id]
        assert not bare.router.listeners.tls.handshakes and stats.total_connections_received == 1
        session = pair.connection.session
        assert (session.address, session.local_address, session.unix_socket) == (
            "127.0.0.1:50000",
            "127.0.0.1:6380",
            False,
        )
        pair.wire.close()
        await bare.sent()
        assert not bare.router.sessions

    on_a_loop(scene)


@pytest.mark.parametrize("bytes_sent", [PING, b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(100)])
def test_what_is_no_tls_is_closed(authority: Authority, bytes_sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context())
        pair.connection.data_received(bytes_sent)
        assert pair.wire.closed and b"PONG" not in pair.wire.sent and b"ERR" not in pair.wire.sent
        pair.connection.data_received(bytes_sent)  # What was on its way.
        await bare.sent()
        assert not bare.router.sessions and not bare.router.listeners.tls.handshakes
        assert (bare.router.stats.total_connections_received, bare.router.stats.rejected_connections) == (0, 0)

    on_a_loop(scene)
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.levelno == logging.WARNING and record.exc_info is None
    assert record.getMessage().startswith("Error accepting a client connection: ")
    assert record.getMessage().endswith(" (addr=127.0.0.1:50000 laddr=127.0.0.1:6380)")


def test_many_failures_are_one_warning(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        for _ in range(100):
            Pair(bare, authority.context()).connection.data_received(PING)

    on_a_loop(scene)
    assert 1 <= len([record for record in caplog.records if record.levelno == logging.WARNING]) < 100


@pytest.mark.usefixtures("handshakes_are_short")
@pytest.mark.parametrize("sent_bytes", [0, 50])
def test_a_handshake_that_never_ends_is_ended(authority: Authority, sent_bytes: int) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context())
        with pytest.raises(ssl.SSLWantReadError):
            pair.stream.do_handshake()
        pair.connection.data_received(pair.outgoing.read()[:sent_bytes])
        while bare.router.listeners.tls.handshakes:
            await asyncio.sleep(0.005)
        assert pair.wire.closed and not bare.router.sessions

    on_a_loop(scene)


@pytest.mark.usefixtures("handshakes_are_short")
def test_one_that_is_done_is_not(authority: Authority) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context()).shake_hands()
        await asyncio.sleep(0.03)
        pair.send(PING)
        await bare.settle()
        assert pair.take() == PONG and not pair.wire.closed

    on_a_loop(scene)


def test_who_goes_in_the_middle_of_a_handshake(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context())
        assert not pair.connection.eof_received()
        pair.wire.close()
        await bare.sent()
        assert not bare.router.sessions and not bare.router.listeners.tls.handshakes

    with caplog.at_level(logging.INFO):
        on_a_loop(scene)
    assert "the client is gone" in caplog.text


def test_handshakes_count_as_clients(authority: Authority) -> None:
    """One too many over TLS hears nothing, as in the reference; who comes without TLS is told."""

    async def scene() -> None:
        bare = with_tls(authority, "--maxclients", "2")
        first = Pair(bare, authority.context())
        Pair(bare, authority.context())
        third = Pair(bare, authority.context())
        assert third.wire.closed and not third.wire.sent and not first.wire.closed
        plain = bare.connect()
        assert plain.take() == b"-ERR max number of clients reached\r\n" and plain.closed
        await bare.sent()
        assert bare.router.stats.rejected_connections == 2
        assert len(bare.router.listeners.tls.handshakes) == 2
        first.shake_hands()
        assert len(bare.router.sessions) == 1

    on_a_loop(scene)


def test_protected_mode_is_told_over_tls(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context())
        monkeypatch.setattr(
            pair.wire,
            "get_extra_info",
            lambda name, default=None: {"peername": ("10.1.2.3", 5), "sockname": ("10.1.2.4", 6)}.get(name, default),
        )
        pair.shake_hands()
        assert pair.take().startswith(b"-DENIED Running in protected mode")
        assert pair.wire.closed and not bare.router.sessions

    on_a_loop(scene)


def test_long_replies_leave_in_slices(authority: Authority) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context()).shake_hands()
        value = bytes(range(256)) * 4000
        pair.send(encode_command([b"ECHO", value]))
        await bare.settle()
        assert SLICE_BYTES < pair.wire.largest_bytes < SLICE_BYTES + 2048
        assert pair.take() == b"$%d\r\n%b\r\n" % (len(value), value)

    on_a_loop(scene)


def test_marks_and_pauses_are_those_of_the_transport(authority: Authority) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context()).shake_hands()
        session = pair.connection.session
        assert pair.wire.high == bare.router.output.mark_bytes
        pair.hear()
        pair.connection.pause_writing()
        assert session.writing_paused and pair.wire.paused
        pair.connection.resume_writing()
        assert not session.writing_paused and not pair.wire.paused
        pair.send(PING)
        await bare.settle()
        assert pair.take() == PONG
        pair.connection.write(bytes(1000))
        assert 1000 < pair.connection.get_write_buffer_size() < 1100

    on_a_loop(scene)


def test_who_has_sent_all_gets_its_replies(authority: Authority) -> None:
    """By TLS's own word for it, and by the end of the TCP stream alone."""

    async def scene(*, by_word: bool) -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context()).shake_hands()
        pair.stream.write(encode_command([b"SET", b"a", b"1"]))
        if by_word:
            with pytest.raises(ssl.SSLWantReadError):
                pair.stream.unwrap()
        pair.flush()
        assert pair.connection.eof_received()
        assert not pair.wire.closed
        await bare.settle()
        pair.hear()
        assert pair.wire.closed
        assert pair.stream.read(100) == b"+OK\r\n"

    on_a_loop(lambda: scene(by_word=True))
    on_a_loop(lambda: scene(by_word=False))


def test_the_end_of_an_idle_client(authority: Authority) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context()).shake_hands()
        pair.take()
        with pytest.raises(ssl.SSLWantReadError):
            pair.stream.unwrap()
        pair.flush()
        await bare.sent()
        assert pair.wire.closed
        pair.hear()
        pair.stream.unwrap()  # The server has said the same.
        await bare.sent()
        assert not bare.router.sessions

    on_a_loop(scene)


def test_quit_and_kill(authority: Authority) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context()).shake_hands()
        pair.send(encode_command([b"QUIT"]))
        assert pair.take() == b"+OK\r\n" and pair.wire.closed and not pair.wire.aborted
        pair.connection.write(b"late")
        assert not pair.wire.sent
        other = Pair(bare, authority.context()).shake_hands()
        other.connection.session.kill()
        assert other.wire.aborted
        await bare.sent()
        assert not bare.router.sessions

    on_a_loop(scene)


def test_a_client_that_kills_itself(authority: Authority) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context()).shake_hands()
        pair.send(PING + encode_command([b"CLIENT", b"KILL", b"ID", b"1", b"SKIPME", b"no"]) + PING)
        await bare.settle()
        assert pair.wire.closed and pair.take().startswith(PONG)
        await bare.sent()
        assert not bare.router.sessions

    on_a_loop(scene)


def test_a_change_of_keys_is_answered(authority: Authority) -> None:
    """What the server's end of TLS has to say goes out, whether there is a reply or not."""

    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context()).shake_hands()
        pair.hear()
        pair.connection.outgoing.write(b"what TLS itself would say")
        pair.send(PING[:3])
        assert bytes(pair.wire.sent) == b"what TLS itself would say"

    on_a_loop(scene)


def test_a_damaged_record_ends_the_connection(authority: Authority) -> None:
    async def scene() -> None:
        bare = with_tls(authority)
        pair = Pair(bare, authority.context()).shake_hands()
        pair.stream.write(PING)
        whole = pair.outgoing.read()
        pair.stream.write(PING)
        damaged = bytearray(pair.outgoing.read())
        damaged[-1] ^= 1
        pair.connection.data_received(whole + damaged)
        assert pair.wire.aborted
        await bare.sent()
        assert not bare.router.sessions

    on_a_loop(scene)

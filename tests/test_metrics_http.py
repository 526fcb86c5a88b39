"""The HTTP server: what it answers, and what it does not let a client do."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from metrics import http
from metrics.http import BadRequest, HttpServer, Request, Response, encode, parse
from tests.bare_router import on_a_loop

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


async def echo(request: Request) -> Response:
    if request.path == "/bug":
        raise KeyError("a bug")
    return Response(200, f"{request.method} {request.path} {sorted(request.query.items())}".encode())


@asynccontextmanager
async def serving() -> AsyncIterator[Callable[[], Awaitable[tuple[Reader, Writer]]]]:
    """A server, and what connects to it."""
    server = HttpServer(echo)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=http.HEAD_BYTES_MAX)
    port = listener.sockets[0].getsockname()[1]
    writers: list[Writer] = []

    async def connect() -> tuple[Reader, Writer]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    try:
        yield connect
    finally:
        for writer in writers:
            writer.close()
        server.close()
        listener.close()
        while server.connections:
            await asyncio.sleep(0)


async def exchanged(connect: Callable[[], Awaitable[tuple[Reader, Writer]]], request: bytes) -> bytes:
    """All that a connection brings that sends this."""
    reader, writer = await connect()
    writer.write(request)
    return await reader.read()


def heads(request: bytes, *wanted: bytes) -> None:
    """Says that the answer to a request begins so."""

    async def scene() -> None:
        async with serving() as connect:
            answer = await exchanged(connect, request)
            assert answer.startswith(wanted[0]), answer
            assert all(part in answer for part in wanted[1:]), answer

    on_a_loop(scene)


CLOSE = b"Connection: close\r\n\r\n"


def test_get_and_head() -> None:
    heads(b"GET /x?a=1&b=%20 HTTP/1.1\r\n" + CLOSE, b"HTTP/1.1 200 OK\r\n", b"GET /x [('a', '1'), ('b', ' ')]")
    heads(b"GET /x HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"Connection: close\r\n")

    async def scene() -> None:
        async with serving() as connect:
            answer = await exchanged(connect, b"HEAD /x HTTP/1.1\r\n" + CLOSE)
            assert b"Content-Length: 10\r\n" in answer and answer.endswith(b"\r\n\r\n")

    on_a_loop(scene)


def test_every_answer_keeps_other_sites_out() -> None:
    heads(
        b"GET / HTTP/1.1\r\n" + CLOSE,
        b"HTTP/1.1 200 OK\r\n",
        b"Content-Security-Policy: default-src 'none'; script-src 'self'",
        b"X-Content-Type-Options: nosniff\r\n",
        b"frame-ancestors 'none'",
    )


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST / HTTP/1.1\r\n\r\n", b"405"),
        (b"DELETE / HTTP/1.1\r\n\r\n", b"405"),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"413"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"413"),
        (b"GET / HTTP/2.0\r\n\r\n", b"505"),
        (b"GET  / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", b"400"),
        (b"PING\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", b"400"),
        (b"GET //[ HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x00\r\n\r\n", b"400"),
    ],
)
def test_what_is_refused_and_closed(request_: bytes, status: bytes) -> None:
    heads(request_, b"HTTP/1.1 " + status, b"Connection: close\r\n")


def test_a_head_at_the_limit_and_one_past_it() -> None:
    empty = len(b"GET / HTTP/1.1\r\nX: \r\n" + CLOSE)
    for more, status in ((0, b"200"), (5, b"431")):
        padding = b"x" * (http.HEAD_BYTES_MAX - empty + more)
        heads(b"GET / HTTP/1.1\r\nX: " + padding + b"\r\n" + CLOSE, b"HTTP/1.1 " + status)


def test_several_requests_on_one_connection() -> None:
    heads(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n" + CLOSE, b"HTTP/1.1 200 OK\r\n", b"GET /a []", b"GET /b []")


def test_a_bug_of_ours_is_no_end() -> None:
    heads(b"GET /bug HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n" + CLOSE, b"HTTP/1.1 500", b"internal error", b"GET /b []")


def test_a_silent_client_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_S", 0.05)
    heads(b"GET / HTTP/1.1\r\nX:", b"")


def test_too_many_connections_close_the_one_that_was_silent_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 3)

    async def scene() -> None:
        async with serving() as connect:
            silent = [await connect() for _ in range(3)]
            for _, writer in silent[1:]:
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
            for reader, _ in silent[1:]:
                await reader.readuntil(b"\r\n\r\n")
            assert b"GET /late" in await exchanged(connect, b"GET /late HTTP/1.1\r\n" + CLOSE)
            assert await silent[0][0].read() == b""

    on_a_loop(scene)


def test_who_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_S", 0.05)

    async def much(request: Request) -> Response:
        return Response(200, bytes(64 << 20))

    async def scene() -> None:
        server = HttpServer(much)
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=http.HEAD_BYTES_MAX)
        _, writer = await asyncio.open_connection(*listener.sockets[0].getsockname(), limit=1024)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        while not server.connections:
            await asyncio.sleep(0)
        while server.connections:
            await asyncio.sleep(0.01)
        writer.close()
        listener.close()

    on_a_loop(scene)


def test_parse() -> None:
    request = parse(b"GET /samples.json?after=1.5 HTTP/1.1\r\nHost: x\r\nAccept:  text/plain \r\n\r\n")
    assert request == ("GET", "/samples.json", {"after": "1.5"}, {"host": "x", "accept": "text/plain"}, True)
    assert not parse(b"GET / HTTP/1.0\r\n\r\n").keeps_alive
    assert parse(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keeps_alive
    with pytest.raises(BadRequest, match="Method Not Allowed"):
        parse(b"PUT / HTTP/1.1\r\n\r\n")


def test_large_answers_are_zipped_for_those_who_can() -> None:
    body = b"x" * http.GZIP_BYTES_MIN
    for zips in (True, False):
        head, _, found = encode(Response(200, body), head_only=False, zips=zips, keeps_alive=True).partition(
            b"\r\n\r\n"
        )
        assert (b"Content-Encoding: gzip" in head) == zips
        assert (gzip.decompress(found) if zips else found) == body
    assert (
        b"gzip"
        not in encode(Response(200, body[1:]), head_only=False, zips=True, keeps_alive=True).partition(b"\r\n\r\n")[0]
    )

"""A small HTTP server: GET and HEAD, nothing that comes with a body, everything bounded.

Rule 1: no client can hold anything for long. A request has its time and its size, an answer has its time to be read,
        and when there are too many connections the one that has been silent for longest makes room.
Rule 2: nothing is told to other sites: no CORS, and the page may load nothing that is not from here.
"""

import asyncio
import gzip
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

logger = logging.getLogger("shardis")

CONNECTIONS_MAX = 64
"""A Prometheus and some pages need a handful."""
HEAD_BYTES_MAX = 8192
REQUEST_S = 30.0
"""How long a connection may be silent, and how long a request may take to arrive."""
ANSWER_S = 10.0
"""How long a client may take to read an answer."""
GZIP_BYTES_MIN = 1024
METHODS = ("GET", "HEAD")
REASONS = {
    200: "OK",
    304: "Not Modified",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    505: "HTTP Version Not Supported",
}
HEADERS = (
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options: nosniff",
    "X-Frame-Options: DENY",
    "Referrer-Policy: no-referrer",
    "Cross-Origin-Resource-Policy: same-origin",
    "Cache-Control: no-store",
)


class Request(NamedTuple):
    """What was asked: `headers` by their names in small letters."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    keeps_alive: bool


@dataclass(slots=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: list[str] = field(default_factory=list)


class BadRequest(Exception):
    """What is answered before the connection is closed."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text or REASONS[status])
        self.response = Response(status, f"{text or REASONS[status]}\n".encode())


Handler = Callable[[Request], Awaitable[Response]]


def parse(head: bytes) -> Request:
    """The head of a request, with its empty line.  Raises BadRequest."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[1].startswith("/") or not words[2].startswith("HTTP/"):
        raise BadRequest(400)
    if words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(505)
    headers = {}
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400)
        headers[name.lower()] = value.strip()
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise BadRequest(413, "a request has no body here")
    if words[0] not in METHODS:
        refused = BadRequest(405)
        refused.response.headers.append(f"Allow: {', '.join(METHODS)}")
        raise refused
    try:
        parts = urlsplit(words[1])
    except ValueError:
        raise BadRequest(400) from None
    connection = headers.get("connection", "").lower()
    keeps_alive = connection == "keep-alive" if words[2] == "HTTP/1.0" else connection != "close"
    return Request(words[0], parts.path, dict(parse_qsl(parts.query)), headers, keeps_alive)


def encode(response: Response, *, head_only: bool, zips: bool, keeps_alive: bool) -> bytes:
    """A response as it goes over the wire."""
    body, headers = response.body, [*HEADERS, *response.headers]
    if zips and len(body) >= GZIP_BYTES_MIN:
        body = gzip.compress(body, 1, mtime=0)
        headers.append("Content-Encoding: gzip")
    lines = [
        f"HTTP/1.1 {response.status} {REASONS[response.status]}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(body)}",
        "Vary: Accept, Accept-Encoding",
        f"Connection: {'keep-alive' if keeps_alive else 'close'}",
        *headers,
    ]
    head = "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"
    return head if head_only else head + body


class HttpServer:
    """Answers requests by `handler`; its connections are `serve`d by asyncio.start_server."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.silent: dict[asyncio.Task[None], None] = {}
        """The connections that are waited for, those first that have been silent for longest."""
        self.connections: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        task = asyncio.current_task()
        assert task is not None
        if len(self.connections) >= CONNECTIONS_MAX:
            if not self.silent:
                writer.transport.abort()
                return
            next(iter(self.silent)).cancel()
        self.connections.add(task)
        try:
            with suppress(OSError, TimeoutError, asyncio.CancelledError):
                await self._converse(task, reader, writer)
        finally:
            self.connections.discard(task)
            self.silent.pop(task, None)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    def close(self) -> None:
        """Ends all connections."""
        for task in list(self.connections):
            task.cancel()

    async def _converse(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            self.silent[task] = None
            try:
                async with asyncio.timeout(REQUEST_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                self.silent.pop(task, None)
                request = parse(head)
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                await self._send(
                    writer, encode(BadRequest(431).response, head_only=False, zips=False, keeps_alive=False)
                )
                return
            except BadRequest as refused:
                await self._send(writer, encode(refused.response, head_only=False, zips=False, keeps_alive=False))
                return
            try:
                response = await self.handler(request)
            except Exception:
                logger.exception("internal error behind %s", request.path)
                response = Response(500, b"internal error, see the log\n")
            zips = "gzip" in request.headers.get("accept-encoding", "")
            head_only = request.method == "HEAD" or response.status == 304
            await self._send(writer, encode(response, head_only=head_only, zips=zips, keeps_alive=request.keeps_alive))
            if not request.keeps_alive:
                return

    @staticmethod
    async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
        """Waits until all of it is with the kernel.  Raises TimeoutError."""
        writer.transport.set_write_buffer_limits(high=0)
        writer.write(data)
        async with asyncio.timeout(ANSWER_S):
            await writer.drain()

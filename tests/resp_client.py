"""A raw RESP client for tests: the bytes of each reply as they came, and their value with its type kept.

A reply that redis-py would call `b"OK"` can be a simple string, a bulk string or a verbatim one; a test has to tell
them apart. So a value here is equal to another only if it is also of the same type: `Status(b"OK") != b"OK"`. Integers
are int, bulk strings bytes, arrays list, booleans bool, the null None; the rest are the classes below.

The socket blocks, with a deadline for each reply. Nothing here knows what a reply means.
"""

import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

REPLY_TIMEOUT_S = 20.0
"""Far above what any command takes: the machine may be busy with other work."""

READ_SIZE_BYTES = 1 << 18


class Text(bytes):
    """The bytes of a reply that is not a bulk string."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and bytes.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((type(self).__name__, bytes(self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({bytes(self)!r})"


class Status(Text):
    """`+OK`"""


class Error(Text):
    """`-ERR ...`"""


class Double(Text):
    """`,1.5`, as text: the way a double is written is part of what is compared."""


class BigNumber(Text):
    """`(1234...`"""


class Verbatim(Text):
    """`=9\\r\\ntxt:hello`, with its format and the colon."""


class Items(list[Any]):
    """The elements of an aggregate that is not an array."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and list.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list.__repr__(self)})"


class Map(Items):
    """`%2`: a list of (key, value) pairs, in the order in which they came."""


class Set(Items):
    """`~2`"""


class Push(Items):
    """`>3`: what comes without having been asked for."""


class NullArray:
    """`*-1`, which RESP2 knows beside `$-1`."""

    def __repr__(self) -> str:
        return "NULL_ARRAY"


NULL_ARRAY = NullArray()


class Reply(NamedTuple):
    raw: bytes
    value: Any


class Incomplete(Exception):
    """The bytes end before the reply does."""


class BadReply(Exception):
    """Bytes that are no RESP."""


def encode_command(argv: Iterable[bytes | str | int | float]) -> bytes:
    """A command as clients send it: an array of bulk strings."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in argv]
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def parse_reply(data: bytes | bytearray, start: int = 0) -> tuple[Any, int]:
    """The value of the reply at `start`, and where the next one begins.  Raises Incomplete and BadReply."""
    end = data.find(b"\r\n", start)
    if end < 0:
        raise Incomplete
    if end == start:
        raise BadReply(bytes(data[start : start + 64]))
    mark, line, after = data[start : start + 1], bytes(data[start + 1 : end]), end + 2
    parse = PARSERS.get(bytes(mark))
    if parse is None:
        raise BadReply(bytes(data[start : start + 64]))
    return parse(line, data, after)


def _number(line: bytes, data: bytes | bytearray, after: int) -> tuple[Any, int]:
    return int(line), after


def _null(line: bytes, data: bytes | bytearray, after: int) -> tuple[Any, int]:
    return None, after


def _boolean(line: bytes, data: bytes | bytearray, after: int) -> tuple[Any, int]:
    return line == b"t", after


def _text(kind: type[Text]) -> Callable[[bytes, bytes | bytearray, int], tuple[Any, int]]:
    return lambda line, data, after: (kind(line), after)


def _bulk(kind: type[bytes]) -> Callable[[bytes, bytes | bytearray, int], tuple[Any, int]]:
    def parse(line: bytes, data: bytes | bytearray, after: int) -> tuple[Any, int]:
        length = int(line)
        if length < 0:
            return None, after
        if len(data) < after + length + 2:
            raise Incomplete
        if data[after + length : after + length + 2] != b"\r\n":
            raise BadReply(bytes(data[after : after + 64]))
        return kind(data[after : after + length]), after + length + 2

    return parse


def _items(kind: type[list[Any]]) -> Callable[[bytes, bytes | bytearray, int], tuple[Any, int]]:
    def parse(line: bytes, data: bytes | bytearray, after: int) -> tuple[Any, int]:
        count = int(line)
        if count < 0:
            return NULL_ARRAY, after
        items = kind()
        for _ in range(count):
            item, after = parse_reply(data, after)
            items.append(item)
        return items, after

    return parse


def _map(line: bytes, data: bytes | bytearray, after: int) -> tuple[Any, int]:
    pairs = Map()
    for _ in range(int(line)):
        key, after = parse_reply(data, after)
        value, after = parse_reply(data, after)
        pairs.append((key, value))
    return pairs, after


PARSERS: dict[bytes, Callable[[bytes, bytes | bytearray, int], tuple[Any, int]]] = {
    b"+": _text(Status),
    b"-": _text(Error),
    b",": _text(Double),
    b"(": _text(BigNumber),
    b":": _number,
    b"_": _null,
    b"#": _boolean,
    b"$": _bulk(bytes),
    b"=": _bulk(Verbatim),
    b"*": _items(list),
    b"~": _items(Set),
    b">": _items(Push),
    b"%": _map,
}


class Client:
    """One connection. `call` is `send` and `read`; both are there alone for what is pipelined, blocks or is pushed."""

    def __init__(self, address: tuple[str, int] | str, timeout_s: float = REPLY_TIMEOUT_S) -> None:
        """`address` is (host, port), or the path of a Unix socket."""
        self.timeout_s = timeout_s
        self.received = bytearray()
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout_s)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout_s)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def call(self, *argv: bytes | str | int | float) -> Any:
        """The value of the reply to one command. An error is a value too."""
        self.send(*argv)
        return self.read().value

    def info(self, section: str) -> dict[str, str]:
        """The fields of a section of INFO."""
        lines = self.call("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def send(self, *argv: bytes | str | int | float) -> None:
        self.send_bytes(encode_command(argv))

    def send_bytes(self, data: bytes) -> None:
        """Raises ConnectionError if the server has closed."""
        self.socket.settimeout(self.timeout_s)
        self.socket.sendall(data)

    def read(self, timeout_s: float | None = None) -> Reply:
        """The next reply.  Raises TimeoutError if it does not come in time, ConnectionError if the server closes."""
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while True:
            reply = self._next()
            if reply is not None:
                return reply
            self._receive(max(0.0, deadline - time.monotonic()))

    def read_many(self, count: int) -> list[Reply]:
        return [self.read() for _ in range(count)]

    def maybe_read(self) -> Reply | None:
        """The next reply if it is there at once, else None."""
        try:
            return self.read(0.0)
        except TimeoutError:
            return None

    def _next(self) -> Reply | None:
        if not self.received:
            return None
        try:
            value, end = parse_reply(self.received)
        except Incomplete:
            return None
        raw = bytes(self.received[:end])
        del self.received[:end]
        return Reply(raw, value)

    def _receive(self, timeout_s: float) -> None:
        if not select.select([self.socket], [], [], timeout_s)[0]:
            raise TimeoutError(f"no reply in time; received so far: {bytes(self.received[:200])!r}")
        data = self.socket.recv(READ_SIZE_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.received += data

"""The cases of the request parser, put to a real Valkey through raw sockets: the same commands, the same faults."""

import contextlib
import random
import socket
from collections.abc import Callable, Iterable

import pytest

from common.arguments import SIMPLE, _split_quoted, split_arguments
from common.errors import ProtocolError
from common.requests import Requests
from tests.reference import Reference
from tests.request_cases import COMPLETE, FAULTS, INCOMPLETE, Commands, encode, name_of
from tests.servers import Server


def exchange(server: Server, data: bytes) -> bytes:
    """All that the server answers before it closes, which it does at the latest when we say that no more will come."""
    reply = b""
    with socket.create_connection(server.address, timeout=20) as connection, contextlib.suppress(ConnectionError):
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        while received := connection.recv(1 << 16):
            reply += received
    return reply


def fault_line(text: str) -> bytes:
    line = text.replace("\r", " ").replace("\n", " ").encode("utf-8", "surrogateescape")
    return b"-ERR Protocol error: " + line + b"\r\n"


SENTINEL = b"the end"


@pytest.mark.parametrize(("data", "commands"), COMPLETE, ids=name_of)
def test_the_reference_reads_as_many_commands(reference: Reference, data: bytes, commands: Commands) -> None:
    reply = exchange(reference, data + encode(b"ECHO", SENTINEL))
    assert b"Protocol error" not in reply
    assert reply.endswith(b"$7\r\nthe end\r\n")
    expected = 1 + len(commands)
    assert sum(1 for _ in replies(reply)) == expected


@pytest.mark.parametrize(("data", "commands"), INCOMPLETE, ids=name_of)
def test_the_reference_waits_for_more(reference: Reference, data: bytes, commands: Commands) -> None:
    assert exchange(reference, data) == b"+PONG\r\n" * len(commands)


@pytest.mark.parametrize(("data", "commands", "fault"), FAULTS, ids=name_of)
def test_the_reference_has_the_same_fault(reference: Reference, data: bytes, commands: Commands, fault: str) -> None:
    assert exchange(reference, data) == b"+PONG\r\n" * len(commands) + fault_line(fault)


def test_the_reference_has_the_same_limits_before_the_password(start: Callable[[Server], Server]) -> None:
    server = start(Reference())
    with server.connect() as client:
        client.call("CONFIG", "SET", "requirepass", "secret")
        cases = [b"*10\r\n", b"*11\r\n", b"*1\r\n$16384\r\n", b"*1\r\n$16385\r\n", b"*2147483648\r\n"]
        auth = encode(b"AUTH", b"secret")
        for data in [*cases, *(auth + case for case in cases)]:
            requests = Requests()
            requests.authenticated = False
            expected = b""
            try:
                if requests.feed(data):
                    expected = b"+OK\r\n"
                    requests.authenticated = True
                    requests.feed(b"")
            except ProtocolError as fault:
                expected += fault_line(str(fault))
            assert exchange(server, data) == expected, data


def test_the_reference_splits_lines_alike(reference: Reference) -> None:
    chance = random.Random(3)
    bits = [b"a", b"'", b'"', b"\\", b" ", b"x41", b"n", b"\\x4f", b"\t", b"\v", b"\xfe", b"\\'", b'\\"', b"\r", b"#"]
    for _ in range(1000):
        line = b"EVAL 'return ARGV' 0 " + b"".join(chance.choices(bits, k=chance.randrange(10)))
        argv = split_arguments(line)
        expected = fault_line("unbalanced quotes in request") if argv is None else encode(*argv[3:])
        assert exchange(reference, line + b"\r\n") == expected, line


def test_simple_lines_are_split_as_any_others() -> None:
    chance = random.Random(4)
    bits = [b"a", b"\\", b" ", b"\t", b"\r", b"\n", b"\v", b"\f", b"\0", b"\x1c", b"\x85", b"\xa0", b"\xff"]
    simple = 0
    for _ in range(5000):
        line = b"".join(chance.choices(bits, k=chance.randrange(10)))
        simple += SIMPLE.fullmatch(line) is not None
        assert split_arguments(line) == _split_quoted(line), line
    assert 1000 < simple < 4000


def test_a_byte_that_the_reference_drops_stays(reference: Reference) -> None:
    line = b"ECHO a\xffb"
    assert exchange(reference, line + b"\r\n") == b"$2\r\nab\r\n"
    assert split_arguments(line) == [b"ECHO", b"a\xffb"]


def replies(data: bytes) -> Iterable[bytes]:
    """The replies in `data`, which are lines or bulk strings."""
    while data:
        line, data = data.split(b"\r\n", 1)
        if line[:1] == b"$":
            size = int(line[1:])
            line, data = data[:size], data[size + 2 :]
        yield line

"""Limits on what a client may send and leave unread, put to a real Valkey and to Shardis through raw sockets."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bare_router import BareRouter, on_a_loop
from tests.reference import Reference
from tests.resp_client import Client, Error, Status, encode_command
from tests.servers import ROOT, Server, Shardis, wait_until
from tests.test_requests_reference import exchange

OK = Status(b"OK")
MB = 2**20
KINDS = pytest.mark.parametrize("kind", [Reference, Shardis])
Start = Callable[[Server], Server]


def stat(client: Client, name: str) -> int:
    found = re.search(rf"^{name}:(\d+)", client.call("INFO", "everything").decode(), re.MULTILINE)
    assert found is not None, name
    return int(found[1])


# --- What a client sends ---------------------------------------------------------------------------------------------

ECHO = encode_command([b"ECHO", bytes(1_000_000)])
QUERIES = {
    "one argument that does not end": (b"*2\r\n$4\r\nECHO\r\n$2000000\r\n" + bytes(1_900_000), 0, True),
    "behind an answered command": (b"PING\r\n*2\r\n$4\r\nECHO\r\n$2000000\r\n" + bytes(1_900_000), 1, True),
    "one argument that is whole": (encode_command([b"ECHO", bytes(MB + 1)]), 0, True),
    "one argument within the limit": (encode_command([b"ECHO", bytes(MB - 100)]), 1, False),
    "a pipeline of small commands": (encode_command([b"SET", b"k", b"v"]) * 100_000, 100_000, False),
    "a pipeline of commands within the limit": (ECHO * 3, 3, False),
    "queued commands": (b"MULTI\r\n" + encode_command([b"ECHO", bytes(100_000)]) * 12 + b"EXEC\r\n", 0, True),
    # With what one read brings, 256,000 bytes at most, which may count twice: as queued, and as read.
    "queued commands within the limit": (b"MULTI\r\n" + encode_command([b"ECHO", bytes(100_000)]) * 7, 8, False),
    "a transaction that is broken": (
        b"MULTI\r\nNOSUCH\r\n" + encode_command([b"ECHO", bytes(100_000)]) * 12 + b"EXEC\r\n",
        15,
        False,
    ),
}
"""By what it is: what is sent with a limit of 1 MB, how many replies come, and whether the client is closed."""


@KINDS
def test_a_client_that_sends_more_than_it_may_is_closed(start: Start, kind: type[Server]) -> None:
    server = start(kind(client_query_buffer_limit="1mb"))
    closed = [data for data, _, is_closed in QUERIES.values() if is_closed]
    with server.connect() as admin:
        for data, count, is_closed in QUERIES.values():
            with server.connect() as client:
                with suppress(ConnectionError):
                    client.send_bytes(data)
                if is_closed:
                    with pytest.raises(ConnectionError):
                        client.read_many(count + 100)
                else:
                    client.read_many(count)
        wait_until(lambda: stat(admin, "client_query_buffer_limit_disconnections") == len(closed))
    assert server.log().count("losing client that reached max query buffer length: id=") == len(closed)
    assert "user=*redacted*" in server.log()


def test_what_is_queued_in_small_words_is_weighed_by_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.transaction.MEMORY_BYTES_MAX", 2 * MB)

    async def scene() -> None:
        bare = BareRouter(2, "--client-query-buffer-limit", "1mb")
        client, other = bare.connect(), bare.connect()
        other.send([b"MULTI"])
        client.send([b"MULTI"])
        for _ in range(100):
            client.send(*[[b"GET", b"k"]] * 100)  # 192 bytes each, as it is weighed.
        assert not client.closed
        for _ in range(20):
            if not client.closed:
                client.send(*[[b"GET", b"k"]] * 100)
        assert client.closed
        assert not other.closed
        assert bare.router.stats.client_query_buffer_limit_disconnections == 1

    on_a_loop(scene)


def test_nothing_is_kept_of_a_broken_transaction() -> None:
    async def scene() -> None:
        bare = BareRouter(2)
        client = bare.connect()
        client.send([b"MULTI"], [b"SET", b"k", b"v"], [b"PING"], [b"NOSUCH"], [b"SET", b"k", b"v"], [b"PING"])
        assert client.take().count(b"+QUEUED\r\n") == 4
        transaction = client.session.transaction
        assert transaction is not None
        assert (transaction.queued, transaction.unusual) == ([], {})
        client.send([b"EXEC"])
        assert client.take().startswith(b"-EXECABORT")

    on_a_loop(scene)


@KINDS
def test_protocol_errors_count_as_errors(start: Start, kind: type[Server]) -> None:
    server = start(kind())
    with server.connect() as admin:
        before = stat(admin, "total_error_replies")
        assert exchange(server, b"*1\r\n$-1\r\n") == b"-ERR Protocol error: invalid bulk length\r\n"
        assert exchange(server, b"*x\r\n") == b"-ERR Protocol error: invalid multibulk length\r\n"
        assert stat(admin, "total_error_replies") == before + 2
        assert admin.call("INFO", "errorstats").count(b"errorstat_ERR:count=2") == 1


# --- What a client does not read -------------------------------------------------------------------------------------


def deaf(server: Server) -> socket.socket:
    """A client that reads nothing, with little room in its kernel."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20)
    sock.connect(server.address)
    return sock


def flood_until_closed(sock: socket.socket, data: bytes) -> None:
    with pytest.raises(ConnectionError):
        while True:
            sock.sendall(data)


@KINDS
def test_who_never_gave_the_password_may_leave_little_unread(start: Start, kind: type[Server]) -> None:
    server = start(kind(requirepass="secret"))
    with server.connect() as admin, deaf(server) as stranger:
        assert admin.call("AUTH", "secret") == OK
        flood_until_closed(stranger, b"GET k\r\n" * 100)
        wait_until(lambda: stat(admin, "client_output_buffer_limit_disconnections") == 1)
        assert "for overcoming of output buffer limits." in server.log()
        with deaf(server) as known:
            known.sendall(b"AUTH secret\r\nRESET\r\n")
            known.setblocking(False)
            with suppress(BlockingIOError):
                for _ in range(3000):
                    known.sendall(b"GET k\r\n" * 100)
            assert stat(admin, "client_output_buffer_limit_disconnections") == 1


PUSHES = [
    ("normal", b"MONITOR\r\n", b"ECHO %b", True),
    ("pubsub", b"MONITOR\r\n", b"ECHO %b", False),
    ("pubsub", b"SUBSCRIBE a\r\n", b"PUBLISH a %b", True),
    ("normal", b"SUBSCRIBE a\r\n", b"PUBLISH a %b", False),
    ("pubsub", b"HELLO 3\r\nSSUBSCRIBE a\r\n", b"SPUBLISH a %b", True),
    ("normal", b"HELLO 3\r\nCLIENT TRACKING ON BCAST\r\n", b"SET %b v", True),
    ("pubsub", b"HELLO 3\r\nCLIENT TRACKING ON BCAST\r\n", b"SET %b v", False),
]
"""A class, what a client says who then reads nothing, what others do, and whether the limit of that class is his."""


@KINDS
def test_pushes_are_bounded(start: Start, kind: type[Server]) -> None:
    server = start(kind(save=""))
    closed = 0
    with server.connect() as other:
        for class_, first, call, is_closed in PUSHES:
            limits = "normal 0 0 0 pubsub 0 0 0 " + f"{class_} 1mb 0 0"
            assert other.call("CONFIG", "SET", "client-output-buffer-limit", limits) == OK
            with deaf(server) as slow:
                slow.sendall(first)
                assert slow.recv(1)
                for number in range(8):
                    words = [b"%d:%d:%b" % (number, place, bytes(10_000)) for place in range(100)]
                    other.send_bytes(b"".join(encode_command((call % word).split(b" ")) for word in words))
                    other.read_many(100)
                closed += is_closed
                wait_until(lambda least=closed: stat(other, "client_output_buffer_limit_disconnections") >= least)
                assert stat(other, "client_output_buffer_limit_disconnections") == closed, (class_, first)
            assert other.call("FLUSHALL") == OK


@KINDS
def test_who_is_above_the_soft_limit_for_too_long_is_closed(start: Start, kind: type[Server]) -> None:
    server = start(kind(client_output_buffer_limit="pubsub 0 1mb 1"))
    with server.connect() as other, deaf(server) as slow:
        slow.sendall(b"SUBSCRIBE a\r\n")
        assert slow.recv(1)
        other.send_bytes(encode_command([b"PUBLISH", b"a", bytes(10_000)]) * 1000)
        assert {reply.value for reply in other.read_many(1000)} == {1}
        wait_until(lambda: stat(other, "client_output_buffer_limit_disconnections") == 1)


# --- Who is silent ---------------------------------------------------------------------------------------------------

SILENT = {
    "idle": (b"PING\r\n", True),
    "in a transaction": (b"MULTI\r\n", True),
    "in the middle of a request": (b"PING\r\n*1\r\n$4\r\nPI", True),
    "tracking": (b"HELLO 3\r\nCLIENT TRACKING ON\r\n", True),
    "subscribed no more": (b"SUBSCRIBE a\r\nUNSUBSCRIBE a\r\n", True),
    "subscribed": (b"SUBSCRIBE a\r\n", False),
    "subscribed to a pattern": (b"PSUBSCRIBE a\r\n", False),
    "subscribed to a shard channel": (b"SSUBSCRIBE a\r\n", False),
    "subscribed, RESP3": (b"HELLO 3\r\nSUBSCRIBE a\r\n", False),
    "blocked": (b"PING\r\nBLPOP nosuch 0\r\n", False),
    "waiting": (b"PING\r\nWAIT 1 0\r\n", False),
    "a monitor": (b"MONITOR\r\n", False),
}


@KINDS
def test_only_who_waits_for_nothing_is_closed_for_silence(start: Start, kind: type[Server]) -> None:
    server = start(kind(timeout=1))
    clients = {what: server.connect() for what in SILENT}
    for what, (data, _) in SILENT.items():
        clients[what].send_bytes(data)
        clients[what].read()
    for what, (_, is_closed) in SILENT.items():
        if is_closed:
            with pytest.raises(ConnectionError):
                clients[what].read_many(10)
    for what, (_, is_closed) in SILENT.items():
        if not is_closed:
            with suppress(TimeoutError):  # ConnectionError if it was closed.
                while True:
                    clients[what].read(0.0)
    for client in clients.values():
        client.close()


def probed_in_s(server: Server, client: Client) -> float | None:
    """In how many seconds the kernel asks this client whether it is there; None if it never does."""
    ports = (server.port, client.socket.getsockname()[1])
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if tuple(int(word.partition(":")[2], 16) for word in words[1:3]) == ports:
            kind, _, ticks = words[5].partition(":")
            return int(ticks, 16) / os.sysconf("SC_CLK_TCK") if kind == "02" else None
    raise AssertionError("there is no such connection")


@KINDS
def test_the_kernel_asks_who_is_silent_whether_he_is_there(start: Start, kind: type[Server]) -> None:
    server = start(kind())
    for seconds in (200, 0):
        with server.connect() as admin:
            assert admin.call("CONFIG", "SET", "tcp-keepalive", seconds) == OK
        with server.connect() as client:
            assert client.call("PING") == Status(b"PONG")
            found_s = probed_in_s(server, client)
            assert (found_s is not None) == bool(seconds)
            assert found_s is None or 100 < found_s <= 200


# --- How many may be there -------------------------------------------------------------------------------------------


@KINDS
def test_fewer_clients_than_there_are(start: Start, kind: type[Server]) -> None:
    server = start(kind(maxclients=100))
    with server.connect() as first, server.connect() as second:
        wait_until(lambda: stat(first, "connected_clients") == 2)
        assert first.call("CONFIG", "SET", "maxclients", "1") == OK
        assert second.call("PING") == Status(b"PONG")
        assert (stat(first, "connected_clients"), stat(first, "maxclients")) == (2, 1)
        before = stat(first, "rejected_connections")
        with server.connect() as third:
            assert third.read().value == Error(b"ERR max number of clients reached")
        assert stat(first, "rejected_connections") == before + 1
        second.close()
        wait_until(lambda: stat(first, "connected_clients") == 1)
        with server.connect() as fourth:
            assert fourth.read().value == Error(b"ERR max number of clients reached")
        assert first.call("CONFIG", "SET", "maxclients", "2") == OK
        with server.connect() as fifth:
            assert fifth.call("PING") == Status(b"PONG")


class WithFewFiles(Server):
    """A server whose processes may have open 300 files."""

    def command(self) -> list[str]:
        limited = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300));"
        return [sys.executable, "-c", f"{limited} os.execv(sys.argv[1], sys.argv[1:])", *super().command()]


class FewFilesReference(WithFewFiles, Reference): ...


class FewFilesShardis(WithFewFiles, Shardis): ...


@pytest.mark.parametrize(("kind", "beside"), [(FewFilesReference, 44), (FewFilesShardis, 128)])
def test_the_system_allows_fewer_files_than_there_may_be_clients(start: Start, kind: type[Server], beside: int) -> None:
    server = start(kind())
    most = b"%d" % (300 - beside)  # The reference looks for the limit in steps of 16.
    assert re.search(rf"maxclients .*{most.decode()}", server.log())
    assert "ulimit -n" in server.log()
    with server.connect() as client:
        assert client.call("CONFIG", "GET", "maxclients") == [b"maxclients", most]
        refusal = client.call("CONFIG", "SET", "maxclients", "5000")
        assert refusal == Error(
            b"ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able to"
            b" handle the specified number of clients, try with " + most
        )
        assert client.call("CONFIG", "GET", "maxclients") == [b"maxclients", most]
        assert client.call("CONFIG", "SET", "maxclients", "50") == OK
        assert client.call("CONFIG", "SET", "maxclients", most) == OK


def test_no_file_is_left_for_a_client() -> None:
    limited = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100));"
    argv = [
        sys.executable,
        "-c",
        f"{limited} os.execv(sys.executable, [sys.executable, '-m', 'router', '--shards', '1'])",
    ]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "'ulimit -n') of 100 is not enough for the server to start; it takes at least 129" in ended.stderr

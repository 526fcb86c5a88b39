"""Attacks by clients that never read what they are sent."""

import time
from contextlib import suppress

from tests.hostile.attack import Attack, Size, admin, close_all, connect, stat, wait_until
from tests.resp_client import encode_command
from tests.servers import Server

MB = 2**20
LIMITS = {"client-output-buffer-limit": "normal 4mb 2mb 1 pubsub 4mb 2mb 1"}
VALUE_BYTES = 100_000


def gets(server: Server, size: Size) -> str:
    """Pipelines of GETs of a large value, of which no reply is read."""
    with admin(server) as client:
        client.call("SET", "large", bytes(VALUE_BYTES))
        before = stat(client, "total_commands_processed")
        socks = [connect(server, deaf=True) for _ in range(size.count)]
        for sock in socks:
            sock.setblocking(False)
        pipeline = encode_command([b"GET", b"large"]) * 1000
        deadline_s = time.monotonic() + size.seconds
        while time.monotonic() < deadline_s:
            for sock in socks:
                with suppress(BlockingIOError, ConnectionError):
                    sock.send(pipeline)
            time.sleep(0.01)
        done = stat(client, "total_commands_processed") - before
        close_all(socks)
        assert wait_until(lambda: stat(client, "connected_clients") < 10)
    assert done < 10**7
    return "no longer read at the mark of 1 MB unsent"


def _told(server: Server, size: Size, first: bytes, calls: list[bytes]) -> str:
    """Clients that are told what another one does, and do not read it."""
    socks = [connect(server, deaf=True) for _ in range(size.count)]
    for sock in socks:
        sock.sendall(first)
        assert sock.recv(1)
    with admin(server) as client:
        deadline_s, turns = time.monotonic() + size.seconds, 0
        while time.monotonic() < deadline_s:
            client.send_bytes(b"".join(calls))
            client.read_many(len(calls))
            turns += 1
            time.sleep(0.01)
        assert wait_until(lambda: stat(client, "client_output_buffer_limit_disconnections") == size.count)
    close_all(socks)
    return f"all {size.count} closed at their output buffer limit"


def subscribers(server: Server, size: Size) -> str:
    return _told(server, size, b"SUBSCRIBE a\r\n", [encode_command([b"PUBLISH", b"a", bytes(10_000)])] * 20)


def monitors(server: Server, size: Size) -> str:
    return _told(server, size, b"MONITOR\r\n", [encode_command([b"ECHO", b"x" * 10_000])] * 20)


def trackers(server: Server, size: Size) -> str:
    first = b"HELLO 3\r\nCLIENT TRACKING ON BCAST\r\n"
    calls = [encode_command([b"SET", b"%d" % number + b"k" * 10_000, b"v"]) for number in range(20)]
    return _told(server, size, first, calls)


READERS = [
    Attack(
        "deaf-gets",
        "{count} clients pipeline GETs of 100 KB and read nothing",
        gets,
        Size(50, 10),
        Size(5, 1),
        150 * MB,
    ),
    Attack(
        "deaf-subscribers",
        "{count} subscribers under a flood read nothing",
        subscribers,
        Size(20, 10),
        Size(3, 1.5),
        80 * MB,
        LIMITS,
    ),
    Attack(
        "deaf-monitors",
        "{count} clients in MONITOR read nothing",
        monitors,
        Size(20, 10),
        Size(3, 1.5),
        80 * MB,
        LIMITS,
    ),
    Attack(
        "deaf-trackers",
        "{count} clients with CLIENT TRACKING BCAST read nothing",
        trackers,
        Size(20, 10),
        Size(3, 1.5),
        80 * MB,
        LIMITS,
    ),
]

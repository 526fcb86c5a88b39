"""Attacks by connections: many, slow, silent, vanished."""

import socket
import struct
import time

from tests.hostile.attack import Attack, Size, admin, close_all, connect, is_closed, stat, wait_until
from tests.hostile.memory import Watch
from tests.resp_client import Status, encode_command
from tests.servers import Server

MB = 2**20
REQUEST = encode_command([b"SET", b"slow", b"v" * 100])
TCP_REPAIR = 19
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


def slowloris(server: Server, size: Size) -> str:
    """Connections that send a byte of a request at a time, for some seconds."""
    socks = [connect(server) for _ in range(size.count)]
    turns = sent = 0
    deadline_s = time.monotonic() + size.seconds
    while time.monotonic() < deadline_s:
        byte = REQUEST[turns % len(REQUEST) : turns % len(REQUEST) + 1]
        for sock in socks:
            sock.sendall(byte)
            sent += 1
            if sent % 20 == 0:  # About 10,000 a second in all.
                time.sleep(0.002)
        turns += 1
    with admin(server) as client:
        assert stat(client, "connected_clients") >= size.count
    close_all(socks)
    return f"{sent:,} bytes in {sent:,} pieces; all stay connected and are served"


def idle(server: Server, size: Size) -> str:
    """Connections that do nothing."""
    watch = Watch(server)
    with admin(server) as client:
        socks = []
        for number in range(size.count):
            socks.append(connect(server))
            if number % 20 == 0:  # About 1,500 a second: how they storm in is another attack.
                time.sleep(0.01)
        time.sleep(size.seconds)
        assert wait_until(lambda: stat(client, "connected_clients") >= size.count)
        each = (watch.look().router - watch.before.router) / size.count / 1024
        close_all(socks)
        time.sleep(size.seconds / 5)
        assert wait_until(lambda: stat(client, "connected_clients") < 10)
    return f"all connected; {each:.1f} KB of the router's memory each"


def storm(server: Server, size: Size) -> str:
    """Connections one after the other, `count` a second: with a PING, with nothing, ended by RST."""
    made = answered = late = 0
    started_s = time.monotonic()
    while (passed_s := time.monotonic() - started_s) < size.seconds:
        due = int(passed_s * size.count)
        if made >= due:
            time.sleep(0.001)
            continue
        late = max(late, due - made)
        sock = connect(server)
        if made % 3 == 0:
            sock.sendall(b"PING\r\n")
            answered += sock.recv(7) == b"+PONG\r\n"
        elif made % 3 == 1:
            sock.sendall(b"PING\r\n")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        sock.close()
        made += 1
    assert answered == (made + 2) // 3
    with admin(server) as client:
        assert wait_until(lambda: stat(client, "connected_clients") < 10)
    return f"{made:,} connections, {made / size.seconds:,.0f} a second; every PING was answered"


def half_closed(server: Server, size: Size) -> str:
    """Connections whose client says in the middle of a request that no more will come."""
    starts = [
        b"",
        b"*2\r\n$3\r\nGET\r\n$1",
        b"PING\r\n*1\r\n$4\r\nPI",
        b"BLPOP nosuch 0\r\n",
        b"MULTI\r\n",
        b"SUBSCRIBE a\r\n",
    ]
    socks = []
    for number in range(size.count):
        sock = connect(server)
        sock.sendall(starts[number % len(starts)])
        sock.shutdown(socket.SHUT_WR)
        socks.append(sock)
    with admin(server) as client:
        assert wait_until(lambda: stat(client, "connected_clients") < 10)
    assert wait_until(lambda: all(map(is_closed, socks)))
    close_all(socks)
    return "all closed by the server"


STATES = [
    b"PING\r\n",
    b"MULTI\r\nSET k v\r\n",
    b"WATCH k\r\n",
    b"*3\r\n$3\r\nSET\r\n",
    b"BLPOP nosuch 0\r\n",
    b"MONITOR\r\n",
]
"""What a client is in the middle of when no more comes of it; who waits for something is not silent."""
WAITING = 2
"""How many of these, at their end, wait."""


def silent(server: Server, size: Size) -> str:
    """Connections of which no more comes, and that stay: `timeout` closes those that wait for nothing."""
    with admin(server) as client:
        socks = [connect(server) for _ in range(size.count)]
        for number, sock in enumerate(socks):
            sock.sendall(STATES[number % len(STATES)])
        assert client.call("CONFIG", "SET", "timeout", 1) == Status(b"OK")
        waiting = sum(number % len(STATES) >= len(STATES) - WAITING for number in range(size.count))
        assert wait_until(lambda: client.call("PING") and sum(map(is_closed, socks)) == size.count - waiting)
        assert client.call("CONFIG", "SET", "timeout", 0) == Status(b"OK")
        assert stat(client, "connected_clients") >= waiting
    close_all(socks)
    return f"{size.count - waiting} closed by `timeout`, {waiting} wait for something and stay"


def vanished(server: Server, size: Size) -> str:
    """Connections whose client is gone without a word: the kernel's probes find out."""
    with admin(server) as client:
        assert client.call("CONFIG", "SET", "tcp-keepalive", 1) == Status(b"OK")
        socks = [connect(server) for _ in range(size.count)]
        for number, sock in enumerate(socks):
            sock.sendall(STATES[number % len(STATES)])
        assert wait_until(lambda: stat(client, "connected_clients") >= size.count)
        try:
            for sock in socks:
                sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)  # Closing it then sends nothing.
        except PermissionError:
            close_all(socks)
            return "not tried: that takes root"
        close_all(socks)
        assert wait_until(lambda: stat(client, "connected_clients") < 10)
    return "all closed within seconds, with `tcp-keepalive 1`"


CONNECTIONS = [
    Attack(
        "slowloris",
        "{count} connections, each a byte of a request at a time",
        slowloris,
        Size(1000, 30),
        Size(50, 1),
        30 * MB,
    ),
    Attack(
        "idle",
        "{count} connections that do nothing",
        idle,
        Size(10_000, 20),
        Size(300, 0),
        30 * MB,
        {"maxclients": 12_000},
    ),
    Attack(
        "storm",
        "{count} connects a second, with PING, with nothing, ended by RST",
        storm,
        Size(1000, 60),
        Size(200, 2),
        20 * MB,
    ),
    Attack(
        "half-closed",
        "{count} connections closed by one side in the middle",
        half_closed,
        Size(1000),
        Size(60),
        20 * MB,
    ),
    Attack(
        "silent",
        "{count} clients that are silent from the middle of something on",
        silent,
        Size(1000),
        Size(60),
        20 * MB,
    ),
    Attack("vanished", "{count} clients that are gone without a FIN", vanished, Size(1000), Size(60), 20 * MB),
]

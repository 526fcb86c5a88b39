"""An attack: what is done to a server, how much of it, and what must be true of the server then."""

import os
import re
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.hostile.memory import Memory, Watch, processes
from tests.hostile.neighbour import Neighbour, percentile
from tests.resp_client import Client, Status
from tests.servers import Server

CALM_S = 3.0
"""How long the well-behaved client is watched before an attack."""
SHARE = 0.99
NICE = 10
WASTE = bytearray(1 << 16)
"""What is read and not looked at: to make room for it anew, a thousand times, takes the CPU that the server needs."""
SECTIONS = {"connected_clients": "clients"}
"""Where INFO has what is asked for, if it is not among its "stats"."""


class Size(NamedTuple):
    """How much is done."""

    count: int
    seconds: float = 0.0


Run = Callable[[Server, Size], str]
"""Attacks a server; says what happened. An AssertionError says that it must not have."""


@dataclass(frozen=True)
class Attack:
    """What is tried."""

    name: str
    title: str
    """With {count} and {seconds}, as a row of the table says it."""
    run: Run
    full: Size
    small: Size
    growth_bytes_max: int
    """How much memory router and shards may take more than before, with the small size."""
    options: dict[str, str | int] = field(default_factory=dict)
    """Directives of the server."""


class Result(NamedTuple):
    """What came of it."""

    before: Memory
    peak: Memory
    after: Memory
    p99_before_ms: float
    p99_ms: float
    slowest_ms: float
    seconds: float
    outcome: str


def run(attack: Attack, server: Server, size: Size, calm_s: float = CALM_S) -> Result:
    """Attacks a server that runs, beside a well-behaved client.  Raises AssertionError if it is not well then."""
    running = processes(server)
    neighbour = Neighbour(server.port, server.options.get("requirepass", ""))
    try:
        time.sleep(calm_s)
        calm = neighbour.lap()
        with Watch(server) as watch:
            started_s = time.monotonic()
            outcome = politely(lambda: attack.run(server, size))
            seconds = time.monotonic() - started_s
            times = neighbour.lap()
        time.sleep(min(calm_s, 1.0))
        result = Result(
            watch.before,
            watch.peak,
            watch.look(),
            percentile(calm, SHARE),
            percentile(times, SHARE),
            max(times, default=0.0),
            seconds,
            outcome,
        )
    finally:
        neighbour.close()
    check(server)
    assert processes(server).keys() == running.keys(), "a process has died"
    return result


def politely(act: Callable[[], str]) -> str:
    """What `act` gives, run in a thread that gives way to the server: attackers would be on other machines."""

    def run() -> str:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(os.nice(0) + NICE, 19))
        return act()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def check(server: Server) -> None:
    """Raises AssertionError if the server does not serve, or has something in its log that must not be there."""
    with admin(server) as client:
        for number in range(20):
            assert client.call("SET", f"checked:{number}", number) == Status(b"OK")
            assert client.call("GET", f"checked:{number}") == b"%d" % number
    log = server.log_path.read_text(errors="replace")
    assert "Traceback" not in log and "internal error" not in log, log[-3000:]


def admin(server: Server) -> Client:
    """A client that may do everything."""
    client = server.connect(timeout_s=120.0)
    if "requirepass" in server.options:
        assert client.call("AUTH", server.options["requirepass"]) == Status(b"OK")
    return client


def stat(client: Client, name: str) -> int:
    """A number of INFO. Its section alone: the whole is a look at all clients, many times, while others wait."""
    found = re.search(rf"^{name}:(\d+)", client.call("INFO", SECTIONS.get(name, "stats")).decode(), re.MULTILINE)
    assert found is not None, name
    return int(found[1])


def wait_until(condition: Callable[[], Any], seconds: float = 30.0, every_s: float = 0.1) -> bool:
    """Whether it comes true. INFO is a look at every client: who asks it of thousands does not ask often."""
    deadline_s = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(every_s)
    return True


def connect(server: Server, *, deaf: bool = False) -> socket.socket:
    """A bare connection; a deaf one has little room for what it is sent."""
    sock = socket.socket()
    sock.settimeout(60)
    if deaf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(server.address)
    return sock


def close_all(socks: list[socket.socket]) -> None:
    for sock in socks:
        sock.close()


def received(sock: socket.socket) -> bytes:
    """What there is to read at once; ends where the server has closed."""
    data = b""
    sock.setblocking(False)
    with suppress(BlockingIOError, ConnectionError):
        while part := sock.recv(1 << 18):
            data += part
    return data


def is_closed(sock: socket.socket) -> bool:
    """Whether the server has closed the connection; what it sent before is thrown away."""
    sock.setblocking(False)
    try:
        while sock.recv_into(WASTE):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True

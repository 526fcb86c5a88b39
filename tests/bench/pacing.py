"""Pacing: GETs that are due at fixed times, whether those before them are answered or not.

A latency is counted from when a GET was due: who sends the next one only when the last is answered sees one late answer
where a server stood still, and not the hundreds that would have been late as well.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Callable
from random import Random

from tests.bench.load import LoadFailed
from tests.bench.volleys import ANSWER_TIMEOUT_S, RECEIVED_SIZE_BYTES
from tests.resp_client import encode_command
from tests.servers import Server

CLIENTS = 50
DIFFERENT = 4096
"""GETs that are made before the clock runs, and then sent again and again."""


def paced(server: Server, keys: int, value_bytes: int, rate: float, going: Callable[[], bool]) -> list[float]:
    """The latencies in seconds of so many GETs a second, as long as `going`; the keys are those that `load.fill` sets.
    Raises LoadFailed."""
    random = Random(1)
    calls = [encode_command(["GET", f"key:{random.randrange(keys):012}"]) for _ in range(DIFFERENT)]
    answer_bytes = len(b"$%d\r\n\r\n" % value_bytes) + value_bytes
    received = bytearray(RECEIVED_SIZE_BYTES)
    clients = [socket.create_connection(server.address, ANSWER_TIMEOUT_S) for _ in range(CLIENTS)]
    for client in clients:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    due: dict[socket.socket, deque[float]] = {client: deque() for client in clients}
    unread = dict.fromkeys(clients, 0)
    times_s: list[float] = []
    started_s = time.perf_counter()
    sent = 0
    try:
        while going() or len(times_s) < sent:
            now_s = time.perf_counter()
            while (due_s := started_s + sent / rate) <= now_s and going():
                client = clients[sent % CLIENTS]
                client.sendall(calls[sent % DIFFERENT])
                due[client].append(due_s)
                sent += 1
            # Not epoll, which sleeps for whole milliseconds.
            ready, _, _ = select.select(clients, [], [], max(due_s - time.perf_counter(), 0))
            now_s = time.perf_counter()
            for client in ready:
                size_bytes = client.recv_into(received)
                if not size_bytes or received[:1] == b"-":
                    raise LoadFailed(f"GET was not answered: {bytes(received[:size_bytes])!r}")
                answered, unread[client] = divmod(unread[client] + size_bytes, answer_bytes)
                times_s += [now_s - due[client].popleft() for _ in range(answered)]
    finally:
        for client in clients:
            client.close()
    return times_s

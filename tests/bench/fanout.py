"""PUBLISH: messages delivered per second, to a hundred subscribers of one channel."""

import selectors
import socket
import statistics
import time
from collections.abc import Iterable
from typing import Any

from tests.bench.load import LoadFailed, knows
from tests.bench.throughput import Say
from tests.bench.volleys import ANSWER_TIMEOUT_S, RECEIVED_SIZE_BYTES
from tests.resp_client import encode_command
from tests.servers import Server

SUBSCRIBERS = 100
MESSAGES = 10_000
PIPELINE = 16
CHANNEL = "news"
PAYLOAD = "x" * 32


def publish(
    servers: Iterable[Server], say: Say, messages: int = MESSAGES, rounds: int = 3, subscribers: int = SUBSCRIBERS
) -> list[dict[str, Any]]:
    """Of each server; and what the first one's rate is of the others', the median of the rounds."""
    able = []
    for server in servers:
        if knows(server, "SUBSCRIBE"):
            able.append(server)
        else:
            say(f"{server.kind:<13} SUBSCRIBE is unknown: left out")
    rates: dict[str, list[float]] = {server.kind: [] for server in able}
    for round_ in range(rounds):
        for server in able if round_ % 2 == 0 else reversed(able):
            rates[server.kind].append(delivered(server, messages, subscribers))
    found = []
    for server in able:
        mine = rates[server.kind]
        ratios = {
            other: round(statistics.median(one / two for one, two in zip(mine, theirs, strict=True)), 3)
            for other, theirs in rates.items()
            if other != server.kind
        }
        beside = ", ".join(f"{ratio:.2f} x {other}" for other, ratio in ratios.items())
        rate = statistics.median(mine)
        say(f"{server.kind:<13} PUBLISH to {subscribers} subscribers: {rate:,.0f} messages/s delivered; {beside}")
        found.append({"server": server.kind, "subscribers": subscribers, "rate": round(rate), "ratios": ratios})
    return found


def delivered(server: Server, messages: int, subscribers: int) -> float:
    """Messages per second that arrived at the subscribers. One publisher, with P = 16.  Raises LoadFailed."""
    message_bytes = len(encode_command(["message", CHANNEL, PAYLOAD]))
    volley = encode_command(["PUBLISH", CHANNEL, PAYLOAD]) * PIPELINE
    volleys = max(messages // PIPELINE, 1)
    answer_bytes = len(b":%d\r\n" % subscribers) * PIPELINE
    sockets = [_subscribed(server) for _ in range(subscribers)]
    publisher = socket.create_connection(server.address, ANSWER_TIMEOUT_S)
    received = bytearray(RECEIVED_SIZE_BYTES)
    try:
        with selectors.DefaultSelector() as selector:
            for each in (publisher, *sockets):
                selector.register(each, selectors.EVENT_READ)
            started_s = time.perf_counter()
            publisher.sendall(volley)
            sent, missing_bytes = 1, answer_bytes
            left_bytes = message_bytes * PIPELINE * volleys * subscribers + answer_bytes * volleys
            while left_bytes > 0:
                ready = selector.select(ANSWER_TIMEOUT_S)
                if not ready:
                    raise LoadFailed(f"nothing for {ANSWER_TIMEOUT_S} s, {left_bytes} bytes are missing")
                for key, _ in ready:
                    size_bytes = key.fileobj.recv_into(received)  # type: ignore[union-attr]
                    if not size_bytes:
                        raise LoadFailed("a client was cut off")
                    left_bytes -= size_bytes
                    if key.fileobj is publisher:
                        missing_bytes -= size_bytes
                        if not missing_bytes and sent < volleys:
                            publisher.sendall(volley)
                            sent, missing_bytes = sent + 1, answer_bytes
            elapsed_s = time.perf_counter() - started_s
        if left_bytes:
            raise LoadFailed(f"{-left_bytes} bytes too many arrived")
    finally:
        for each in (publisher, *sockets):
            each.close()
    return PIPELINE * volleys * subscribers / elapsed_s


def _subscribed(server: Server) -> socket.socket:
    client = server.connect(timeout_s=ANSWER_TIMEOUT_S)
    client.call("SUBSCRIBE", CHANNEL)
    return client.socket

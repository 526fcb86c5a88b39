"""Rewriting the log: how long it takes, what those notice who read meanwhile, and the memory that it takes."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.bench import load, rows
from tests.bench.load import LoadFailed, knows
from tests.bench.pacing import paced
from tests.bench.processes import proportional_bytes
from tests.bench.starting import Make
from tests.bench.throughput import Say
from tests.bench.volleys import percentiles_ms
from tests.resp_client import Error
from tests.servers import Server

KEYS = 1_000_000
VALUE_BYTES = 32
CAPACITY_REQUESTS = 200_000
QUIET_S = 5.0
"""For how long the readers are measured without a rewrite."""
LOOK_S = 0.05
SELDOM_S = 0.5
"""Between two looks whether it is done, each of which takes as much time as many GETs: where those are measured."""
OPTIONS: dict[str, str | int] = {"appendonly": "yes", "appendfsync": "everysec", "auto_aof_rewrite_percentage": 0}


def rewriting(kinds: Iterable[Make], say: Say, keys: int = KEYS) -> list[dict[str, Any]]:
    """BGREWRITEAOF with so many strings: with nothing else to do, and while half of the GETs that are possible come."""
    found = []
    for make in kinds:
        with make(**OPTIONS) as server:
            if not knows(server, "BGREWRITEAOF"):
                say(f"{server.kind:<13} BGREWRITEAOF is unknown: left out")
                continue
            with server.connect(timeout_s=60.0) as client:
                load.fill(client, keys, value="x" * VALUE_BYTES)
            alone = Rewrite(server, watches_memory=True)
            alone.join()
            get = rows.Row("GET", ("GET", rows.KEY), keyspace=keys)
            rate = load.run(server, get, pipeline=1, requests=CAPACITY_REQUESTS).rate / 2
            quiet_ms = percentiles_ms(paced(server, keys, VALUE_BYTES, rate, _for(QUIET_S)))
            beside = Rewrite(server, watches_memory=False)
            busy_ms = percentiles_ms(paced(server, keys, VALUE_BYTES, rate, beside.is_alive))
        say(f"{server.kind:<13} rewriting {keys:,} keys: {alone.seconds:.2f} s, memory +{alone.growth:.1%}")
        say(
            f"{server.kind:<13} the same beside {rate:,.0f} GET/s: {beside.seconds:.2f} s;"
            f" p50 {quiet_ms[0]:.2f} -> {busy_ms[0]:.2f} ms, p99 {quiet_ms[1]:.2f} -> {busy_ms[1]:.2f} ms"
        )
        row = {"server": server.kind, "keys": keys, "seconds": alone.seconds, "growth": alone.growth}
        row |= {"gets_per_s": round(rate), "seconds_beside": beside.seconds}
        found.append(row | {"quiet_ms": quiet_ms, "busy_ms": busy_ms})
    return found


def _for(seconds: float) -> Callable[[], bool]:
    until_s = time.monotonic() + seconds
    return lambda: time.monotonic() < until_s


class Rewrite(threading.Thread):
    """A rewrite that was asked for, watched until it is done."""

    def __init__(self, server: Server, *, watches_memory: bool) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.watches_memory = watches_memory
        self.seconds = 0.0
        self.growth = 0.0
        """The most memory that all processes took meanwhile, above what they took before, as a share of that."""
        self.client = server.connect(timeout_s=60.0)
        self.before_bytes = proportional_bytes(server) if watches_memory else 0
        self.started_s = time.monotonic()
        reply = self.client.call("BGREWRITEAOF")
        if isinstance(reply, Error):
            raise LoadFailed(f"BGREWRITEAOF was refused: {reply!r}")
        self.start()

    def run(self) -> None:
        with self.client:
            while self._under_way():
                if self.watches_memory:
                    self.growth = max(self.growth, proportional_bytes(self.server) / self.before_bytes - 1)
                time.sleep(LOOK_S if self.watches_memory else SELDOM_S)
        self.seconds = time.monotonic() - self.started_s

    def _under_way(self) -> bool:
        lines = self.client.call("INFO", "persistence").split(b"\r\n")
        return b"aof_rewrite_in_progress:1" in lines or b"aof_rewrite_scheduled:1" in lines

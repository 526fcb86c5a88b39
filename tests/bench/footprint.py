"""What a server costs by being there: the memory of its keys, the CPU time of doing nothing."""

import time
from collections.abc import Iterable
from typing import Any

from tests.bench.load import fill
from tests.bench.processes import cpu_readings, resident_bytes, roles, used
from tests.bench.throughput import Say
from tests.servers import Server

MEMORY_KEYS = 1_000_000
KEY_BYTES = 16
VALUE_BYTES = 32
SETTLE_S = 1.0
IDLE_S = 10.0


def memory(servers: Iterable[Server], say: Say, keys: int = MEMORY_KEYS) -> list[dict[str, Any]]:
    """The growth of all processes' resident memory by that many keys of 16 + 32 bytes."""
    found = []
    for server in servers:
        with server.connect(timeout_s=60.0) as client:
            client.call("FLUSHALL")
            before = resident_bytes(server)
            fill(client, keys, KEY_BYTES, "x" * VALUE_BYTES)
            time.sleep(SETTLE_S)  # What is freed late is no memory of the keys.
            grown = resident_bytes(server) - before
            client.call("FLUSHALL")
        growth = f"{grown / 2**20:.0f} MiB, {grown / keys:.0f} bytes each; empty: {before / 2**20:.0f} MiB"
        say(f"{server.kind:<13} {keys:,} keys: {growth}")
        found.append({"server": server.kind, "keys": keys, "grown_bytes": grown, "empty_bytes": before})
    return found


def idle(servers: Iterable[Server], say: Say, seconds: float = IDLE_S) -> list[dict[str, Any]]:
    """CPU time over that many seconds in which nobody asks anything. All servers are watched at once."""
    watched = [(server, roles(server)) for server in servers]
    time.sleep(SETTLE_S)
    before = [cpu_readings(pids) for _, pids in watched]
    time.sleep(seconds)
    found = []
    for (server, pids), start in zip(watched, before, strict=True):
        cpu = used(start, cpu_readings(pids))
        total_ms = sum(spent.total_s for spent in cpu.values()) * 1000
        detail = ", ".join(f"{role} {spent.total_s * 1000:.1f}" for role, spent in cpu.items())
        share = total_ms / seconds / 10
        say(f"{server.kind:<13} idle: {total_ms:.1f} ms CPU in {seconds:.0f} s ({share:.2f} %): {detail}")
        found.append({"server": server.kind, "seconds": seconds, "cpu_ms": round(total_ms, 2)})
    return found

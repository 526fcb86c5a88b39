"""What a server costs by being there: the memory of its keys, the CPU time of doing nothing."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.bench.load import fill, knows, pipelined
from tests.bench.processes import cpu_readings, resident_bytes, roles, used
from tests.bench.starting import Make
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


HOLDERS = 10_000
HELD = 100
MEMBERS: dict[str, Callable[[int], tuple[str, ...]]] = {
    "HSET": lambda number: (f"field:{number:04}", "xxxxxxxx"),
    "SADD": lambda number: (f"member:{number:04}",),
    "ZADD": lambda number: (str(number), f"member:{number:04}"),
}
"""What makes hashes, sets and sorted sets, and their small members."""


def members(kinds: Iterable[Make], say: Say, holders: int = HOLDERS, held: int = HELD) -> list[dict[str, Any]]:
    """The growth by a million small members in 10,000 keys: of hashes, of sets, and of sorted sets.

    Each time of a new server: what one has freed it uses again before it grows.
    """
    found = []
    for make in kinds:
        for command, member in MEMBERS.items():
            words = [word for number in range(held) for word in member(number)]
            with make(appendonly="no") as server, server.connect(timeout_s=60.0) as client:
                if not knows(server, command):
                    say(f"{server.kind:<13} {command} is unknown: left out")
                    continue
                before = resident_bytes(server)
                pipelined(client, ((command, f"key:{number:012}", *words) for number in range(holders)), batch=100)
                time.sleep(SETTLE_S)
                grown = resident_bytes(server) - before
            count = holders * held
            say(f"{server.kind:<13} {command}: {grown / 2**20:.0f} MiB, {grown / count:.1f} bytes each of {count:,}")
            found.append({"server": server.kind, "command": command, "members": count, "grown_bytes": grown})
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

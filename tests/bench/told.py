"""What INFO tells of the memory, beside what the kernel says: with data of several kinds, and without it again."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.bench.hit_ratio import field
from tests.bench.load import pipelined
from tests.bench.processes import resident_bytes
from tests.bench.starting import Make
from tests.bench.throughput import Say
from tests.resp_client import Client
from tests.servers import Server

BATCH = 100
SETTLE_S = 1.5
"""For what is freed, or given back, when nobody asks for anything."""

Commands = Iterator[tuple[str, ...]]


def strings(count: int, size_bytes: int) -> Commands:
    return (("SET", f"key:{number:012}", "x" * size_bytes) for number in range(count))


def holders(command: str, count: int, held: int, member: Callable[[int], tuple[str, ...]]) -> Commands:
    """Keys that hold so many members each, added by 1,000."""
    for number in range(count):
        for first in range(0, held, 1000):
            words = [word for each in range(first, min(first + 1000, held)) for word in member(each)]
            yield (command, f"key:{number:012}", *words)


DATA: dict[str, Callable[[], Commands]] = {
    "1,000,000 strings of 32 bytes": lambda: strings(1_000_000, 32),
    "100,000 strings of 2 kB": lambda: strings(100_000, 2000),
    "500 strings of 1 MB": lambda: strings(500, 1_000_000),
    "100,000 hashes of 10": lambda: holders("HSET", 100_000, 10, lambda each: (f"field:{each}", "x" * 8)),
    "20 hashes of 50,000": lambda: holders("HSET", 20, 50_000, lambda each: (f"field:{each:06}", "x" * 8)),
    "20 sorted sets of 50,000": lambda: holders("ZADD", 20, 50_000, lambda each: (str(each), f"member:{each:06}")),
    "20 lists of 50,000": lambda: holders("RPUSH", 20, 50_000, lambda each: (f"element:{each:06}",)),
}


def told(
    kinds: Iterable[Make], say: Say, data: dict[str, Callable[[], Commands]] | None = None
) -> list[dict[str, Any]]:
    """`used_memory` by the resident sets of all processes: with the data, and some time after FLUSHALL."""
    found = []
    for make in kinds:
        for name, commands in (data or DATA).items():
            with make(appendonly="no") as server, server.connect(timeout_s=60.0) as client:
                pipelined(client, commands(), BATCH)
                full = figures(server, client)
                client.call("FLUSHALL", "ASYNC")
                flushed = figures(server, client)
            say(f"{server.kind:<13} {name:<30} {_line(full)}; after FLUSHALL {_line(flushed)}")
            found.append({"server": server.kind, "data": name, "full": full, "flushed": flushed})
    return found


def figures(server: Server, client: Client) -> dict[str, int]:
    time.sleep(SETTLE_S)
    return {"used_bytes": field(client, "used_memory"), "rss_bytes": resident_bytes(server)}


def _line(found: dict[str, int]) -> str:
    used, rss = found["used_bytes"], found["rss_bytes"]
    return f"{used / 1e6:6.0f} MB used of {rss / 1e6:6.0f} MB ({100 * used / rss:3.0f} %)"

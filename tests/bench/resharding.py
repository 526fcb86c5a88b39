"""Resharding: the start with another number of shards than the data was written with."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.loading import OPTIONS, POLL_S, write_logs
from tests.bench.starting import seconds_to_answer
from tests.bench.throughput import Say
from tests.servers import Shardis, free_port

KEYS = 10_000_000
VALUE = "x" * 32


def resharding(shards: int, to: int, say: Say, keys: int = KEYS) -> dict[str, Any]:
    """How long a start with `to` shards takes on data of `shards`, and those before and after it, which only load."""
    with TemporaryDirectory(prefix="bench-") as made:
        write_logs({shards: Path(made)}, _sets(keys))
        server = Shardis(shards, Path(made), **OPTIONS)
        before_s = _start(server, keys)
        server.shards = to
        changing_s = _start(server, keys)
        after_s = _start(server, keys)
    say(
        f"shardis {shards} -> {to} shards, {keys:,} keys: {changing_s:.1f} s until it answers;"
        f" the start before {before_s:.1f} s, the one after {after_s:.1f} s"
    )
    found = {"shards": shards, "to": to, "keys": keys, "seconds": round(changing_s, 2)}
    return found | {"before_s": round(before_s, 2), "after_s": round(after_s, 2)}


def _sets(keys: int) -> Iterator[tuple[str, ...]]:
    return (("SET", f"key:{number:012}", VALUE) for number in range(keys))


def _start(server: Shardis, keys: int) -> float:
    """Starts it until it answers, and stops it.  Raises ValueError unless it has so many keys."""
    server.port = free_port()
    try:
        elapsed_s = seconds_to_answer(server, POLL_S)
        with server.connect(timeout_s=60.0) as client:
            held = client.call("DBSIZE")
    finally:
        server.stop()
        server.clear()
    if held != keys:
        raise ValueError(f"{held} of {keys} keys are there")
    return elapsed_s

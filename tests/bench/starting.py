"""How long it takes until a server answers."""

import os
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.bench.throughput import Say
from tests.resp_client import Client, Error
from tests.servers import Server

ROUNDS = 3
ASK_AGAIN_S = 0.002
TIMEOUT_S = 1800.0

Make = Callable[..., Server]
"""Makes a server that has not been started, with the options given."""


def startup(kinds: Iterable[Make], say: Say) -> list[dict[str, Any]]:
    """From the start of the process to the first GET that is answered by all shards being there."""
    found = []
    for make in kinds:
        times = []
        for _ in range(ROUNDS):
            server = make()
            with server:
                port = server.port
                server.stop()
                server.port = port
                times.append(seconds_to_answer(server))
        median_s = statistics.median(times)
        say(f"{server.kind:<13} start to first answered GET: {median_s * 1000:.0f} ms")
        found.append({"server": server.kind, "startup_s": round(median_s, 4)})
    return found


def seconds_to_answer(server: Server, poll_s: float = ASK_AGAIN_S, cores: set[int] | None = None) -> float:
    """Starts the process, on those cores if given, and asks until GET is answered and DBSIZE, which every shard has to
    answer, too."""
    started = time.monotonic()
    _launch(server, cores or os.sched_getaffinity(0))
    while time.monotonic() - started < TIMEOUT_S and server.process is not None and server.process.poll() is None:
        try:
            with Client(server.address) as client:
                if not isinstance(client.call("GET", "key"), Error) and isinstance(client.call("DBSIZE"), int):
                    return time.monotonic() - started
        except OSError:
            pass
        time.sleep(poll_s)
    raise TimeoutError(f"{server.kind} did not answer:\n{server.log()}")


def _launch(server: Server, cores: set[int]) -> None:
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # A child has what its parent has when it begins.
    try:
        server.launch()
    finally:
        os.sched_setaffinity(0, mine)

"""How long it takes until a server answers: from nothing, and from a log."""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.bench.load import pipelined
from tests.bench.throughput import Say
from tests.resp_client import Client, Error
from tests.servers import Server

ROUNDS = 3
LOG_COMMANDS = 500_000
ASK_AGAIN_S = 0.002
TIMEOUT_S = 300.0

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
                times.append(_seconds_to_answer(server))
        median_s = statistics.median(times)
        say(f"{server.kind:<13} start to first answered GET: {median_s * 1000:.0f} ms")
        found.append({"server": server.kind, "startup_s": round(median_s, 4)})
    return found


def loading(kinds: Iterable[Make], say: Say, commands: int = LOG_COMMANDS) -> list[dict[str, Any]]:
    """Commands per second at the start from a log of that many SETs, the bare start taken off."""
    found = []
    for make in kinds:
        with make(appendonly="yes", appendfsync="everysec", auto_aof_rewrite_percentage=0) as server:
            server.stop()
            empty_s = _seconds_to_answer(server)
            with server.connect(timeout_s=60.0) as client:
                pipelined(client, (("SET", f"key:{number:012}", "x" * 32) for number in range(commands)))
            server.stop()
            loaded_s = _seconds_to_answer(server)
            with server.connect(timeout_s=60.0) as client:
                held = client.call("DBSIZE")
            if held != commands:
                raise ValueError(f"{server.kind} came back with {held} of {commands} keys")
            rate = commands / max(loaded_s - empty_s, 1e-9)
        say(f"{server.kind:<13} loading: {rate:,.0f} commands/s ({loaded_s:.2f} s for {commands:,})")
        found.append({"server": server.kind, "commands": commands, "rate": round(rate), "loaded_s": round(loaded_s, 3)})
    return found


def _seconds_to_answer(server: Server) -> float:
    """Starts the process and asks until GET is answered and DBSIZE, which every shard has to answer, too."""
    started = time.monotonic()
    server.launch()
    while time.monotonic() - started < TIMEOUT_S:
        try:
            with Client(server.address) as client:
                if not isinstance(client.call("GET", "key"), Error) and isinstance(client.call("DBSIZE"), int):
                    return time.monotonic() - started
        except OSError:
            pass
        time.sleep(ASK_AGAIN_S)
    raise TimeoutError(f"{server.kind} did not answer:\n{server.log()}")

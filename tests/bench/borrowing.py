"""Commands with keys on several shards: how long one takes, and what it costs those who want other keys.

$ python -m tests.bench.borrowing PORT ONE OTHER        # renames ONE to OTHER and back, until it is stopped
"""

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from common.slot import shard_of_slot, slot_of
from tests.bench import volleys
from tests.bench.load import Figures, LoadFailed
from tests.bench.processes import roles
from tests.bench.throughput import Say, cpu_text, median_cpu
from tests.bench.volleys import Call
from tests.resp_client import Client, Error
from tests.servers import ROOT, Server, Shardis

RENAMES = 5_000
CALLS = 200_000
PIPELINE = 16
KEYSPACE = 10_000
VALUE = "xxx"


NOTHING, STILL, HOLD = "nothing", "a shard that stands still", "a standing hold"
ON_ONE, OVER_TWO = "RENAME on one shard", "RENAME over shards"
COMPARED = ((HOLD, STILL), (ON_ONE, NOTHING), (OVER_TWO, NOTHING), (OVER_TWO, ON_ONE))


def renames(servers: Iterable[Server], say: Say, count: int = RENAMES) -> list[dict[str, Any]]:
    """RENAME there and back by one client, with nothing else to do: of keys on one shard, and on two."""
    found = []
    for server in servers:
        places = {"one shard": (0, 0), "two shards": (0, 1)} if shards_of(server) > 1 else {"one shard": (0, 0)}
        for text, (one, other) in places.items():
            source, target = _keys_on(server, one, 1, "from")[0], _keys_on(server, other, 1, "to")[0]
            with server.connect() as client:
                client.call("DEL", source, target)
                client.call("SET", source, VALUE)
                there_and_back = [("RENAME", source, target), ("RENAME", target, source)]
                p50_ms, p99_ms = volleys.percentiles_ms(volleys.one_by_one(client, there_and_back, count))
            say(f"{server.kind:<13} RENAME, keys on {text}: p50 {p50_ms:.3f} ms, p99 {p99_ms:.3f} ms")
            found.append({"server": server.kind, "keys": text, "p50_ms": round(p50_ms, 4), "p99_ms": round(p99_ms, 4)})
    return found


def holds(server: Shardis, say: Say, calls: int = CALLS, rounds: int = 3) -> list[dict[str, Any]]:
    """GET and SET of keys that nobody holds, at P=16, as a share of their rate with no hold anywhere.

    `a standing hold` is one that a shard which stands still keeps another shard from giving up: it shows what a hold
    costs those who do not want its keys. `RENAME over shards` is a client that renames without end; `RENAME on one
    shard` is the same without a hold, which shows how much of it is the CPU time of the other client.
    """
    found = []
    for command in ("GET", "SET"):
        runs: dict[str, list[Figures]] = {}
        keys = _keys_on(server, 0, KEYSPACE, "other")
        with server.connect() as client:
            client.call("MSET", *[word for key in keys for word in (key, VALUE)])

        def make(random: Random, command: str = command, keys: Sequence[str] = keys) -> Call:
            key = random.choice(keys)
            return [(command, key, VALUE) if command == "SET" else (command, key)]

        for _ in range(rounds):
            for text, beside in _companions(server):
                with beside:
                    figures = volleys.run(server, make, pipeline=PIPELINE, calls=calls)
                runs.setdefault(text, []).append(figures)
        for text, mine in runs.items():
            rate, cpu_us = statistics.median(run.rate for run in mine), median_cpu([run.cpu_us for run in mine])
            say(f"{server.kind:<13} {command} beside {text}: {rate:,.0f}/s; CPU {cpu_text(cpu_us)}")
        for text, base in COMPARED:
            ratio = statistics.median(one.rate / two.rate for one, two in zip(runs[text], runs[base], strict=True))
            say(f"{server.kind:<13} {command} beside {text}: {ratio:.2f} x beside {base}")
            found.append({"command": command, "beside": text, "base": base, "ratio": round(ratio, 3)})
    return found


def _companions(server: Shardis) -> list[tuple[str, Any]]:
    """What goes on beside the load."""
    return [
        (NOTHING, _still(server, stopped=False, hold=False)),
        (STILL, _still(server, stopped=True, hold=False)),
        (HOLD, _still(server, stopped=True, hold=True)),
        (ON_ONE, _renaming(server, 0)),
        (OVER_TWO, _renaming(server, 1)),
    ]


@contextmanager
def _still(server: Shardis, *, stopped: bool, hold: bool) -> Iterator[None]:
    """The last shard stands still, or not, and the first holds a key for it, or not."""
    last = server.shards - 1
    source, target = _keys_on(server, last, 1, "from")[0], _keys_on(server, 0, 1, "to")[0]
    pid = roles(server)[f"shard {last}"]
    with server.connect() as client:
        client.call("SET", source, VALUE)
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            if hold:
                client.send("RENAME", source, target)
            yield
        finally:
            if stopped:
                os.kill(pid, signal.SIGCONT)
        if hold and isinstance(reply := client.read().value, Error):
            raise LoadFailed(f"RENAME was refused: {reply!r}")


@contextmanager
def _renaming(server: Shardis, other: int) -> Iterator[None]:
    """A client that renames keys of shard 0 to shard `other`, and back."""
    source, target = _keys_on(server, 0, 1, "from")[0], _keys_on(server, other, 1, "to")[0]
    with server.connect() as client:
        client.call("DEL", source, target)
        client.call("SET", source, VALUE)
    # A process of its own: a thread would take the time of the one that makes the load.
    argv = [sys.executable, "-m", "tests.bench.borrowing", str(server.port), source, target]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.read(1)  # It has begun.
        yield
        if process.poll() is not None:
            raise LoadFailed(f"RENAME ended with {process.returncode}")
    finally:
        process.kill()
        process.communicate()


def rename_without_end(port: int, one: str, other: str) -> None:
    with Client(("127.0.0.1", port)) as client:
        volleys.one_by_one(client, [("RENAME", one, other), ("RENAME", other, one)], 2)
        print("began", flush=True)
        while True:
            volleys.one_by_one(client, [("RENAME", one, other), ("RENAME", other, one)], 1000)


def shards_of(server: Server) -> int:
    return server.shards if isinstance(server, Shardis) else 1


def _keys_on(server: Server, shard: int, count: int, name: str) -> list[str]:
    found: list[str] = []
    number = 0
    while len(found) < count:
        key = f"{name}:{number}"
        if shard_of_slot(slot_of(key.encode()), shards_of(server)) == shard:
            found.append(key)
        number += 1
    return found


if __name__ == "__main__":
    rename_without_end(int(sys.argv[1]), sys.argv[2], sys.argv[3])

"""Loading: the same commands of many kinds, from a log, by each server at its start.

The log is made once: written as it comes for a real server, and apart by slot for the shards of ours.
"""

import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from common.slot import shard_of_slot, slot_of
from shard.manifest import Manifest
from tests.bench.processes import cpu_readings, roles
from tests.bench.starting import Make, seconds_to_answer
from tests.bench.throughput import Say
from tests.resp_client import encode_command
from tests.servers import Shardis, free_port

COMMANDS = 500_000
POLL_S = 0.01
"""Not more often: who asks takes time of the core that loads."""
OPTIONS: dict[str, str | int] = {"appendonly": "yes", "appendfsync": "everysec", "auto_aof_rewrite_percentage": 0}
FAR_MS = 4_000_000_000_000
"""A time that does not come: what expired while one server loads would be missing with the next."""

VALUES = tuple("x" * size for size in range(8, 40))

Words = Callable[[Random, int], tuple[str, ...]]

MIX: dict[str, tuple[int, Words]] = {
    "SET": (40, lambda random, keys: (f"key:{random.randrange(keys):012}", random.choice(VALUES))),
    "INCR": (10, lambda random, keys: (f"counter:{random.randrange(keys // 10)}",)),
    "RPUSH": (8, lambda random, keys: (f"list:{random.randrange(keys // 10)}", random.choice(VALUES))),
    "LPUSH": (7, lambda random, keys: (f"list:{random.randrange(keys // 10)}", random.choice(VALUES))),
    "HSET": (10, lambda random, keys: (f"hash:{random.randrange(keys // 10)}", _member(random), random.choice(VALUES))),
    "SADD": (10, lambda random, keys: (f"set:{random.randrange(keys // 10)}", _member(random))),
    "ZADD": (10, lambda random, keys: (f"zset:{random.randrange(keys // 10)}", _score(random), _member(random))),
    "PEXPIREAT": (5, lambda random, keys: (f"key:{random.randrange(keys):012}", str(FAR_MS + random.randrange(keys)))),
}
"""What a log is made of, in per cent. There are a fifth as many strings as commands, and of all else a tenth of that:
lists, hashes, sets and sorted sets get five to ten elements each."""


def _member(random: Random) -> str:
    return f"member:{random.randrange(1000)}"


def _score(random: Random) -> str:
    return str(random.randrange(1_000_000))


def mixed(count: int) -> Iterator[tuple[str, ...]]:
    """So many commands, the same each time."""
    random = Random(1)
    keys = max(count // 5, 10)
    for name in random.choices(list(MIX), [share for share, _ in MIX.values()], k=count):
        yield name, *MIX[name][1](random, keys)


@dataclass(slots=True)
class Loader:
    """A server, and the cores that it may use."""

    make: Make
    shards: int
    """0 for a real server, which has no folders of shards."""
    cores: set[int]
    kind: str
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    """Per command, of all processes: what the noise of the machine moves least."""

    def __str__(self) -> str:
        shards = f", {self.shards} shards" if self.shards > 1 else ""
        return f"{self.kind}{shards} on {len(self.cores)} core{'s'[: len(self.cores) - 1]}"


def loading(
    kinds: Iterable[Make], shards: int, say: Say, count: int = COMMANDS, rounds: int = 3
) -> list[dict[str, Any]]:
    """Commands per second at the start from a log of so many, the bare start taken off: by each of `kinds` on one core,
    and by so many shards on all cores."""
    loaders = list(_loaders(kinds, shards))
    held = set()
    with TemporaryDirectory(prefix="bench-") as made:
        folders = {number: Path(made, str(number)) for number in {loader.shards for loader in loaders}}
        write_logs(folders, mixed(count))
        for round_ in range(rounds):
            for loader in loaders if round_ % 2 == 0 else reversed(loaders):
                with TemporaryDirectory(prefix="bench-") as empty:
                    bare = _start(loader, Path(empty))
                start = _start(loader, folders[loader.shards])
                loader.rates.append(count / max(start.elapsed_s - bare.elapsed_s, 1e-9))
                loader.cpu_us.append((start.cpu_s - bare.cpu_s) * 1e6 / count)
                held.add(start.keys)
    if len(held) != 1:
        raise ValueError(f"the servers came back with different numbers of keys: {held}")
    return [_row(loader, loaders, count, say) for loader in loaders]


def _loaders(kinds: Iterable[Make], shards: int) -> Iterator[Loader]:
    cores = os.sched_getaffinity(0)
    for make in kinds:
        server = make()
        yield Loader(make, int(isinstance(server, Shardis)), {min(cores)}, server.kind)
        if isinstance(server, Shardis) and shards > 1:
            yield Loader(partial(Shardis, shards), shards, cores, server.kind)


def _row(loader: Loader, loaders: Sequence[Loader], count: int, say: Say) -> dict[str, Any]:
    """What one of them came to, beside the others."""
    ratios = {
        str(other): round(statistics.median(one / two for one, two in zip(loader.rates, other.rates, strict=True)), 3)
        for other in loaders
        if other is not loader
    }
    rate, cpu_us = statistics.median(loader.rates), statistics.median(loader.cpu_us)
    beside = ", ".join(f"{ratio:.2f} x {other}" for other, ratio in ratios.items())
    say(f"{loader}: {rate:,.0f} commands/s, CPU {cpu_us:.2f} µs each; {beside}")
    found = {"server": loader.kind, "shards": loader.shards, "cores": len(loader.cores), "commands": count}
    return found | {"rate": round(rate), "cpu_us": round(cpu_us, 3), "ratios": ratios}


class Start(NamedTuple):
    elapsed_s: float
    cpu_s: float
    keys: int


def _start(loader: Loader, folder: Path) -> Start:
    """Starts it on a folder, until it answers."""
    server = loader.make(folder, **OPTIONS)
    server.port = free_port()
    try:
        elapsed_s = seconds_to_answer(server, POLL_S, loader.cores)
        with server.connect(timeout_s=60.0) as client:
            cpu_s = sum(reading.run_s for reading in cpu_readings(roles(server)).values())
            return Start(elapsed_s, cpu_s, client.call("DBSIZE"))
    finally:
        server.stop()
        server.clear()


# The log


def write_logs(folders: dict[int, Path], commands: Iterable[tuple[str, ...]]) -> None:
    """Writes them as the data folders of servers with as many shards as the key says, 0 for a real one."""
    with ExitStack() as stack:
        logs = {
            shards: [stack.enter_context(path.open("wb")) for path in _increments(folder, shards)]
            for shards, folder in folders.items()
        }
        for argv in commands:
            data = encode_command(argv)
            slot = slot_of(argv[1].encode())
            for shards, files in logs.items():
                files[shard_of_slot(slot, max(shards, 1))].write(data)


def _increments(folder: Path, shards: int) -> Iterator[Path]:
    """The file of each shard's log, with a manifest that names it."""
    for name in [f"shard-{index}" for index in range(shards)] or ["."]:
        log = folder / name / "appendonlydir"
        log.mkdir(parents=True)
        manifest = Manifest().with_increment("appendonly.aof")
        (log / "appendonly.aof.manifest").write_bytes(manifest.encode())
        yield log / manifest.increments[-1].name

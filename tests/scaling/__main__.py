"""Measures the same loads on Shardis with more and more shards.

    $ python -m tests.scaling --shards 1,2,4,8
    $ python -m tests.scaling --shards 1,2 --only SET "MGET 10" --pipeline 64 --requests 200000 --plot scaling.png

Each process is pinned to a core of its own where the machine has enough of them (one for redis-benchmark, one for the
router, one for each shard); otherwise the CPU time per command tells what such a machine would do: see prediction.py.
"""

import argparse
import json
import os
import platform
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tests.bench import load
from tests.bench.load import Figures
from tests.bench.processes import roles
from tests.bench.rows import KEY, VALUE, Row
from tests.bench.throughput import prepare
from tests.scaling import plot, prediction
from tests.scaling.prediction import Point
from tests.servers import Shardis

LOADS = (
    Row("SET", ("SET", KEY, VALUE)),
    Row("GET", ("GET", KEY), filled=True),
    Row("SET+GET", ("SET", KEY, VALUE), filled=True, other_argv=("GET", KEY)),
    Row("MGET 10", ("MGET", *(KEY,) * 10), filled=True),
)


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    chosen = [row for row in LOADS if not options.only or row.name in options.only]
    print(prediction.HEAD)
    points: list[Point] = []
    for shards in options.shards:
        points += measured(shards, chosen, options)
    cores = len(os.sched_getaffinity(0))
    title = f"Shardis, P={options.pipeline}, 50 clients, {cores} cores, {platform.machine()}"
    if options.json:
        options.json.write_text(json.dumps({"title": title, "points": [asdict(point) for point in points]}, indent=1))
    plot.draw(points, title, options.plot)
    print(f"drawn in {options.plot}")
    return 0


def measured(shards: int, rows: list[Row], options: argparse.Namespace) -> list[Point]:
    """All loads on a server of that many shards, in rounds."""
    with ExitStack() as stack:
        server = stack.enter_context(Shardis(shards, appendonly="no"))
        cpus = pinned(server, shards)
        runs: dict[str, list[Figures]] = {row.name: [] for row in rows}
        for _ in range(options.rounds):
            for row in rows:
                prepare([server], row)
                runs[row.name].append(
                    load.run(server, row, pipeline=options.pipeline, requests=options.requests, cpus=cpus)
                )
        points = [prediction.point(row.name, shards, runs[row.name]) for row in rows]
        for point in points:
            print(prediction.line(point))
        return points


def pinned(server: Shardis, shards: int) -> set[int] | None:
    """Gives each process a core of its own and returns that of redis-benchmark; None if there are too few."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < shards + 2:
        return None
    pids = roles(server)
    os.sched_setaffinity(pids["router"], {cores[1]})
    for index in range(shards):
        os.sched_setaffinity(pids[f"shard {index}"], {cores[2 + index]})
    return {cores[0]}


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.scaling", description=str(__doc__).split("\n")[0])
    parser.add_argument("--shards", type=numbers, default=[1, 2, 4, 8], metavar="N,N,...")
    parser.add_argument("--only", nargs="+", default=[], metavar="LOAD", help=", ".join(row.name for row in LOADS))
    parser.add_argument("--pipeline", type=int, default=16, metavar="P")
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path, default=Path("scaling.png"), metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(arguments)


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

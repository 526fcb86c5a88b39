"""Measures Shardis beside real servers, all in one run.

    $ python -m tests.bench                                   # every row, P = 1, 16, 64
    $ python -m tests.bench --only SET GET --pipeline 16 --requests 50000 --rounds 5 --json figures.json
    $ python -m tests.bench --shards 4 --only "MGET 10" "MSET 10" "EXEC 5" --pipeline 16
    $ python -m tests.bench --publish --renames --holds
    $ python -m tests.bench --memory --members --told --idle --startup
    $ python -m tests.bench --hit-ratio --shards 2 --servers shardis reference
    $ python -m tests.bench --evictions --floods --shards 2 --servers shardis reference
    $ python -m tests.bench --loading --commands 5000000 --shards 2
    $ python -m tests.bench --rewrite --resharding --shards 2 --to 4
    $ python -m tests.bench --appendfsync always --only SET INCR --pipeline 1 16
    $ python -m tests.bench --tls --shards 1 --servers shardis redis-server --only SET GET --pipeline 1 16

Without persistence unless `--appendfsync everysec`. What is printed last is the table; the lines before it come as soon
as they are measured.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench import (
    borrowing,
    encryption,
    evicting,
    fanout,
    footprint,
    hit_ratio,
    loading,
    resharding,
    rewriting,
    rows,
    starting,
    throughput,
    told,
)
from tests.reference import RedisServer, Reference
from tests.servers import Server, Shardis

STARTUP_SHARDS = 4


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    persistence = {"appendonly": "no"}
    if options.appendfsync != "off":
        persistence = {"appendonly": "yes", "appendfsync": options.appendfsync}
    found: dict[str, Any] = {"machine": platform.platform(), "python": sys.version.split()[0], "shards": options.shards}
    parts = [options.memory, options.members, options.idle, options.startup, options.loading]
    parts += [options.publish, options.renames, options.holds, options.rewrite, options.resharding]
    parts += [options.hit_ratio, options.evictions, options.floods, options.told]
    if options.startup:
        found["startup"] = starting.startup(kinds(options, STARTUP_SHARDS), print)
    if options.loading:
        one = kinds(options, 1)
        found["loading"] = loading.loading(one, options.shards, print, options.commands, options.rounds)
    if options.rewrite:
        found["rewrite"] = rewriting.rewriting(kinds(options, 1), print, options.keys or rewriting.KEYS)
    if options.resharding:
        to = options.to or 2 * options.shards
        found["resharding"] = resharding.resharding(options.shards, to, print, options.keys or resharding.KEYS)
    if options.hit_ratio:
        makers = kinds(options, options.shards)
        found["hit_ratio"] = hit_ratio.hit_ratio(makers, print)
        if options.shards > 1:
            found["hit_ratio"] += hit_ratio.hit_ratio(makers, print, cold=options.shards)
    if options.evictions:
        found["evictions"] = evicting.costs(kinds(options, 1), print)
    if options.floods:
        found["floods"] = evicting.floods(kinds(options, options.shards), print)
    if options.told:
        found["told"] = told.told(kinds(options, options.shards), print)
    if options.members:
        found["members"] = footprint.members(kinds(options, options.shards), print)
    with_servers = [options.memory, options.idle, options.publish, options.renames, options.holds]
    if any(with_servers) or not any(parts):
        with ExitStack() as stack:
            makers = kinds(options, options.shards)
            if options.tls:
                folder = Path(stack.enter_context(TemporaryDirectory()))
                makers = [
                    partial(make, **encryption.directives(folder / str(place))) for place, make in enumerate(makers)
                ]
            servers = encryption.with_twins([stack.enter_context(make(**persistence)) for make in makers])
            if options.idle:
                found["idle"] = footprint.idle(servers, print)
            if options.memory:
                found["memory"] = footprint.memory(servers, print)
            if options.publish:
                found["publish"] = fanout.publish(servers, print, rounds=options.rounds)
            if options.renames:
                found["renames"] = borrowing.renames(servers, print)
            if options.holds:
                shardis = [server for server in servers if isinstance(server, Shardis) and server.shards > 1]
                found["holds"] = [
                    row for each in shardis for row in borrowing.holds(each, print, rounds=options.rounds)
                ]
            if not any(parts):
                found["rates"] = rates(servers, options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def rates(servers: list[Server], options: argparse.Namespace) -> list[dict[str, Any]]:
    chosen = rows.named(options.only)
    print(throughput.HEAD)
    results = throughput.measure(servers, chosen, options.pipeline, options.requests, options.rounds, print)
    return throughput.as_json(results)


def kinds(options: argparse.Namespace, shards: int) -> list[Callable[..., Server]]:
    """What makes each of the servers asked for, of those that are installed."""
    makers: dict[str, Callable[..., Server]] = {
        "shardis": partial(Shardis, shards),
        "redis-server": RedisServer,
        "reference": Reference,
    }
    wanted = options.servers or list(makers)
    return [makers[name] for name in wanted if name != "redis-server" or RedisServer.is_installed()]


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=str(__doc__).split("\n")[0])
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--servers", nargs="+", choices=["shardis", "redis-server", "reference"])
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="ROW", help="rows: " + ", ".join(row.name for row in rows.ROWS)
    )
    parser.add_argument("--pipeline", nargs="+", type=int, default=list(throughput.PIPELINES), metavar="P")
    parser.add_argument("--requests", type=int, default=50_000, help="at P=1; four times that at 16, eight times at 64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--appendfsync", choices=["off", "everysec", "always"], default="off")
    parser.add_argument("--tls", action="store_true", help="each server also over TLS; the reference has none")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--memory", action="store_true", help="growth by a million keys")
    parser.add_argument("--members", action="store_true", help="growth by a million members in 10,000 keys, by type")
    parser.add_argument("--idle", action="store_true", help="CPU time over ten idle seconds")
    parser.add_argument("--startup", action="store_true", help=f"to the first answered GET, {STARTUP_SHARDS} shards")
    parser.add_argument("--told", action="store_true", help="used_memory beside the resident set, full and flushed")
    parser.add_argument("--loading", action="store_true", help="commands per second from a log, on one core")
    parser.add_argument("--commands", type=int, default=loading.COMMANDS, help="how many the log of --loading has")
    parser.add_argument("--hit-ratio", action="store_true", help="hits of a Zipf load with maxmemory, LRU and LFU")
    parser.add_argument("--evictions", action="store_true", help="CPU time of SETs at maxmemory, by policy, one shard")
    parser.add_argument("--floods", action="store_true", help="who goes when one shard has the old keys")
    parser.add_argument("--rewrite", action="store_true", help="BGREWRITEAOF: how long, and what readers notice")
    parser.add_argument("--resharding", action="store_true", help="a start with another number of shards")
    parser.add_argument("--to", type=int, metavar="SHARDS", help="that --resharding goes to; twice --shards")
    parser.add_argument("--keys", type=int, help="of --rewrite (1,000,000) and --resharding (10,000,000)")
    parser.add_argument("--publish", action="store_true", help="messages per second to 100 subscribers")
    parser.add_argument("--renames", action="store_true", help="how long a RENAME takes, over one shard and over two")
    parser.add_argument("--holds", action="store_true", help="what GET and SET lose by a hold on keys of others")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

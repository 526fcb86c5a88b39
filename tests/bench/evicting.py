"""What a server does at its limit: what a SET costs it that evicts another key, and whose keys go in a flood.

In a flood the old keys are all on one shard, and the new ones come to all shards. One keyspace takes
its victims from the old ones nearly always, so that is the measure of how well shards share one limit.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from common.slot import SLOTS, slot_of
from tests.bench.hit_ratio import field
from tests.bench.load import pipelined
from tests.bench.processes import cpu_readings, roles, used
from tests.bench.starting import Make
from tests.bench.throughput import Say
from tests.resp_client import Client
from tests.servers import Server, Shardis

EXPIRING = ("EX", "1000")
POLICIES: dict[str, tuple[str, ...]] = {
    "noeviction": (),
    "allkeys-lru": (),
    "allkeys-lfu": (),
    "allkeys-random": (),
    "noeviction EX": EXPIRING,
    "volatile-ttl EX": EXPIRING,
    "volatile-lru EX": EXPIRING,
}
"""And what each SET ends with: those that expire cost more without a limit, too."""
VALUE = "x" * 100
BATCH = 200
RESIDENT = 200_000
"""Keys at the limit."""
COSTED = 400_000
"""SETs of which the cost is taken, behind half as many that only warm up."""

FLOODS_S = (1, 2, 5)
PER_SECOND = 16_000
OLD = 100_000
YOUNG = 100_000
OLDER_S = 4.0
"""By how much the old keys are older."""
SETTLE_S = 0.5


def costs(
    kinds: Iterable[Make], say: Say, rows: Iterable[str] = POLICIES, resident: int = RESIDENT, count: int = COSTED
) -> list[dict[str, Any]]:
    """CPU time of a SET of a new key, each of which evicts another; with noeviction there is no limit."""
    kinds = list(kinds)
    found = []
    for row in rows:
        policy, ttl = row.split()[0], POLICIES[row]
        for make in kinds:
            with make(appendonly="no", maxmemory_policy=policy) as server, server.connect(timeout_s=60.0) as client:
                pipelined(client, _sets("key", resident, ttl))
                if policy != "noeviction":
                    limit_to_used(client)
                pipelined(client, _sets("warm", count // 2, ttl))
                pids = roles(server)
                before, evicted = cpu_readings(pids), field(client, "evicted_keys")
                pipelined(client, _sets("new", count, ttl))
                took = used(before, cpu_readings(pids))
                evicted = field(client, "evicted_keys") - evicted
            seconds = sum(time.total_s for role, time in took.items() if role.startswith(("server", "shard")))
            cost_us = seconds / count * 1e6
            say(f"{server.kind:<13} {row:<15} {cost_us:5.2f} us a SET, {evicted / count:.2f} keys evicted for each")
            found.append({"server": server.kind, "row": row, "cost_us": cost_us, "evicted": evicted})
    return found


def _sets(name: str, count: int, ttl: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (("SET", f"{name}:{number:010}", VALUE, *ttl) for number in range(count))


def floods(
    kinds: Iterable[Make],
    say: Say,
    policy: str = "allkeys-lru",
    floods_s: Sequence[float] = FLOODS_S,
    per_second: int = PER_SECOND,
) -> list[dict[str, Any]]:
    """The share of the old keys among the victims of floods so long."""
    found = []
    for make in kinds:
        for flood_s in floods_s:
            with make(appendonly="no", maxmemory_policy=policy) as server, server.connect(timeout_s=60.0) as client:
                row = flood(server, client, flood_s, per_second)
            say(
                f"{row['server']:<13} {policy} flood of {flood_s:g} s: {100 * row['share']:.1f} % of"
                f" {row['evicted']:,} victims are of the {OLD:,} old keys of one shard"
            )
            found.append(row)
    return found


def flood(server: Server, client: Client, flood_s: float, per_second: int) -> dict[str, Any]:
    old, young = keys_of_shards(server.shards if isinstance(server, Shardis) else 2)
    set_all(client, old)
    time.sleep(OLDER_S)
    set_all(client, young)
    limit_to_used(client)
    time.sleep(SETTLE_S)
    before, there = field(client, "evicted_keys"), _left(client, old)
    set_all(client, [f"new:{number:010}" for number in range(int(flood_s * per_second))], per_second)
    evicted = field(client, "evicted_keys") - before
    gone = there - _left(client, old)
    name = f"{server.kind} {getattr(server, 'shards', '')}".strip()
    return {"server": name, "flood_s": flood_s, "evicted": evicted, "share": gone / max(1, evicted)}


def keys_of_shards(shards: int) -> tuple[list[str], list[str]]:
    """Keys of the first of so many shards, and of the others."""
    old: list[str] = []
    young: list[str] = []
    number = 0
    while len(old) < OLD or len(young) < YOUNG:
        key = f"key:{number:010}"
        number += 1
        (young if slot_of(key.encode()) * shards // SLOTS else old).append(key)
    return old[:OLD], young[:YOUNG]


def limit_to_used(client: Client) -> None:
    """Sets `maxmemory` to what is taken."""
    limit_bytes = field(client, "used_memory") - field(client, "mem_not_counted_for_evict")
    client.call("CONFIG", "SET", "maxmemory", str(limit_bytes))


def set_all(client: Client, keys: list[str], per_second: int = 0) -> None:
    """Sets all of them, as fast as it goes or at that pace."""
    started_s = time.perf_counter()
    for first in range(0, len(keys), BATCH):
        pipelined(client, (("SET", key, VALUE) for key in keys[first : first + BATCH]))
        if per_second:
            time.sleep(max(0.0, started_s + first / per_second - time.perf_counter()))


def _left(client: Client, keys: list[str]) -> int:
    """How many of them are there."""
    return sum(client.call("EXISTS", *keys[first : first + 1000]) for first in range(0, len(keys), 1000))

"""How good the choice of whom to evict is: hits of one and the same Zipf load, on servers that hold as many keys.

A key takes more memory in Python than in C, so servers with the same `maxmemory` hold different numbers of keys, and
their hit ratios would say nothing of how well they choose. So `maxmemory` of each is tried out first until it holds so
many keys, while others are evicted for new ones. Then a client asks for keys of a set that is ten times as large, and
sets what it misses. All servers see the same keys in the same order and at the same pace, for the idle clocks tick in
seconds.

In a load that is uneven the rarest keys are all on the first shard, which has to give its memory to the others.
"""

import time
from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random
from typing import Any

from common.slot import SLOTS, slot_of
from tests.bench.load import fill
from tests.bench.starting import Make
from tests.bench.throughput import Say
from tests.resp_client import Client

POLICIES = ("allkeys-lru", "allkeys-lfu")
RESIDENT = 50_000
"""Keys that fit."""
SPREAD = 10
"""Keys that are asked for, by those that fit."""
ASKED = 3_000_000
"""Questions, of which the first half only warms up."""
PER_SECOND = 60_000
BATCH = 200
EXPONENT = 0.99
TRIES = 4
VALUE = "x" * 100
KEY_BYTES = 16
NAME = b"key:%012d"
MISS = b"$-1\r\n"
HIT = b"$%d\r\n%b\r\n" % (len(VALUE), VALUE.encode())
SEED = 7


def questions(resident: int, asked: int, cold: int = 0) -> list[list[int]]:
    """Numbers of keys by Zipf's law, in batches; which are the frequent ones is by chance, or for `cold` shards those
    that are not on the first of them."""
    random = Random(SEED)
    numbers = list(range(resident * SPREAD))
    random.shuffle(numbers)
    if cold:
        numbers.sort(key=lambda number: slot_of(NAME % number) * cold // SLOTS == 0)
    ends = list(accumulate((rank + 1) ** -EXPONENT for rank in range(len(numbers))))
    drawn = random.choices(numbers, cum_weights=ends, k=asked)
    return [drawn[start : start + BATCH] for start in range(0, asked, BATCH)]


def hit_ratio(
    kinds: Iterable[Make],
    say: Say,
    policies: Sequence[str] = POLICIES,
    resident: int = RESIDENT,
    asked: int = ASKED,
    per_second: int = PER_SECOND,
    cold: int = 0,
) -> list[dict[str, Any]]:
    """The share of hits of each server with each policy, with `maxmemory-samples 5`; `cold` is as for `questions`."""
    kinds = list(kinds)
    batches = questions(resident, asked, cold)
    found = []
    for policy in policies:
        for make in kinds:
            with make(appendonly="no", maxmemory_policy=policy) as server, server.connect(timeout_s=60.0) as client:
                limit_to(client, resident)
                ask(client, batches[: len(batches) // 4], per_second)
                correct(client, resident)
                ask(client, batches[len(batches) // 4 : len(batches) // 2], per_second)
                hits = ask(client, batches[len(batches) // 2 :], per_second)
                keys = client.call("DBSIZE")
                evicted = field(client, "evicted_keys")
            name = f"{server.kind} {getattr(server, 'shards', '')}".strip()
            ratio = hits / (len(batches[len(batches) // 2 :]) * BATCH)
            where = " uneven" if cold else ""
            say(f"{name:<13} {policy}{where}: {100 * ratio:.2f} % hits with {keys:,} keys, {evicted:,} evicted")
            found.append(
                {
                    "server": name,
                    "policy": policy,
                    "uneven": bool(cold),
                    "hit_ratio": ratio,
                    "keys": keys,
                    "evicted": evicted,
                }
            )
    return found


def field(client: Client, name: str) -> int:
    """A number out of INFO."""
    return int(client.call("INFO").decode().split(f"\n{name}:")[1].split("\r")[0])


def limit_to(client: Client, resident: int) -> None:
    """Sets `maxmemory` to about what so many keys take while they come and go."""
    fill(client, resident, KEY_BYTES, VALUE)
    limit_bytes = field(client, "used_memory") - field(client, "mem_not_counted_for_evict")
    client.call("CONFIG", "SET", "maxmemory", str(limit_bytes))
    for round_ in range(TRIES):
        for first in range(0, 2 * resident, BATCH):
            names = [f"try:{round_}:{number:010}" for number in range(first, first + BATCH)]
            client.call("MSET", *[word for name in names for word in (name, VALUE)])
        correct(client, resident)


def correct(client: Client, resident: int) -> None:
    """Sets `maxmemory` by how many keys there are with it."""
    limit_bytes = field(client, "maxmemory") * resident // client.call("DBSIZE")
    client.call("CONFIG", "SET", "maxmemory", str(limit_bytes))


def ask(client: Client, batches: list[list[int]], per_second: int) -> int:
    """Asks for all keys, and sets those that are missing. How many were there."""
    hits = 0
    started_s = time.perf_counter()
    for number, batch in enumerate(batches):
        missed = missing(client, [NAME % key for key in batch])
        if missed:
            client.call("MSET", *[word for key in missed for word in (key, VALUE)])
        hits += len(batch) - len(missed)
        time.sleep(max(0.0, started_s + number * BATCH / per_second - time.perf_counter()))
    return hits


def missing(client: Client, keys: list[bytes]) -> list[bytes]:
    """Those that are not there."""
    client.send_bytes(b"".join([b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys]))
    data = b""
    missed = []
    for key in keys:
        while not data.startswith((MISS, HIT)):
            data += client.socket.recv(1 << 16)
        if data.startswith(MISS):
            missed.append(key)
        data = data[len(MISS) if data.startswith(MISS) else len(HIT) :]
    return missed

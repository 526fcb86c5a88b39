"""MEMORY: what the server takes. MEMORY USAGE, of one key, is in shard/commands/memory.py."""

from typing import TYPE_CHECKING, Any

from common.command import ALL_SHARDS, ALL_SUCCEEDED, LOADING, SPECIAL
from common.resp import Verbatim
from router.commands.config import done, shards_that_are_up
from router.commands.table import TABLE
from router.dispatch import AskShards
from router.info_sections import Facts, client_field, ratio

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("server")

command.container(
    "MEMORY",
    "A container for memory diagnostics commands.",
    since="4.0.0",
    help_="""
DOCTOR
    Return memory problems reports.
MALLOC-STATS
    Return internal statistics report from the memory allocator.
PURGE
    Attempt to purge dirty pages for reclamation by the allocator.
STATS
    Return information about the memory usage of the server.
USAGE <key> [SAMPLES <count>]
    Return memory in bytes used by <key> and its value. Nested values are
    sampled up to <count> times (default: 5, 0 means sample all).
""",
)

SMALL_BYTES = 5 * 1024 * 1024
"""An instance with less than this has no memory worth a doctor's look."""
PEAK_RATIO = 1.5
FRAGMENTED_RATIO = 1.4
FRAGMENTED_BYTES = 10 * 1024 * 1024
"""More is resident than in use, by that factor and by that much."""
CLIENT_BYTES = 200 * 1024
"""A client's buffers that are larger on average are worth a word."""

EMPTY = (
    "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these"
    " conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be back to"
    " our programming as soon as I finished rebooting.\n"
)
HEALTHY = "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this base.\n"
HEAD = "Sam, I detected a few issues in this Valkey instance memory implants:\n\n"
PEAK = (
    " * Peak memory: In the past this instance used more than 150% the memory that is currently using. The allocator is"
    " normally not able to release memory after a peak, so you can expect to see a big fragmentation ratio, however"
    " this is actually harmless and is only due to the memory peak, and if the Valkey instance Resident Set Size (RSS)"
    " is currently bigger than expected, the memory will be used as soon as you fill the Valkey instance with more"
    " data. If the memory peak was only occasional and you want to try to reclaim memory, please try the MEMORY PURGE"
    " command, otherwise the only other option is to shutdown and restart the instance.\n\n"
)
BIG_CLIENTS = (
    " * Big client buffers: The clients output buffers in this instance are greater than 200K per client (on average)."
    " This may result from different causes, like Pub/Sub clients subscribed to channels bot not receiving data fast"
    " enough, so that data piles on the Valkey instance output buffer, or clients sending commands with large replies"
    " or very large sequences of commands in the same pipeline. Please use the CLIENT LIST command in order to"
    " investigate the issue if it causes problems in your instance, or to understand better why certain clients are"
    " using a big amount of memory.\n\n"
)
FRAGMENTED = (
    " * High total RSS: This instance has a memory fragmentation and RSS overhead greater than 1.4 (this means that the"
    " Resident Set Size of the Valkey process is much larger than the sum of the logical allocations Valkey performed)."
    " This problem is usually due either to a large peak memory (check if there is a peak memory entry above in the"
    " report) or may result from a workload that causes the allocator to fragment memory a lot. If the problem is a"
    " large peak memory, then there is no issue. Otherwise, make sure you are using the Jemalloc allocator and not the"
    ' default libc malloc. Note: The currently used allocator is "libc".\n\n'
)
FOOT = "I'm here to keep you safe, Sam. I want to help you.\n"


def facts_of(session: "Session", asked: list[int], answers: list[dict[str, Any]]) -> Facts:
    return Facts(session.router, dict(zip(asked, answers, strict=True)), {})


def sizes(facts: Facts) -> tuple[int, int, int, int]:
    """Of all processes: what is in use, what the machine gave them, the most that it ever did, and what they took at
    their start."""
    processes = facts.processes()
    names = ("used_bytes", "rss_bytes", "rss_peak_bytes", "rss_start_bytes")
    used, rss, peak, startup = (sum(process[name] for process in processes) for name in names)
    return used, rss, peak, startup


def _clients_bytes(session: "Session") -> int:
    return sum(map(client_field("tot-mem"), session.router.sessions.values()))


@command(
    "MEMORY DOCTOR", since="4.0.0", complexity="O(1)", fan=ALL_SHARDS, merge=SPECIAL, tips="nondeterministic_output"
)
def doctor(session: "Session") -> AskShards:
    """Outputs a memory problems report."""
    asked = shards_that_are_up(session)

    def merge(answers: list[dict[str, Any]]) -> Verbatim:
        used, rss, peak, startup = sizes(facts_of(session, asked, answers))
        if used - startup < SMALL_BYTES:
            return Verbatim(EMPTY)
        clients_bytes, clients = _clients_bytes(session), len(session.router.sessions)
        found = PEAK if ratio(peak, used) > PEAK_RATIO else ""
        found += FRAGMENTED if ratio(rss, used) > FRAGMENTED_RATIO and rss - used > FRAGMENTED_BYTES else ""
        found += BIG_CLIENTS if clients_bytes > CLIENT_BYTES * clients else ""
        return Verbatim(HEAD + found + FOOT if found else HEALTHY)

    return AskShards(["info"], merge, asked)


@command(
    "MEMORY MALLOC-STATS",
    LOADING,
    since="4.0.0",
    complexity="Depends on how much memory is allocated, could be slow",
    fan=ALL_SHARDS,
    merge=SPECIAL,
    tips="nondeterministic_output",
)
def malloc_stats(session: "Session") -> bytes:
    """Returns the allocator statistics."""
    return b"Stats not supported for the current allocator"


@command(
    "MEMORY PURGE",
    LOADING,
    since="4.0.0",
    complexity="Depends on how much memory is allocated, could be slow",
    fan=ALL_SHARDS,
    merge=ALL_SUCCEEDED,
)
def purge(session: "Session") -> AskShards:
    """Asks the allocator to release memory."""
    session.router.budget.gauge.purge()
    return AskShards(["memory_purge"], done, shards_that_are_up(session))


@command(
    "MEMORY STATS", since="4.0.0", complexity="O(1)", fan=ALL_SHARDS, merge=SPECIAL, tips="nondeterministic_output"
)
def stats(session: "Session") -> AskShards:
    """Returns details about memory usage."""
    asked = shards_that_are_up(session)

    def merge(answers: list[dict[str, Any]]) -> dict[str, Any]:
        return _stats(session, facts_of(session, asked, answers))

    return AskShards(["memory"], merge, asked)


def _stats(session: "Session", facts: Facts) -> dict[str, Any]:
    used, rss, peak, startup = sizes(facts)
    overheads: dict[int, list[int]] = {}
    for answer in facts.shards.values():
        for db, (main, expires) in answer["overheads"].items():
            before = overheads.get(db, [0, 0])
            overheads[db] = [before[0] + main, before[1] + expires]
    keys = sum(db["keys"] for answer in facts.shards.values() for db in answer["dbs"].values())
    clients_bytes = _clients_bytes(session)
    aof_bytes = facts.log("aof_buffer_length")
    tables = sum(map(sum, overheads.values()))
    overhead = min(used, startup + clients_bytes + aof_bytes + tables)
    dataset = used - overhead
    return {
        "peak.allocated": peak,
        "total.allocated": used,
        "startup.allocated": startup,
        "replication.backlog": 0,
        "replicas.repl.buffer": 0,
        "clients.slaves": 0,
        "clients.normal": clients_bytes,
        "cluster.links": 0,
        "cluster.slot_import": 0,
        "cluster.slot_export": 0,
        "aof.buffer": aof_bytes,
        "lua.caches": 0,
        "functions.caches": 0,
        **{
            f"db.{db}": {"overhead.hashtable.main": main, "overhead.hashtable.expires": expires}
            for db, (main, expires) in sorted(overheads.items())
        },
        "overhead.db.hashtable.lut": tables,
        "overhead.db.hashtable.rehashing": 0,
        "overhead.total": overhead,
        "db.dict.rehashing.count": 0,
        "keys.count": keys,
        "keys.bytes-per-key": max(0, used - startup) // keys if keys else 0,
        "dataset.bytes": dataset,
        "dataset.percentage": ratio(dataset, used - startup) * 100,
        "peak.percentage": ratio(used, peak) * 100,
        "allocator.allocated": used,
        "allocator.active": rss,
        "allocator.resident": rss,
        "allocator.muzzy": 0,
        "allocator-fragmentation.ratio": ratio(rss, used),
        "allocator-fragmentation.bytes": rss - used,
        "allocator-rss.ratio": 1.0,
        "allocator-rss.bytes": 0,
        "rss-overhead.ratio": 1.0,
        "rss-overhead.bytes": 0,
        "fragmentation": ratio(rss, used),
        "fragmentation.bytes": rss - used,
    }

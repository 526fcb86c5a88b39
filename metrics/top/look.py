"""One look at a server by what any client may ask: INFO and LATENCY HISTOGRAM, as Facts.

A plain Redis or Valkey can be looked at, too: it has no shards then.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

from common.command_stats import BUCKETS, CommandStats
from metrics.facts import Facts, number, pairs

SECTION = re.compile(r"# (.+)")
CONTROL = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]")
"""What a terminal would act on: a server may say what it wants."""


def facts_of(info: str, histograms: Sequence[Any], now_s: float) -> Facts:
    """What INFO EVERYTHING and LATENCY HISTOGRAM say."""
    sections = sections_of(info)
    shards = [_shard(name, str(line)) for name, line in sections.get("shards", {}).items()]
    found = Facts(now_s, sections, _commands(sections, _by_name(histograms)), shards=shards)
    found.router = {
        "rss_bytes": found.number("memory", "used_memory_rss") - sum(shard.get("memory_bytes", 0) for shard in shards),
        "cpu_user_s": found.number("cpu", "used_cpu_user") - sum(shard.get("cpu_user_s", 0.0) for shard in shards),
        "cpu_system_s": found.number("cpu", "used_cpu_sys") - sum(shard.get("cpu_system_s", 0.0) for shard in shards),
    }
    return found


def sections_of(info: str) -> dict[str, dict[str, Any]]:
    """The lines of INFO, by section and field."""
    found: dict[str, dict[str, Any]] = {name: {} for name in ("stats", "clients", "memory", "persistence")}
    section: dict[str, Any] = {}
    for line in info.splitlines():
        text = CONTROL.sub("?", line)
        if head := SECTION.fullmatch(text):
            section = found.setdefault(head[1].lower(), {})
        elif ":" in text:
            name, _, value = text.partition(":")
            section[name] = value
    return found


def _commands(sections: dict[str, dict[str, Any]], histograms: dict[str, list[int]]) -> dict[str, CommandStats]:
    found = {}
    for name, line in sections.get("commandstats", {}).items():
        fields = pairs(str(line))
        command = name.removeprefix("cmdstat_")
        counts = [int(number(fields.get(field))) for field in ("calls", "usec", "rejected_calls", "failed_calls")]
        histogram = histograms.get(command, [0] * BUCKETS)
        found[command] = CommandStats(counts[0], counts[1] * 1000, counts[2], counts[3], histogram)
    return found


def _by_name(histograms: Sequence[Any]) -> dict[str, list[int]]:
    """The reply to LATENCY HISTOGRAM: [name, [b"calls", n, b"histogram_usec", [edge, cumulative, ...]], ...]."""
    found = {}
    for name, said in zip(histograms[::2], histograms[1::2], strict=False):
        counts = [0] * BUCKETS
        before = 0
        for edge_us, so_far in zip(said[3][::2], said[3][1::2], strict=False):
            bits = min(max(round(math.log2(max(edge_us, 1) * 1000)), 0), BUCKETS - 1)
            counts[bits] += so_far - before
            before = so_far
        found[CONTROL.sub("?", name.decode("utf-8", "replace"))] = counts
    return found


def _shard(name: str, line: str) -> dict[str, Any]:
    fields = pairs(line)
    shard: dict[str, Any] = {"index": int(number(name.removeprefix("shard"))), "fresh": True, "pid": 0}
    shard["state"] = fields.get("state", "down")
    if "pid" in fields:
        shard |= {key: int(number(fields.get(field))) for key, field in WHOLE.items()}
        shard |= {"cpu_user_s": number(fields.get("used_cpu_user")), "cpu_system_s": number(fields.get("used_cpu_sys"))}
    return shard


WHOLE = {
    "pid": "pid",
    "keys": "keys",
    "memory_bytes": "used_memory_rss",
    "log_bytes": "aof_current_size",
    "uptime_s": "uptime_in_seconds",
    "commands": "commands_processed",
    "rewriting": "aof_rewrite_in_progress",
    "hits": "keyspace_hits",
    "misses": "keyspace_misses",
    "expired": "expired_keys",
    "evicted": "evicted_keys",
}
"""What is told of a shard in whole numbers: its name among the facts, and in INFO."""

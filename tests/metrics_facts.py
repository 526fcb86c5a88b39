"""Facts as a router would tell them, for the tests of what is made of them."""

from typing import Any

from common.command_stats import CommandStats
from metrics.facts import Facts


def shard(index: int, calls: int = 0, **changed: Any) -> dict[str, Any]:
    """A shard that is well, and has run so many commands of 1 µs."""
    counted = CommandStats()
    for _ in range(calls):
        counted.count(1000)
    return {
        "index": index, "state": "ready", "fresh": True, "pid": 100 + index, "uptime_s": 60, "memory_bytes": 1 << 20,
        "cpu_user_s": 2.0, "cpu_system_s": 1.0, "keys": 10, "expires": 2, "commands": calls,
        "histogram": counted.histogram,
        "nanoseconds": counted.nanoseconds, "loading": False, "loaded_bytes": 0, "total_bytes": 0, "refusing": False,
        "internal_errors": 0, "hits": 3, "misses": 1, "expired": 0, "evicted": 0, "log_bytes": 500,
        "log_base_bytes": 100, "log_buffer_bytes": 0, "log_ok": True, "rewriting": 0, "rewrites": 0,
        "delayed_fsyncs": 0,
    } | changed  # fmt: skip


def silent_shard(index: int, state: str = "down") -> dict[str, Any]:
    """One that has said nothing."""
    return {"index": index, "state": state, "fresh": False, "pid": 0}


def facts(now_s: float = 1000.0, *shards: dict[str, Any], **changed: Any) -> Facts:
    """Of a server with these shards. `changed` are fields of INFO, whatever section, or of Facts."""
    sections: dict[str, dict[str, Any]] = {
        "server": {"uptime_in_seconds": 100, "tcp_port": 6379, "redis_version": "7.2.4", "valkey_version": "9.1.0"},
        "clients": {"connected_clients": 5, "blocked_clients": 1, "maxclients": 100},
        "memory": {
            "used_memory": 1000, "mem_not_counted_for_evict": 0, "maxmemory": 0, "maxmemory_policy": "noeviction"
        },
        "persistence": {"aof_enabled": 1, "aof_rewrite_in_progress": 0, "aof_last_write_status": "ok"},
        "stats": {
            "total_commands_processed": 0, "total_net_input_bytes": 0, "total_net_output_bytes": 0, "keyspace_hits": 0,
            "keyspace_misses": 0, "expired_keys": 0, "evicted_keys": 0, "total_error_replies": 0,
            "total_connections_received": 0,
        },
        "replication": {"role": "master"},
        "cpu": {"used_cpu_sys": "1.500000"},
        "keyspace": {"db0": "keys=20,expires=4,avg_ttl=2500,keys_with_volatile_items=0"},
    }  # fmt: skip
    for fields in sections.values():
        fields |= {name: changed.pop(name) for name in list(changed) if name in fields}
    made = Facts(now_s, sections, {}, shards=list(shards) or [shard(0), shard(1)])
    made.router = {"rss_bytes": 1 << 20, "cpu_user_s": 1.0, "cpu_system_s": 1.0}
    for name, value in changed.items():
        setattr(made, name, value)
    return made

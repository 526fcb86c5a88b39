"""The sections of INFO, in Redis's order: each a function of the facts that gives fields and their values."""

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from common import speed
from common.command_stats import CommandStats
from router.link import LinkState

if TYPE_CHECKING:
    from router.server import Router
    from router.session import Session

Fields = dict[str, Any]

REDIS_VERSION = "7.2.4"
"""The version of Redis that the reference claims to be."""
DAY_S = 86400
CLOCK_MASK = (1 << 24) - 1
"""The LRU clock of Redis has 24 bits of seconds."""
UNITS = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))
NO_REPLICATION_ID = "0" * 40


def client_field(name: str) -> Callable[["Session"], int]:
    """A number that CLIENT LIST shows of a client."""
    from router.commands.client_fields import FIELDS  # Not at the head: the commands import this file.

    return cast(Callable[["Session"], int], dict(FIELDS)[name])


@dataclass(slots=True)
class Facts:
    """What INFO is made of: the router, the answers of the shards that are up, and the counts of all commands."""

    router: "Router"
    shards: dict[int, dict[str, Any]]
    commands: dict[str, CommandStats]

    def processes(self) -> list[dict[str, Any]]:
        """`process_info` of router and shards."""
        return [self.router.process_info(), *(answer["process"] for answer in self.shards.values())]

    def total(self, name: str) -> Any:
        """A counter of the shards, summed."""
        return sum(answer["stats"].get(name, 0) for answer in self.shards.values())

    def log(self, name: str, default: Any = 0) -> Any:
        """A field of the shards' logs: summed, or the worst of them."""
        values = [answer["aof"][name] for answer in self.shards.values() if name in answer["aof"]]
        if not values:
            return default
        if isinstance(values[0], str):
            return next((value for value in values if value != "ok"), "ok")
        return max(values) if name.endswith(WORST) else sum(values)


WORST = ("_sec", "_in_progress", "_scheduled", "_enabled", "_pending_rewrite", "_consecutive_failures")
"""Endings of figures that are not summed: the largest of the shards' tells how it stands."""


def human(size_bytes: float) -> str:
    """ "1.69M", as Redis writes it."""
    for unit, letter in UNITS:
        if size_bytes >= unit:
            return f"{size_bytes / unit:.2f}{letter}"
    return f"{int(size_bytes)}B"


def ratio(one: float, other: float) -> float:
    return one / other if other else 0.0


def server(facts: Facts) -> Fields:
    from router.commands.connection import SERVER, VERSION  # Not at the head: the commands import this file.

    router = facts.router
    config = router.config
    now_us = router.now_us()
    uptime_s = (now_us // 1000 - router.started_ms) // 1000
    compiler = re.search(r"\[(?:GCC|Clang) ([\d.]+)", sys.version)
    return {
        "redis_version": REDIS_VERSION,
        "server_name": SERVER,
        "valkey_version": VERSION,
        "valkey_release_stage": "ga",
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "0",
        "server_mode": "standalone",
        "os": router.machine["os"],
        "arch_bits": 64,
        "monotonic_clock": "POSIX clock_gettime",
        "multiplexing_api": "epoll",
        "gcc_version": compiler[1] if compiler else "0.0.0",
        "process_id": facts.processes()[0]["pid"],
        "process_supervised": "no",
        "run_id": router.run_id,
        "tcp_port": config["port"] or config["tls-port"],
        "server_time_usec": now_us,
        "uptime_in_seconds": uptime_s,
        "uptime_in_days": uptime_s // DAY_S,
        "hz": config["hz"],
        "configured_hz": config["hz"],
        "clients_hz": config["hz"],
        "lru_clock": now_us // 1_000_000 & CLOCK_MASK,
        "executable": router.machine["executable"],
        "config_file": config.file,
        "io_threads_active": 0,
        "availability_zone": config["availability-zone"],
        **router.listeners.fields(),
        "shardis_python_version": sys.version.split()[0],
        "shardis_speed": speed(),
        "shardis_shards": router.shards,
    }


def tls(facts: Facts) -> Fields:
    found, now_s = facts.router.listeners.tls.facts, facts.router.now_ms() // 1000
    fields: Fields = {}
    for kind in ("server_cert", "client_cert", "ca_cert"):
        one = found.get(kind)
        fields[f"tls_{kind}_serial"] = one.serial if one else "none"
        fields[f"tls_{kind}_expires_in_seconds"] = max(0, one.expires_s - now_s) if one else 0
    return fields


def clients(facts: Facts) -> Fields:
    router = facts.router
    sessions = list(router.sessions.values())
    pause = router.pause
    left_ms = max(0, pause.until_ms - router.now_ms()) if pause.active else 0
    blocked = [one.blocking for one in sessions if one.blocking is not None and one.blocking.number >= 0]
    actions = "none" if not pause.active else "all" if pause.all_commands else "write"
    return {
        "connected_clients": len(sessions) + len(router.listeners.tls.handshakes),
        "cluster_connections": 0,
        "maxclients": router.config["maxclients"],
        "client_recent_max_input_buffer": max((one.requests.query_size_bytes for one in sessions), default=0),
        "client_recent_max_output_buffer": max(map(client_field("omem"), sessions), default=0),
        "blocked_clients": len(blocked) + len(pause.held),
        "tracking_clients": len(router.trackers.sessions),
        "pubsub_clients": sum(one.subscriptions is not None for one in sessions),
        "watching_clients": len(router.watched),
        "clients_in_timeout_table": sum(one.until_ms > 0 for one in blocked),
        "total_watched_keys": len({place for one in router.watched.values() for place in one.places}),
        "total_blocking_keys": sum(answer["blocking_keys"] for answer in facts.shards.values()),
        "total_blocking_keys_on_nokey": sum(answer["lasting_keys"] for answer in facts.shards.values()),
        "paused_reason": "client_pause" if pause.active else "none",
        "paused_actions": actions,
        "paused_timeout_milliseconds": left_ms,
    }


MEMORY_FIELDS = dict.fromkeys(
    """
    used_memory used_memory_human used_memory_rss used_memory_rss_human used_memory_peak used_memory_peak_human
    used_memory_peak_perc used_memory_overhead used_memory_startup used_memory_dataset used_memory_dataset_perc
    allocator_allocated allocator_active allocator_resident allocator_muzzy total_system_memory
    total_system_memory_human used_memory_lua used_memory_vm_eval used_memory_lua_human used_memory_scripts_eval
    number_of_cached_scripts number_of_functions number_of_libraries used_memory_vm_functions used_memory_vm_total
    used_memory_vm_total_human used_memory_functions used_memory_scripts used_memory_scripts_human maxmemory
    maxmemory_human maxmemory_policy allocator_frag_ratio allocator_frag_bytes allocator_rss_ratio
    allocator_rss_bytes rss_overhead_ratio rss_overhead_bytes mem_fragmentation_ratio mem_fragmentation_bytes
    mem_not_counted_for_evict mem_replication_backlog mem_total_replication_buffers mem_replicas_repl_buffer
    mem_clients_slaves mem_clients_normal mem_cluster_links mem_cluster_slot_import mem_cluster_slot_export
    mem_aof_buffer mem_allocator mem_overhead_db_hashtable_rehashing active_defrag_running
    lazyfree_pending_objects lazyfreed_objects
    """.split(),  # noqa: SIM905  A list literal would take forty lines.
    0,
)
"""In Redis's order; 0 is true of what this server does not have."""


def memory(facts: Facts) -> Fields:
    """What the processes take: of the machine, and of that what is in use, see common/memory.py."""
    router = facts.router
    processes = facts.processes()
    used, rss = (sum(process[name] for process in processes) for name in ("used_bytes", "rss_bytes"))
    peak = sum(process["rss_peak_bytes"] for process in processes)
    startup = sum(process["rss_start_bytes"] for process in processes)
    dataset = max(0, used - startup)
    system, limit = router.machine["memory_bytes"], router.config["maxmemory"]
    return MEMORY_FIELDS | {
        "used_memory": used,
        "used_memory_human": human(used),
        "used_memory_rss": rss,
        "used_memory_rss_human": human(rss),
        "used_memory_peak": peak,
        "used_memory_peak_human": human(peak),
        "used_memory_peak_perc": f"{ratio(used, peak) * 100:.2f}%",
        "used_memory_overhead": startup,
        "used_memory_startup": startup,
        "used_memory_dataset": dataset,
        "used_memory_dataset_perc": f"{ratio(dataset, used) * 100:.2f}%",
        "allocator_allocated": used,
        "allocator_active": rss,
        "allocator_resident": rss,
        "total_system_memory": system,
        "total_system_memory_human": human(system),
        "used_memory_lua_human": human(0),
        "used_memory_vm_total_human": human(0),
        "used_memory_scripts_human": human(0),
        "maxmemory": limit,
        "maxmemory_human": human(limit),
        "maxmemory_policy": router.config["maxmemory-policy"],
        "allocator_frag_ratio": f"{ratio(rss, used):.2f}",
        "allocator_frag_bytes": rss - used,
        "allocator_rss_ratio": "1.00",
        "rss_overhead_ratio": "1.00",
        "mem_fragmentation_ratio": f"{ratio(rss, used):.2f}",
        "mem_fragmentation_bytes": rss - used,
        "mem_not_counted_for_evict": startup + facts.log("aof_buffer_length"),
        "mem_clients_normal": sum(map(client_field("tot-mem"), router.sessions.values())),
        "mem_aof_buffer": facts.log("aof_buffer_length"),
        "mem_allocator": "libc",
        "lazyfree_pending_objects": sum(answer["garbage"] for answer in facts.shards.values()),
        "lazyfreed_objects": facts.total("lazyfreed_objects"),
    }


def persistence(facts: Facts) -> Fields:
    router = facts.router
    shards = facts.shards.values()
    loading = [answer for answer in shards if answer["loading"]]
    enabled = router.config["appendonly"]
    refusing = any(answer["refusing"] for answer in shards)
    saved = sum(answer["save"]["keys_saved"] for answer in shards)
    total = sum(answer["save"]["keys_to_save"] for answer in shards)
    fields: Fields = {
        "loading": int(bool(loading)),
        "async_loading": 0,
        "current_cow_peak": 0,
        "current_cow_size": 0,
        "current_cow_size_age": 0,
        "current_fork_perc": f"{ratio(saved, total) * 100:.2f}",
        "current_save_keys_processed": saved,
        "current_save_keys_total": total,
        "rdb_changes_since_last_save": sum(answer["changes"] for answer in shards),
        **router.saving.info(),
        "rdb_last_cow_size": 0,
        "rdb_last_load_keys_expired": sum(answer["save"]["keys_expired"] for answer in shards),
        "rdb_last_load_keys_loaded": sum(answer["save"]["keys_loaded"] for answer in shards),
        "aof_enabled": int(enabled),
        "aof_rewrite_in_progress": facts.log("aof_rewrite_in_progress"),
        "aof_rewrite_scheduled": facts.log("aof_rewrite_scheduled"),
        "aof_last_rewrite_time_sec": facts.log("aof_last_rewrite_time_sec", -1),
        "aof_current_rewrite_time_sec": facts.log("aof_current_rewrite_time_sec", -1),
        "aof_last_bgrewrite_status": facts.log("aof_last_bgrewrite_status", "ok"),
        "aof_rewrites": facts.log("aof_rewrites"),
        "aof_rewrites_consecutive_failures": facts.log("aof_rewrites_consecutive_failures"),
        "aof_last_write_status": "err" if refusing else facts.log("aof_last_write_status", "ok"),
        "aof_last_cow_size": 0,
        "module_fork_in_progress": 0,
        "module_fork_last_cow_size": 0,
        "slot_migration_fork_in_progress": 0,
    }
    if enabled:
        fields |= {
            "aof_current_size": facts.log("aof_current_size"),
            "aof_base_size": facts.log("aof_base_size"),
            "aof_pending_rewrite": facts.log("aof_pending_rewrite"),
            "aof_buffer_length": facts.log("aof_buffer_length"),
            "aof_pending_bio_fsync": facts.log("aof_pending_bio_fsync"),
            "aof_delayed_fsync": facts.log("aof_delayed_fsync"),
        }
    return fields | (loading_fields(router, loading) if loading else {})


def loading_fields(router: "Router", loading: list[dict[str, Any]]) -> Fields:
    """How far the shards have come that still read their logs."""
    since_s = min(answer["loading_since_s"] for answer in loading)
    total = sum(answer["total_bytes"] for answer in loading)
    loaded = sum(answer["loaded_bytes"] for answer in loading)
    elapsed_s = max(0, router.now_ms() // 1000 - since_s)
    return {
        "loading_start_time": since_s,
        "loading_total_bytes": total,
        "loading_rdb_used_mem": 0,
        "loading_loaded_bytes": loaded,
        "loading_loaded_perc": f"{ratio(loaded, total) * 100:.2f}",
        "loading_eta_seconds": elapsed_s * (total - loaded) // loaded if loaded else 1,
    }


def stats(facts: Facts) -> Fields:
    from router.info_stats import stats_fields  # It is as long as all others together.

    return stats_fields(facts)


def replication(facts: Facts) -> Fields:
    return {
        "role": "master",
        "connected_slaves": 0,
        "replicas_waiting_psync": 0,
        "master_failover_state": "no-failover",
        "master_replid": facts.router.run_id,
        "master_replid2": NO_REPLICATION_ID,
        "master_repl_offset": 0,
        "second_repl_offset": -1,
        "repl_backlog_active": 0,
        "repl_backlog_size": facts.router.config["repl-backlog-size"],
        "repl_backlog_first_byte_offset": 0,
        "repl_backlog_histlen": 0,
    }


def cpu(facts: Facts) -> Fields:
    processes = facts.processes()

    def total(name: str) -> str:
        return f"{sum(process[name] for process in processes):.6f}"

    return {
        "used_cpu_sys": total("cpu_system_s"),
        "used_cpu_user": total("cpu_user_s"),
        "used_cpu_sys_children": "0.000000",
        "used_cpu_user_children": "0.000000",
        "used_cpu_sys_main_thread": total("loop_system_s"),
        "used_cpu_user_main_thread": total("loop_user_s"),
    }


def nothing(facts: Facts) -> Fields:
    return {}


def commandstats(facts: Facts) -> Fields:
    return {f"cmdstat_{name}": _counts(counted) for name, counted in facts.commands.items()}


def _counts(counted: CommandStats) -> str:
    usec = counted.nanoseconds // 1000
    return (
        f"calls={counted.calls},usec={usec},usec_per_call={ratio(usec, counted.calls):.2f},"
        f"rejected_calls={counted.rejected_calls},failed_calls={counted.failed_calls}"
    )


def errorstats(facts: Facts) -> Fields:
    counts = errors(facts)
    return {f"errorstat_{kind}": f"count={counts[kind]}" for kind in sorted(counts)}


def errors(facts: Facts) -> dict[str, int]:
    """Error replies by their first word, wherever they were made."""
    counts = dict(facts.router.stats.errors)
    for answer in facts.shards.values():
        for kind, count in answer["errors"].items():
            counts[kind] = counts.get(kind, 0) + count
    return counts


def latencystats(facts: Facts) -> Fields:
    if not facts.router.config["latency-tracking"]:
        return {}
    wanted: Iterable[float] = facts.router.config["latency-tracking-info-percentiles"]
    percentiles = [(f"{percent:.6f}".rstrip("0").rstrip("."), percent) for percent in wanted]
    return {
        f"latency_percentiles_usec_{name}": ",".join(
            f"p{text}={counted.percentile_us(percent):.3f}" for text, percent in percentiles
        )
        for name, counted in facts.commands.items()
        if counted.calls
    }


def cluster(facts: Facts) -> Fields:
    return {"cluster_enabled": 0}


def scripting(facts: Facts) -> Fields:
    return {"engines_count": 0, "engines_total_used_memory": 0, "engines_total_memory_overhead": 0}


def shards(facts: Facts) -> Fields:
    """A line for each shard."""
    return {f"shard{link.index}": _shard(link.state, facts.shards.get(link.index)) for link in facts.router.links}


def _shard(state: LinkState, answer: dict[str, Any] | None) -> str:
    if answer is None:
        return f"state={state.value}"
    process = answer["process"]
    keys = sum(db["keys"] for db in answer["dbs"].values())
    stats = answer["stats"]
    calls = sum(sum(counted[-1]) for counted in answer["commands"].values())  # Parts of calls, too: what it has done.
    return (
        f"state={'loading' if answer['loading'] else 'ready'},pid={process['pid']},keys={keys},"
        f"used_memory_rss={process['rss_bytes']},used_cpu_sys={process['cpu_system_s']:.6f},"
        f"used_cpu_user={process['cpu_user_s']:.6f},aof_current_size={answer['aof']['aof_current_size']},"
        f"internal_errors={answer['internal_errors']},uptime_in_seconds={process['uptime_s']},"
        f"commands_processed={calls},aof_rewrite_in_progress={answer['aof']['aof_rewrite_in_progress']},"
        f"keyspace_hits={stats['keyspace_hits']},keyspace_misses={stats['keyspace_misses']},"
        f"expired_keys={stats['expired_keys']},evicted_keys={stats.get('evicted_keys', 0)}"
    )


def keyspace(facts: Facts) -> Fields:
    """A line for each db with keys; the average time to live is that of all shards, by their numbers of expiries."""
    fields: Fields = {}
    for db in sorted({db for answer in facts.shards.values() for db in answer["dbs"]}):
        found = [answer["dbs"][db] for answer in facts.shards.values() if db in answer["dbs"]]
        keys, expires = (sum(one[name] for one in found) for name in ("keys", "expires"))
        average_ms = int(ratio(sum(one["avg_ttl"] * one["expires"] for one in found), expires))
        volatile = sum(one.get("keys_with_volatile_items", 0) for one in found)
        fields[f"db{db}"] = f"keys={keys},expires={expires},avg_ttl={average_ms},keys_with_volatile_items={volatile}"
    return fields


SECTIONS: dict[str, tuple[str, Callable[[Facts], Fields]]] = {
    "server": ("Server", server),
    "tls": ("TLS", tls),
    "clients": ("Clients", clients),
    "memory": ("Memory", memory),
    "persistence": ("Persistence", persistence),
    "stats": ("Stats", stats),
    "replication": ("Replication", replication),
    "cpu": ("CPU", cpu),
    "modules": ("Modules", nothing),
    "commandstats": ("Commandstats", commandstats),
    "errorstats": ("Errorstats", errorstats),
    "latencystats": ("Latencystats", latencystats),
    "cluster": ("Cluster", cluster),
    "cluster_info": ("Cluster Info", nothing),
    "scriptingengines": ("Scripting Engines", scripting),
    "shards": ("Shards", shards),
    "keyspace": ("Keyspace", keyspace),
    "debug": ("Debug", nothing),
}
"""By the word that a client says. "cluster_info" has no word in Valkey: only ALL shows it."""

"""The section Stats of INFO."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router.info_sections import Facts


def stats_fields(facts: "Facts") -> dict[str, Any]:
    """Counters of router and shards."""
    router = facts.router
    traffic = router.traffic()
    rates = router.sampler.rates()
    total = facts.total
    failed = sum(count for answer in facts.shards.values() for count in answer["errors"].values())
    return {
        "total_connections_received": traffic.total_connections_received,
        "total_commands_processed": traffic.total_commands_processed,
        "instantaneous_ops_per_sec": round(rates["instantaneous_ops_per_sec"]),
        "total_net_input_bytes": traffic.total_net_input_bytes,
        "total_net_output_bytes": traffic.total_net_output_bytes,
        "total_net_repl_input_bytes": 0,
        "total_net_repl_output_bytes": 0,
        "total_net_cluster_slot_import_bytes": 0,
        "total_net_cluster_slot_export_bytes": 0,
        "instantaneous_input_kbps": f"{rates['input_bytes_per_second'] / 1024:.2f}",
        "instantaneous_output_kbps": f"{rates['output_bytes_per_second'] / 1024:.2f}",
        "instantaneous_input_repl_kbps": "0.00",
        "instantaneous_output_repl_kbps": "0.00",
        "rejected_connections": traffic.rejected_connections,
        "sync_full": 0,
        "sync_partial_ok": 0,
        "sync_partial_err": 0,
        "expired_keys": total("expired_keys"),
        "expired_fields": total("expired_fields"),
        "expired_time_cap_reached_count": total("expired_time_cap_reached_count"),
        "expire_cycle_cpu_milliseconds": int(total("expire_cycle_cpu_milliseconds")),
        "evicted_keys": total("evicted_keys"),
        "evicted_clients": 0,
        "evicted_scripts": 0,
        "total_eviction_exceeded_time": total("total_eviction_exceeded_time"),
        "current_eviction_exceeded_time": total("current_eviction_exceeded_time"),
        "keyspace_hits": total("keyspace_hits"),
        "keyspace_misses": total("keyspace_misses"),
        "pubsub_channels": 0,
        "pubsub_patterns": 0,
        "pubsubshard_channels": 0,
        "latest_fork_usec": 0,
        "total_forks": 0,
        "migrate_cached_sockets": 0,
        "slave_expires_tracked_keys": 0,
        "active_defrag_hits": 0,
        "active_defrag_misses": 0,
        "active_defrag_key_hits": 0,
        "active_defrag_key_misses": 0,
        "total_active_defrag_time": 0,
        "current_active_defrag_time": 0,
        "tracking_total_keys": 0,
        "tracking_total_items": 0,
        "tracking_total_prefixes": 0,
        "unexpected_error_replies": 0,
        "total_error_replies": traffic.total_error_replies + failed,
        "dump_payload_sanitizations": 0,
        "total_reads_processed": traffic.total_reads_processed,
        "total_writes_processed": traffic.total_writes_processed,
        "io_threaded_reads_processed": 0,
        "io_threaded_writes_processed": 0,
        "io_threaded_freed_objects": 0,
        "io_threaded_accept_processed": 0,
        "io_threaded_poll_processed": 0,
        "io_threaded_total_prefetch_batches": 0,
        "io_threaded_total_prefetch_entries": 0,
        "client_query_buffer_limit_disconnections": traffic.client_query_buffer_limit_disconnections,
        "client_output_buffer_limit_disconnections": 0,
        "acl_access_denied_auth": traffic.acl_access_denied_auth,
        "acl_access_denied_cmd": 0,
        "acl_access_denied_key": 0,
        "acl_access_denied_channel": 0,
        "acl_access_denied_tls_cert": 0,
        "acl_access_denied_db": 0,
    }

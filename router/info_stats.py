"""The section Stats of INFO."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router.info_sections import Facts


FIELDS = dict.fromkeys(
    """
    total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes
    total_net_output_bytes total_net_repl_input_bytes total_net_repl_output_bytes
    total_net_cluster_slot_import_bytes total_net_cluster_slot_export_bytes instantaneous_input_kbps
    instantaneous_output_kbps instantaneous_input_repl_kbps instantaneous_output_repl_kbps rejected_connections
    sync_full sync_partial_ok sync_partial_err expired_keys expired_fields expired_time_cap_reached_count
    expire_cycle_cpu_milliseconds evicted_keys evicted_clients evicted_scripts total_eviction_exceeded_time
    current_eviction_exceeded_time keyspace_hits keyspace_misses pubsub_channels pubsub_patterns
    pubsubshard_channels latest_fork_usec total_forks migrate_cached_sockets slave_expires_tracked_keys
    active_defrag_hits active_defrag_misses active_defrag_key_hits active_defrag_key_misses
    total_active_defrag_time current_active_defrag_time tracking_total_keys tracking_total_items
    tracking_total_prefixes unexpected_error_replies total_error_replies dump_payload_sanitizations
    total_reads_processed total_writes_processed io_threaded_reads_processed io_threaded_writes_processed
    io_threaded_freed_objects io_threaded_accept_processed io_threaded_poll_processed
    io_threaded_total_prefetch_batches io_threaded_total_prefetch_entries client_query_buffer_limit_disconnections
    client_output_buffer_limit_disconnections acl_access_denied_auth acl_access_denied_cmd acl_access_denied_key
    acl_access_denied_channel acl_access_denied_tls_cert acl_access_denied_db
    """.split(),  # noqa: SIM905  A list literal would take forty lines.
    0,
)
"""In Redis's order; 0 is true of what this server does not have."""


def stats_fields(facts: "Facts") -> dict[str, Any]:
    """Counters of router and shards."""
    router = facts.router
    traffic = router.traffic()
    rates = router.sampler.rates()
    total = facts.total
    failed = sum(count for answer in facts.shards.values() for count in answer["errors"].values())
    return FIELDS | {
        "total_connections_received": traffic.total_connections_received,
        "total_commands_processed": traffic.total_commands_processed,
        "instantaneous_ops_per_sec": round(rates["instantaneous_ops_per_sec"]),
        "total_net_input_bytes": traffic.total_net_input_bytes,
        "total_net_output_bytes": traffic.total_net_output_bytes,
        "instantaneous_input_kbps": f"{rates['input_bytes_per_second'] / 1024:.2f}",
        "instantaneous_output_kbps": f"{rates['output_bytes_per_second'] / 1024:.2f}",
        "instantaneous_input_repl_kbps": "0.00",
        "instantaneous_output_repl_kbps": "0.00",
        "rejected_connections": traffic.rejected_connections,
        "evicted_clients": traffic.evicted_clients,
        "expired_keys": total("expired_keys"),
        "expired_fields": total("expired_fields"),
        "expired_time_cap_reached_count": total("expired_time_cap_reached_count"),
        "expire_cycle_cpu_milliseconds": int(total("expire_cycle_cpu_milliseconds")),
        "evicted_keys": total("evicted_keys"),
        **router.budget.info(),
        "keyspace_hits": total("keyspace_hits"),
        "keyspace_misses": total("keyspace_misses"),
        "pubsub_channels": len(router.pubsub.channels),
        "pubsub_patterns": len(router.pubsub.patterns),
        "pubsubshard_channels": len(router.pubsub.shard_channels),
        "tracking_total_keys": router.trackers.keys,
        "tracking_total_items": router.trackers.items,
        "tracking_total_prefixes": len(router.trackers.broadcast.prefixes),
        "total_error_replies": traffic.total_error_replies + failed,
        "total_reads_processed": traffic.total_reads_processed,
        "total_writes_processed": traffic.total_writes_processed,
        "client_query_buffer_limit_disconnections": traffic.client_query_buffer_limit_disconnections,
        "client_output_buffer_limit_disconnections": traffic.client_output_buffer_limit_disconnections,
        "acl_access_denied_auth": traffic.acl_access_denied_auth,
        "acl_access_denied_cmd": traffic.acl_access_denied_cmd,
        "acl_access_denied_key": traffic.acl_access_denied_key,
        "acl_access_denied_channel": traffic.acl_access_denied_channel,
        "acl_access_denied_tls_cert": traffic.acl_access_denied_tls_cert,
        "acl_access_denied_db": traffic.acl_access_denied_db,
    }

"""The series of redis_exporter 1.45.0 by type and labels, as it tells them of a server that has had slow commands,
errors, latency events and a log; without `redis_`, and but for those about the exporter itself.
"""

INSTANCE = (
    "maxmemory_policy", "os", "process_id", "redis_build_id", "redis_mode", "redis_version", "role", "run_id",
    "tcp_port",
)  # fmt: skip

SERIES: dict[tuple[str, tuple[str, ...]], str] = {
    ("counter", ()): """
        commands_processed_total connections_received_total cpu_sys_children_seconds_total
        cpu_sys_main_thread_seconds_total cpu_sys_seconds_total cpu_user_children_seconds_total
        cpu_user_main_thread_seconds_total cpu_user_seconds_total dump_payload_sanitizations
        evicted_keys_total expired_keys_total io_threaded_reads_processed io_threaded_writes_processed
        keyspace_hits_total keyspace_misses_total net_input_bytes_total net_output_bytes_total
        rejected_connections_total total_error_replies total_reads_processed total_writes_processed
        unexpected_error_replies
        """,
    ("counter", ("cmd",)): """
        commands_duration_seconds_total commands_failed_calls_total commands_rejected_calls_total
        commands_total
        """,
    ("counter", ("err",)): """
        errors_total
        """,
    ("gauge", ()): """
        active_defrag_running allocator_active_bytes allocator_allocated_bytes allocator_frag_bytes
        allocator_frag_ratio allocator_resident_bytes allocator_rss_bytes allocator_rss_ratio
        aof_base_size_bytes aof_buffer_length aof_current_rewrite_duration_sec aof_current_size_bytes
        aof_delayed_fsync aof_enabled aof_last_bgrewrite_status aof_last_cow_size_bytes
        aof_last_rewrite_duration_sec aof_last_write_status aof_pending_bio_fsync aof_pending_rewrite
        aof_rewrite_in_progress aof_rewrite_scheduled blocked_clients client_recent_max_input_buffer_bytes
        client_recent_max_output_buffer_bytes clients_in_timeout_table cluster_connections cluster_enabled
        config_io_threads config_maxclients config_maxmemory connected_clients connected_slaves defrag_hits
        defrag_key_hits defrag_key_misses defrag_misses expired_stale_percentage
        expired_time_cap_reached_total io_threads_active last_slow_execution_duration_seconds
        latest_fork_seconds lazyfree_pending_objects loading_dump_file master_repl_offset mem_clients_normal
        mem_clients_slaves mem_fragmentation_bytes mem_fragmentation_ratio mem_not_counted_for_eviction_bytes
        memory_max_bytes memory_used_bytes memory_used_dataset_bytes memory_used_lua_bytes
        memory_used_overhead_bytes memory_used_peak_bytes memory_used_rss_bytes memory_used_scripts_bytes
        memory_used_startup_bytes migrate_cached_sockets_total module_fork_in_progress
        module_fork_last_cow_size number_of_cached_scripts process_id pubsub_channels pubsub_patterns
        rdb_bgsave_in_progress rdb_changes_since_last_save rdb_current_bgsave_duration_sec
        rdb_last_bgsave_duration_sec rdb_last_bgsave_status rdb_last_cow_size_bytes
        rdb_last_save_timestamp_seconds repl_backlog_first_byte_offset repl_backlog_history_bytes
        repl_backlog_is_active replica_partial_resync_accepted replica_partial_resync_denied
        replica_resyncs_full replication_backlog_bytes second_repl_offset slave_expires_tracked_keys
        slowlog_last_id slowlog_length start_time_seconds total_system_memory_bytes tracking_clients
        tracking_total_items tracking_total_keys tracking_total_prefixes up uptime_in_seconds
        """,
    ("gauge", ("db",)): """
        db_avg_ttl_seconds db_keys db_keys_cached db_keys_expiring
        """,
    ("gauge", ("event_name",)): """
        latency_spike_duration_seconds latency_spike_last
        """,
    ("gauge", INSTANCE): """
        instance_info
        """,
    ("summary", ("cmd",)): """
        latency_percentiles_usec
        """,
}

ABSENT = {
    "config_io_threads": "a directive without effect",
    "db_keys_cached": "keys that a KeyDB has on disk; Valkey has another figure in that place",
    "expired_stale_percentage": "nothing guesses here how many keys have expired and are still there",
}
"""Those that would tell what is not so."""
MORE = {"instance_info": {"master_replid"}}
"""Labels of a later redis_exporter."""

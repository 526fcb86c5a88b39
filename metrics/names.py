"""The figures of INFO by the names that redis_exporter gives them, so that its dashboards and alerts serve here too.

A name without `redis_`; what Redis counts up is a counter, all else a gauge, but for what redis_exporter takes for one.
Rule: no series is told that would be a lie: a field that INFO leaves out is left out here.
"""

from typing import NamedTuple


class Name(NamedTuple):
    """A field of INFO and what it is called."""

    section: str
    field: str
    name: str
    help: str
    is_counter: bool = False


def _gauges(section: str, text: str) -> tuple[Name, ...]:
    """From lines of "field name What it is."."""
    words = (line.split(maxsplit=2) for line in text.strip().splitlines())
    return tuple(Name(section, field, name, help_) for field, name, help_ in words)


def _counters(section: str, text: str) -> tuple[Name, ...]:
    return tuple(name._replace(is_counter=True) for name in _gauges(section, text))


NAMES: tuple[Name, ...] = (
    *_gauges(
        "server",
        """
        uptime_in_seconds uptime_in_seconds Seconds since the router was started.
        process_id process_id Process id of the router.
        io_threads_active io_threads_active Whether I/O threads are active.
        """,
    ),
    *_gauges(
        "clients",
        """
        connected_clients connected_clients Clients that are connected.
        blocked_clients blocked_clients Clients that wait in a blocking command.
        maxclients max_clients Clients that may be connected at once.
        maxclients config_maxclients The directive for that.
        cluster_connections cluster_connections Connections of other nodes of a cluster.
        tracking_clients tracking_clients Clients that are told when keys change that they cache.
        pubsub_clients pubsub_clients Clients that have subscribed.
        watching_clients watching_clients Clients that watch keys.
        clients_in_timeout_table clients_in_timeout_table Clients that wait with a timeout.
        total_watched_keys total_watched_keys Keys that are watched.
        total_blocking_keys total_blocking_keys Keys that clients wait for.
        total_blocking_keys_on_nokey total_blocking_keys_on_nokey Keys that clients wait for whose end they are told.
        client_recent_max_input_buffer client_recent_max_input_buffer_bytes Largest input buffer of a client.
        client_recent_max_output_buffer client_recent_max_output_buffer_bytes Largest output buffer of a client.
        """,
    ),
    *_gauges(
        "memory",
        """
        used_memory memory_used_bytes Memory of all processes.
        used_memory_rss memory_used_rss_bytes Memory of all processes, as the kernel counts it.
        used_memory_peak memory_used_peak_bytes Most memory that the processes had.
        used_memory_overhead memory_used_overhead_bytes Memory that is no data.
        used_memory_startup memory_used_startup_bytes Memory of the processes before they had data.
        used_memory_dataset memory_used_dataset_bytes Memory of the data.
        used_memory_lua memory_used_lua_bytes Memory of the Lua interpreter.
        used_memory_scripts memory_used_scripts_bytes Memory of scripts.
        number_of_cached_scripts number_of_cached_scripts Scripts that are kept.
        maxmemory memory_max_bytes Limit of the data, 0 for none.
        maxmemory config_maxmemory The directive for that.
        total_system_memory total_system_memory_bytes Memory of the machine.
        mem_fragmentation_ratio mem_fragmentation_ratio Memory that the kernel counts to memory in use.
        mem_fragmentation_bytes mem_fragmentation_bytes Memory that is lost between values.
        mem_not_counted_for_evict mem_not_counted_for_eviction_bytes Memory that does not count for maxmemory.
        mem_clients_normal mem_clients_normal Memory of clients.
        mem_clients_slaves mem_clients_slaves Memory of replicas.
        mem_aof_buffer mem_aof_buffer_bytes Memory of the log's buffers.
        allocator_active allocator_active_bytes Memory that the allocator has in use.
        allocator_allocated allocator_allocated_bytes Memory that was allocated.
        allocator_resident allocator_resident_bytes Memory of the allocator, as the kernel counts it.
        allocator_frag_ratio allocator_frag_ratio Memory that the allocator has in use to what was allocated.
        allocator_frag_bytes allocator_frag_bytes What lies between the two.
        allocator_rss_ratio allocator_rss_ratio Memory that the allocator holds to what it has in use.
        allocator_rss_bytes allocator_rss_bytes What lies between the two.
        active_defrag_running active_defrag_running Whether memory is being compacted.
        lazyfree_pending_objects lazyfree_pending_objects Values that are still to be freed.
        lazyfreed_objects lazyfreed_objects Values that were freed bit by bit.
        """,
    ),
    *_gauges(
        "persistence",
        """
        loading loading_dump_file Whether a shard loads its data.
        async_loading async_loading Whether data is loaded beside those that are served.
        rdb_changes_since_last_save rdb_changes_since_last_save Changes since the last file was saved.
        rdb_bgsave_in_progress rdb_bgsave_in_progress Whether a file is being saved.
        rdb_last_save_time rdb_last_save_timestamp_seconds When a file was last saved, as unix time.
        rdb_last_bgsave_status rdb_last_bgsave_status Whether the last save went well.
        rdb_last_bgsave_time_sec rdb_last_bgsave_duration_sec Seconds that the last save took, -1 for none.
        rdb_current_bgsave_time_sec rdb_current_bgsave_duration_sec Seconds since the save under way began, -1 for none.
        rdb_last_cow_size rdb_last_cow_size_bytes Memory that was copied for the last save.
        rdb_last_load_keys_expired rdb_last_load_expired_keys Keys of the last file that had expired.
        rdb_last_load_keys_loaded rdb_last_load_loaded_keys Keys that were loaded from the last file.
        current_save_keys_processed current_save_keys_processed Keys that the save under way has written.
        current_save_keys_total current_save_keys_total Keys that the save under way has to write.
        aof_enabled aof_enabled Whether writes are kept in a log.
        aof_rewrite_in_progress aof_rewrite_in_progress Whether the log of a shard is being rewritten.
        aof_rewrite_scheduled aof_rewrite_scheduled Whether the log of a shard is about to be rewritten.
        aof_last_rewrite_time_sec aof_last_rewrite_duration_sec Seconds that the last rewrite took, -1 for none.
        aof_current_rewrite_time_sec aof_current_rewrite_duration_sec Seconds of the rewrite under way, -1 for none.
        aof_last_cow_size aof_last_cow_size_bytes Memory that was copied for the last rewrite.
        aof_current_size aof_current_size_bytes Bytes of all logs.
        aof_base_size aof_base_size_bytes Bytes of all logs after they were last rewritten.
        aof_pending_rewrite aof_pending_rewrite Whether a rewrite waits for the end of a save.
        aof_buffer_length aof_buffer_length Bytes that wait to be written to the logs.
        aof_pending_bio_fsync aof_pending_bio_fsync Whether a log is being forced to disk.
        aof_delayed_fsync aof_delayed_fsync Times that a write waited for the disk.
        aof_last_bgrewrite_status aof_last_bgrewrite_status Whether the last rewrites went well.
        aof_last_write_status aof_last_write_status Whether the last writes to the logs went well.
        module_fork_in_progress module_fork_in_progress Whether a module has forked.
        module_fork_last_cow_size module_fork_last_cow_size Memory that was copied for a module.
        """,
    ),
    *_counters("persistence", "rdb_saves rdb_saves_total Files that were saved."),
    *_gauges(
        "stats",
        """
        instantaneous_ops_per_sec instantaneous_ops_per_sec Commands per second of late.
        pubsub_channels pubsub_channels Channels that somebody has subscribed to.
        pubsub_patterns pubsub_patterns Patterns that somebody has subscribed to.
        pubsubshard_channels pubsubshard_channels Shard channels that somebody has subscribed to.
        tracking_total_keys tracking_total_keys Keys that clients cache.
        tracking_total_items tracking_total_items Keys that clients cache, times those clients.
        tracking_total_prefixes tracking_total_prefixes Prefixes of keys that clients cache.
        current_eviction_exceeded_time current_eviction_exceeded_time_ms Milliseconds over maxmemory, since it is so.
        expired_time_cap_reached_count expired_time_cap_reached_total Times that removing keys took too long for one go.
        migrate_cached_sockets migrate_cached_sockets_total Connections that are kept for MIGRATE.
        slave_expires_tracked_keys slave_expires_tracked_keys Keys that a replica expires by itself.
        active_defrag_hits defrag_hits Values that were compacted.
        active_defrag_misses defrag_misses Values that were not worth it.
        active_defrag_key_hits defrag_key_hits Keys that were compacted.
        active_defrag_key_misses defrag_key_misses Keys that were not worth it.
        sync_full replica_resyncs_full Replicas that were sent all data.
        sync_partial_ok replica_partial_resync_accepted Replicas that were sent what they lacked.
        sync_partial_err replica_partial_resync_denied Replicas that could not be.
        """,
    ),
    *_counters(
        "stats",
        """
        total_connections_received connections_received_total Connections that were taken.
        total_commands_processed commands_processed_total Commands that were processed.
        total_net_input_bytes net_input_bytes_total Bytes from clients.
        total_net_output_bytes net_output_bytes_total Bytes to clients.
        total_net_repl_input_bytes net_repl_input_bytes_total Bytes from a primary.
        total_net_repl_output_bytes net_repl_output_bytes_total Bytes to replicas.
        rejected_connections rejected_connections_total Connections that were turned away.
        expired_keys expired_keys_total Keys whose time has come.
        expire_cycle_cpu_milliseconds expire_cycle_cpu_time_ms_total Milliseconds spent with removing expired keys.
        evicted_keys evicted_keys_total Keys that were removed for want of memory.
        evicted_clients evicted_clients_total Clients that were closed for want of memory.
        total_eviction_exceeded_time eviction_exceeded_time_ms_total Milliseconds over maxmemory.
        keyspace_hits keyspace_hits_total Look-ups of keys that were there.
        keyspace_misses keyspace_misses_total Look-ups of keys that were not.
        unexpected_error_replies unexpected_error_replies Errors that should not be.
        total_error_replies total_error_replies Replies that were errors.
        dump_payload_sanitizations dump_payload_sanitizations Values from outside that were looked through.
        total_reads_processed total_reads_processed Reads from clients.
        total_writes_processed total_writes_processed Writes to clients.
        io_threaded_reads_processed io_threaded_reads_processed Reads by I/O threads.
        io_threaded_writes_processed io_threaded_writes_processed Writes by I/O threads.
        client_query_buffer_limit_disconnections client_query_buffer_limit_disconnections_total Too long requests.
        client_output_buffer_limit_disconnections client_output_buffer_limit_disconnections_total Slow readers.
        acl_access_denied_auth acl_access_denied_auth_total Failed authentications.
        acl_access_denied_cmd acl_access_denied_cmd_total Commands that users may not run.
        acl_access_denied_key acl_access_denied_key_total Keys that users may not use.
        acl_access_denied_channel acl_access_denied_channel_total Channels that users may not use.
        """,
    ),
    *_gauges(
        "replication",
        """
        connected_slaves connected_slaves Replicas that are connected.
        master_repl_offset master_repl_offset Bytes that were sent to replicas.
        repl_backlog_active repl_backlog_is_active Whether there is a backlog for replicas.
        repl_backlog_size replication_backlog_bytes Size of that backlog.
        repl_backlog_histlen repl_backlog_history_bytes Bytes in that backlog.
        repl_backlog_first_byte_offset repl_backlog_first_byte_offset Offset of the first of them.
        second_repl_offset second_repl_offset Offset up to which a second history is taken, -1 for none.
        """,
    ),
    *_counters(
        "cpu",
        """
        used_cpu_sys cpu_sys_seconds_total System time of all processes.
        used_cpu_user cpu_user_seconds_total User time of all processes.
        used_cpu_sys_children cpu_sys_children_seconds_total System time of processes that have ended.
        used_cpu_user_children cpu_user_children_seconds_total User time of processes that have ended.
        used_cpu_sys_main_thread cpu_sys_main_thread_seconds_total System time of the loops.
        used_cpu_user_main_thread cpu_user_main_thread_seconds_total User time of the loops.
        """,
    ),
    *_gauges("cluster", "cluster_enabled cluster_enabled Whether it is a node of a cluster."),
)

STATUS = {"ok": 1.0, "err": 0.0}
"""The figures of fields that are words."""

INSTANCE_INFO = {
    "role": ("replication", "role"),
    "redis_version": ("server", "redis_version"),
    "redis_build_id": ("server", "redis_build_id"),
    "redis_mode": ("server", "server_mode"),
    "os": ("server", "os"),
    "maxmemory_policy": ("memory", "maxmemory_policy"),
    "tcp_port": ("server", "tcp_port"),
    "run_id": ("server", "run_id"),
    "process_id": ("server", "process_id"),
    "master_replid": ("replication", "master_replid"),
}
"""The labels of redis_instance_info."""

OWN_INFO = {
    "shards": ("server", "shardis_shards"),
    "speed": ("server", "shardis_speed"),
    "valkey_version": ("server", "valkey_version"),
}
"""Those of shardis_info."""


class ShardName(NamedTuple):
    """A figure of one shard, `key` among its facts, and its series, without `shardis_shard_`."""

    key: str
    name: str
    help: str
    is_counter: bool = False


SHARD_NAMES: tuple[ShardName, ...] = (
    ShardName("keys", "keys", "Keys of the shard."),
    ShardName("expires", "keys_expiring", "Keys of the shard that have a time to live."),
    ShardName("memory_bytes", "memory_bytes", "Memory of the process, as the kernel counts it."),
    ShardName("uptime_s", "uptime_seconds", "Seconds since the process was started."),
    ShardName("log_bytes", "aof_size_bytes", "Bytes of the log."),
    ShardName("log_base_bytes", "aof_base_size_bytes", "Bytes of the log after it was last rewritten."),
    ShardName("log_buffer_bytes", "aof_buffer_bytes", "Bytes that wait to be written to the log."),
    ShardName("log_ok", "aof_ok", "Whether the last write and the last rewrite of the log went well."),
    ShardName("rewriting", "rewrite_in_progress", "Whether the log is being rewritten."),
    ShardName("refusing", "refuses_writes", "Whether writes are refused, because the log can't be written."),
    ShardName("loading", "loading", "Whether the shard loads its log."),
    ShardName("loaded_bytes", "loaded_bytes", "Bytes of the log that were read at the start."),
    ShardName("total_bytes", "loading_total_bytes", "Bytes of the log that are read at the start."),
    ShardName("rewrites", "rewrites", "Rewrites of the log that were begun.", True),
    ShardName("delayed_fsyncs", "aof_delayed_fsyncs", "Times that a write waited for the disk.", True),
    ShardName("hits", "keyspace_hits", "Look-ups of keys that were there.", True),
    ShardName("misses", "keyspace_misses", "Look-ups of keys that were not.", True),
    ShardName("expired", "expired_keys", "Keys whose time has come.", True),
    ShardName("evicted", "evicted_keys", "Keys that were removed for want of memory.", True),
    ShardName("internal_errors", "internal_errors", "Faults of Shardis itself; the log has their tracebacks.", True),
)

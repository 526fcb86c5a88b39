"""Directives that are accepted, kept and shown, and that change nothing here: each with the reason.

A redis.conf can be taken over as it is: who sets one of these to something else than its default is told at the start,
in the log, that it has no effect and why. A directive whose `users` are NOBODY stands here, and no other.
"""

from collections.abc import Mapping

from common.directives import HAS_CIPHERSUITES

NO_REPLICAS = "there is no replication"
NO_CLUSTER = "this is no node of a cluster: the shards of a server are its own"
NO_OUTGOING = "this server connects to no other"
NO_CACHE = "Python's ssl can't set them: OpenSSL's own hold, 20480 sessions for two hours"
NO_CIPHERSUITES = "the ssl of Python before 3.15 can't choose the cipher suites of TLS 1.3: OpenSSL does"
NO_RDMA = "there is no RDMA"
NO_FORKS = "nothing is forked"
OF_THE_SYSTEM = "the system says so for all processes of a service, see systemd.exec(5) and taskset(1)"
LOG_OF_EVENTS = "the log is lines for people, on standard error or in logfile"
PYTHONS_MEMORY = "Python's allocator moves nothing; dicts of a slot each grow so little at once that nothing waits"
THREADS = "a router and shards, one thread each, do the work of all cores"
FREED_LATER = "large values are always freed in slices, between the commands"
UNCOMMON = "the system's choice is taken"

REASONS: dict[str, str] = {
    NO_REPLICAS: """
        replicaof primaryauth primaryuser replica-serve-stale-data replica-read-only replica-priority replica-announced
        replica-announce-ip replica-announce-port replica-lazy-flush replica-ignore-maxmemory
        replica-ignore-disk-write-errors min-replicas-to-write min-replicas-max-lag repl-backlog-size repl-backlog-ttl
        repl-timeout repl-ping-replica-period repl-disable-tcp-nodelay repl-diskless-sync repl-diskless-sync-delay
        repl-diskless-sync-max-replicas repl-diskless-load repl-mptcp propagation-error-behavior bind-source-addr
        dual-channel-replication-enabled import-mode rdb-del-sync-files tls-replication""",
    NO_CLUSTER: """
        cluster-enabled cluster-config-file cluster-node-timeout cluster-port cluster-require-full-coverage
        cluster-allow-reads-when-down cluster-allow-pubsubshard-when-down cluster-allow-replica-migration
        cluster-migration-barrier cluster-replica-no-failover cluster-replica-validity-factor cluster-announce-ip
        cluster-announce-port cluster-announce-bus-port cluster-announce-tls-port cluster-announce-hostname
        cluster-announce-human-nodename cluster-preferred-endpoint-type cluster-link-sendbuf-limit
        cluster-announce-client-ipv4 cluster-announce-client-ipv6 cluster-announce-client-port
        cluster-announce-client-tls-port cluster-blacklist-ttl cluster-config-save-behavior cluster-databases
        cluster-manual-failover-timeout cluster-slot-migration-log-max-len cluster-slot-stats-enabled
        slot-migration-max-failover-repl-bytes tls-cluster""",
    NO_OUTGOING: "tls-client-cert-file tls-client-key-file tls-client-key-file-pass",
    NO_CACHE: "tls-session-cache-size tls-session-cache-timeout",
    **({} if HAS_CIPHERSUITES else {NO_CIPHERSUITES: "tls-ciphersuites"}),
    NO_RDMA: "rdma-bind rdma-port rdma-rx-size rdma-completion-vector",
    "there are no modules": "enable-module-command",
    "there are no scripts": "busy-reply-threshold",
    PYTHONS_MEMORY: """
        activerehashing activedefrag active-defrag-cycle-min active-defrag-cycle-max active-defrag-cycle-us
        active-defrag-ignore-bytes active-defrag-max-scan-fields active-defrag-threshold-lower
        active-defrag-threshold-upper jemalloc-bg-thread hash-seed""",
    "the nodes of a list are not compressed": "list-compress-depth",
    FREED_LATER: "lazyfree-lazy-expire lazyfree-lazy-server-del lazyfree-lazy-user-del",
    THREADS: "io-threads io-threads-do-reads prefetch-batch-max-size",
    NO_FORKS: "aof-rewrite-cpulist bgsave-cpulist",
    OF_THE_SYSTEM: "oom-score-adj oom-score-adj-values disable-thp server-cpulist bio-cpulist supervised",
    LOG_OF_EVENTS: "always-show-logo ignore-warnings",
    "a fault is logged with Python's traceback": "crash-log-enabled crash-memcheck-enabled",
    "the processes are called shardis: router, shardis: shard 0 ...": "proc-title-template",
    "words are compared byte by byte": "locale-collate",
    "what Redis is asked to be compatible with, Shardis is anyway": "extended-redis-compatibility",
    "timers wake only for what is due": "dynamic-hz",
    "expired keys are removed as soon as they are due, in slices": "active-expire-effort",
    "the log's entries carry no times": "aof-timestamp-enabled",
    "what is restored is always looked at": "sanitize-dump-payload",
    UNCOMMON: "mptcp socket-mark-id max-new-connections-per-cycle max-new-tls-connections-per-cycle",
}
"""By the reason: the names of the directives."""

WITHOUT_EFFECT: Mapping[str, str] = {name: reason for reason, names in REASONS.items() for name in names.split()}
"""By the name of a directive: why it has no effect."""

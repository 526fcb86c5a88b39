"""The table of directives: redis.conf's names, with Valkey's defaults, kinds and ranges.

Each line says who uses the directive: the router, the shards, the supervisor. NOBODY is the honest word for one that
Redis users write and that has no effect here, for the reason in without_effect.py: it is accepted, kept and shown, so
that a redis.conf can be taken over as it is, and the supervisor names those that were set. What must not be believed in
silently (a cluster, a replica) is of the kind Only, which refuses every value but the default.
"""

import sys
from typing import NamedTuple

from common.directive_kinds import (
    INT_MAX,
    LONG_MAX,
    UINT_MAX,
    ULONG_MAX,
    Addresses,
    BufferLimits,
    Events,
    Integer,
    Kind,
    Lines,
    Memory,
    MemoryOrPercent,
    Octal,
    OneOf,
    Only,
    OomScores,
    Percentiles,
    SavePoints,
    SomeOf,
    Text,
    YesNo,
)

HAS_CIPHERSUITES = sys.version_info >= (3, 15)
"""Whether Python's ssl can choose the cipher suites of TLS 1.3."""

ROUTER, SHARD, SUPERVISOR, NOBODY = 1, 2, 4, 0
ALL = ROUTER | SHARD | SUPERVISOR

# Why CONFIG SET refuses: the second half of its error line. MUTABLE does not refuse.
MUTABLE = ""
IMMUTABLE = "can't set immutable config"
PROTECTED = "can't set protected config"  # But for those whom enable-protected-configs lets.
FIXED = "can't set protected config "
"""As PROTECTED; and who may set those is told that this one is immutable: the logs and their lock are there."""


class Directive(NamedTuple):
    name: str
    kind: Kind
    default: str
    users: int = NOBODY
    refusal: str = MUTABLE
    aliases: tuple[str, ...] = ()
    secret: bool = False  # Not for the argument list of a process, which everybody can read.
    own: bool = False  # Of one process, not of the server: not shown, not rewritten, not handed on.
    hidden: bool = False  # A line of the file, nothing that CONFIG GET or SET knows.

    @property
    def shown(self) -> bool:
        return not self.own and not self.hidden


def _file_name(name: str) -> Text:
    """A name without folders that has to be there."""

    def check(text: str) -> str:
        if not text:
            return f"{name} can't be empty"
        return f"{name} can't be a path, just a filename" if "/" in text else ""

    return Text(check)


def _address(version: int) -> Text:
    """An IP address of that version, or none."""

    def check(text: str) -> str:
        if not text:
            return ""
        from ipaddress import ip_address  # 5 ms that a start does without.

        try:
            fits = ip_address(text).version == version
        except ValueError:
            fits = False
        return "" if fits else f"Invalid IPv{version} address"

    return Text(check)


def _not_supported(kind: Kind, default: str, what: str) -> Only:
    return Only(kind, default, f"{what} is not supported by Shardis")


TEXT, YES_NO = Kind(), YesNo()
COUNT, BIG_COUNT, PORT, SIZE = Integer(0, INT_MAX), Integer(0, LONG_MAX), Integer(0, 65535), Memory()
SIGNALS = SomeOf("default", "save", "nosave", "now", "force", "safe", "failover")
POLICIES = "volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction"
ALLOWED = OneOf("no", "yes", "local")
D = Directive

DIRECTIVES: tuple[Directive, ...] = (
    # Shardis's own.
    D("shards", Integer(0, 1024), "0", ALL, IMMUTABLE),  # 0: as the data has it, else one per core
    D("hash-tags", YES_NO, "yes", ROUTER | SHARD, IMMUTABLE),
    D("rundir", TEXT, "", ALL, IMMUTABLE),  # Empty: <dir>/run
    D("metrics-port", PORT, "0", ROUTER | SUPERVISOR, IMMUTABLE),  # 0: no metrics
    D("metrics-bind", Addresses(), "127.0.0.1 -::1", SUPERVISOR, IMMUTABLE),
    D("config-file", TEXT, "", ROUTER, IMMUTABLE, own=True),  # what CONFIG REWRITE rewrites
    D("worked-out", TEXT, "", ROUTER, IMMUTABLE, own=True),  # what CONFIG REWRITE leaves as the file has it
    D("index", Integer(-1, 1023), "-1", SHARD, IMMUTABLE, own=True),  # which shard this process is
    D("supervisor-fd", Integer(-1, INT_MAX), "-1", ROUTER | SHARD, IMMUTABLE, own=True),  # end of file there: stop
    # Where it listens, and to whom.
    D("port", PORT, "6379", ROUTER),
    D("bind", Addresses(), "* -::*", ROUTER),
    D("protected-mode", YES_NO, "yes", ROUTER),
    D("unixsocket", TEXT, "", ROUTER, IMMUTABLE),
    D("unixsocketperm", Octal(), "0", ROUTER, IMMUTABLE),
    D("unixsocketgroup", TEXT, "", ROUTER, IMMUTABLE),
    D("tcp-backlog", COUNT, "511", ROUTER, IMMUTABLE),
    D("tcp-keepalive", COUNT, "300", ROUTER),
    D("timeout", COUNT, "0", ROUTER),
    D("maxclients", Integer(1, UINT_MAX), "10000", ROUTER),
    D("max-new-connections-per-cycle", Integer(1, 1000), "10"),
    D("bind-source-addr", TEXT, ""),
    D("mptcp", YES_NO, "no", NOBODY, IMMUTABLE),
    D("socket-mark-id", Integer(0, UINT_MAX), "0", NOBODY, IMMUTABLE),
    # Who may do what.
    D("requirepass", TEXT, "", ROUTER, secret=True),
    D("acl-pubsub-default", OneOf("allchannels", "resetchannels"), "resetchannels", ROUTER),
    D("acllog-max-len", BIG_COUNT, "128", ROUTER),
    D("aclfile", TEXT, "", ROUTER, IMMUTABLE),
    D("user", Lines(), "", ROUTER, IMMUTABLE, secret=True, hidden=True),
    D("enable-debug-command", ALLOWED, "no", ROUTER | SHARD, IMMUTABLE),
    D("enable-module-command", ALLOWED, "no", NOBODY, IMMUTABLE),
    D("enable-protected-configs", ALLOWED, "no", ROUTER, IMMUTABLE),
    # The process.
    D("databases", Integer(1, INT_MAX), "16", ROUTER | SHARD, IMMUTABLE),
    D("dir", TEXT, ".", ALL, FIXED),
    D("logfile", TEXT, "", ALL, IMMUTABLE),
    D("loglevel", OneOf("debug", "verbose", "notice", "warning", "nothing"), "notice", ALL),
    D("pidfile", TEXT, "", SUPERVISOR, IMMUTABLE),
    D("daemonize", Only(YES_NO, "no", "Shardis stays in the foreground: start it from systemd, or with &"), "no",
      SUPERVISOR, IMMUTABLE),
    D("supervised", OneOf("upstart", "systemd", "auto", "no"), "no", NOBODY, IMMUTABLE),
    D("set-proc-title", YES_NO, "yes", ALL, IMMUTABLE),
    D("proc-title-template", TEXT, "{title} {listen-addr} {server-mode}"),
    D("shutdown-timeout", COUNT, "10", ALL),
    D("shutdown-on-sigint", SIGNALS, "default", ROUTER),
    D("shutdown-on-sigterm", SIGNALS, "default", ROUTER),
    D("hz", Integer(0, INT_MAX, clamp=(1, 500)), "10", SHARD | ROUTER),
    D("io-threads", Integer(1, 256), "1"),
    D("io-threads-do-reads", YES_NO, "no"),
    D("dynamic-hz", YES_NO, "yes"),
    D("prefetch-batch-max-size", Integer(0, 128), "16"),
    D("always-show-logo", YES_NO, "no", NOBODY, IMMUTABLE),
    D("crash-log-enabled", YES_NO, "yes"),
    D("crash-memcheck-enabled", YES_NO, "yes"),
    D("hide-user-data-from-log", YES_NO, "yes", ROUTER),
    D("log-format", OneOf("legacy", "logfmt", "json"), "legacy", ALL),
    D("log-timestamp-format", OneOf("legacy", "iso8601", "milliseconds"), "legacy", ALL),
    D("syslog-enabled", YES_NO, "no", ALL, IMMUTABLE),
    D("syslog-ident", TEXT, "shardis", ALL, IMMUTABLE),
    D("syslog-facility",
      OneOf("user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"), "local0", ALL,
      IMMUTABLE),
    D("oom-score-adj", OneOf("no", "yes", "relative", "absolute"), "no"),
    D("oom-score-adj-values", OomScores(), "0 200 800"),
    D("disable-thp", YES_NO, "yes", NOBODY, IMMUTABLE),
    D("server-cpulist", TEXT, "", NOBODY, IMMUTABLE, ("server_cpulist",)),
    D("bio-cpulist", TEXT, "", NOBODY, IMMUTABLE, ("bio_cpulist",)),
    D("aof-rewrite-cpulist", TEXT, "", NOBODY, IMMUTABLE, ("aof_rewrite_cpulist",)),
    D("bgsave-cpulist", TEXT, "", NOBODY, IMMUTABLE, ("bgsave_cpulist",)),
    D("ignore-warnings", TEXT, ""),
    D("locale-collate", TEXT, ""),
    D("extended-redis-compatibility", YES_NO, "no"),
    D("availability-zone", TEXT, "", ROUTER),
    D("hash-seed", TEXT, "", NOBODY, IMMUTABLE),
    # What outlives the process.
    D("appendonly", YES_NO, "yes", SHARD),  # Valkey's default is no; here every write is kept unless told otherwise
    D("appendfsync", OneOf("everysec", "always", "no"), "everysec", SHARD),
    D("appendfilename", _file_name("appendfilename"), "appendonly.aof", SHARD, IMMUTABLE),
    D("appenddirname", _file_name("appenddirname"), "appendonlydir", SHARD, IMMUTABLE),
    D("aof-load-truncated", YES_NO, "yes", SHARD),
    D("aof-use-rdb-preamble", YES_NO, "yes", SHARD),
    D("aof-timestamp-enabled", YES_NO, "no"),
    D("aof-rewrite-incremental-fsync", YES_NO, "yes", SHARD),
    # Each shard goes by its own log. The least size is what is loaded so fast that a rewrite would gain nothing, and
    # shards load side by side: a fourth of it for each of four would only have them rewrite four times as often.
    D("auto-aof-rewrite-percentage", COUNT, "100", SHARD),
    D("auto-aof-rewrite-min-size", SIZE, "64mb", SHARD),
    D("no-appendfsync-on-rewrite", YES_NO, "no", SHARD),
    D("save", SavePoints(), "", ROUTER),  # Valkey's default is 3600 1 300 100 60 10000; the log makes it needless
    D("dbfilename", _file_name("dbfilename"), "dump.rdb", SHARD, PROTECTED),
    D("rdbcompression", YES_NO, "yes", SHARD),
    D("rdbchecksum", YES_NO, "yes", SHARD, IMMUTABLE),
    D("rdb-save-incremental-fsync", YES_NO, "yes", SHARD),
    D("rdb-del-sync-files", YES_NO, "no"),
    D("rdb-version-check", OneOf("strict", "relaxed"), "strict", SHARD),
    D("sanitize-dump-payload", OneOf("no", "yes", "clients"), "no"),
    D("stop-writes-on-bgsave-error", YES_NO, "yes", ROUTER),
    # Memory.
    D("maxmemory", Memory(0, ULONG_MAX), "0", ROUTER | SHARD),
    D("maxmemory-policy", OneOf(*POLICIES.split()), "noeviction", ROUTER | SHARD),
    D("maxmemory-samples", Integer(1, 64), "5", SHARD),
    D("maxmemory-eviction-tenacity", Integer(0, 100), "10", SHARD),
    D("maxmemory-clients", MemoryOrPercent(0, ULONG_MAX), "0", ROUTER),
    D("lfu-log-factor", COUNT, "10", SHARD),
    D("lfu-decay-time", COUNT, "1", SHARD),
    D("active-expire-effort", Integer(1, 10), "1"),
    D("activerehashing", YES_NO, "yes"),
    D("activedefrag", YES_NO, "no"),
    D("active-defrag-cycle-min", Integer(1, 99), "1"),
    D("active-defrag-cycle-max", Integer(1, 99), "25"),
    D("active-defrag-cycle-us", Integer(0, 100000), "500"),
    D("active-defrag-ignore-bytes", Memory(1), "100mb"),
    D("active-defrag-max-scan-fields", Integer(1, LONG_MAX), "1000"),
    D("active-defrag-threshold-lower", Integer(0, 1000), "10"),
    D("active-defrag-threshold-upper", Integer(0, 1000), "100"),
    D("jemalloc-bg-thread", YES_NO, "yes"),
    D("lazyfree-lazy-eviction", YES_NO, "yes", SHARD),
    D("lazyfree-lazy-expire", YES_NO, "yes"),
    D("lazyfree-lazy-server-del", YES_NO, "yes"),
    D("lazyfree-lazy-user-del", YES_NO, "yes"),
    D("lazyfree-lazy-user-flush", YES_NO, "yes", SHARD),
    # What clients may take.
    D("proto-max-bulk-len", Memory(1024 * 1024), "512mb", ROUTER | SHARD),
    D("client-query-buffer-limit", Memory(1024 * 1024), "1gb", ROUTER),
    D("client-output-buffer-limit", BufferLimits(), "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60", ROUTER),
    D("tracking-table-max-keys", BIG_COUNT, "1000000", ROUTER),
    D("busy-reply-threshold", BIG_COUNT, "5000", aliases=("lua-time-limit",)),
    # What is told of the work.
    # Of two names for one directive, the first is the one that Redis knows too: CONFIG REWRITE writes that one.
    D("slowlog-log-slower-than", Integer(-1, LONG_MAX), "10000", ROUTER | SHARD,
      aliases=("commandlog-execution-slower-than",)),
    D("slowlog-max-len", BIG_COUNT, "128", ROUTER | SHARD, aliases=("commandlog-slow-execution-max-len",)),
    D("commandlog-request-larger-than", Integer(-1, LONG_MAX), "1048576", ROUTER),
    D("commandlog-large-request-max-len", BIG_COUNT, "128", ROUTER),
    D("commandlog-reply-larger-than", Integer(-1, LONG_MAX), "1048576", ROUTER),
    D("commandlog-large-reply-max-len", BIG_COUNT, "128", ROUTER),
    D("latency-monitor-threshold", BIG_COUNT, "0", ROUTER | SHARD),
    D("latency-tracking", YES_NO, "yes", ROUTER | SHARD),
    D("latency-tracking-info-percentiles", Percentiles(), "50 99 99.9", ROUTER),
    D("notify-keyspace-events", Events(), "", SHARD),
    # When a value changes its encoding.
    D("hash-max-listpack-entries", BIG_COUNT, "512", SHARD, aliases=("hash-max-ziplist-entries",)),
    D("hash-max-listpack-value", SIZE, "64", SHARD, aliases=("hash-max-ziplist-value",)),
    D("list-max-listpack-size", Integer(-INT_MAX - 1, INT_MAX), "-2", SHARD, aliases=("list-max-ziplist-size",)),
    D("list-compress-depth", COUNT, "0"),
    D("set-max-intset-entries", BIG_COUNT, "512", SHARD),
    D("set-max-listpack-entries", BIG_COUNT, "128", SHARD),
    D("set-max-listpack-value", BIG_COUNT, "64", SHARD),
    D("zset-max-listpack-entries", BIG_COUNT, "128", SHARD, aliases=("zset-max-ziplist-entries",)),
    D("zset-max-listpack-value", SIZE, "64", SHARD, aliases=("zset-max-ziplist-value",)),
    D("hll-sparse-max-bytes", SIZE, "3000", SHARD),
    D("stream-node-max-bytes", SIZE, "4096", SHARD),
    D("stream-node-max-entries", BIG_COUNT, "100", SHARD),
    # Replicas and clusters of Redis's own kind: there are none.
    D("replicaof", _not_supported(TEXT, "", "replication"), "", NOBODY, IMMUTABLE, ("slaveof",)),
    D("primaryauth", TEXT, "", aliases=("masterauth",), secret=True),
    D("primaryuser", TEXT, "", aliases=("masteruser",)),
    D("replica-serve-stale-data", YES_NO, "yes", aliases=("slave-serve-stale-data",)),
    D("replica-read-only", YES_NO, "yes", aliases=("slave-read-only",)),
    D("replica-priority", COUNT, "100", aliases=("slave-priority",)),
    D("replica-announced", YES_NO, "yes"),
    D("replica-announce-ip", TEXT, "", aliases=("slave-announce-ip",)),
    D("replica-announce-port", PORT, "0", aliases=("slave-announce-port",)),
    D("replica-lazy-flush", YES_NO, "yes", aliases=("slave-lazy-flush",)),
    D("replica-ignore-maxmemory", YES_NO, "yes", aliases=("slave-ignore-maxmemory",)),
    D("replica-ignore-disk-write-errors", YES_NO, "no"),
    D("min-replicas-to-write", COUNT, "0", aliases=("min-slaves-to-write",)),
    D("min-replicas-max-lag", COUNT, "10", aliases=("min-slaves-max-lag",)),
    D("repl-backlog-size", Memory(1), "10mb"),
    D("repl-backlog-ttl", BIG_COUNT, "3600"),
    D("repl-timeout", Integer(1, INT_MAX), "60"),
    D("repl-ping-replica-period", Integer(1, INT_MAX), "10", aliases=("repl-ping-slave-period",)),
    D("repl-disable-tcp-nodelay", YES_NO, "no"),
    D("repl-diskless-sync", YES_NO, "yes"),
    D("repl-diskless-sync-delay", COUNT, "5"),
    D("repl-diskless-sync-max-replicas", COUNT, "0"),
    D("repl-diskless-load", OneOf("disabled", "on-empty-db", "swapdb", "flush-before-load"), "disabled"),
    D("propagation-error-behavior", OneOf("ignore", "panic", "panic-on-replicas"), "ignore"),
    D("cluster-enabled", _not_supported(YES_NO, "no", "cluster mode"), "no", NOBODY, IMMUTABLE),
    D("cluster-config-file", TEXT, "nodes.conf", NOBODY, IMMUTABLE),
    D("cluster-node-timeout", BIG_COUNT, "15000"),
    D("cluster-port", PORT, "0", NOBODY, IMMUTABLE),
    D("cluster-require-full-coverage", YES_NO, "yes"),
    D("cluster-allow-reads-when-down", YES_NO, "no"),
    D("cluster-allow-pubsubshard-when-down", YES_NO, "yes"),
    D("cluster-allow-replica-migration", YES_NO, "yes"),
    D("cluster-migration-barrier", COUNT, "1"),
    D("cluster-replica-no-failover", YES_NO, "no", aliases=("cluster-slave-no-failover",)),
    D("cluster-replica-validity-factor", COUNT, "10", aliases=("cluster-slave-validity-factor",)),
    D("cluster-announce-ip", TEXT, ""),
    D("cluster-announce-port", PORT, "0"),
    D("cluster-announce-bus-port", PORT, "0"),
    D("cluster-announce-tls-port", PORT, "0"),
    D("cluster-announce-hostname", TEXT, ""),
    D("cluster-announce-human-nodename", TEXT, ""),
    D("cluster-preferred-endpoint-type", OneOf("ip", "hostname", "unknown-endpoint"), "ip"),
    D("cluster-link-sendbuf-limit", Memory(0, ULONG_MAX), "0"),
    D("cluster-announce-client-ipv4", _address(4), ""),
    D("cluster-announce-client-ipv6", _address(6), ""),
    D("cluster-announce-client-port", PORT, "0"),
    D("cluster-announce-client-tls-port", PORT, "0"),
    D("cluster-blacklist-ttl", Integer(-LONG_MAX - 1, LONG_MAX), "60"),
    D("cluster-config-save-behavior", OneOf("sync", "best-effort"), "sync"),
    D("cluster-databases", Integer(1, INT_MAX), "1", NOBODY, IMMUTABLE),
    D("cluster-manual-failover-timeout", Integer(1, INT_MAX), "5000"),
    D("cluster-slot-migration-log-max-len", BIG_COUNT, "1000"),
    D("cluster-slot-stats-enabled", YES_NO, "no"),
    D("slot-migration-max-failover-repl-bytes", Memory(-1, LONG_MAX, signed=True), "0"),
    D("dual-channel-replication-enabled", YES_NO, "no"),
    D("import-mode", YES_NO, "no"),
    D("repl-mptcp", YES_NO, "no", NOBODY, IMMUTABLE),
    D("rdma-bind", Only(TEXT, "", "No RDMA building support."), ""),
    D("rdma-port", Only(PORT, "0", "No RDMA building support."), "0"),
    D("rdma-rx-size", Integer(64 * 1024, 16 * 1024 * 1024), "1048576", NOBODY, IMMUTABLE),
    D("rdma-completion-vector", Integer(-1, 1024), "-1", NOBODY, IMMUTABLE),
    D("max-new-tls-connections-per-cycle", Integer(1, 1000), "1"),
    D("tls-auth-clients-user", OneOf("CN", "URI", "off"), "off", ROUTER),
    D("tls-auto-reload-interval", COUNT, "0", ROUTER),
    D("tls-port", PORT, "0", ROUTER),
    D("tls-cluster", _not_supported(YES_NO, "no", "cluster mode"), "no"),
    D("tls-replication", _not_supported(YES_NO, "no", "replication"), "no"),
    D("tls-cert-file", TEXT, "", ROUTER),
    D("tls-key-file", TEXT, "", ROUTER),
    D("tls-key-file-pass", TEXT, "", ROUTER, secret=True),
    D("tls-client-cert-file", TEXT, ""),
    D("tls-client-key-file", TEXT, ""),
    D("tls-client-key-file-pass", TEXT, "", secret=True),
    D("tls-dh-params-file", TEXT, "", ROUTER),
    D("tls-ca-cert-file", TEXT, "", ROUTER),
    D("tls-ca-cert-dir", TEXT, "", ROUTER),
    D("tls-auth-clients", OneOf("no", "yes", "optional"), "yes", ROUTER),
    D("tls-protocols", TEXT, "", ROUTER),
    D("tls-ciphers", TEXT, "", ROUTER),
    D("tls-ciphersuites", TEXT, "", ROUTER if HAS_CIPHERSUITES else NOBODY),
    D("tls-prefer-server-ciphers", YES_NO, "no", ROUTER),
    D("tls-session-caching", YES_NO, "yes", ROUTER),
    D("tls-session-cache-size", COUNT, "20480"),
    D("tls-session-cache-timeout", COUNT, "300"),
)  # fmt: skip

# Lines of a redis.conf that are no directives, and that change too much to be passed over.
NOT_SUPPORTED = ("loadmodule",)
RENAME = "rename-command"  # A line of the file, but nothing that CONFIG GET shows.

BY_NAME: dict[str, Directive] = {
    name: directive for directive in DIRECTIVES for name in (directive.name, *directive.aliases)
}

"""INFO and LATENCY HISTOGRAM as facts: what a client sees is what the inner door tells."""

from common.command_stats import CommandStats
from metrics.top.look import facts_of, sections_of
from router.info import histogram_us

INFO = """# Server\r
uptime_in_seconds:5\r
run_id:abc\r
\r
# Memory\r
used_memory:300\r
used_memory_rss:300\r
# CPU\r
used_cpu_user:3.500000\r
used_cpu_sys:1.000000\r
# Commandstats\r
cmdstat_get:calls=4,usec=10,usec_per_call=2.50,rejected_calls=1,failed_calls=2\r
# Shards\r
shard0:state=ready,pid=7,keys=3,used_memory_rss=100,used_cpu_sys=0.250000,used_cpu_user=1.500000,aof_current_size=9,\
internal_errors=0,uptime_in_seconds=4,commands_processed=4,aof_rewrite_in_progress=1,keyspace_hits=2,keyspace_misses=1,\
expired_keys=0,evicted_keys=0\r
shard1:state=down\r
# Keyspace\r
db0:keys=3,expires=0,avg_ttl=0\r
"""


def test_facts() -> None:
    found = facts_of(INFO, [], 50.0)
    assert found.now_s == 50.0 and found.number("server", "uptime_in_seconds") == 5
    assert found.commands["get"].calls == 4 and found.commands["get"].nanoseconds == 10_000
    assert (found.commands["get"].rejected_calls, found.commands["get"].failed_calls) == (1, 2)
    first, second = found.shards
    assert (first["index"], first["pid"], first["keys"], first["rewriting"], first["commands"]) == (0, 7, 3, 1, 4)
    assert first["cpu_user_s"] == 1.5 and first["fresh"]
    assert second == {"index": 1, "state": "down", "fresh": True, "pid": 0}
    assert found.router == {"rss_bytes": 200.0, "cpu_user_s": 2.0, "cpu_system_s": 0.75}


def test_histograms_are_those_that_were_counted() -> None:
    counted = CommandStats()
    for bits in range(10, 40):
        for _ in range(bits):
            counted.count((1 << bits) - 1)
    edges = [number for pair in histogram_us(counted).items() for number in pair]
    said = [b"get", [b"calls", counted.calls, b"histogram_usec", edges]]
    assert facts_of(INFO, said, 0.0).commands["get"].histogram == counted.histogram


def test_a_redis_has_no_shards() -> None:
    found = facts_of("# Server\r\nredis_version:7.2.4\r\n", [], 0.0)
    assert found.shards == [] and found.commands == {} and found.dbs() == {}


def test_what_a_terminal_would_act_on_does_not_pass() -> None:
    found = sections_of("# Server\r\nos:\x1b[2J\x9b5nLinux\r\n# Stats\x07\r\n\x1b]0;x:1\r\n")
    assert found["server"]["os"] == "?[2J?5nLinux"
    assert all(text.isprintable() for section in found.values() for pair in section.items() for text in pair)

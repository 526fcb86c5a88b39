"""INFO: the fields that the reference has, and figures that are true of all processes together."""

import os
import signal
import time
from collections.abc import Callable

from common.command_stats import CommandStats
from router.info import histogram_us
from tests.resp_client import Client, Error
from tests.servers import Server, Shardis

NOT_HERE = {
    "used_active_time_main_thread": "the loop is uvloop's, which does not tell",
    "expired_stale_perc": "expiry is exact: no share of stale keys has to be guessed",
    "expired_keys_with_volatile_items_stale_perc": "the same",
    "reply_buffer_shrinks": "replies have no buffers of their own",
    "reply_buffer_expands": "the same",
    "eventloop_cycles": "the loop is uvloop's, which does not tell",
    "eventloop_duration_sum": "the same",
    "eventloop_duration_cmd_sum": "the same",
    "instantaneous_eventloop_cycles_per_sec": "the same",
    "instantaneous_eventloop_duration_usec": "the same",
    "eventloop_duration_aof_sum": "the same",
    "eventloop_duration_cron_sum": "the same",
    "eventloop_duration_max": "the same",
    "eventloop_cmd_per_cycle_max": "the same",
    "io_threaded_reads_pending": "there are no such threads",
    "io_threaded_writes_pending": "the same",
    "module": "there are no modules",
    "engine_0": "there is no scripting engine",
}
"""Fields of the reference that this server leaves out, and why."""

OURS = {"shardis_python_version", "shardis_speed", "shardis_shards", "shard0", "shard1", "shard2"}
LOG_FIELDS = {
    "aof_current_size",
    "aof_base_size",
    "aof_pending_rewrite",
    "aof_buffer_length",
    "aof_pending_bio_fsync",
    "aof_delayed_fsync",
}
"""The reference of the tests runs without a log, and then does not show these."""

WORDS = """
    server tls clients memory persistence stats replication cpu modules commandstats errorstats latencystats cluster
    scriptingengines keyspace SERVER threads nosuch cluster_info
""".split()  # noqa: SIM905  A list literal would take twenty lines.

COUNTS = ("cmdstat_", "latency_percentiles_", "errorstat_")
SHARD_DOWN_TIMEOUT_S = 20.0


def sections(client: Client, *names: str) -> dict[str, dict[str, str]]:
    """The sections that INFO answers, with their fields, in order."""
    found: dict[str, dict[str, str]] = {}
    for part in client.call("INFO", *names).decode().split("\r\n\r\n"):
        title, *lines = part.strip().split("\r\n")
        if title:
            found[title] = dict(line.split(":", 1) for line in lines)
    return found


def names_of(found: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    return {
        title: [name for name in fields if not name.startswith(COUNTS)]
        for title, fields in found.items()
        if title != "# Keyspace"
    }


def test_fields_are_those_of_the_reference(client: Client, reference_client: Client) -> None:
    for wanted in ([], ["default"], ["all"], ["everything"], ["debug"], ["everything", "debug"]):
        ours, theirs = names_of(sections(client, *wanted)), names_of(sections(reference_client, *wanted))
        assert ours.pop("# Shards", None) is not None or wanted == ["debug"]
        assert list(ours) == list(theirs)
        for title, names in ours.items():
            left_out = set(theirs[title]) - set(names)
            assert left_out <= NOT_HERE.keys(), (title, left_out)
            added = set(names) - set(theirs[title])
            assert added <= OURS | LOG_FIELDS, (title, added)
            common = [name for name in theirs[title] if name in names]
            assert [name for name in names if name not in added] == common


def test_each_section_by_its_name(client: Client, reference_client: Client) -> None:
    for word in WORDS:
        client.call("SET", "key", "value")
        reference_client.call("SET", "key", "value")
        assert list(sections(client, word)) == list(sections(reference_client, word)), word


def test_what_is_left_out_is_in_the_reference(reference_client: Client) -> None:
    known = {name for fields in sections(reference_client, "everything", "debug").values() for name in fields}
    assert NOT_HERE.keys() <= known


def test_values_that_are_known(client: Client, shardis: Shardis) -> None:
    found = sections(client)
    assert found["# Server"]["redis_version"] == "7.2.4"
    assert found["# Server"]["tcp_port"] == str(shardis.port)
    assert found["# Server"]["shardis_speed"] in ("compiled", "plain")
    assert int(found["# Clients"]["connected_clients"]) >= 1
    assert int(found["# Memory"]["used_memory_rss"]) > 3 * 10_000_000
    assert int(found["# Memory"]["used_memory_peak"]) >= int(found["# Memory"]["used_memory"])
    assert found["# Persistence"]["loading"] == "0"
    assert float(found["# CPU"]["used_cpu_user"]) > 0
    assert len(found["# Shards"]) == 3
    assert all(line.startswith("state=ready,pid=") for line in found["# Shards"].values())


def test_keys_of_all_shards_are_summed(client: Client) -> None:
    for number in range(100):
        client.call("SET", f"key:{number}", "value", *(["PX", 100_000] if number % 2 else []))
    line = sections(client, "keyspace")["# Keyspace"]["db0"]
    fields = dict(field.split("=") for field in line.split(","))
    assert (fields["keys"], fields["expires"]) == ("100", "50")
    assert 90_000 < int(fields["avg_ttl"]) <= 100_000
    shards = sections(client, "shards")["# Shards"].values()
    keys = [int(dict(field.split("=") for field in line.split(","))["keys"]) for line in shards]
    assert sum(keys) == 100
    assert all(keys)


def test_rates_follow_the_traffic(client: Client) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for _ in range(200):
            client.call("GET", "key")
        found = sections(client, "stats")["# Stats"]
        if int(found["instantaneous_ops_per_sec"]) > 100 and float(found["instantaneous_input_kbps"]) > 1:
            break
    else:
        raise AssertionError("there was traffic, and INFO shows none")
    while int(sections(client, "stats")["# Stats"]["instantaneous_ops_per_sec"]) > 20:
        assert time.monotonic() < deadline + 20
        time.sleep(0.2)


def test_a_shard_that_is_down_is_shown(start: Callable[[Server], Server]) -> None:
    server = start(Shardis(shards=2))
    with server.connect() as client:
        line = sections(client, "shards")["# Shards"]["shard0"]
        os.kill(int(line.split("pid=")[1].split(",")[0]), signal.SIGKILL)
        deadline = time.monotonic() + SHARD_DOWN_TIMEOUT_S
        seen = set()
        while not (len(seen) > 1 and "ready" in seen):
            assert time.monotonic() < deadline, seen
            reply = client.call("INFO", "shards")
            if not isinstance(reply, Error):  # It died with the question in its hands.
                state = reply.decode().split("shard0:state=")[1].split(",")[0].split("\r")[0]
                seen |= {state} if state != "ready" or seen else set()
        assert "down" in seen or "loading" in seen


def test_a_call_on_several_shards_is_one_in_the_histogram() -> None:
    counts = CommandStats()
    for duration_ns in (900, 1500, 3000, 3000, 40_000, 40_000):  # Two calls of three parts.
        counts.count(duration_ns)
    counts.calls = 2
    assert histogram_us(counts) == {1: 0, 2: 1, 4: 1, 66: 2}


def test_edges_of_the_histogram_are_those_of_the_reference() -> None:
    counts = CommandStats()
    for bits in range(9, 24):
        counts.count((1 << bits) - 1)
    edges = [1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454]
    assert list(histogram_us(counts)) == edges

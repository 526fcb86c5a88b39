"""INFO stats: counters that grow by what a client does, on every shard, and that RESETSTAT sets back."""

from tests.resp_client import Client
from tests.test_info import sections


def stats(client: Client) -> dict[str, int]:
    found = sections(client, "stats")["# Stats"]
    return {name: int(float(value)) for name, value in found.items()}


def test_counters_grow(client: Client) -> None:
    before = stats(client)
    for number in range(10):
        client.call("SET", f"key:{number}", "value")
    for number in range(20):
        client.call("GET", f"key:{number}")
    client.call("NOSUCH")
    client.call("LPUSH")
    client.call("INCR", "key:1")
    after = stats(client)
    grown = {name: after[name] - before[name] for name in after}
    assert grown["total_commands_processed"] == 32  # What is refused does not count.
    assert (grown["keyspace_hits"], grown["keyspace_misses"]) == (10, 10)
    assert grown["total_error_replies"] == 3
    assert grown["total_net_input_bytes"] > 30 * 20
    assert grown["total_net_output_bytes"] > 30 * 5
    assert grown["total_reads_processed"] >= 34


def test_reset(client: Client) -> None:
    client.call("GET", "key")
    client.call("NOSUCH")
    client.call("CONFIG", "RESETSTAT")
    found = stats(client)
    assert found["keyspace_misses"] == found["total_error_replies"] == 0
    assert found["total_commands_processed"] <= 2
    assert list(sections(client, "commandstats")["# Commandstats"])[0] == "cmdstat_config|resetstat"

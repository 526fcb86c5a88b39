"""The bench's own load: it sends what it says, counts what comes back, and stops where a server answers otherwise."""

import pytest

from common.slot import slot_of
from tests.bench import borrowing, fanout, rows, throughput, volleys
from tests.bench.load import LoadFailed, knows
from tests.bench.volleys import Call
from tests.reference import Reference
from tests.servers import Server, Shardis


def both(reference: Reference, shardis: Shardis, command: str) -> list[Server]:
    return [server for server in (reference, shardis) if knows(server, command)]


def test_calls_are_sent_and_counted(reference: Reference) -> None:
    with reference.connect() as client:
        client.call("FLUSHALL")
        client.call("CONFIG", "RESETSTAT")
        figures = volleys.run(reference, lambda _: [("INCR", "n"), ("SET", "n", "1")], pipeline=4, calls=100, clients=5)
        assert client.call("GET", "n") == b"1"
        assert b"cmdstat_incr:calls=103," in client.call("INFO", "commandstats")  # Three, to know the answer's length.
    assert figures.rate > 0 and 0 < figures.p50_ms <= figures.p99_ms and figures.cpu_us.keys() == {"server"}


def test_the_row_that_is_a_transaction(reference: Reference, shardis: Shardis) -> None:
    servers = both(reference, shardis, "EXEC")
    found = throughput.measure(servers, rows.named(["exec 5"]), [2], 50, 1, print)
    assert [result.server for result in found] == [server.kind for server in servers]
    assert all(result.rate > 0 for result in found)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ([("GET",)], "GET was refused: .*wrong number"),
        ([("INCRBY", "n", "9"), ("INCRBY", "n", "90")], "answers of different lengths"),
    ],
)
def test_what_cannot_be_counted(reference: Reference, call: Call, text: str) -> None:
    with reference.connect() as client:
        client.call("DEL", "n")
    with pytest.raises(LoadFailed, match=text):
        volleys.run(reference, lambda _: call, pipeline=1, calls=10)


def test_an_answer_that_becomes_longer(reference: Reference) -> None:
    with reference.connect() as client:
        client.call("SET", "n", "1")
    with pytest.raises(LoadFailed, match="a longer answer than expected"):
        volleys.run(reference, lambda _: [("INCR", "n")], pipeline=2, calls=100, clients=1)


def test_keys_of_a_transaction_are_on_one_shard(reference: Reference) -> None:
    (row,) = rows.named(["EXEC 5"])
    with reference.connect() as client:
        client.call("FLUSHALL")
        volleys.run_row(reference, row, pipeline=2, requests=20)
        keys = client.call("KEYS", "*")
    assert keys and all(slot_of(key[:-1] + b"1") == slot_of(key[:-1] + b"2") for key in keys)


def test_publish(reference: Reference, shardis: Shardis) -> None:
    servers = both(reference, shardis, "SUBSCRIBE")
    found = fanout.publish(servers, print, messages=64, rounds=1, subscribers=5)
    assert [row["server"] for row in found] == [server.kind for server in servers]
    assert all(row["rate"] > 0 for row in found)


def test_renames(reference: Reference, shardis: Shardis) -> None:
    found = borrowing.renames([reference, shardis], print, count=20)
    assert [(row["server"], row["keys"]) for row in found] == [
        ("reference", "one shard"),
        ("shardis", "one shard"),
        ("shardis", "two shards"),
    ]


def test_holds(shardis: Shardis) -> None:
    found = borrowing.holds(shardis, print, calls=200, rounds=1)
    assert len(found) == 2 * len(borrowing.COMPARED) and all(row["ratio"] > 0 for row in found)

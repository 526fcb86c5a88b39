"""`shardis import redis://...` and `shardis export redis://...`: keys of a server that runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.reference import RedisServer, Reference
from tests.resp_client import Client
from tests.servers import Server, Shardis, free_port
from tests.transfers import ask, assert_same, digest, fill, run, times, url
from transfer.batches import BATCH_BYTES
from transfer.server import Server as Connection
from transfer.server_source import KEYS_FIRST, ServerSource

Start = Callable[[Server], Server]


@pytest.fixture(scope="module")
def source() -> Iterator[Reference]:
    with Reference() as server:
        with server.connect() as client:
            fill(client)
        yield server


@pytest.fixture
def connection(reference: Reference, reference_client: Client) -> Iterator[Connection]:
    """To the shared reference, which is empty."""
    server = Connection(url(reference))
    yield server
    server.close()


def test_in_and_out_again(
    start: Start, source: Reference, target: Shardis, there: Client, reference_client: Client, reference: Reference,
    tmp_path: Path,
) -> None:  # fmt: skip
    done = run("import", url(source), "--to", url(target), cwd=tmp_path)
    assert (done.status, done.err) == (0, "")
    with source.connect() as client:
        assert_same(there, client)
        done = run("export", url(reference), "--from", url(target), cwd=tmp_path)
        assert (done.status, done.err) == (0, "")
        assert_same(reference_client, client)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not RedisServer.is_installed(), reason="needs a redis-server")
def test_to_a_server_that_knows_less(
    start: Start, source: Reference, target: Shardis, there: Client, tmp_path: Path
) -> None:
    """A Redis 7.0 gets sets and streams in their older forms; fields with times it does not have."""
    redis = start(RedisServer())
    assert run("import", url(source), "--to", url(target), cwd=tmp_path).status == 0
    done = run("export", url(redis), "--from", url(target), cwd=tmp_path)
    assert done.status == 1
    assert "db 2, key 'times': " in done.err
    assert "db 0: 1 keys were not transferred; db 2: 1 keys were not transferred" in done.err
    for db in (0, 2):
        ask(there, "SELECT", db)
        ask(there, "DEL", "times")
    with redis.connect() as client:
        assert_same(there, client)
        ask(client, "FLUSHALL")
    done = run("export", url(redis), "--from", url(target), "--db", 2, cwd=tmp_path)
    assert done.status == 0, done


@pytest.mark.skipif(not RedisServer.is_installed(), reason="needs a redis-server")
def test_from_a_server_before_pexpiretime(start: Start, target: Shardis, there: Client, tmp_path: Path) -> None:
    """What it says is how long a key lives, so the time is right but for the milliseconds under way."""
    redis = start(RedisServer())
    with redis.connect() as client:
        ask(client, "ACL", "SETUSER", "default", "-pexpiretime")
        ask(client, "SET", "k", "v", "PXAT", 4_000_000_000_123)
        ask(client, "SET", "stays", "v")
    assert run("import", url(redis), "--to", url(target), cwd=tmp_path).status == 0
    found = times(there)
    assert found[0, b"stays"] == -1
    assert abs(found[0, b"k"] - 4_000_000_000_123) < 5_000  # type: ignore[operator]


def test_a_server_with_keys_is_refused(source: Reference, target: Shardis, there: Client, tmp_path: Path) -> None:
    ask(there, "SET", "k", "v")
    done = run("import", url(source), "--to", url(target), cwd=tmp_path)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert run("import", url(source), "--to", url(target), "--db", 2, cwd=tmp_path).status == 0
    assert run("import", url(source), "--to", url(target), "--flush", cwd=tmp_path).status == 0
    with source.connect() as client:
        assert digest(there) == digest(client)


def test_from_itself_to_itself(source: Reference, target: Shardis, tmp_path: Path) -> None:
    for server in (source, target):
        done = run("export", f"redis://localhost:{server.port}", "--from", url(server), "--replace", cwd=tmp_path)
        assert (done.status, "are the same server" in done.err) == (2, True)
        done = run("import", f"redis://localhost:{server.port}", "--to", url(server), "--flush", cwd=tmp_path)
        assert (done.status, "are the same server" in done.err) == (2, True)


def test_a_node_of_a_cluster(start: Start, target: Shardis, tmp_path: Path) -> None:
    node = start(Reference(cluster_enabled="yes", cluster_port=free_port()))
    for argv in (["import", url(node), "--to", url(target)], ["export", url(node), "--from", url(target)]):
        done = run(*argv, cwd=tmp_path)
        assert (done.status, "is a node of a cluster" in done.err, done.err.count("\n")) == (1, True, 1)


def test_keys_that_vanish_between_scan_and_dump(connection: Connection, reference_client: Client) -> None:
    for number in range(100):
        ask(reference_client, "SET", number, "v")
    batches = ServerSource(connection).batches([])
    first = next(batches)
    assert len(first.entries) == KEYS_FIRST
    ask(reference_client, "FLUSHALL")
    rest = list(batches)
    assert sum(batch.vanished for batch in rest) == 100 - KEYS_FIRST
    assert not any(batch.entries for batch in rest)


def test_it_goes_on_where_scan_was(connection: Connection, reference_client: Client) -> None:
    """From the position of any batch the rest follows; what a SCAN had named and was not all read comes again."""
    for db in (0, 5):
        ask(reference_client, "SELECT", db)
        for number in range(1000):
            ask(reference_client, "SET", number, "v")
    source = ServerSource(connection)
    whole = list(source.batches([]))
    for number in range(0, len(whole), 5):
        rest = {(batch.db, entry.key) for batch in source.batches(whole[number].position) for entry in batch.entries}
        left = {(batch.db, entry.key) for batch in whole[number + 1 :] for entry in batch.entries}
        assert left <= rest
    assert [batch.entries for batch in source.batches(whole[-1].position)] == []


def test_large_values_are_read_a_few_at_a_time(connection: Connection, reference_client: Client) -> None:
    ask(reference_client, "CONFIG", "SET", "rdbcompression", "no")
    for number in range(40):
        ask(reference_client, "SET", number, b"x" * (BATCH_BYTES // 2))
    sizes = [len(batch.entries) for batch in ServerSource(connection).batches([])]
    assert sizes[0] == KEYS_FIRST
    assert max(sizes[1:]) <= 2
    ask(reference_client, "CONFIG", "SET", "rdbcompression", "yes")

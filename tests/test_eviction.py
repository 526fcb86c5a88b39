"""maxmemory-clients: who takes the most is closed first, in Shardis as in the reference."""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from router.eviction import LIMIT_BYTES_MIN, limit_bytes
from tests.bare_router import BareRouter, on_a_loop
from tests.reference import Reference
from tests.resp_client import Client, Error, Status
from tests.servers import Server, Shardis

OK = Status(b"OK")
MB = 2**20
KINDS = pytest.mark.parametrize("kind", [Reference, Shardis])


@pytest.mark.parametrize(
    ("clients", "maxmemory", "limit"),
    [
        (0, 0, 0),
        (5 * MB, 0, 5 * MB),
        (1, 0, LIMIT_BYTES_MIN),
        (LIMIT_BYTES_MIN, 0, LIMIT_BYTES_MIN),
        (-50, 8 * MB, 4 * MB),
        (-50, 0, 0),
        (-1, 1000, LIMIT_BYTES_MIN),
    ],
)
def test_limit(clients: int, maxmemory: int, limit: int) -> None:
    assert limit_bytes(clients, maxmemory) == limit


def half_a_set(client: Client, size_bytes: int) -> None:
    """Sends that much of a value of twice the size."""
    with suppress(ConnectionError):  # Closed for what came first.
        client.socket.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (2 * size_bytes) + bytes(size_bytes))


def size_of(admin: Client, id_: int) -> int:
    """What a client takes."""
    words = admin.call("CLIENT", "LIST", "ID", id_).split()
    return int(next(word for word in words if word.startswith(b"tot-mem=")).partition(b"=")[2])


def wait_for_size(admin: Client, id_: int, size_bytes: int) -> None:
    while size_of(admin, id_) < size_bytes:
        time.sleep(0.01)


def admin_of(server: Server) -> Client:
    admin = server.connect()
    assert admin.call("CLIENT", "NO-EVICT", "ON") == OK
    return admin


def evicted(admin: Client) -> int:
    return int(admin.call("INFO", "stats").decode().split("evicted_clients:")[1].split()[0])


def wait_for_end(client: Client) -> None:
    with pytest.raises(ConnectionError):
        while True:
            client.read()


@KINDS
def test_the_largest_goes_first(start: Callable[[Server], Server], kind: type[Server]) -> None:
    server = start(kind(maxmemory="0"))
    with admin_of(server) as admin, server.connect() as large, server.connect() as small:
        ids = [client.call("CLIENT", "ID") for client in (large, small)]
        half_a_set(large, 6 * MB)
        half_a_set(small, 1 * MB)
        wait_for_size(admin, ids[0], 6 * MB)
        wait_for_size(admin, ids[1], 1 * MB)
        assert admin.call("CONFIG", "SET", "maxmemory-clients", "4mb") == OK
        wait_for_end(large)
        small.socket.sendall(bytes(1 * MB) + b"\r\n")
        assert small.read().value == OK
        assert evicted(admin) == 1


@KINDS
def test_no_evict(start: Callable[[Server], Server], kind: type[Server]) -> None:
    """What such a client takes counts, and so others have to go."""
    server = start(kind(maxmemory_clients="4mb"))
    with admin_of(server) as admin, server.connect() as large, server.connect() as small:
        id_ = large.call("CLIENT", "ID")
        assert large.call("CLIENT", "NO-EVICT", "ON") == OK
        half_a_set(large, 6 * MB)
        wait_for_end(small)
        wait_for_size(admin, id_, 6 * MB)
        large.socket.sendall(bytes(6 * MB) + b"\r\n")
        assert large.read().value == OK


@KINDS
def test_percents(start: Callable[[Server], Server], kind: type[Server]) -> None:
    server = start(kind(maxmemory="100mb", maxmemory_clients="5%"))
    with admin_of(server) as admin, server.connect() as small, server.connect() as large:
        assert admin.call("CONFIG", "GET", "maxmemory-clients") == [b"maxmemory-clients", b"5%"]
        half_a_set(small, 1 * MB)
        wait_for_size(admin, admin.call("CLIENT", "ID") + 1, 1 * MB)
        assert evicted(admin) == 0
        half_a_set(large, 6 * MB)
        wait_for_end(large)
        assert evicted(admin) == 1


@KINDS
def test_a_transaction_counts(start: Callable[[Server], Server], kind: type[Server]) -> None:
    server = start(kind(maxmemory_clients="4mb"))
    with admin_of(server) as admin, server.connect() as client:
        assert client.call("MULTI") == OK
        with pytest.raises(ConnectionError):
            while True:
                assert client.call("SET", "k", bytes(MB)) == Status(b"QUEUED")
        assert evicted(admin) == 1
        assert admin.call("EXISTS", "k") == 0


def test_a_subscriber_that_does_not_read(start: Callable[[Server], Server]) -> None:
    server = start(Shardis(maxmemory_clients="8mb", client_output_buffer_limit="pubsub 0 0 0"))
    with admin_of(server) as admin, server.connect() as deaf:
        deaf.call("SUBSCRIBE", "a")
        while admin.call("PUBLISH", "a", bytes(MB)):
            pass
        assert evicted(admin) == 1
        assert admin.call("EXISTS", "k") == 0


def test_nobody_is_looked_at_without_a_limit() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        assert not bare.router.eviction.looking
        bare.router.config.set_arguments([b"maxmemory-clients", b"1mb"])
        bare.router.configure()
        assert bare.router.eviction.looking
        bare.router.config.set_arguments([b"maxmemory-clients", b"0"])
        bare.router.configure()
        await bare.sent()
        assert not bare.router.eviction.looking

    on_a_loop(scene)


def test_a_limit_that_is_none(start: Callable[[Server], Server]) -> None:
    server = start(Shardis())
    with server.connect() as client:
        said = client.call("CONFIG", "SET", "maxmemory-clients", "101%")
        assert isinstance(said, Error) and said.endswith(b"percentage argument must be less or equal to 100")

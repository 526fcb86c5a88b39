"""Connections of the transfers: URLs, passwords, servers that are not there, and what is said of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.reference import Reference
from tests.servers import Server, Shardis, free_port
from tests.transfers import ask, run, url
from transfer.faults import Stopped, Usage
from transfer.server import PASSWORD_VARIABLE
from transfer.server import Server as Connection

SECRET = "s3 cr/t"
QUOTED = "s3%20cr%2Ft"


@pytest.fixture(scope="module", params=[Reference, Shardis])
def guarded(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param(requirepass=SECRET) as server:
        yield server


def with_password(server: Server, password: str) -> str:
    return f"redis://:{password}@127.0.0.1:{server.port}"


def test_a_password(guarded: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    for address in (url(guarded), with_password(guarded, "wrong")):
        with pytest.raises(Stopped) as refused:
            Connection(address)
        assert PASSWORD_VARIABLE in str(refused.value)
        assert "wrong@" not in str(refused.value)
    server = Connection(with_password(guarded, QUOTED))
    assert server.call(b"PING") == b"PONG"
    assert server.name == url(guarded)
    server.close()


def test_a_password_in_the_environment(guarded: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
    server = Connection(url(guarded))
    assert server.call(b"PING") == b"PONG"
    server.close()
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    with pytest.raises(Stopped):
        Connection(url(guarded))


def test_a_password_that_nobody_asks_for(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's is for servers that want one."""
    monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
    server = Connection(url(reference))
    assert server.call(b"PING") == b"PONG"
    server.close()


def test_nobody_there(tmp_path: Path) -> None:
    port = free_port()
    done = run("export", tmp_path / "file.rdb", "--from", f"redis://:{QUOTED}@127.0.0.1:{port}")
    assert done.status == 1
    assert done.err.startswith(f"shardis export: redis://127.0.0.1:{port} is gone or can't be reached: ")
    assert done.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "address",
    ["redis://127.0.0.1:0x10", "redis://127.0.0.1:6379/3", "redis://127.0.0.1:6379?db=3", "redis://h?x=%zz&db=y"],
)
def test_urls_that_make_no_sense(address: str) -> None:
    with pytest.raises(Usage):
        Connection(address)


@pytest.mark.parametrize("password", ["pa/ss", "pa@ss", "pa%ss", "pa:ss"])
def test_a_password_is_never_shown(password: str) -> None:
    with pytest.raises((Usage, Stopped)) as refused:
        Connection(f"redis://:{password}@127.0.0.1:{free_port()}")
    assert "pa" not in str(refused.value)
    assert "ss@" not in str(refused.value)


def test_a_unix_socket(start: Callable[[Server], Server], tmp_path: Path) -> None:
    server = start(Reference(unixsocket=str(tmp_path / "s")))
    connection = Connection(f"unix://{tmp_path}/s")
    with server.connect() as client:
        assert connection.run_id.encode() in client.call("INFO", "server")
    connection.close()


def test_what_is_known_of_a_server(reference: Reference, shardis: Shardis) -> None:
    for server, is_shardis in ((reference, False), (shardis, True)):
        with server.connect() as client:
            ask(client, "FLUSHALL")
            ask(client, "SET", "k", "v")
            ask(client, "SELECT", 7)
            ask(client, "MSET", "k", "v", "l", "w")
            connection = Connection(url(server))
            assert connection.is_shardis is is_shardis
            assert connection.rdb_version == 80
            assert connection.sizes() == {0: 1, 7: 2}
            assert connection.now_ms() <= connection.now_ms()
            connection.close()
            ask(client, "FLUSHALL")


@pytest.mark.parametrize(
    ("redis", "valkey", "version"),
    [("7.2.4", "9.1.2", 80), ("7.2.4", "8.0.1", 11), ("7.2.4", "", 11), ("8.0.1", "", 11), ("7.0.15", "", 10),
     ("6.2.14", "", 9), ("4.0.9", "", 8), ("3.2.1", "", 7), ("2.8.24", "", 6)],
)  # fmt: skip
def test_which_payloads_a_server_takes(reference: Reference, redis: str, valkey: str, version: int) -> None:
    connection = Connection(url(reference))
    connection.info = {"redis_version": redis, **({"valkey_version": valkey} if valkey else {})}
    assert connection.rdb_version == version
    connection.close()


def test_an_error_stops_and_is_a_value_where_it_is_asked_for(reference: Reference) -> None:
    connection = Connection(url(reference))
    with pytest.raises(Stopped, match="answers NEVERHEARD with: unknown command"):
        connection.call(b"NEVERHEARD")
    assert "unknown command" in str(connection.ask(b"NEVERHEARD"))
    connection.close()

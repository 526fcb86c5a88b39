"""How `shardis top` connects: as any client does, and to any server of the family."""

from collections.abc import Iterator

import pytest

from metrics.top.__main__ import connection_of, parser
from metrics.top.connection import Connection, Gone, Refused, one_line
from tests.reference import Reference
from tests.servers import Shardis, free_port


@pytest.fixture(scope="module")
def server() -> Iterator[Shardis]:
    with Shardis(2, requirepass="secret") as server:
        with server.connect() as client:
            client.call("AUTH", "secret")
            client.call("ACL", "SETUSER", "watcher", "on", ">eye", "+info", "+latency|histogram", "+client|setinfo")
            client.call("ACL", "SETUSER", "half", "on", ">eye", "+info")
            client.call("ACL", "SETUSER", "none", "on", ">eye", "+get")
            for number in range(50):
                client.call("SET", f"key:{number}", number)
        yield server


def connection(*words: str) -> Connection:
    return connection_of(parser().parse_args([*words]))


def test_what_is_seen(server: Shardis) -> None:
    made = connection("-p", str(server.port), "--pass", "secret")
    facts = made.look()
    assert sum(one["keys"] for one in facts.shards) == 50 and [one["state"] for one in facts.shards] == ["ready"] * 2
    assert sum(one["commands"] for one in facts.shards) >= 50
    assert facts.commands["set"].calls == sum(facts.commands["set"].histogram) == 50
    made.close()


def test_the_password_of_the_environment(server: Shardis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDISCLI_AUTH", "secret")
    made = connection("-p", str(server.port))
    assert made.look().shards
    made.close()


def test_users(server: Shardis) -> None:
    here = ("-p", str(server.port), "--pass", "eye")
    watcher, half = connection(*here, "--user", "watcher"), connection(*here, "--user", "half")
    assert sum(watcher.look().commands["set"].histogram) == 50
    assert sum(half.look().commands["set"].histogram) == 0, "without LATENCY HISTOGRAM there are no percentiles"
    watcher.close()
    half.close()


@pytest.mark.parametrize(
    "words", [[], ["--pass", "wrong"], ["--user", "none", "--pass", "eye"], ["--user", "nobody", "--pass", "x"]]
)
def test_who_is_refused(server: Shardis, words: list[str]) -> None:
    made = connection("-p", str(server.port), *words)
    with pytest.raises(Refused):
        made.look()
    made.close()


def test_nobody_there() -> None:
    with pytest.raises(Gone, match="refused"):
        connection("-p", str(free_port())).look()
    with pytest.raises(Gone):
        connection("-s", "/nonexistent/socket").look()


def test_a_real_valkey(reference: Reference) -> None:
    made = connection("-p", str(reference.port))
    first = made.look()
    assert made.look().number("stats", "total_commands_processed") > first.number("stats", "total_commands_processed")
    assert first.shards == []
    made.close()


def test_tls_is_asked_for(server: Shardis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not speak it says so; with one that does this is the client's."""
    monkeypatch.setattr("metrics.top.connection.TIMEOUT_S", 0.2)
    with pytest.raises(Gone):
        connection("-p", str(server.port), "--tls", "--insecure").look()


def test_one_line() -> None:
    assert one_line(OSError("two\nlines")) == "two lines" and one_line(EOFError()) == "EOFError"

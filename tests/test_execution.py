"""EXEC over several shards: all at once for everybody, or not at all, whoever waits, goes or dies.

What its replies are is in tests/sessions/transactions*.session and watch*.session.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from common.slot import shard_of_slot, slot_of_whole
from tests.bench.processes import roles
from tests.resp_client import NULL_ARRAY, Client, Error, Status
from tests.servers import Server, Shardis

SHARDS = 3
Start = Callable[[Server], Server]
OK, QUEUED = Status(b"OK"), Status(b"QUEUED")


def key_of(shard: int, number: int = 0) -> str:
    """The `number`-th of k0, k1 ... that lives on that shard, where hash tags count for nothing."""
    names = [f"k{count}" for count in range(1000)]
    return [name for name in names if shard_of_slot(slot_of_whole(name.encode()), SHARDS) == shard][number]


ONE, TWO, THREE = key_of(0), key_of(1), key_of(2)
CALLS = {
    "in one turn": [["SET", ONE, "x"], ["INCR", TWO], ["MGET", ONE, TWO]],
    "in stages": [["SET", ONE, "x"], ["RENAME", ONE, TWO], ["MGET", ONE, TWO]],
}
"""Both ways to run an EXEC, see router/execution.py."""


@pytest.fixture
def server(start: Start) -> Server:
    return start(Shardis(shards=SHARDS, hash_tags="no"))


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.connect() as client:
        yield client


def queue(client: Client, calls: list[list[str]]) -> None:
    assert client.call("MULTI") == OK
    assert [client.call(*call) for call in calls] == [QUEUED] * len(calls)


@contextmanager
def stopped(server: Server, shard: int) -> Iterator[int]:
    """While a shard stands still; its pid."""
    pid = roles(server)[f"shard {shard}"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        if pid in roles(server).values():
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
def test_others_see_all_or_nothing(server: Server, client: Client, calls: list[list[str]]) -> None:
    """Whoever comes behind it waits while a shard of it stands still; other keys do not."""
    client.call("SET", TWO, "1")
    queue(client, calls)
    with server.connect() as reader, server.connect() as other, stopped(server, 1):
        client.send("EXEC")
        reader.send("MGET", ONE, TWO, THREE)
        assert other.call("SET", key_of(0, 1), "v") == OK
        assert reader.maybe_read() is None
        os.kill(roles(server)["shard 1"], signal.SIGCONT)
        replies = client.read().value
        assert replies[-1] == reader.read().value[:2]


@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
def test_a_shard_that_is_known_to_be_down(server: Server, client: Client, calls: list[list[str]]) -> None:
    """Nothing of it is done. A shard that stands still in its start is down for its router."""
    queue(client, calls)
    with server.connect() as other:
        os.kill(roles(server)["shard 1"], signal.SIGKILL)
        while not isinstance(reply := other.call("GET", TWO), Error):
            pass
        reply = client.call("EXEC")
        assert isinstance(reply, Error) or reply[0] == OK  # It may be back already.
        if isinstance(reply, Error):
            assert bytes(reply).startswith(b"EXECABORT Transaction discarded because of: ")
            server.wait_ready()
            assert other.call("EXISTS", ONE, TWO) == 0
        assert client.call("PING") == Status(b"PONG")


def test_a_shard_that_dies_while_keys_are_held(server: Server, client: Client) -> None:
    """It was not begun: nothing is done, and nothing is held any more."""
    queue(client, CALLS["in stages"])
    with server.connect() as other, stopped(server, 1) as pid:
        client.send("EXEC")
        assert client.maybe_read() is None
        os.kill(pid, signal.SIGKILL)
        reply = client.read().value
        assert isinstance(reply, Error) and bytes(reply).startswith(
            b"EXECABORT Transaction discarded because of: SHARD"
        )
        server.wait_ready()
        assert other.call("MGET", ONE, TWO) == [None, None]
        assert other.call("SET", ONE, "free") == OK


def test_a_shard_that_dies_with_its_part_under_way(server: Server, client: Client) -> None:
    """What it would have done nobody knows; the others have done theirs."""
    queue(client, CALLS["in one turn"])
    with stopped(server, 1) as pid:
        client.send("EXEC")
        assert client.maybe_read() is None
        os.kill(pid, signal.SIGKILL)
        first, second, third = client.read().value
        assert first == OK and isinstance(second, Error) and isinstance(third, Error)
        assert b"outcome of this command is unknown" in bytes(second)
        assert client.call("GET", ONE) == b"x"


def test_a_client_that_goes_in_the_middle(server: Server) -> None:
    """What it has sent is done, and nothing stays held."""
    with server.connect() as other:
        with server.connect() as client, stopped(server, 1):
            queue(client, CALLS["in stages"])
            client.send("EXEC")
            assert client.maybe_read() is None
        assert other.call("MGET", ONE, TWO) == [None, b"x"]


@pytest.mark.parametrize("touch", [None, ONE, TWO, THREE], ids=["none", "first", "second", "third"])
def test_watched_keys_on_other_shards_than_the_work(server: Server, client: Client, touch: str | None) -> None:
    with server.connect() as other:
        client.call("WATCH", ONE, TWO, THREE)
        if touch is not None:
            other.call("SET", touch, "changed")
        queue(client, [["SET", key_of(0, 1), "1"], ["PUBLISH", "news", "x"], ["SELECT", "3"], ["SET", ONE, "3"]])
        reply = client.call("EXEC")
        assert reply == (NULL_ARRAY if touch else [OK, 0, OK, OK])
        assert client.call("GET", ONE) == (b"changed" if touch == ONE else None if touch else b"3")
        assert other.call("EXISTS", key_of(0, 1)) == (0 if touch else 1)


def test_a_watch_does_not_outlive_its_shard(server: Server, client: Client) -> None:
    """What became of the key meanwhile nobody can tell: it counts as changed."""
    client.call("SET", TWO, "1")
    client.call("WATCH", TWO)
    os.kill(roles(server)["shard 1"], signal.SIGKILL)
    with server.connect() as other:
        while not isinstance(other.call("GET", TWO), Error):
            pass
    server.wait_ready()
    queue(client, [["GET", TWO]])
    assert client.call("EXEC") == NULL_ARRAY


def test_what_comes_behind_it_waits_for_it(server: Server, client: Client) -> None:
    """A SELECT in stages counts for what was sent together with EXEC."""
    calls: list[list[Any]] = [["MULTI"], ["SET", ONE, "0"], ["RENAME", ONE, TWO], ["SELECT", "1"], ["EXEC"]]
    calls += [["SET", ONE, "1"], ["DBSIZE"], ["SELECT", "0"], ["DBSIZE"]]
    client.send_bytes(b"".join(b" ".join(word.encode() for word in call) + b"\r\n" for call in calls))
    replies = [reply.value for reply in client.read_many(len(calls))]
    assert replies[4:] == [[OK, OK, OK], OK, 1, OK, 1]

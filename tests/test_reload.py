"""DEBUG RELOAD: all comes back as it was, the log says the same, and what cannot be read costs nothing."""

from collections.abc import Callable

import pytest

from tests.reference import Reference
from tests.resp_client import NULL_ARRAY, Client, Error, Status
from tests.saves import entries_of, everything, fill, key_of, persistence, temporary_files
from tests.servers import Server, Shardis
from tests.test_crash import restart

SHARDS = 3
OK = Status(b"OK")
NOT_LOADED = Error(b"ERR Error trying to load the RDB dump, check server logs.")

Start = Callable[[Server], Server]


def groups(client: Client) -> list[object]:
    """What a dump of a stream does not tell at a glance."""
    return [client.call("XINFO", "STREAM", f"stream{number}", "FULL") for number in range(8)]


def logged(client: Client) -> list[object]:
    """All that a log keeps: of a stream's consumers it does not say when they were last seen."""
    streams = [f"stream{number}" for number in range(8)]
    return [
        {place: what for place, what in everything(client).items() if not place[1].startswith(b"stream")},
        [(client.call("XRANGE", key, "-", "+"), client.call("XPENDING", key, "group")) for key in streams],
    ]


def replies_of(client: Client) -> list[object]:
    """A walk through all options."""
    fill(client)
    before, groups_before = everything(client), groups(client)
    replies = [client.call("DEBUG", "RELOAD")]
    assert (everything(client), groups(client)) == (before, groups_before)
    replies.append(persistence(client)["rdb_changes_since_last_save"])
    lines = """
        SET later 1 | DEBUG RELOAD NOSAVE | GET later | GET number3
        SET later 1 | DEL number3 | SET number4 changed | DEBUG RELOAD NOSAVE NOFLUSH MERGE
        GET later | GET number3 | GET number4 | PEXPIRETIME number4 | DBSIZE
        DEBUG RELOAD MERGE | DBSIZE | DEBUG RELOAD NOFLUSH MERGE | DBSIZE
        DEBUG RELOAD OTHER | DEBUG RELOAD NOSAVE OTHER | DEBUG RELOAD nosave | DBSIZE
        MULTI | SET in_transaction 1 | DEBUG RELOAD | GET in_transaction | EXEC
        FLUSHALL | DEBUG RELOAD | DBSIZE | DEBUG RELOAD NOSAVE | DBSIZE
    """
    for line in lines.replace("\n", " | ").split("|"):
        if words := line.split():
            replies.append(client.call(*words))
    return replies


def test_as_the_reference(start: Start) -> None:
    found = []
    for server in (Reference(), Shardis(SHARDS, enable_debug_command="yes")):
        with start(server).connect() as client:
            found.append(replies_of(client))
    assert found[1] == found[0]


def test_the_log_says_the_same(start: Start) -> None:
    server = start(Shardis(SHARDS, enable_debug_command="yes"))
    assert isinstance(server, Shardis)
    with server.connect() as client:
        fill(client)
        client.call("SAVE")
        for words in ((), ("NOSAVE",), ("NOSAVE", "NOFLUSH", "MERGE"), ("NOFLUSH", "MERGE")):
            client.call("SET", "later", " ".join(words))
            client.call("DEL", "list1")
            client.call("RPUSH", "list2", "later")
            assert client.call("DEBUG", "RELOAD", *words) == OK
            client.call("RPUSH", "list2", "last")
            expected = logged(client)
            restart(server)
            with server.connect() as again:
                assert logged(again) == expected
            client.close()
            client = server.connect()
        client.close()
    assert not temporary_files(server)


def test_an_expired_key_stays_gone(start: Start) -> None:
    """It is left out, and the log has to know."""
    server = start(Shardis(SHARDS, enable_debug_command="yes"))
    assert isinstance(server, Shardis)
    with server.connect() as client:
        client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        keys = [key_of(shard, SHARDS, "n") for shard in range(SHARDS)]
        for key in keys:
            client.call("SET", key, "5", "PXAT", "1")
            client.call("SET", key, "5")
            client.call("PEXPIRE", key, "1")
        while client.call("EXISTS", *keys[1:]):
            pass
        assert client.call("DEBUG", "RELOAD") == OK
        assert [client.call("INCR", key) for key in keys] == [1] * SHARDS
    restart(server)
    with server.connect() as client:
        assert client.call("MGET", *keys) == [b"1"] * SHARDS


def test_what_cannot_be_read_costs_nothing(start: Start) -> None:
    server = start(Shardis(SHARDS, enable_debug_command="yes"))
    path = server.folder / "dump.rdb"
    with server.connect() as client:
        fill(client)
        expected = everything(client)
        assert client.call("DEBUG", "RELOAD", "NOSAVE") == NOT_LOADED
        assert client.call("SAVE") == OK
        whole = path.read_bytes()
        for damaged in (b"", whole[:-20], whole[:5000] + b"\xf3" + whole[5001:], whole + b"x"):
            path.write_bytes(damaged)
            assert client.call("DEBUG", "RELOAD", "NOSAVE") == NOT_LOADED
        assert client.call("DEBUG", "RELOAD", "NOFLUSH") == NOT_LOADED  # The reference ends here.
        path.unlink()
        path.mkdir()
        assert client.call("DEBUG", "RELOAD") == Error(b"ERR")
        assert everything(client) == expected
        path.rmdir()
        assert client.call("DEBUG", "RELOAD") == OK
        assert len(entries_of(path)) == len(expected)


@pytest.mark.parametrize("kind", ["reference", "shardis"])
def test_who_watches_and_who_waits(start: Start, kind: str) -> None:
    server = start(Reference() if kind == "reference" else Shardis(SHARDS, enable_debug_command="yes"))
    with server.connect() as client, server.connect() as waiting:
        client.call("SET", "k", "1")
        client.call("WATCH", "k", "missing")
        with server.connect() as other:
            waiting.send("BLPOP", "list", "0")
            assert other.call("DEBUG", "RELOAD") == OK
            client.call("MULTI")
            assert client.call("EXEC") is NULL_ARRAY
            other.call("RPUSH", "list", "x")
            assert waiting.read().value == [b"list", b"x"]

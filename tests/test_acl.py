"""Access control in a running server: against the reference by ACL DRYRUN, from the configuration, and by redis-py."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import redis

from tests import access
from tests.command_families import FAMILIES
from tests.random_commands import usages
from tests.resp_client import Client, Error, Status
from tests.servers import Server, ServerFailed, Shardis, free_port
from tests.test_config_commands import WithFile

OK = Status(b"OK")
TABLE = access.table()
MORE = [
    [b"PUBLISH", b"a", b"x"],
    [b"SUBSCRIBE", b"a", b"news.1"],
    [b"PSUBSCRIBE", b"a*"],
    [b"UNSUBSCRIBE", b"b"],
    [b"SELECT", b"1"],
    [b"SELECT", b"3"],
    [b"SELECT", b"77"],
    [b"SWAPDB", b"0", b"3"],
    [b"MOVE", b"a", b"1"],
    [b"COPY", b"a", b"b", b"DB", b"3"],
    [b"FLUSHALL"],
    [b"KEYS", b"*"],
    [b"PING"],
    [b"AUTH", b"x"],
    [b"CLIENT", b"ID"],
    [b"CLIENT", b"NOSUCH"],
    [b"CONFIG", b"GET", b"x"],
    [b"CONFIG", b"SET", b"x", b"y"],
    [b"DEBUG", b"OBJECT", b"a"],
    [b"MEMORY", b"USAGE", b"a"],
    [b"WATCH", b"a", b"b"],
    [b"OBJECT", b"ENCODING", b"b"],
    [b"OBJECT", b"HELP"],
    [b"NOSUCH"],
    [b"GET"],
]


def calls(random: Random) -> list[list[bytes]]:
    """Some of each family, and those above."""
    drawn = [random.choice(usages(family)).draw(random) for family in FAMILIES for _ in range(2)]
    return [argv for argv in drawn if argv and TABLE.resolve(argv[:1]) is not None] + random.sample(MORE, 8)


@pytest.mark.parametrize("seed", range(40))
def test_as_the_reference_by_random_rules(client: Client, reference_client: Client, seed: int) -> None:
    random = Random(seed)
    both = (client, reference_client)

    def same(*argv: bytes) -> Any:
        mine, theirs = (one.call(*argv) for one in both)
        assert mine == theirs, argv
        return mine

    for one in both:
        one.call("ACL", "DELUSER", "alice")
    for _ in range(8):
        same(b"ACL", b"SETUSER", b"alice", *access.rules(random, TABLE))
        same(b"ACL", b"LIST")
        same(b"ACL", b"GETUSER", b"alice")
        for argv in calls(random):
            same(b"ACL", b"DRYRUN", b"alice", *argv)
    same(b"ACL", b"DELUSER", b"alice")


def test_who_is_restricted_gets_the_same_replies(client: Client, shardis: Shardis) -> None:
    client.call("ACL", "SETUSER", "alice", "on", "nopass", "+@all", "-flushall", "~*")
    client.call("ACL", "SETUSER", "bob", "on", "nopass", "+@all", "%RW~*", "&*")
    replies = []
    for user in ("default", "alice", "bob"):
        client.call("FLUSHALL")
        with shardis.connect() as other:
            assert other.call("AUTH", user, "x") == OK
            for number in range(50):
                other.send("SET", f"k{number}", number)
                other.send("MSET", "a", number, "b", number, "c", number)
                other.send("MULTI")
                other.send("INCR", f"k{number}")
                other.send("GET", "a")
                other.send("EXEC")
                other.send("MGET", "a", f"k{number}")
            replies.append([reply.value for reply in other.read_many(350)])
    assert replies[0] == replies[1] == replies[2]
    client.call("ACL", "DELUSER", "alice", "bob")


def test_refusals_are_counted(client: Client, shardis: Shardis) -> None:
    def counts() -> dict[bytes, int]:
        lines = client.call("INFO", "stats").split(b"\r\n")
        pairs = [line.split(b":") for line in lines if line.startswith(b"acl_access_denied_")]
        return {name.removeprefix(b"acl_access_denied_"): int(count) for name, count in pairs}

    client.call("CONFIG", "RESETSTAT")
    client.call("ACL", "SETUSER", "alice", "on", "nopass", "+@all", "-del", "~a", "db=0")
    with shardis.connect() as other:
        other.call("AUTH", "nobody", "x")
        other.call("AUTH", "alice", "x")
        for argv in (["DEL", "a"], ["GET", "b"], ["GET", "c"], ["PUBLISH", "a", "x"], ["SELECT", "1"]):
            assert isinstance(other.call(*argv), Error)
    assert counts() == {b"auth": 1, b"cmd": 1, b"key": 2, b"channel": 1, b"db": 1, b"tls_cert": 0}
    client.call("ACL", "DELUSER", "alice")


def test_users_of_the_configuration(start: Callable[[Server], Server], tmp_path: Path) -> None:
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    path = tmp_path / "shardis.conf"
    server = WithFile(shards=2, folder=tmp_path)
    path.write_text(
        f'dir {tmp_path}\nport {(port := free_port())}\nuser alice on >test ">two words" ~a* +@all\n'
        "user bob on nopass (+get ~x)\n"
    )
    server.port = port
    server = start(server)
    with server.connect() as client:
        users = client.call("ACL", "LIST")
        assert users[0].startswith(b"user alice on #" + digest.encode() + b" #")
        assert users[1] == b"user bob on nopass resetchannels -@all (~x resetchannels -@all +get)"
        assert client.call("AUTH", "alice", "two words") == OK
        assert client.call("GET", "b") == Error(b"NOPERM No permissions to access a key")
        assert client.call("GET", "ab") is None
        client.call("AUTH", "default", "x")
        client.call("ACL", "SETUSER", "carol", "+ping")
        client.call("ACL", "DELUSER", "bob")
        client.call("ACL", "SETUSER", "default", "-config|set")
        assert client.call("CONFIG", "REWRITE") == OK
        users = client.call("ACL", "LIST")
        assert client.call("CONFIG", "GET", "user*") == []
    text = path.read_text()
    assert [f"{line}\n" in text for line in [user.decode() for user in users]] == [True] * 3
    assert "bob" not in text and "two words" not in text
    server.stop()
    with start(server).connect() as client:
        assert client.call("ACL", "LIST") == users
        assert client.call("CONFIG", "SET", "port", "1") == Error(
            b"NOPERM User default has no permissions to run the 'config|set' command"
        )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("user alice +nosuch", "user alice: '+nosuch': Unknown command or category name in ACL"),
        ("user alice >secret foo", "user alice: 'foo': Syntax error"),
        ("user alice #secret", "user alice: a password: The password hash must be exactly"),
        ("user alice (+get", "user alice: '(+get': Unmatched parenthesis"),
        ('user "a b" on', "user 'a b': Spaces not allowed in ACL usernames"),
        ("user alice on\nuser alice off", "user alice: Duplicate user found."),
        ("user alice on\naclfile users.acl", "user alice: users are declared here and in an ACL file"),
        ("aclfile none.acl", "ACL errors: Error loading ACLs, opening file '"),
    ],
)
def test_users_that_are_none(start: Callable[[Server], Server], tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "shardis.conf").write_text(f"dir {tmp_path}\nport {free_port()}\nshards 1\n{lines}\n")
    with pytest.raises(ServerFailed) as caught:
        start(WithFile(folder=tmp_path))
    assert said in str(caught.value) and "ended with 1" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(client: Client, shardis: Shardis, protocol: int) -> None:
    with redis.Redis("127.0.0.1", shardis.port, protocol=protocol, decode_responses=True) as r:
        assert r.acl_whoami() == "default" and r.acl_users() == ["default"]
        assert "hash" in r.acl_cat() and "hget" in r.acl_cat("hash")
        assert len(r.acl_genpass()) == 64
        assert r.acl_setuser(
            "alice",
            enabled=True,
            passwords=["+one", "+two"],
            categories=["+@string", "-@dangerous"],
            commands=["+hget", "-append", "+client"],
            keys=["cache:*"],
            channels=["news"],
            selectors=[("+lpop", "~list:*")],
        )
        alice = r.acl_getuser("alice")
        assert alice["enabled"] and alice["flags"] == ["on"] and len(alice["passwords"]) == 2
        assert "+@string" in alice["categories"] and "-append" in alice["commands"]
        assert r.acl_dryrun("alice", "GET", "cache:1") == "OK"
        assert r.acl_dryrun("alice", "GET", "x") == "User alice has no permissions to access the 'x' key"
        assert len(r.acl_list()) == 2
        r.acl_log_reset()
        options = {"username": "alice", "password": "two", "protocol": protocol}
        with redis.Redis("127.0.0.1", shardis.port, **options) as other:
            assert other.set("cache:1", "x") and other.lpop("list:1") is None
            with pytest.raises(redis.exceptions.NoPermissionError):
                other.get("x")
        assert [entry["object"] for entry in r.acl_log()] == ["x"]
        assert r.acl_deluser("alice", "nobody") == 1

"""DEBUG DIGEST: the same data, the same digest as the reference's, on however many shards, also after LOADAOF."""

import random
from collections.abc import Callable

from tests.resp_client import Client, Error, Status
from tests.servers import Server, Shardis

COMMANDS = {
    b"STRING": [["SET", "s:{n}", "value {n}"], ["SET", "i:{n}", "{n}"], ["APPEND", "a:{n}", "abc{n}"]],
    b"RPUSH": [["RPUSH", "l:{n}", "a", "{n}", "b"], ["RPUSH", "l:{n}", *(str(number) for number in range(300))]],
    b"SADD": [["SADD", "ints:{n}", "3", "1", "{n}"], ["SADD", "set:{n}", "a", "b", "{n}"]],
    b"ZADD": [["ZADD", "z:{n}", "1", "a", "2.5", "b", "-1e7", "c", "inf", "d", "0.{n}1", "e", "1e21", "{n}"]],
    b"HSET": [["HSET", "h:{n}", "f", "v", "{n}", "12"], ["HSET", "h:{n}", "long", "x" * 100]],
    b"XADD": [["XADD", "st:{n}", "5-1", "f", "v"], ["XADD", "st:{n}", "6-{n}", "g", "w", "h", "12"]],
}
"""By the command that must be there: what fills both servers."""


def fill(clients: list[Client], kinds: set[bytes]) -> None:
    """The same writes for all of them, in several dbs."""
    chance = random.Random(1)
    for db in (0, 3, 9):
        for client in clients:
            client.call("SELECT", db)
        for number in range(1, 40):
            for kind in sorted(kinds):
                argv = [word.replace("{n}", str(number)) for word in chance.choice(COMMANDS[kind])]
                replies = [client.call(*argv) for client in clients]
                assert not any(isinstance(reply, Error) for reply in replies), (argv, replies)


def known(client: Client) -> set[bytes]:
    """The kinds of data that the server has commands for."""
    named = {name for name in COMMANDS if name != b"STRING"}
    counts = zip(sorted(named), client.call("COMMAND", "INFO", *sorted(named)), strict=True)
    return {b"STRING"} | {name for name, info in counts if info}


def test_same_digest_as_the_reference(start: Callable[[Server], Server], reference_client: Client) -> None:
    digests = {}
    kinds: set[bytes] = set()
    for shards in (1, 3):
        server = start(Shardis(shards=shards, enable_debug_command="yes"))
        with server.connect() as client:
            kinds = known(client)
            assert client.call("DEBUG", "DIGEST") == Status(b"0" * 40)
            fill([client], kinds)
            digests[shards] = client.call("DEBUG", "DIGEST")
            values = {key: client.call("DEBUG", "DIGEST-VALUE", key)[0] for key in sorted(client.call("KEYS", "*"))}
            assert client.call("DEBUG", "LOADAOF") == Status(b"OK")
            assert client.call("DEBUG", "DIGEST") == digests[shards]
            assert client.call("DEBUG", "RELOAD") == Status(b"OK")
            assert client.call("DEBUG", "DIGEST") == digests[shards]
    fill([reference_client], kinds)
    differing = {
        key: digest for key, digest in values.items() if reference_client.call("DEBUG", "DIGEST-VALUE", key) != [digest]
    }
    assert not differing
    assert digests == dict.fromkeys(digests, reference_client.call("DEBUG", "DIGEST"))


def test_expiries_count(start: Callable[[Server], Server], reference_client: Client) -> None:
    server = start(Shardis(shards=2, enable_debug_command="yes"))
    with server.connect() as client:
        for one in (client, reference_client):
            for number in range(20):
                one.call("SET", f"k{number}", "v", *(["PX", 1_000_000] if number % 3 else []))
        assert client.call("DEBUG", "DIGEST") == reference_client.call("DEBUG", "DIGEST")


def test_debug_is_refused_by_default(start: Callable[[Server], Server]) -> None:
    server = start(Shardis(shards=1))
    with server.connect() as client:
        for words in (["DIGEST"], ["NOSUCH"], ["HELP"], ["SLEEP"]):
            reply = client.call("DEBUG", *words)
            assert isinstance(reply, Error) and reply.startswith(b"ERR DEBUG command not allowed. If the enable-debug-")
        assert client.call("DEBUG") == Error(b"ERR wrong number of arguments for 'debug' command")


def test_debug_is_allowed_for_local_clients(start: Callable[[Server], Server]) -> None:
    server = start(Shardis(shards=1, enable_debug_command="local"))
    with server.connect() as client:
        assert client.call("DEBUG", "DIGEST") == Status(b"0" * 40)


def test_set_active_expire(start: Callable[[Server], Server]) -> None:
    server = start(Shardis(shards=2, enable_debug_command="yes"))
    with server.connect() as client:
        client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        for number in range(20):
            client.call("SET", f"k{number}", "v", "PX", "1")
        client.call("DEBUG", "SLEEP", "0.3")
        assert client.call("DBSIZE") == 20
        client.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")
        for _ in range(100):
            client.call("DEBUG", "SLEEP", "0.05")
            if not client.call("DBSIZE"):
                break
        assert client.call("DBSIZE") == 0

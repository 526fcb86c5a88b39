"""SCAN, RANDOMKEY and KEYS over three shards: one keyspace."""

from collections import Counter

import pytest

from tests.resp_client import Client


def walk(client: Client, *options: str | int) -> tuple[list[bytes], int]:
    """All that SCAN gives from 0 to 0, and in how many calls."""
    found: list[bytes] = []
    cursor, calls = b"0", 0
    while cursor != b"0" or not calls:
        cursor, keys = client.call("SCAN", cursor, *options)
        found += keys
        calls += 1
        assert calls < 10_000
    return found, calls


@pytest.fixture
def filled(client: Client) -> Client:
    """A server with 600 keys, 300 of them in one slot."""
    client.call("MSET", *[word for number in range(300) for word in (f"key:{number}", 1, f"{{tag}}{number}", 1)])
    return client


def test_a_walk_gives_every_key_once(filled: Client) -> None:
    for options in ((), ("COUNT", 1), ("COUNT", 100), ("COUNT", 10_000), ("TYPE", "string")):
        found, _ = walk(filled, *options)
        assert len(found) == 600 and set(found) == set(filled.call("KEYS", "*"))
    found, _ = walk(filled, "MATCH", "key:1*")
    assert sorted(found) == sorted(filled.call("KEYS", "key:1*")) and len(found) == 111
    assert walk(filled, "TYPE", "list")[0] == []
    assert walk(filled, "COUNT", 10_000)[1] == 1


def test_a_walk_under_writes_gives_what_stays(filled: Client) -> None:
    found: set[bytes] = set()
    cursor, step = b"0", 0
    while cursor != b"0" or not step:
        cursor, keys = filled.call("SCAN", cursor, "COUNT", 20)
        found.update(keys)
        for number in range(step % 10, 300, 10):
            filled.call("DEL" if step % 3 else "EXISTS", f"other:{number}")
            filled.call("SET", f"other:{number + step}", "x")
        step += 1
    assert found >= {b"key:%d" % number for number in range(300)} | {b"{tag}%d" % number for number in range(300)}


def test_an_empty_server(client: Client) -> None:
    assert walk(client) == ([], 1)
    assert client.call("RANDOMKEY") is None
    assert client.call("KEYS", "*") == [] and client.call("DBSIZE") == 0


def test_random_key_finds_a_single_key(client: Client) -> None:
    for number in range(10):
        client.call("SET", f"key:{number}", 1)
        assert client.call("RANDOMKEY") == f"key:{number}".encode()
        client.call("DEL", f"key:{number}")


def test_random_key_gives_every_key_the_same_chance(filled: Client) -> None:
    drawn = Counter(bytes(filled.call("RANDOMKEY")).startswith(b"key:") for _ in range(400))
    assert 130 < drawn[True] < 270

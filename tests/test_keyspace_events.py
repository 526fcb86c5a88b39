"""Keyspace events of a server: what a subscriber hears of each call, on one shard and on three."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from router.keyspace_events import notify
from tests.event_cases import Told, told_by_server
from tests.reference import Reference
from tests.servers import Shardis


@pytest.fixture(scope="module")
def expected() -> list[Told]:
    with Reference() as reference:
        return list(told_by_server(reference.address))


def by_key(told: list[str]) -> dict[str, list[str]]:
    """What was told of each key, in its order: the shards' events are in no order among each other."""
    found = defaultdict(list)
    for one in told:
        event, key = one.split(" ")
        found[key].append(event)
    return found


def test_one_shard_tells_what_the_reference_tells(expected: list[Told]) -> None:
    with Shardis(1, enable_debug_command="yes") as server:
        found = list(told_by_server(server.address))
    assert [one for one, other in zip(found, expected, strict=True) if one != other] == []


def test_three_shards_tell_what_the_reference_tells_of_each_key(expected: list[Told]) -> None:
    with Shardis(3, hash_tags="no", enable_debug_command="yes") as server:
        found = list(told_by_server(server.address))
    pairs = zip(found, expected, strict=True)
    assert [(one, other) for one, other in pairs if by_key(one[1]) != by_key(other[1])] == []


class Published:
    """Stands for a router: what it publishes."""

    def __init__(self) -> None:
        self.pubsub = self
        self.messages: list[tuple[bytes, bytes]] = []

    def publish(self, channel: bytes, message: bytes) -> int:
        self.messages.append((channel, message))
        return 0


OF_KEY = (b"__keyspace@2__:a key", b"set")
OF_EVENT = (b"__keyevent@2__:set", b"a key")


@pytest.mark.parametrize(
    ("channels", "messages"), [("KE", [OF_KEY, OF_EVENT]), ("K", [OF_KEY]), ("E", [OF_EVENT]), ("", [])]
)
def test_the_channels(channels: str, messages: list[tuple[bytes, bytes]]) -> None:
    router: Any = Published()
    notify(router, router, channels, b"set", 2, b"a key")
    assert router.messages == messages


@pytest.fixture
def server() -> Iterator[Shardis]:
    with Shardis(3, hash_tags="no") as server:
        yield server


def test_it_holds_on_every_shard_from_ok_on(server: Shardis) -> None:
    keys = [b"key:%d" % number for number in range(50)]
    with server.connect() as writer, server.connect() as reader:
        reader.send("PSUBSCRIBE", "__key*__:*")
        reader.read()
        for key in keys:
            writer.send("SET", key, 1)
        writer.send("CONFIG", "SET", "notify-keyspace-events", "E$")
        for key in keys:
            writer.send("SET", key, 2)
        writer.send("CONFIG", "SET", "notify-keyspace-events", "")
        for key in keys:
            writer.send("SET", key, 3)
        writer.read_many(3 * len(keys) + 2)
        writer.call("DBSIZE")
        writer.call("PUBLISH", "__key__:end", "")
        heard = []
        while (message := reader.read().value)[2] != b"__key__:end":
            heard.append(message[2:])
    assert sorted(heard) == sorted([b"__keyevent@0__:set", key] for key in keys)


def test_a_shard_that_comes_back_tells_as_before(server: Shardis) -> None:
    with server.connect() as client, server.connect() as reader:
        client.call("CONFIG", "SET", "notify-keyspace-events", "KA")
        client.call("SET", "k", 1)
        reader.send("SUBSCRIBE", "__keyspace@0__:k")
        reader.read()
        client.call("DEBUG", "RELOAD")
        client.call("DEL", "k")
        assert reader.read().value == [b"message", b"__keyspace@0__:k", b"del"]

"""Objects of RDB: what Valkey wrote is read, what is written Valkey reads, and any bytes are an object or none."""

import time
from random import Random
from typing import Any

import pytest

from shard.digest import NOTHING, TYPES, digest_of_value
from shard.rdb.dump import dumped, restored
from shard.rdb.encoding import BadObject, Reader
from shard.rdb.objects import read_object
from shard.value import type_name
from tests.bare_shard import BareShard, ShardConnection
from tests.rdb_payloads import SOUND, UNSOUND, cases, mutated, sealed
from tests.resp_client import Client, Error, Status

PADDING = bytes(300)
"""Valkey reads on into the trailer where an object is cut off; with this both find the same there."""
BAD = Error(b"ERR Bad data format")


def bare_client() -> ShardConnection:
    return ShardConnection(BareShard(int(time.time() * 1000)))


def told(client: ShardConnection | Client, key: str) -> list[Any]:
    """All that a server tells of a value."""
    found = [client.call("TYPE", key), digest(client, key), client.call("OBJECT", "ENCODING", key)]
    kind = found[0]
    if kind == Status(b"hash"):
        fields = sorted(client.call("HKEYS", key))
        found += [fields, client.call("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)]
    elif kind == Status(b"stream"):
        found.append(_without_times(client.call("XINFO", "STREAM", key, "FULL")))
        for group in client.call("XINFO", "GROUPS", key):
            found.append(group)
    return found


def digest(client: ShardConnection | Client, key: str) -> Status:
    """What DEBUG DIGEST-VALUE answers; a shard alone does not have that."""
    if isinstance(client, ShardConnection):
        db = client.shard.executor.store.dbs[0]
        return Status(digest_of_value(db, key.encode(), db.peek(key.encode())).hex().encode())
    found: Status = client.call("DEBUG", "DIGEST-VALUE", key)[0]
    return found


def content(value: Any) -> bytes:
    """The digest of a value apart from its key."""
    _, mix = TYPES[type_name(value)]
    return mix(value, NOTHING)


def _without_times(reply: Any) -> Any:
    """How long ago something was depends on when one asks."""
    if not isinstance(reply, list):
        return reply
    names = [b"seen-time", b"active-time", b"idle", b"inactive"]
    return [_without_times(item) for place, item in enumerate(reply) if not place or reply[place - 1] not in names]


@pytest.mark.parametrize(**cases(SOUND))
def test_what_is_sound(body: bytes, reference_client: Client) -> None:
    """It makes the value that it makes in Valkey, and our dump of that is the same value again."""
    client = bare_client()
    payload = sealed(body)
    for one in (client, reference_client):
        assert one.call("RESTORE", "k", 0, payload) == Status(b"OK")
    assert told(client, "k") == told(reference_client, "k")
    dump = client.call("DUMP", "k")
    for one in (client, reference_client):
        assert one.call("RESTORE", "again", 0, dump) == Status(b"OK")
    assert told(client, "again") == told(reference_client, "again")
    restored(payload, {})
    if client.call("OBJECT", "ENCODING", "k") != b"hashtable":
        assert dump == reference_client.call("DUMP", "k")


@pytest.mark.parametrize(**cases(UNSOUND))
def test_what_is_not_sound(body: bytes, reference_client: Client) -> None:
    client = bare_client()
    for one in (client, reference_client):
        assert one.call("RESTORE", "k", 0, sealed(body)) == BAD
        assert one.call("EXISTS", "k") == 0


@pytest.mark.parametrize("seed", range(4))
def test_any_bytes(seed: int) -> None:
    """They are refused, or make a value that is sound and survives a dump."""
    chance = Random(seed)
    taken = 0
    for _ in range(1500):
        body = mutated(chance, chance.choice(SOUND)[1])
        if not body:
            continue
        try:
            value = read_object(Reader(body, 1), body[0], {})
        except BadObject:
            continue
        taken += 1
        if not isinstance(value, bytes):
            value._check()
            assert list(value.commands(b"k"))
        again = restored(dumped(value, {}), {})
        assert type(again) is type(value) and content(again) == content(value)
    assert taken > 100


@pytest.mark.parametrize("seed", range(2))
def test_any_bytes_against_the_reference(seed: int, reference_client: Client) -> None:
    """What Valkey refuses is refused. We refuse more: a stream whose parts do not fit, a score that is no number, and
    a field twice whose time has passed.
    """
    client = bare_client()
    chance = Random(seed + 100)
    stricter = 0
    for _ in range(500):
        name, body = chance.choice(SOUND)
        payload = sealed(mutated(chance, body) + PADDING)
        replies = []
        for one in (client, reference_client):
            one.call("DEL", "k")
            replies.append(one.call("RESTORE", "k", 0, payload))
        if replies[0] != replies[1]:
            assert replies == [BAD, Status(b"OK")], (name, payload)
            stricter += 1
        elif replies[0] == Status(b"OK") and client.call("TYPE", "k") not in (Status(b"stream"), Status(b"none")):
            assert told(client, "k")[:2] == told(reference_client, "k")[:2], (name, payload)
    assert stricter < 30

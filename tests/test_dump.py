"""DUMP and RESTORE: a value goes to Valkey and comes from there, and small ones are the same bytes here and there."""

import time
from collections.abc import Callable
from random import Random

import pytest

from shard.rdb.crc64 import crc64
from shard.rdb.dump import BadTrailer, ForeignType, dumped, restored
from tests.bare_shard import BareShard, ShardConnection
from tests.rdb_payloads import packed, sealed, string
from tests.reference import Reference
from tests.resp_client import Client, Status
from tests.servers import Server
from tests.test_rdb_objects import bare_client, digest, told

Argv = list[str | int | bytes]
INTEGERS = (0, -1, 127, 128, -129, 32768, 1 << 31, -(1 << 31))
NUMBERS = [str(number) for number in range(1200)]
ENTRIES: list[Argv] = [["XADD", "k", f"{number}-0", "f", number] for number in range(1, 250)]
PAIRS = [word for number in range(700) for word in (f"field:{number}", f"value {number % 7}")]

COMMANDS: dict[str, list[Argv]] = {
    "an empty string": [["SET", "k", ""]],
    "a string": [["SET", "k", "abc"]],
    "a string with zeros": [["SET", "k", b"\x00\xff\x00"]],
    "a compressible string": [["SET", "k", "abc" * 3000]],
    "an incompressible string": [["SET", "k", Random(1).randbytes(5000)]],
    **{f"the integer {number}": [["SET", "k", number]] for number in INTEGERS},
    "no integer": [["SET", "k", "007"]],
    "a string that was edited": [["SET", "k", "1"], ["APPEND", "k", "2"]],
    "bits": [["SETBIT", "k", 1000, 1]],
    "a HyperLogLog": [["PFADD", "k", *NUMBERS]],
    "a list": [["RPUSH", "k", "a", "1", "-70000", "b" * 100]],
    "a long list": [["RPUSH", "k", *NUMBERS, *NUMBERS], ["LPUSH", "k", "a", "b"]],
    "a list with a large element": [["RPUSH", "k", "a", "b" * 10_000, "c"]],
    "a list that was long": [["RPUSH", "k", *NUMBERS, *NUMBERS], ["LTRIM", "k", 700, 1000]],
    "an intset": [["SADD", "k", 3, 1, 2, -40_000]],
    "a wide intset": [["SADD", "k", 3, 1 << 40], ["SREM", "k", 1 << 40]],
    "a set": [["SADD", "k", "a", "b", "1"]],
    "a large set": [["SADD", "k", *NUMBERS, "a"]],
    "a sorted set": [["ZADD", "k", "1.5", "a", "-inf", "b", "1e20", "c", "3", "d", "0.1", "e", "1", "f", "1", "aa"]],
    "a sorted set with a zero": [["ZADD", "k", "-0", "a", "0", "b"]],
    "a large sorted set": [["ZADD", "k", *NUMBERS], ["ZADD", "k", "-0.0", "x", "inf", "y", "3.14159", "z"]],
    "a hash": [["HSET", "k", "f", "v", "1", "2", "long", "x" * 64]],
    "a hash of many": [["HSET", "k", *PAIRS[:200]]],
    "a large hash": [["HSET", "k", *PAIRS]],
    "a hash with a long text": [["HSET", "k", "f", "x" * 65]],
    "a hash with times": [["HSET", "k", "f", "v", "g", "w"], ["HPEXPIREAT", "k", 1 << 45, "FIELDS", 1, "f"]],
    "a stream": [["XADD", "k", "1-1", "f", "v"], ["XADD", "k", "5-0", "f", "w"], ["XADD", "k", "5-1", "g", "1"]],
    "a stream with holes": [*ENTRIES, ["XDEL", "k", "3-0", "200-0"]],
    "a stream that was trimmed": [*ENTRIES, ["XTRIM", "k", "MAXLEN", 30]],
    "an empty stream": [["XADD", "k", "7-7", "f", "v"], ["XDEL", "k", "7-7"]],
    "a stream with groups": [
        *ENTRIES[:8],
        ["XGROUP", "CREATE", "k", "g", "0"],
        ["XGROUP", "CREATE", "k", "h", "3-0", "ENTRIESREAD", "3"],
        ["XGROUP", "CREATECONSUMER", "k", "h", "idle"],
        ["XREADGROUP", "GROUP", "g", "c", "COUNT", "3", "STREAMS", "k", ">"],
        ["XREADGROUP", "GROUP", "g", "d", "STREAMS", "k", ">"],
        ["XACK", "k", "g", "2-0"],
        ["XDEL", "k", "3-0"],
    ],
}  # fmt: skip
UNORDERED = ("a large set", "a large hash", "a hash with a long text", "a hash with times")
"""Whose elements have no order."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_value_goes_both_ways(name: str, reference_client: Client) -> None:
    client = bare_client()
    for one in (client, reference_client):
        for argv in COMMANDS[name]:
            one.call(*argv)
    ours, theirs = client.call("DUMP", "k"), reference_client.call("DUMP", "k")
    if name == "a stream with groups":
        assert len(ours) == len(theirs), "but for the times of delivery"
    elif name not in UNORDERED:
        assert ours == theirs
    for one in (client, reference_client):
        for key, payload in (("ours", ours), ("theirs", theirs)):
            assert one.call("RESTORE", key, 0, payload) == Status(b"OK")
        assert digest(one, "ours") == digest(one, "theirs") == digest(one, "k")
    assert told(client, "ours") == told(reference_client, "ours")
    assert told(client, "theirs") == told(reference_client, "theirs")
    assert client.call("DUMP", "theirs") == reference_client.call("DUMP", "theirs") or name in UNORDERED


def test_directives(start: Callable[[Server], Server]) -> None:
    """They decide what becomes of what is read, and whether strings are compressed."""
    limits = {
        "list-max-listpack-size": 3,
        "set-max-intset-entries": 4,
        "set-max-listpack-entries": 3,
        "set-max-listpack-value": 5,
        "zset-max-listpack-entries": 3,
        "zset-max-listpack-value": 5,
        "hash-max-listpack-entries": 3,
        "hash-max-listpack-value": 5,
    }
    bodies = [
        b"\x01\x03\x01a\x01b\x01c",
        b"\x01\x04\x01a\x01b\x01c\x01d",
        b"\x12\x01\x02" + packed(*b"a b c d".split()),
    ]
    for count in range(1, 7):
        for text in (b"12345", b"123456", b"abcde", b"abcdef"):
            texts = [text, *(b"%d" % number for number in range(count - 1))]
            pairs = [word for member in texts for word in (member, b"1")]
            bodies.append(b"\x02%c" % count + b"".join(map(string, texts)))
            bodies.append(b"\x04%c" % count + b"".join(map(string, pairs)))
            bodies.append(b"\x05%c" % count + b"".join(string(member) + bytes(8) for member in texts))
            bodies += [b"\x10" + packed(*pairs), b"\x11" + packed(*pairs), b"\x14" + packed(*texts)]
    shard = BareShard(int(time.time() * 1000))
    shard.executor.store.config.update(limits, rdbcompression=False)
    client = ShardConnection(shard)
    options = {name.replace("-", "_"): value for name, value in limits.items()}
    with start(Reference(None, rdbcompression="no", **options)).connect() as reference_client:
        for body in bodies:
            for one in (client, reference_client):
                one.call("RESTORE", "k", 0, sealed(body), "REPLACE")
            assert told(client, "k") == told(reference_client, "k"), body
        for one in (client, reference_client):
            one.call("SET", "s", "a" * 100)
        assert client.call("DUMP", "s") == reference_client.call("DUMP", "s")


def test_which_versions_are_read() -> None:
    relaxed = {"rdb-version-check": "relaxed"}
    for version in (0, 1, 11, 12, 79, 80, 81, 65535):
        payload = sealed(b"\x00\x01a", version)
        for config in ({}, {"rdb-version-check": "strict"}, relaxed):
            if version and (1 <= version <= 11 or version == 80 or config is relaxed):
                assert restored(payload, config) == b"a"
            else:
                with pytest.raises(BadTrailer):
                    restored(payload, config)
    with pytest.raises(ForeignType):
        restored(sealed(b"\x16\x01\x01f\x01v" + b"\xff" * 8, 12), relaxed)


def test_damage() -> None:
    """Any flipped bit and any cut is noticed."""
    payload = dumped(b"a text that is not so short", {})
    for place in range(8 * len(payload)):
        damaged = bytearray(payload)
        damaged[place >> 3] ^= 1 << (place & 7)
        with pytest.raises(BadTrailer):
            restored(bytes(damaged), {})
    for size in range(len(payload)):
        with pytest.raises(BadTrailer):
            restored(payload[:size], {})
    assert crc64(payload[:-8]) == int.from_bytes(payload[-8:], "little")


def test_what_the_log_gets() -> None:
    """An absolute time, or DEL where it has passed."""
    shard = BareShard(1_700_000_000_000)
    client = ShardConnection(shard)
    payload = sealed(b"\x00\x01a")
    client.call("RESTORE", "k", 0, payload)
    client.call("RESTORE", "k", 5000, payload, "REPLACE", "IDLETIME", 7)
    client.call("RESTORE", "k", 1_700_000_009_000, payload, "replace", "absttl")
    client.call("RESTORE", "k", 5, payload, "REPLACE", "ABSTTL")
    client.call("RESTORE", "none", 5, payload, "REPLACE", "ABSTTL")
    client.call("RESTORE", "k", 0, payload[:-1])
    assert [argv for _, argv in shard.logged] == [
        [b"RESTORE", b"k", b"0", payload],
        [b"RESTORE", b"k", b"1700000005000", payload, b"REPLACE", b"IDLETIME", b"7", b"ABSTTL"],
        [b"RESTORE", b"k", b"1700000009000", payload, b"replace", b"absttl"],
        [b"DEL", b"k"],
    ]


def test_a_log_is_replayed_whatever_versions_are_read_today() -> None:
    shard = BareShard(1_700_000_000_000)
    client = ShardConnection(shard)
    shard.executor.store.config["rdb-version-check"] = "relaxed"
    client.call("RESTORE", "k", 0, sealed(b"\x00\x01a", 81))
    assert shard.replayed().executor.store.dbs[0].peek(b"k") == b"a"

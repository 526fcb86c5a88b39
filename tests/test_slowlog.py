"""The command logs: limits of an entry, secrets, sizes on the wire, and calls that several shards answer."""

import time
from typing import Any

import pytest

from common.command import Table
from common.resp import NULL_ARRAY, OK, Push, Verbatim, encode, reply_end
from router.slowlog import (
    NEVER,
    CommandLog,
    CommandLogs,
    redacted,
    request_size_bytes,
    shortened,
)
from tests.resp_client import Client, encode_command

VALUES: dict[str, Any] = {
    "slowlog-log-slower-than": 10_000,
    "slowlog-max-len": 2,
    "commandlog-request-larger-than": 100,
    "commandlog-large-request-max-len": 3,
    "commandlog-reply-larger-than": -1,
    "commandlog-large-reply-max-len": 3,
}


def add(log: CommandLog, *words: bytes) -> None:
    log.add(list(words), 1, 100, "127.0.0.1:1", b"")


def test_the_newest_are_kept() -> None:
    log = CommandLog()
    log.length_max = 2
    for number in range(3):
        add(log, b"%d" % number)
    assert [entry.argv for entry in log.entries] == [[b"2"], [b"1"]]
    assert [entry.id for entry in log.entries] == [2, 1]
    log.entries.clear()
    add(log, b"x")
    assert log.entries[0].id == 3  # Also after a reset.


def test_thresholds() -> None:
    log = CommandLog()
    assert not log.wants(NEVER)
    log.threshold = 0
    assert log.wants(0)
    log.threshold = 5
    assert (log.wants(4), log.wants(5)) == (False, True)
    log.length_max = 0
    assert not log.wants(5)


def test_directives() -> None:
    logs = CommandLogs()
    for _ in range(5):
        add(logs.slow, b"x")
    logs.configure(VALUES)
    assert (logs.slow.threshold, len(logs.slow.entries)) == (10_000, 2)
    assert (logs.request_bytes_min, logs.reply_bytes_min) == (100, NEVER)


@pytest.mark.parametrize("size", [127, 128, 129, 1000])
def test_long_arguments(size: int) -> None:
    word = b"x" * size
    expected = word if size <= 128 else b"x" * 128 + b"... (%d more bytes)" % (size - 128)
    assert shortened([b"SET", word]) == [b"SET", expected]


@pytest.mark.parametrize("count", [31, 32, 33, 100])
def test_many_arguments(count: int) -> None:
    argv = [b"%d" % number for number in range(count)]
    expected = argv if count <= 32 else [*argv[:31], b"... (%d more arguments)" % (count - 31)]
    assert shortened(argv) == expected


def test_secrets() -> None:
    from router.commands.table import TABLE  # Importing the package fills it.

    def shown(*words: str) -> list[str]:
        argv = [word.encode() for word in words]
        return [word.decode() for word in redacted(TABLE.find(argv), argv)]

    hidden = "(redacted)"
    assert shown("AUTH", "secret") == ["AUTH", hidden]
    assert shown("AUTH", "user", "secret") == ["AUTH", hidden, hidden]
    assert shown("HELLO", "3", "auth", "u", "p", "SETNAME", "n") == [
        "HELLO",
        "3",
        "auth",
        hidden,
        hidden,
        "SETNAME",
        "n",
    ]
    assert shown("CONFIG", "SET", "maxmemory", "1", "RequirePass", "p") == [
        "CONFIG", "SET", "maxmemory", "1", "RequirePass", hidden
    ]  # fmt: skip
    assert shown("CONFIG", "GET", "requirepass") == ["CONFIG", "GET", "requirepass"]
    assert isinstance(TABLE, Table)


@pytest.mark.parametrize(
    "argv", [[b"PING"], [b"SET", b"k", b"v" * 1000], [b"ECHO", b""], [b"x"] * 12, [b"x", b"y" * 20] * 200]
)
def test_size_of_a_request(argv: list[bytes]) -> None:
    assert request_size_bytes(argv) == len(encode_command(argv))


REPLIES = [
    OK, 5, None, NULL_ARRAY, b"", b"a\r\nb" * 3, [], [b"x", [1, None, [b"y"]], 2], {b"k": [1, 2], b"l": {b"m": 1}},
    {b"a", b"b"}, 1.5, True, Verbatim("text\r\n"), Push([b"p", 1]),
]  # fmt: skip


def reply_sizes(replies: bytes) -> list[int]:
    """Of whole replies, one after the other."""
    at, sizes = 0, []
    while at < len(replies):
        sizes.append(reply_end(replies, at) - at)
        at += sizes[-1]
    return sizes


@pytest.mark.parametrize("protocol", [2, 3])
def test_sizes_of_replies(protocol: int) -> None:
    encoded = [encode(reply, protocol) for reply in REPLIES]
    assert reply_sizes(b"".join(encoded)) == [len(text) for text in encoded]


def test_an_attribute_belongs_to_its_reply() -> None:
    text = b"|1\r\n+key\r\n*2\r\n:1\r\n:2\r\n$2\r\nhi\r\n"
    assert reply_sizes(text + b":1\r\n") == [len(text), 4]


# On a server


def entries(client: Client, *words: str) -> list[Any]:
    found: list[Any] = client.call(*words)
    return found


def test_a_call_on_all_shards_is_one_entry_with_its_slowest_part(client: Client) -> None:
    client.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
    try:
        client.call("SLOWLOG", "RESET")
        client.call("MSET", *(word for number in range(50) for word in (f"k{number}", "v")))
        client.call("KEYS", "*")
        found = entries(client, "SLOWLOG", "GET")
    finally:
        client.call("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    assert [entry[3][0] for entry in found] == [b"KEYS", b"MSET", b"SLOWLOG"]
    assert found[1][3][-1] == b"... (70 more arguments)"
    assert abs(found[0][1] - time.time()) < 5


def test_large_requests_in_a_pipeline_and_in_pieces(client: Client) -> None:
    client.call("CONFIG", "SET", "commandlog-request-larger-than", "100000")
    try:
        client.call("COMMANDLOG", "RESET", "large-request")
        big = encode_command(["SET", "big", "x" * 200_000])
        client.send_bytes(encode_command(["SET", "a", "b"]) * 3000 + big[:70_000])
        client.send_bytes(big[70_000:] + encode_command(["GET", "a"]))
        client.read_many(3002)
        for start in range(0, len(big), 30_000):
            client.send_bytes(big[start : start + 30_000])
            time.sleep(0.002)
        client.read()
        found = entries(client, "COMMANDLOG", "GET", "-1", "large-request")
    finally:
        client.call("CONFIG", "SET", "commandlog-request-larger-than", "1048576")
    assert [(entry[2], entry[3][:2]) for entry in found] == [(len(big), [b"SET", b"big"])] * 2


def test_large_replies_in_a_pipeline(client: Client) -> None:
    client.call("SET", "big", "x" * 100_000)
    client.call("MSET", "k1", "y" * 50_000, "k2", "y" * 50_000, "k3", "y" * 50_000)
    client.call("CONFIG", "SET", "commandlog-reply-larger-than", "100000")
    try:
        for argv in (
            ["GET", "k1"],
            ["GET", "big"],
            ["PING"],
            ["MGET", "k1", "k2", "k3"],
            ["GET", "big"],
            ["GET", "k1"],
        ):
            client.send(*argv)
        client.read_many(6)
        found = entries(client, "COMMANDLOG", "GET", "-1", "large-reply")
    finally:
        client.call("CONFIG", "SET", "commandlog-reply-larger-than", "1048576")
        client.call("COMMANDLOG", "RESET", "large-reply")
    assert [entry[3] for entry in found] == [[b"GET", b"big"], [b"MGET", b"k1", b"k2", b"k3"], [b"GET", b"big"]]
    assert [entry[2] for entry in found] == [100_011, 150_034, 100_011]

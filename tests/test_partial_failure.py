"""A shard that is down, loads, or cannot write its log: what is told of commands that need it, of every kind.

A command on several shards is refused before any part of it is sent, where that can be known. Where it cannot, the
error says so: nobody is told that nothing was done when something may have been.
"""

import resource
import time
from collections.abc import Callable
from typing import Any

import pytest

from common.errors import RedisError
from tests.bare_router import BareRouter, ClientEnd, on_a_loop
from tests.bench.processes import roles
from tests.resp_client import Client, Error, Status, encode_command
from tests.servers import Shardis
from tests.test_crash import SHARDS, key_on, kill, supervisor_asleep, wait_for_reply
from tests.test_disk_full import allow_bytes, log_size_bytes

Start = Callable[[Shardis], Shardis]
Call = tuple[bytes | str | int, ...]

THERE, GONE = key_on(0), key_on(1)
"""Keys on a shard that is up, and on the one that is not."""
DOWN = Error(b"SHARDDOWN shard 1 is down, it is being restarted")
LOADING = Error(b"LOADING Valkey is loading the dataset in memory")
FULL = Error(b"MISCONF Errors writing to the AOF file: File too large")
IN_PART = b"; other shards have done their part of this command"
ABORTED = b"EXECABORT Transaction discarded because of: "

READS: dict[str, list[Call]] = {
    "one": [("GET", GONE), ("TTL", GONE), ("OBJECT", "ENCODING", GONE), ("XREAD", "STREAMS", GONE, "0")],
    "split": [("MGET", THERE, GONE), ("EXISTS", GONE, THERE), ("TOUCH", THERE, GONE)],
    "every": [("DBSIZE",), ("KEYS", "*"), ("RANDOMKEY",)],
    "borrow": [("SINTER", THERE, GONE), ("LCS", THERE, GONE), ("PFCOUNT", THERE, GONE)],
}
WRITES: dict[str, list[Call]] = {
    "one": [("SET", GONE, "2"), ("LPUSH", GONE, "2"), ("BLPOP", GONE, "0")],
    "split": [("MSET", THERE, "2", GONE, "2"), ("DEL", THERE, GONE), ("UNLINK", GONE, THERE)],
    "every": [("FLUSHALL",), ("FLUSHDB", "ASYNC"), ("SWAPDB", "0", "1")],
    "borrow": [("RENAME", THERE, GONE), ("COPY", GONE, THERE), ("SINTERSTORE", THERE, GONE), ("LMOVE", THERE, GONE)],
    "blocking": [("BLPOP", THERE + b"?", GONE, "0"), ("BLMOVE", GONE, THERE, "LEFT", "LEFT", "0")],
}
WRITES["borrow"][3] += ("LEFT", "LEFT")
ANSWERED: list[Call] = [
    ("PING",),
    ("ECHO", "x"),
    ("CLIENT", "LIST"),
    ("CONFIG", "GET", "port"),
    ("COMMAND", "COUNT"),
    ("PUBLISH", "c", "x"),
    ("SELECT", "0"),
    ("TIME",),
    ("WAIT", "0", "0"),
    ("SLOWLOG", "LEN"),
]
"""What needs no shard."""


def calls(families: dict[str, list[Call]]) -> list[Call]:
    return [call for family in families.values() for call in family]


def replies(client: Client, commands: list[Call]) -> list[Any]:
    """In one pipeline, so that all are of one moment."""
    client.send_bytes(b"".join(encode_command(command) for command in commands))
    return [reply.value for reply in client.read_many(len(commands))]


def transaction(*commands: Call) -> list[Call]:
    return [("MULTI",), *commands, ("EXEC",)]


def assert_refused(client: Client, commands: list[Call], error: Error) -> None:
    for command, reply in zip(commands, replies(client, commands), strict=True):
        assert reply == error, command


def test_while_a_shard_is_down(start: Start) -> None:
    server = start(Shardis(shards=SHARDS, appendonly="yes"))
    with server.connect() as client, server.connect() as blocked:
        assert client.call("MSET", THERE, "1", GONE, "1") == Status(b"OK")
        blocked.send("BLPOP", GONE + b"?", THERE + b"?", 0)
        blocked.send("BLPOP", "never", 0)
        with supervisor_asleep(server):
            kill(roles(server)["shard 1"])
            wait_for_reply(client, [b"GET", GONE], lambda reply: reply == DOWN)
            assert_refused(client, calls(READS) + calls(WRITES), DOWN)
            for call, reply in zip(ANSWERED, replies(client, ANSWERED), strict=True):
                assert not isinstance(reply, Error), (call, reply)
            for section in ("clients", "server", "commandstats", "everything"):
                info = client.call("INFO", section)
                assert isinstance(info, bytes) and info, (section, info)
            self_watched = replies(client, [("WATCH", THERE), ("WATCH", GONE), ("UNWATCH",)])
            assert self_watched == [Status(b"OK"), DOWN, Status(b"OK")]
            # A transaction that needs the shard is refused whole; another one is done.
            both = transaction(("SET", THERE, "2"), ("SET", GONE, "2"))
            assert replies(client, both)[-1] == Error(ABORTED + DOWN)
            lent = transaction(("SET", THERE, "2"), ("RENAME", THERE, GONE))
            assert replies(client, lent)[-1] == Error(ABORTED + DOWN)
            assert replies(client, transaction(("GET", THERE), ("PING",)))[-1] == [b"1", Status(b"PONG")]
            assert client.call("WAITAOF", 1, 0, 10) == [0, 0]
            # Who is paused, monitors or is killed does not depend on it.
            assert client.call("CLIENT", "PAUSE", 1, "WRITE") == Status(b"OK")
            assert client.call("GET", THERE) == b"1"
        wait_for_reply(client, [b"GET", GONE], lambda reply: reply == b"1")
        assert client.call("MGET", THERE, GONE) == [b"1", b"1"]


def test_while_a_shard_loads(start: Start) -> None:
    server = start(Shardis(shards=SHARDS, enable_debug_command="yes"))
    with server.connect() as client:
        assert client.call("DEBUG", "POPULATE", 400_000, "filler") == Status(b"OK")
        assert client.call("MSET", THERE, "1", GONE, "1") == Status(b"OK")
        kill(roles(server)["shard 1"])
        wait_for_reply(client, [b"GET", GONE], lambda reply: reply == LOADING)
        asked = [*calls(READS), *calls(WRITES), *ANSWERED, ("GET", THERE), ("GET", GONE)]
        given = replies(client, asked)
        assert given[-1] == LOADING, "the log was loaded too fast for this test"
        refused = len(asked) - len(ANSWERED) - 2
        for call, reply in zip(asked[:refused], given, strict=False):
            assert reply == LOADING, call
        for call, reply in zip(ANSWERED, given[refused:], strict=False):
            assert not isinstance(reply, Error), (call, reply)
        assert given[-2] == b"1"
        info = client.call("INFO", "persistence")
        assert b"loading:1" in info
        both = replies(client, transaction(("SET", THERE, "2"), ("SET", GONE, "2")))[-1]
        assert both == Error(ABORTED + LOADING)
        wait_for_reply(client, [b"MGET", THERE, GONE], lambda reply: reply == [b"1", b"1"])


def test_while_a_log_cannot_be_written(start: Start) -> None:
    server = start(Shardis(shards=SHARDS))
    with server.connect() as client:
        assert client.call("MSET", THERE, "1", GONE, "1") == Status(b"OK")
        allow_bytes(server, 1, log_size_bytes(server, 1))
        assert client.call("APPEND", GONE, "x") == FULL
        assert_refused(client, calls(WRITES), FULL)
        given = replies(client, calls(READS))
        assert not [reply for reply in given if reply == FULL]
        assert replies(client, transaction(("SET", THERE, "2"), ("SET", GONE, "2")))[-1] == Error(ABORTED + FULL)
        assert replies(client, transaction(("GET", THERE), ("GET", GONE)))[-1] == [b"1", b"1x"]
        assert client.call("GET", THERE) == b"1"
        allow_bytes(server, 1, resource.RLIM_INFINITY)
        wait_for_reply(client, [b"MSET", THERE, b"3", GONE, b"3"], lambda reply: reply == Status(b"OK"))


@pytest.mark.parametrize(
    "command", [("MSET", THERE, "2", GONE, "2"), ("DEL", THERE, GONE), ("FLUSHALL",), ("SWAPDB", "0", "1")]
)
def test_the_error_is_true_where_the_disk_fills_meanwhile(start: Start, command: Call) -> None:
    """The router does not know yet that a shard will refuse its part."""
    server = start(Shardis(shards=SHARDS))
    with server.connect() as client:
        assert client.call("MSET", THERE, "1", GONE, "1") == Status(b"OK")
        allow_bytes(server, 1, log_size_bytes(server, 1))
        assert client.call(*command) == Error(FULL + IN_PART)
        assert client.call("GET", THERE) != b"1"
        assert client.call(*command) == FULL
        assert client.call("INFO", "errorstats").count(b"errorstat_MISCONF:count=2\r\n") == 1


@pytest.mark.parametrize(("source", "target"), [(THERE, GONE), (GONE, THERE)])
def test_a_rename_is_true_where_the_disk_fills_meanwhile(start: Start, source: bytes, target: bytes) -> None:
    """Whichever of the two cannot write its log, no +OK is answered that a crash would make untrue."""
    server = start(Shardis(shards=SHARDS))
    with server.connect() as client:
        assert client.call("MSET", source, "new", target, "old") == Status(b"OK")
        allow_bytes(server, 1, log_size_bytes(server, 1))
        assert client.call("RENAME", source, target) == Error(FULL + IN_PART)
        assert client.call("RENAME", target, source) == FULL


# What came up while the parts were on their way


def refuse(bare: BareRouter, shard: int, text: str) -> None:
    """Has a shard answer all that came with an error."""
    end = bare.shards[shard]
    while end.frames:
        frame = end.frames.popleft()
        end.send([[RedisError(text)] * len(run) for run in frame[2::2]])


def sent_to_all(bare: BareRouter, name: bytes) -> ClientEnd:
    client = bare.connect()
    words = {
        b"MSET": [word for shard in range(3) for word in (bare.key_of(shard), b"1")],
        b"MGET": [bare.key_of(shard) for shard in range(3)],
        b"FLUSHALL": [],
    }[name]
    client.send([name, *words])
    return client


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"MSET", b"-MISCONF no%b\r\n" % IN_PART),
        (b"FLUSHALL", b"-MISCONF no%b\r\n" % IN_PART),
        (b"MGET", b"-MISCONF no\r\n"),
    ],
)
def test_one_part_is_refused(name: bytes, expected: bytes) -> None:
    async def scene() -> None:
        bare = BareRouter()
        await bare.settle()
        client = sent_to_all(bare, name)
        await bare.sent()
        refuse(bare, 1, "MISCONF no")
        await bare.settle()
        assert client.take() == expected
        command = bare.router.table.commands[name.decode().lower()]
        assert (command.calls, command.failed_calls, command.rejected_calls) == (1, 1, 0)
        assert bare.router.stats.errors == {"MISCONF": 1}

    on_a_loop(scene)


def test_all_parts_are_refused() -> None:
    async def scene() -> None:
        bare = BareRouter()
        await bare.settle()
        client = sent_to_all(bare, b"MSET")
        await bare.sent()
        for shard in range(3):
            refuse(bare, shard, "MISCONF no")
        assert client.take() == b"-MISCONF no\r\n"

    on_a_loop(scene)


def test_what_is_unknown_counts_more_than_what_is_refused() -> None:
    async def scene() -> None:
        bare = BareRouter()
        await bare.settle()
        client = sent_to_all(bare, b"MSET")
        await bare.sent()
        refuse(bare, 0, "MISCONF no")
        refuse(bare, 1, "MISCONF no")
        bare.shards[2].die()
        assert client.take() == b"-SHARDDOWN shard 2 went down, the outcome of this command is unknown\r\n"

    on_a_loop(scene)


def test_a_part_that_was_never_sent() -> None:
    """The shard dies in the turn in which the parts are put on their links."""

    async def scene() -> None:
        bare = BareRouter()
        await bare.settle()
        client = sent_to_all(bare, b"MSET")
        bare.shards[1].die()
        await bare.settle()
        assert client.take() == b"-SHARDDOWN shard 1 is down, it is being restarted%b\r\n" % IN_PART

    on_a_loop(scene)


def test_nothing_hangs_when_all_are_down() -> None:
    async def scene() -> None:
        bare = BareRouter()
        await bare.settle()
        for shard in bare.shards:
            shard.die()
        client = bare.connect()
        started_s = time.monotonic()
        for call in [*calls(READS), *calls(WRITES)]:
            client.send([word if isinstance(word, bytes) else str(word).encode() for word in call])
            assert client.take().startswith(b"-SHARDDOWN shard "), call
        client.send([b"PING"])
        assert client.take() == b"+PONG\r\n"
        assert time.monotonic() - started_s < 20

    on_a_loop(scene)

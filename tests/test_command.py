"""Declarations and the table: plans, errors and keys, compared with the reference."""

from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from common.command import (
    ADMIN,
    AGG_SUM,
    ALL_SHARDS,
    ALL_SUCCEEDED,
    DENYOOM,
    LOADING,
    MULTI_SHARD,
    NO_MANDATORY_KEYS,
    NOSCRIPT,
    READONLY,
    STALE,
    WRITE,
    Plan,
    Table,
)
from common.declaration import Command
from common.errors import RedisError
from common.resp import encode
from router.commands import command as replies
from router.commands.table import TABLE as ROUTER_TABLE
from tests.resp_client import Client


def declared() -> Table:
    """A few commands of each kind, declared as the reference has them."""
    table = Table()
    command = table.family("generic")

    def handler(db: object, *args: bytes) -> None:
        """Does what it does."""

    command.container("OBJECT", "A container for object introspection commands.", since="2.2.3", help_="ENCODING <key>")
    debug = table.family("server", opaque=True)
    for declare in (
        command("GET key", READONLY),
        command("SET key value [NX | XX] [GET]", WRITE, keys="RW access update variable_flags, OW update without GET"),
        command("PING [message]"),
        command("DEL key [key ...]", WRITE, fan=MULTI_SHARD, merge=AGG_SUM, keys="RM delete"),
        command(
            "MSET key value [key value ...]", WRITE | DENYOOM, fan=MULTI_SHARD, merge=ALL_SUCCEEDED, keys="OW update"
        ),
        command("MSETEX numkeys key value [key value ...] [NX | XX] [EX seconds | KEEPTTL]", WRITE, keys="OW update"),
        command("DBSIZE", READONLY, fan=ALL_SHARDS, merge=AGG_SUM),
        command("RENAME key newkey", WRITE, keys="RW access delete; OW update"),
        command("BLPOP key [key ...] timeout", WRITE, keys="RW access delete"),
        command("LCS key1 key2 [LEN]", READONLY),
        command("BITOP <AND | OR | XOR | NOT> destkey key [key ...]", WRITE),
        command(
            "BITFIELD key [GET encoding offset | SET encoding value]",
            WRITE,
            keys="RW access update, RO access without SET",
        ),
        command("ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]]", WRITE),
        command("SINTERCARD numkeys key [key ...] [LIMIT limit]", READONLY),
        command("EVAL script numkeys [key [key ...]] [arg [arg ...]]", NO_MANDATORY_KEYS, keys="RW access update"),
        command("XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]", READONLY),
        command(
            "XREADGROUP GROUP group consumer [COUNT count] [NOACK] STREAMS key [key ...] id [id ...]",
            WRITE,
            name="xreadgroup",
            keys="RO access",
        ),
        command(
            "SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [DESC] [STORE destination]",
            WRITE,
            keys="RO access; +unknown RO access; unknown OW update",
        ),
        command(
            "GEORADIUS key longitude latitude radius <M | KM> [COUNT count [ANY]] [STORE key | STOREDIST key]",
            WRITE,
            keys="RO access; OW update variable_flags; OW update variable_flags",
        ),
        command("OBJECT ENCODING key", READONLY, keys="RO"),
        command("SSUBSCRIBE shardchannel [shardchannel ...]"),
        debug("DEBUG SLEEP seconds", ADMIN | NOSCRIPT | LOADING | STALE),
    ):
        declare(handler)
    return table


DECLARED = declared()


PLANS = {
    "get": (Plan.ONE, (0, 0)),
    "ping": (Plan.ONE, (0, 0)),
    "del": (Plan.SPLIT, (1, 1)),
    "mset": (Plan.SPLIT, (1, 2)),
    "msetex": (Plan.BORROW, (0, 0)),
    "dbsize": (Plan.EVERY, (0, 0)),
    "rename": (Plan.BORROW, (0, 0)),
    "blpop": (Plan.BORROW, (0, 0)),
    "eval": (Plan.BORROW, (0, 0)),
    "object|encoding": (Plan.ONE, (0, 0)),
}


@pytest.mark.parametrize("name", PLANS)
def test_plan(name: str) -> None:
    command = DECLARED.get(name)
    assert command is not None
    assert (command.plan, command.cut) == PLANS[name]


def test_the_routers_commands_run_there() -> None:
    assert {command.plan for command in ROUTER_TABLE.each()} == {Plan.ROUTER}


def test_found_in_any_case() -> None:
    for name in (b"GET", b"get", b"Get"):
        assert DECLARED.find([name, b"k"]).name == "get"
    assert DECLARED.find([b"obJECT", b"Encoding", b"k"]).name == "object|encoding"


# Each is sent to the reference too.
FAULTS: list[list[bytes]] = [
    [b"foo"],
    [b"FOO", b"a", b"b"],
    [b"foo", b"", b"\xff\xc3"],
    [b"foo" * 60, b"x"],
    [b"foo", b"a" * 100, b"b" * 100, b"c"],
    [b"foo", b"a" * 125, b"b"],
    [b"foo", b"a" * 126, b"b"],
    [b"foo", *[b"a"] * 40],
    [b"fo\0o", b"a\0b", b"c"],
    [b"foo\r\nbar", b"a\nb"],
    [b"get"],
    [b"Get", b"a", b"b"],
    [b"get|x", b"a"],
    [b"mset", b"a"],
    [b"object"],
    [b"OBJECT", b"Foo"],
    [b"object", b"f\0oo", b"a"],
    [b"object", b"x" * 200],
    [b"object", b"encoding"],
    [b"object", b"ENCODING", b"a", b"b"],
    [b"object", b"help", b"me"],
    [b"object|encoding", b"a"],
    [b"debug"],
    [b"Debug", b"Foo"],
    [b"debug", b"sleep"],
    [b"debug", b"sleep", b"1", b"2"],
]


@pytest.mark.parametrize("argv", FAULTS, ids=lambda argv: repr(b" ".join(argv)[:30]))
def test_error_texts(argv: list[bytes], reference_client: Client) -> None:
    with pytest.raises(RedisError) as fault:
        DECLARED.find(argv)
    reference_client.send(*argv)
    assert encode(fault.value, 2) == reference_client.read().raw


CALLS = (
    """
    GET | GET a | GET a b | PING | PING a | FOO | FOO a | DBSIZE | SET a b | SET a b GET | SET a b nx get
    DEL a b c | MSET a 1 b 2 | MSET a 1 b | MSETEX 2 a 1 b 2 | MSETEX 3 a 1 b 2 | MSETEX x a 1 | RENAME a b
    BLPOP a b 0 | BLPOP a 0 | LCS a b | BITOP and d a b | BITOP and d | ZUNIONSTORE d 2 a b | ZUNIONSTORE d 3 a b
    ZUNIONSTORE d 0 a | ZUNIONSTORE d -1 a | ZUNIONSTORE d 1 a WEIGHTS 2 | SINTERCARD 2 a b | SINTERCARD 0 a
    EVAL s 0 | EVAL s 0 a | EVAL s 2 a b c | EVAL s 3 a | EVAL s x a | XREAD STREAMS a 0 | XREAD STREAMS a
    XREAD COUNT 2 streams a b c 0 0 0 | XREAD COUNT 2 streams a b c 0 0 | XREAD COUNT 2 BLOCK 1
    XREADGROUP GROUP g streams STREAMS a b > > | SORT a | SORT a STORE d | SORT a STORE | SORT a BY store STORE d
    SORT a STORE d STORE e | SORT a LIMIT 0 store STORE d | SORT a GET store GET x DESC store d
    GEORADIUS a 1 1 1 m | GEORADIUS a 1 1 1 m STORE d | GEORADIUS a 1 1 1 m COUNT 1 STOREDIST d
    GEORADIUS a 1 1 1 m STORE | OBJECT | OBJECT FOO | OBJECT ENCODING a | OBJECT ENCODING | OBJECT HELP
    SSUBSCRIBE a | DEBUG OBJECT a | DEBUG SLEEP 0 | DEBUG | BITFIELD a GET u8 0 | BITFIELD a SET u8 0 1
    BITFIELD a
""".strip()
    .replace("\n", "|")
    .split("|")
)


def session(table: Table) -> Any:
    return SimpleNamespace(router=SimpleNamespace(table=table))


def reply_of(handler: Any, table: Table, *argv: bytes, protocol: int = 3) -> bytes:
    try:
        reply = handler(session(table), *argv)
    except RedisError as error:
        reply = error
    return encode(reply, protocol)


@pytest.mark.parametrize("call", CALLS)
def test_getkeys(call: str, reference_client: Client) -> None:
    argv = call.encode().split()
    for protocol in (2, 3):
        reference_client.call("HELLO", protocol)
        reference_client.send("COMMAND", "GETKEYS", *argv)
        assert reply_of(replies.getkeys, DECLARED, *argv, protocol=protocol) == reference_client.read().raw
        reference_client.send("COMMAND", "GETKEYSANDFLAGS", *argv)
        assert reply_of(replies.getkeysandflags, DECLARED, *argv, protocol=protocol) == reference_client.read().raw


def test_a_table_crosses_to_another_process() -> None:
    learned = Table.from_wire(msgpack.unpackb(msgpack.packb(DECLARED.to_wire())))
    assert replies.command_(session(learned)) == replies.command_(session(DECLARED))
    assert replies.docs(session(learned)) == replies.docs(session(DECLARED))
    assert all(command.handler is None for command in learned.each())
    assert learned.find([b"debug", b"sleep", b"0"]).plan is Plan.ONE


def test_a_container_has_the_subcommands_of_both_tables() -> None:
    table = Table(Plan.ROUTER)
    command = table.family("generic")
    command("OBJECT FREQ key", READONLY)(lambda session, key: None)
    command("GET key", READONLY)(lambda session, key: None)
    joined = Table()
    joined.merge(table)
    joined.merge(DECLARED)
    container = joined.get("object")
    assert container is not None
    assert set(container.subcommands) == {"freq", "help", "encoding"}
    assert joined.find([b"get", b"a"]).plan is Plan.ROUTER, "what comes first stays"
    assert joined.find([b"object", b"freq", b"a"]).plan is Plan.ROUTER
    assert joined.find([b"object", b"encoding", b"a"]).plan is Plan.ONE
    assert set(table.commands) == {"object", "get"}, "the tables themselves are as they were"
    assert set(table.commands["object"].subcommands) == {"freq"}


def test_help_of_a_container() -> None:
    command = DECLARED.find([b"object", b"help"])
    assert command.handler is not None
    assert command.handler(None) == [
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "HELP",
        "    Print this help.",
    ]


@pytest.mark.parametrize(
    ("usage", "options", "fault"),
    [
        ("GET key", {}, "declared twice"),
        ("FOO [a] key", {}, "can't be found"),
        ("FOO key", {"keys": "RO; RO"}, "more key flags"),
        ("FOO key newkey", {"keys": "RO"}, "fewer key flags"),
        ("FOO numkeys key [key ...]", {"fan": MULTI_SHARD}, "can't be cut"),
        ("FOO [a", {}, "bracket"),
    ],
)
def test_declarations_that_cannot_be_right(usage: str, options: dict[str, Any], fault: str) -> None:
    command = declared().family("generic")
    with pytest.raises(ValueError, match=fault):
        command(usage, **options)(lambda db: None)


def test_what_a_handler_gets() -> None:
    command: Command = DECLARED.find([b"object", b"encoding", b"a"])
    assert (command.words, command.shortest, command.longest) == (2, 3, 3)
    assert DECLARED.find([b"set", b"a", b"b", b"c"]).shortest == 3

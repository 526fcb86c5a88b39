"""From a command to its plan: which shard gets what, what is refused before anything is sent, and what is counted."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from common.command import Command
from common.errors import Loading, RedisError
from common.frame import JOINED, VALUES
from common.resp import error_reply
from router.dispatch import Forward, Wait
from tests.bare_router import BareRouter, ClientEnd, on_a_loop

INTERNAL = b"-ERR internal error\r\n"


async def answered(bare: BareRouter, client: ClientEnd, *calls: list[bytes]) -> bytes:
    """What the client gets for these calls, sent at once."""
    client.send(*calls)
    await bare.settle()
    return client.take()


def replace_handler(bare: BareRouter, name: str, handler: Callable[..., Any]) -> Command:
    """Has a command of the router do something else, in this router alone."""
    command = bare.router.table.get(name)
    assert command is not None
    command.handler = handler
    return command


def test_one_goes_to_the_owner_of_its_key() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        for number in range(3):
            assert await answered(bare, client, [b"sEt", bare.key_of(number), b"v"]) == b"+OK\r\n"
        assert [shard.commands for shard in bare.shards] == [[[b"sEt", bare.key_of(n), b"v"]] for n in range(3)]

    on_a_loop(scene)


def test_split_is_cut_at_its_repeat() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        one, two, other = bare.key_of(0), bare.key_of(0, 1), bare.key_of(2)
        assert await answered(bare, client, [b"MSET", one, b"1", other, b"2", two, b"3"]) == b"+OK\r\n"
        assert await answered(bare, client, [b"mget", other, one, b"none", one]) == (
            b"*4\r\n$1\r\n2\r\n$1\r\n1\r\n$-1\r\n$1\r\n1\r\n"
        )
        assert await answered(bare, client, [b"DEL", one, one, other, b"none"]) == b":2\r\n"
        assert bare.shards[0].commands[:2] == [[b"MSET", one, b"1", two, b"3"], [b"mget", one, one]]
        assert bare.shards[2].commands[0] == [b"MSET", other, b"2"]
        assert all(header & VALUES for shard in bare.shards for header in shard.headers)

    on_a_loop(scene)


def test_split_with_all_keys_on_one_shard_is_forwarded() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        call = [b"MGET", bare.key_of(1), bare.key_of(1, 1)]
        assert await answered(bare, client, call) == b"*2\r\n$-1\r\n$-1\r\n"
        assert (bare.shards[1].commands, bare.shards[1].headers) == ([call], [JOINED])

    on_a_loop(scene)


def test_split_that_cannot_be_cut_is_for_any_shard_to_refuse() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        call = [b"MSET", bare.key_of(0), b"1", bare.key_of(1)]
        assert await answered(bare, client, call) == b"-ERR wrong number of arguments for 'mset' command\r\n"

    on_a_loop(scene)


def test_every_goes_to_all() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        for number in range(3):
            await answered(bare, client, [b"SET", bare.key_of(number), b"v"])
        assert await answered(bare, client, [b"DBSIZE"]) == b":3\r\n"
        assert await answered(bare, client, [b"FLUSHALL"], [b"DBSIZE"]) == b"+OK\r\n:0\r\n"
        assert all(shard.commands[-3:] == [[b"DBSIZE"], [b"FLUSHALL"], [b"DBSIZE"]] for shard in bare.shards)

    on_a_loop(scene)


def test_what_the_router_answers_no_shard_hears_of() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        client.send([b"PING"], [b"ECHO", b"x"])
        assert client.take() == b"+PONG\r\n$1\r\nx\r\n"
        assert not any(shard.commands for shard in bare.shards)

    on_a_loop(scene)


def test_what_is_wrong_is_refused_here_and_counted() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        client.send([b"NOSUCH", b"x"], [b"GET"], [b"CLIENT", b"NOSUCH"], [b"CLIENT", b"GETNAME", b"x"])
        assert client.take().split(b"\r\n") == [
            b"-ERR unknown command 'NOSUCH', with args beginning with: 'x' ",
            b"-ERR wrong number of arguments for 'get' command",
            b"-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.",
            b"-ERR wrong number of arguments for 'client|getname' command",
            b"",
        ]
        assert bare.router.stats.errors == {"ERR": 4}
        rejected = {command.name: command.rejected_calls for command in bare.router.table.each()}
        assert (rejected["get"], rejected["client"], rejected["client|getname"]) == (1, 1, 1)

    on_a_loop(scene)


def test_the_error_of_one_part_is_that_of_the_whole_and_counts_once() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        for shard in bare.shards[1:]:
            shard.executor.state(loading=False, refusal=RedisError("MISCONF no room"))
        call = [b"MSET", *[word for number in range(3) for word in (bare.key_of(number), b"v")]]
        in_part = b"; other shards have done their part of this command"
        assert await answered(bare, client, call) == b"-MISCONF no room%b\r\n" % in_part
        assert bare.router.stats.errors == {"MISCONF": 1}
        command = bare.router.table.get("mset")
        assert command is not None and (command.calls, command.failed_calls) == (1, 1)

    on_a_loop(scene)


def test_a_call_in_parts_counts_once() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        await answered(bare, client, [b"DEL", *[bare.key_of(number) for number in range(3)]])
        command = bare.router.table.get("del")
        assert command is not None and (command.calls, command.failed_calls) == (1, 0)
        assert [shard.executor.command_stats()["del"].calls for shard in bare.shards] == [0, 0, 0]

    on_a_loop(scene)


@pytest.mark.parametrize("state", ["down", "loading"])
def test_a_shard_that_would_not_do_its_part(state: str) -> None:
    """Nothing is sent to the others either; but what they can do alone they do."""

    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        if state == "down":
            bare.shards[1].die()
            fault = error_reply(bare.router.links[1].down())
        else:
            bare.shards[1].send({"state": "loading"})
            bare.shards[1].executor.state(loading=True, refusal=None)
            fault = error_reply(Loading())
        here, there = bare.key_of(0), bare.key_of(1)
        assert await answered(bare, client, [b"MSET", here, b"1", there, b"2"]) == fault
        assert await answered(bare, client, [b"DBSIZE"]) == fault
        assert not bare.shards[0].commands and not bare.shards[2].commands
        assert await answered(bare, client, [b"GET", there], [b"GET", here]) == fault + b"$-1\r\n"

    on_a_loop(scene)


def test_several_keys_on_one_shard_of_a_command_that_cannot_be_cut() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        call = [b"RENAME", bare.key_of(2), bare.key_of(2, 1)]
        assert await answered(bare, client, call) == b"-ERR no such key\r\n"
        assert [shard.commands for shard in bare.shards] == [[], [], [call]]

    on_a_loop(scene)


def test_a_bug_in_a_handler_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        client = bare.connect()
        replace_handler(bare, "echo", lambda session, message: 1 // 0)
        assert await answered(bare, client, [b"ECHO", b"secret"], [b"PING"]) == INTERNAL + b"+PONG\r\n"

    with caplog.at_level(logging.ERROR, logger="shardis"):
        on_a_loop(scene)
    assert "internal error in echo" in caplog.text and "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


def test_what_a_handler_gives_that_is_no_reply(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        client = bare.connect()
        replace_handler(bare, "echo", lambda session, message: object())
        assert await answered(bare, client, [b"ECHO", b"x"]) == INTERNAL

    on_a_loop(scene)


def test_a_handler_that_forwards() -> None:
    async def scene() -> None:
        bare = BareRouter(3)
        client = bare.connect()
        command = replace_handler(bare, "echo", lambda session, message: Forward(2, [b"GET", message]))
        assert await answered(bare, client, [b"ECHO", b"k"]) == b"$-1\r\n"
        assert bare.shards[2].commands == [[b"GET", b"k"]]
        assert command.calls == 0

    on_a_loop(scene)


def test_a_handler_that_has_its_client_wait() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        client = bare.connect()
        waiting: list[Any] = []
        replace_handler(bare, "echo", lambda session, message: Wait(waiting.append))
        client.send([b"ECHO", b"x"], [b"PING"])
        assert client.take() == b""
        waiting[0].finish(b"+now\r\n")
        assert client.take() == b"+now\r\n+PONG\r\n"

    on_a_loop(scene)


def test_nothing_more_is_done_for_a_browser() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        client = bare.connect()
        client.send_bytes(b"POST / HTTP/1.1\r\nHost: localhost\r\nSET k v\r\n")
        await bare.settle()
        assert client.closed and not bare.shards[0].commands

    on_a_loop(scene)

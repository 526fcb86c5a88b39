"""Calls that read keys which the data decides: let through where those cannot be elsewhere, else refused, with why."""

import pytest

from common.command import Command
from common.errors import RedisError
from router.reach import check_reach, pinned_slot
from tests.bare_router import BareRouter, on_a_loop
from tests.bare_shard import commands
from tests.command_line import split_command

LIST = b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"

LET_THROUGH = """
    SORT k | SORT k BY nosort | SORT k GET # GET x LIMIT 0 1 | SORT k ALPHA STORE d | SORT k BY | SORT
    SORT {t}k BY {t}w_* | SORT {t}k BY w_{t}_* GET {t}* GET # STORE {t}d | SORT t BY {t}w_* | SORT {t}k BY {t}*->f
    SORT_RO x{t} GET {t}w_* | SORT k STORE BY LIMIT 0 w_* | SORT k STORE GET ALPHA w_* | SORT k BY "a\\x00*"
    SUNIONSTORE d BY w_* | SUNION BY w_*
"""
REFUSED = """
    SORT k BY w_* | SORT k GET w_* | SORT_RO k by w_* | SORT k BY k* | SORT k LIMIT 0 1 GET # GET w_*->f
    SORT {t}k BY {u}w_* | SORT {t}k BY w_*{t} | SORT {t}k BY {t*} | SORT {t}k BY {}{t}* | SORT {t}k BY {t*
    SORT {t}k BY {t}w_* GET {u}* | SORT {t}k BY {t}w_* STORE a BY w_*
"""


def calls(text: str) -> list[str]:
    return [call.strip() for line in text.strip().splitlines() for call in line.split(" | ")]


def command_of(argv: list[bytes]) -> Command:
    command = commands().resolve(argv)
    assert command is not None
    return command


@pytest.mark.parametrize("call", calls(LET_THROUGH))
def test_let_through(call: str) -> None:
    argv = split_command(call)
    check_reach(command_of(argv), argv, [0], True)


@pytest.mark.parametrize("call", calls(REFUSED))
def test_refused(call: str) -> None:
    argv = split_command(call)
    with pytest.raises(RedisError, match="denied with several shards when keys formed by the pattern may be in"):
        check_reach(command_of(argv), argv, [0], True)


def test_without_hash_tags_no_pattern_is_let_through() -> None:
    argv = split_command("SORT {t}k BY {t}w_*")
    with pytest.raises(RedisError, match="^ERR BY option of SORT denied with several shards when"):
        check_reach(command_of(argv), argv, [0], False)


def test_what_is_read_must_not_stay_behind() -> None:
    """The destination may be the home of the command: the keys that a pattern forms would not be there."""
    argv = split_command("SORT {t}k GET {t}w_* STORE elsewhere")
    with pytest.raises(RedisError, match="^ERR GET option of SORT denied when the destination is on another shard.$"):
        check_reach(command_of(argv), argv, [0, 1], True)


def test_the_tag_must_be_complete_before_the_star() -> None:
    assert pinned_slot(b"a{t}b*") == pinned_slot(b"{t}*{u}") == pinned_slot(b"{t}{*}") is not None
    for pattern in (b"*", b"a*", b"*{t}", b"{*}", b"{t*}", b"{}*", b"{}{t}*", b"t}*", b"}{*"):
        assert pinned_slot(pattern) is None


def test_in_the_router() -> None:
    async def scene() -> None:
        several, one = BareRouter(3), BareRouter(1)
        for bare in (several, one):
            client = bare.connect()
            client.send([b"RPUSH", b"{t}k", b"2", b"1"], [b"SORT", b"{t}k", b"BY", b"{t}w_*"])
            await bare.settle()
            assert client.take() == b":2\r\n" + LIST
        client = several.connect()
        client.send([b"SORT", b"{t}k", b"BY", b"w_*"])
        await several.settle()
        assert client.take().startswith(b"-ERR BY option of SORT denied with several shards")
        client = one.connect()
        client.send([b"SORT", b"{t}k", b"BY", b"w_*"])
        await one.settle()
        assert client.take() == LIST

    on_a_loop(scene)

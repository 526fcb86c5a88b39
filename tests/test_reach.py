"""Calls that read keys which the data decides: where those cannot be elsewhere they go as any other."""

import pytest

from common.command import Command
from common.slot import Owners
from router.reach import pinned_slot, reaches
from tests.bare_shard import commands
from tests.command_line import split_command

NEAR = """
    SORT k | SORT k BY nosort | SORT k GET # GET x LIMIT 0 1 | SORT k ALPHA STORE d | SORT k BY | SORT
    SORT {t}k BY {t}w_* | SORT {t}k BY w_{t}_* GET {t}* GET # STORE {t}d | SORT t BY {t}w_* | SORT {t}k BY {t}*->f
    SORT_RO x{t} GET {t}w_* | SORT k STORE BY LIMIT 0 w_* | SORT k STORE GET ALPHA w_* | SORT k BY "a\\x00*"
    SUNIONSTORE d BY w_* | SUNION BY w_*
"""
FAR = """
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


def reach(call: str, shards: list[int], owners: Owners) -> bool:
    argv = split_command(call)
    return reaches(command_of(argv), argv, shards, owners)


@pytest.mark.parametrize("call", calls(NEAR))
def test_near(call: str) -> None:
    assert not reach(call, [0], Owners(3, hash_tags=True))


@pytest.mark.parametrize("call", calls(FAR))
def test_far(call: str) -> None:
    assert reach(call, [0], Owners(3, hash_tags=True))
    assert not reach(call, [0], Owners(1, hash_tags=True))


def test_without_hash_tags_no_pattern_stays_near() -> None:
    assert reach("SORT {t}k BY {t}w_*", [0], Owners(3, hash_tags=False))


def test_what_is_read_must_not_stay_behind() -> None:
    """The destination may be the home of the command: the keys that a pattern forms would not be there."""
    assert reach("SORT {t}k GET {t}w_* STORE elsewhere", [0, 1], Owners(3, hash_tags=True))
    assert not reach("SORT {t}k GET # STORE elsewhere", [0, 1], Owners(3, hash_tags=True))


def test_the_tag_must_be_complete_before_the_star() -> None:
    assert pinned_slot(b"a{t}b*") == pinned_slot(b"{t}*{u}") == pinned_slot(b"{t}{*}") is not None
    for pattern in (b"*", b"a*", b"*{t}", b"{*}", b"{t*}", b"{}*", b"{}{t}*", b"t}*", b"}{*"):
        assert pinned_slot(pattern) is None

"""The replies of a turn whose log could not be written."""

from typing import Any

import pytest

from common.errors import RedisError
from common.frame import CONTROL, JOINED, VALUES
from common.resp import OK, Chunks, Status, Verbatim, encode
from shard.commands.table import TABLE
from shard.refusal import refuse_writes, split_replies

ERROR = RedisError("MISCONF no room")
REFUSED = b"-MISCONF no room\r\n"
WRITE, READ, WRONG = [b"SET", b"k", b"v"], [b"GET", b"k"], [b"NOSUCH"]


def refused(header: int, requests: list[list[bytes]], entry: Any) -> Any:
    """What becomes of a run that stands behind another one, in a frame behind another one."""
    frames = [[0, VALUES, [READ]], [0, VALUES, [READ], header, requests]]
    replies = [[1], [2], entry]
    refuse_writes(frames, replies, TABLE, ERROR)
    assert replies[:2] == [[1], [2]]
    return replies[2]


def test_only_writes_are_refused() -> None:
    requests = [WRITE, READ, WRONG, [b"set", b"k"], [b"Incr", b"k"]]
    entry = [b"+OK\r\n", b"$1\r\n-\r\n", b"-ERR unknown\r\n", b"-ERR wrong number\r\n", b":1\r\n"]
    wanted = [REFUSED, entry[1], entry[2], entry[3], REFUSED]
    assert refused(0, requests, list(entry)) == wanted
    assert refused(JOINED, requests, b"".join(entry)) == b"".join(wanted)


def test_replies_in_chunks() -> None:
    requests = [WRITE, [b"SET", b"k", b"v", b"GET"], READ]
    large = Chunks((b"$4\r\n", b"-x-x", b"\r\n"))
    assert refused(0, requests, [b"+OK\r\n", large, large]) == [REFUSED, REFUSED, b"".join(large)]
    assert refused(JOINED, requests, Chunks((b"+OK\r\n", *large, *large))) == REFUSED * 2 + b"".join(large)


def test_values() -> None:
    wrong = RedisError("WRONGTYPE")
    assert refused(VALUES, [WRITE, READ, WRITE], [b"-x", b"-y", wrong]) == [ERROR, b"-y", wrong]


def test_what_is_no_command_and_what_comes_late_is_left_alone() -> None:
    assert refused(CONTROL | VALUES, [[b"config", {}]], [None]) == [None]
    assert refused(JOINED, [WRITE], None) is None


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_kind_of_reply_is_split(protocol: int) -> None:
    replies: list[Any] = [OK, Status("PONG"), 7, -1, None, b"", b"a\r\nb", [], [1, [b"x", None], b"$"], {b"k": [1, 2]}]
    replies += [{b"a", b"b"}, {}, 1.5, True, Verbatim("t"), RedisError("ERR x"), [RedisError("ERR y"), 1]]
    encoded = [encode(reply, protocol) for reply in replies]
    assert split_replies(b"".join(encoded)) == encoded

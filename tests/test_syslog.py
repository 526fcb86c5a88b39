"""The log of the system, where the test is who takes it."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.log import VERBOSE
from common.syslog import Syslog

LOCAL0, USER = 16 << 3, 1 << 3


@pytest.fixture
def taker(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "log"))
        sock.settimeout(20)
        yield sock


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.DEBUG, 7),
        (VERBOSE, 6),
        (logging.INFO, 5),
        (logging.WARNING, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
    ],
)
@pytest.mark.parametrize(("facility", "number"), [("local0", LOCAL0), ("user", USER)])
def test_what_is_sent(
    taker: socket.socket, tmp_path: Path, facility: str, number: int, level: int, priority: int
) -> None:
    handler = Syslog("shardis", facility, "shard 2", str(tmp_path / "log"))
    handler.handle(logging.LogRecord("shardis", level, "", 0, "100 %% of %s", ("it",), None))
    assert taker.recv(1000) == f"<{number + priority}>shardis[{os.getpid()}]: shard 2: 100 % of it".encode()
    handler.close()


def test_nobody_takes_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither at the start nor later; and once somebody does, it is sent."""
    handler = Syslog("shardis", "local0", "router", str(tmp_path / "log"))
    record = logging.LogRecord("shardis", logging.INFO, "", 0, "x", (), None)
    handler.handle(record)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "log"))
        handler.handle(record)
        assert sock.recv(1000).endswith(b": router: x")
    handler.handle(record)
    handler.close()
    assert capfd.readouterr() == ("", "")

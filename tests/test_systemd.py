"""Words to systemd and what it hands over; on a real systemd in tests/systemd."""

import socket
from pathlib import Path

import pytest

from common.systemd import BEAT_S, Systemd
from tests.listening_manager import listening


def test_without_systemd_nothing_is_said() -> None:
    systemd = Systemd({}, 1)
    systemd.tell("READY=1", status="well")
    assert not systemd and systemd.fds == [] and systemd.beat_s == BEAT_S


def test_words(tmp_path: Path) -> None:
    with listening(tmp_path) as manager:
        systemd = manager.systemd()
        assert systemd
        systemd.tell("READY=1", status="10 keys")
        assert manager.heard() == ["READY=1", "STATUS=10 keys"]
        systemd.tell("WATCHDOG=1", status="10 keys")  # Known already.
        assert manager.heard() == ["WATCHDOG=1"]
        systemd.tell(status="10 keys")
        systemd.tell()
        assert manager.heard() == []
        systemd.tell(status="11 keys")
        assert manager.heard() == ["STATUS=11 keys"]


def test_an_abstract_socket(tmp_path: Path) -> None:
    name = f"shardis-test-{tmp_path.name}-{id(tmp_path)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        Systemd({"NOTIFY_SOCKET": f"@{name}"}, 1).tell("READY=1")
        assert sock.recv(100) == b"READY=1"


def test_nobody_hears_it(tmp_path: Path) -> None:
    Systemd({"NOTIFY_SOCKET": f"{tmp_path}/none"}, 1).tell("READY=1")


@pytest.mark.parametrize(
    "environment, beat_s, fds",
    [
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 1.0, []),
        ({"WATCHDOG_USEC": "3000000"}, 1.0, []),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, BEAT_S, []),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, BEAT_S, []),
        ({"WATCHDOG_USEC": "x"}, BEAT_S, []),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "7", "LISTEN_FDNAMES": "a:b"}, BEAT_S, [3, 4]),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "8"}, BEAT_S, []),
    ],
)
def test_what_the_environment_says(environment: dict[str, str], beat_s: float, fds: list[int]) -> None:
    """It is taken out of there, and heeded if it is for this process."""
    systemd = Systemd(environment, 7)
    assert (systemd.beat_s, systemd.fds, environment) == (beat_s, fds, {})

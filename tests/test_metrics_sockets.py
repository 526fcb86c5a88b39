"""Where the metrics are listened for."""

import socket

import pytest

from metrics.sockets import listening
from tests.servers import free_port

NOWHERE = "192.0.2.1"
"""An address that no machine has (RFC 5737)."""


def hosts(bind: str) -> list[str]:
    sockets = listening(bind, free_port())
    found = [sock.getsockname()[0] for sock in sockets]
    for sock in sockets:
        sock.close()
    return found


@pytest.mark.parametrize(
    ("bind", "found"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("127.0.0.1 127.0.0.2", ["127.0.0.1", "127.0.0.2"]),
        (f"127.0.0.1 -{NOWHERE}", ["127.0.0.1"]),
        ("*", ["0.0.0.0"]),
    ],
)
def test_addresses(bind: str, found: list[str]) -> None:
    assert hosts(bind) == found


@pytest.mark.parametrize("bind", ["", NOWHERE, f"-{NOWHERE}", f"127.0.0.1 {NOWHERE}", "nosuch.invalid"])
def test_what_is_not_there(bind: str) -> None:
    with pytest.raises(OSError, match=r"cannot listen on|names no address"):
        listening(bind, free_port())


def test_a_port_that_is_taken_is_never_forgiven() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:\d+ for metrics: Address already in use"):
            listening("-127.0.0.1", taken.getsockname()[1])

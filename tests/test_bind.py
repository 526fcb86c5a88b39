"""Addresses as `bind` writes them: router, metrics and the units of systemd go by them."""

import errno
import socket

import pytest

from common.bind import Address, addresses, tcp_socket


@pytest.mark.parametrize(
    ("bind", "found"),
    [
        ("", []),
        ("10.0.0.1 ::1 localhost", [Address("10.0.0.1"), Address("::1"), Address("localhost")]),
        ("* -::*", [Address("0.0.0.0"), Address("::", may_miss=True)]),
        ("-127.0.0.1\t-127.0.0.1", [Address("127.0.0.1", may_miss=True)]),
    ],
)
def test_addresses(bind: str, found: list[Address]) -> None:
    assert addresses(bind) == found


@pytest.mark.parametrize(
    ("number", "may_miss", "passed_over"),
    [
        (errno.EADDRNOTAVAIL, True, True),
        (errno.EADDRNOTAVAIL, False, False),
        (errno.EADDRINUSE, True, False),
        (errno.EAFNOSUPPORT, False, True),
    ],
)
def test_what_is_passed_over(number: int, may_miss: bool, passed_over: bool) -> None:
    assert Address("::1", may_miss).is_passed_over(OSError(number, "wrong")) == passed_over


def test_a_socket_that_listens() -> None:
    with tcp_socket("localhost", 0, 5) as listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and not listener.getblocking()
        address = listener.getsockname()
        with socket.create_connection(address[:2]), pytest.raises(OSError, match="in use"):
            tcp_socket(address[0], address[1], 5)


def test_what_is_no_address() -> None:
    with pytest.raises(OSError, match="."):
        tcp_socket("nosuch.invalid", 0, 5)
    with pytest.raises(OSError, match="assign requested address"):
        tcp_socket("192.0.2.1", 0, 5)

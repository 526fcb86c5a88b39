"""Addresses as `bind` writes them, and a listening socket at one."""

import errno
import socket
from typing import NamedTuple

WORDS = {"*": "0.0.0.0", "::*": "::"}
"""All addresses of this machine."""
NO_SUCH_FAMILY = (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EPFNOSUPPORT, errno.EAFNOSUPPORT)
"""A machine without IPv6: its addresses are passed over, as in Redis."""


class Address(NamedTuple):
    """A word of `bind`."""

    host: str
    may_miss: bool = False
    """Whether a "-" before it forgives that this machine does not have it."""

    def is_passed_over(self, error: OSError) -> bool:
        """Whether what is wrong with it is none that keeps a server from starting."""
        return error.errno in NO_SUCH_FAMILY or (self.may_miss and error.errno == errno.EADDRNOTAVAIL)


def addresses(bind: str) -> list[Address]:
    """All of them; the words for all addresses as numbers."""
    hosts = {word: word.removeprefix("-") for word in bind.split()}
    return [Address(WORDS.get(host, host), word.startswith("-")) for word, host in hosts.items()]


def tcp_socket(host: str, port: int, backlog: int) -> socket.socket:
    """A listening TCP socket, IPv6 if the address is; a name stands for its first address.  Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, _, _, address = found[0]
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock

"""Where the metrics are to be found: `metrics-bind` and `metrics-port` as listening sockets."""

import errno
import socket

from common.bind import addresses, tcp_socket

BACKLOG = 64


def listening(bind: str, port: int) -> list[socket.socket]:
    """A socket for each address that this machine has.  Raises OSError."""
    made: list[socket.socket] = []
    for address in addresses(bind):
        try:
            made.append(tcp_socket(address.host, port, BACKLOG))
        except OSError as error:
            if address.is_passed_over(error):
                continue
            for sock in made:
                sock.close()
            text = f"cannot listen on {address.host}:{port} for metrics: {error.strerror or error}"
            raise OSError(error.errno, text) from None
    if not made:
        raise OSError(errno.EADDRNOTAVAIL, f"metrics-bind {bind!r} names no address of this machine")
    return made

"""Where the metrics are to be found: `metrics-bind` and `metrics-port` as listening sockets."""

import errno
import socket

WORDS = {"*": "0.0.0.0", "::*": "::"}
"""All addresses of this machine, as `bind` writes them."""
NO_SUCH_ADDRESS = (
    errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EPFNOSUPPORT, errno.EAFNOSUPPORT
)  # fmt: skip
BACKLOG = 64


def listening(bind: str, port: int) -> list[socket.socket]:
    """A socket for each address; a leading "-" forgives one that this machine does not have.  Raises OSError."""
    made: list[socket.socket] = []
    for word in bind.split():
        address = word.removeprefix("-")
        try:
            made.append(_socket(WORDS.get(address, address), port))
        except OSError as error:
            if word.startswith("-") and error.errno in NO_SUCH_ADDRESS:
                continue
            for sock in made:
                sock.close()
            raise OSError(
                error.errno, f"cannot listen on {address}:{port} for metrics: {error.strerror or error}"
            ) from None
    if not made:
        raise OSError(errno.EADDRNOTAVAIL, f"metrics-bind {bind!r} names no address of this machine")
    return made


def _socket(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock

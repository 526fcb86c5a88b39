"""The sockets that clients connect to: `bind` and `port`, `unixsocket`, and the keep-alive of what comes in by them.

doors = Doors(config); doors.open()                 # raises CannotListen, which says what to do

Rule: what systemd has opened, in the place of `bind` and `port`, stays open while the router is started again: who
      connects meanwhile waits a moment, and is not refused.
"""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import suppress

from common.config import Config

logger = logging.getLogger("shardis")

WORDS = {"*": "0.0.0.0", "::*": "::"}
"""All addresses of this machine, as `bind` writes them."""
NO_SUCH_FAMILY = (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EPFNOSUPPORT, errno.EAFNOSUPPORT)
"""A machine without IPv6: its addresses are passed over, as in Redis."""
KEEPALIVE_PROBES = 3
"""Probes without an answer, a third of `tcp-keepalive` apart: the client is gone after about twice its seconds."""


class CannotListen(OSError):
    """Why clients can't be served, in one line."""


class Doors:
    """The listening sockets of a server. Opened once; closed by whoever serves them."""

    def __init__(self, config: Config, fds: Sequence[int] = ()) -> None:
        """`fds` are listening sockets that systemd has opened."""
        self.config = config
        self.fds = fds
        self.sockets: list[socket.socket] = []
        self.unix_path = ""

    def open(self) -> list[socket.socket]:
        """Listens wherever the configuration says.  Raises CannotListen; then nothing is listened on."""
        try:
            self.sockets = [handed_over(fd) for fd in self.fds]
            if self.sockets:
                self.config.override("port", str(self.sockets[0].getsockname()[1]))
            else:
                self.sockets = tcp_sockets(self.config["bind"], self.config["port"], self.config["tcp-backlog"])
            if path := self.config.path("unixsocket"):
                self.sockets.append(self._unix(path))
                self.unix_path = path
            if not self.sockets:
                raise CannotListen("neither port nor unixsocket says where to listen")
        except OSError:
            self.close()
            raise
        return self.sockets

    def close(self) -> None:
        """Closes what is open, and removes the Unix socket."""
        for sock in self.sockets:
            sock.close()
        self.sockets = []
        if self.unix_path:
            with suppress(OSError):
                os.unlink(self.unix_path)
            self.unix_path = ""

    def where(self) -> str:
        """What the log says of it: "port 6379 and /run/shardis.sock"."""
        tcp = any(sock.family is not socket.AF_UNIX for sock in self.sockets)
        return " and ".join(filter(None, (f"port {self.config['port']}" if tcp else "", self.unix_path)))

    def _unix(self, path: str) -> socket.socket:
        try:
            return unix_socket(
                path, self.config["unixsocketperm"], self.config["unixsocketgroup"], self.config["tcp-backlog"]
            )
        except OSError as error:
            raise CannotListen(f"cannot listen on {path}: {error.strerror or error}") from error


def handed_over(fd: int) -> socket.socket:
    """A socket that systemd has opened.  Raises CannotListen if it is none for clients."""
    sock = socket.socket(fileno=fd)
    listens = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
    if not listens or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.close()
        raise CannotListen(f"descriptor {fd}, which systemd hands over, is no listening TCP socket: see shardis.socket")
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def tcp_sockets(bind: str, port: int, backlog: int) -> list[socket.socket]:
    """Listening sockets for all addresses of `bind`; none if the port is 0.  Raises CannotListen.

    A leading "-" forgives an address that this machine does not have; that another server has it is never forgiven.
    """
    made: list[socket.socket] = []
    for address in bind.split() if port else ():
        host = WORDS.get(address.removeprefix("-"), address.removeprefix("-"))
        try:
            made.append(tcp_socket(host, port, backlog))
        except OSError as error:
            missing = error.errno == errno.EADDRNOTAVAIL and address.startswith("-")
            if missing or error.errno in NO_SUCH_FAMILY:
                logger.warning("not listening on %s:%d: %s", host, port, error.strerror)
                continue
            for sock in made:
                sock.close()
            advice = "; choose another one with --port" if error.errno == errno.EADDRINUSE else ""
            raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}{advice}") from error
    if port and bind.split() and not made:
        raise CannotListen(f"cannot listen on any of the addresses of bind: {bind}")
    return made


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


def unix_socket(path: str, mode: int, group: str, backlog: int) -> socket.socket:
    """A listening Unix socket in the place of what a server that died has left there.  Raises OSError.

    With a group or a mode to come it is for nobody but this user until it has them; else the umask says for whom.
    """
    with suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bind_unix(sock, path, is_private=bool(mode or group))
    except OSError:
        sock.close()
        raise
    try:
        if group:
            os.chown(path, -1, group_id(group))
        if mode:
            os.chmod(path, mode)
        sock.listen(backlog)
    except OSError:
        sock.close()
        os.unlink(path)
        raise
    sock.setblocking(False)
    return sock


def bind_unix(sock: socket.socket, path: str, *, is_private: bool) -> None:
    if not is_private:
        sock.bind(path)
        return
    before = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(before)


def group_id(name: str) -> int:
    """The number of a group.  Raises OSError."""
    import grp  # For those only who use it: a start does without.

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise OSError(f"there is no group '{name}'") from None


def keep_alive(transport: asyncio.BaseTransport | None, seconds: int) -> None:
    """Has the kernel ask a silent client, after `seconds`, whether it is still there; 0: never."""
    sock = transport.get_extra_info("socket") if seconds and transport is not None else None
    if sock is not None and sock.family != socket.AF_UNIX:
        with suppress(OSError):  # It is gone already.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(seconds // KEEPALIVE_PROBES, 1))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)

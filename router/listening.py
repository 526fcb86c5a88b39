"""The sockets that clients connect to: `bind`, `port`, `tls-port`, `unixsocket`, and the keep-alive of what comes in.

doors = Doors(config); doors.open()                 # raises CannotListen, which says what to do

Rule: what systemd has opened, in the place of `bind` and `port`, stays open while the router is started again: who
      connects meanwhile waits a moment, and is not refused.
"""

import errno
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from common.bind import Address, addresses, tcp_socket
from common.config import Config

logger = logging.getLogger("shardis")

KEEPALIVE_PROBES = 3
"""Probes without an answer, a third of `tcp-keepalive` apart: the client is gone after about twice its seconds."""


class CannotListen(OSError):
    """Why clients can't be served, in one line."""


class Place(NamedTuple):
    """Where a TCP socket listens."""

    host: str
    port: int
    is_tls: bool = False


NOTHING: Mapping[Place, socket.socket] = {}


class Doors:
    """The listening sockets of a server."""

    def __init__(self, config: Config, fds: Sequence[int] = ()) -> None:
        """`fds` are listening sockets that systemd has opened; the one at `tls-port` is for TLS."""
        self.config = config
        self.fds = fds
        self.places: dict[Place, socket.socket] = {}
        self.unix_socket: socket.socket | None = None
        self.unix_path = ""

    @property
    def sockets(self) -> list[socket.socket]:
        return [*self.places.values(), *([self.unix_socket] if self.unix_socket is not None else ())]

    def open(self) -> list[socket.socket]:
        """Listens wherever the configuration says.  Raises CannotListen; then nothing is listened on."""
        try:
            if self.fds:
                self._take_handed_over()
            else:
                self.follow()
            if path := self.config.path("unixsocket"):
                self.unix_socket = self._unix(path)
                self.unix_path = path
            if not self.sockets:
                raise CannotListen("neither port nor unixsocket says where to listen")
        except OSError:
            self.close()
            raise
        self.keep_alive()
        return self.sockets

    def follow(self) -> list[socket.socket]:
        """Listens where `bind`, `port` and `tls-port` say by now; the sockets that are no longer wanted. A socket whose
        place is wanted as it was stays.  Raises CannotListen; then all listen as before.
        """
        wanted = places_of(self.config["bind"], self.config["port"])
        wanted |= places_of(self.config["bind"], self.config["tls-port"], is_tls=True)
        old = {place: sock for place, sock in self.places.items() if place not in wanted}
        new = {place: address for place, address in wanted.items() if place not in self.places}
        kept = {place: sock for place, sock in self.places.items() if place in wanted}
        both = kept | sockets_at(new, self.config["tcp-backlog"], old, kept)
        self.places = {place: both[place] for place in wanted if place in both}
        self.keep_alive()
        return list(old.values())

    def close(self) -> None:
        """Closes what is open, and removes the Unix socket."""
        for sock in self.sockets:
            sock.close()
        self.places, self.unix_socket = {}, None
        if self.unix_path:
            with suppress(OSError):
                os.unlink(self.unix_path)
            self.unix_path = ""

    def keep_alive(self) -> None:
        """Takes over `tcp-keepalive`."""
        for sock in self.sockets:
            keep_alive(sock, self.config["tcp-keepalive"])

    def is_tls(self, sock: socket.socket) -> bool:
        return any(place.is_tls for place, other in self.places.items() if other is sock)

    def where(self) -> str:
        """What the log says of it: "port 6379 and /run/shardis.sock"."""
        ports = {place.is_tls: place.port for place in self.places}
        texts = (f"port {ports[False]}" if False in ports else "", f"TLS port {ports[True]}" if True in ports else "")
        return " and ".join(filter(None, (*texts, self.unix_path)))

    def _take_handed_over(self) -> None:
        for fd in self.fds:
            sock = handed_over(fd)
            host, port = sock.getsockname()[:2]
            self.places[Place(host, port, port == self.config["tls-port"])] = sock
        if (port := self.config["tls-port"]) and not any(place.is_tls for place in self.places):
            logger.warning("nobody is served over TLS: systemd has not opened port %d, see shardis-apply", port)
        for name, is_tls in (("port", False), ("tls-port", True)):
            ports = [place.port for place in self.places if place.is_tls is is_tls]
            self.config.override(name, str(ports[0] if ports else 0))

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


def places_of(bind: str, port: int, *, is_tls: bool = False) -> dict[Place, Address]:
    """The places of all addresses of `bind`; none if the port is 0."""
    return {Place(address.host, port, is_tls): address for address in addresses(bind) if port}


def sockets_at(
    places: Mapping[Place, Address],
    backlog: int,
    old: Mapping[Place, socket.socket] = NOTHING,
    kept: Mapping[Place, socket.socket] = NOTHING,
) -> dict[Place, socket.socket]:
    """A listening socket for each place that this machine has, which is one at least beside those that are kept.
    Raises CannotListen.

    That a place is missing is forgiven where it says so; that another server has it never is. Only where one of `old`
    is in the way, which are to be closed anyway, it gives way first; and comes back if this comes to nothing.
    """
    made: dict[Place, socket.socket] = {}
    gone: list[socket.socket] = []
    try:
        for place, address in places.items():
            try:
                made[place] = _bound(place, backlog, old, gone)
            except OSError as error:
                if not address.is_passed_over(error):
                    advice = "; choose another one with --port" if error.errno == errno.EADDRINUSE else ""
                    text = f"cannot listen on {place.host}:{place.port}: {error.strerror or error}{advice}"
                    raise CannotListen(text) from error
                logger.warning("not listening on %s:%d: %s", place.host, place.port, error.strerror)
        for is_tls in {place.is_tls for place in places}:
            if not any(place.is_tls is is_tls for place in (*made, *kept)):
                hosts = " ".join(place.host for place in places)
                raise CannotListen(f"cannot listen on any of the addresses of bind: {hosts}")
    except CannotListen:
        for sock in made.values():
            sock.close()
        for sock in gone:
            sock.listen(backlog)
        raise
    return made


def _bound(place: Place, backlog: int, old: Mapping[Place, socket.socket], gone: list[socket.socket]) -> socket.socket:
    try:
        return tcp_socket(place.host, place.port, backlog)
    except OSError as error:
        in_the_way = [sock for other, sock in old.items() if other.port == place.port and sock not in gone]
        if error.errno != errno.EADDRINUSE or not in_the_way:
            raise
    for sock in in_the_way:
        sock.shutdown(socket.SHUT_RDWR)  # It is bound as before, and does not listen.
        gone.append(sock)
    return tcp_socket(place.host, place.port, backlog)


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


def keep_alive(listener: socket.socket, seconds: int) -> None:
    """Has the kernel ask silent clients that come in here from now on whether they are still there, after `seconds`; 0:
    never. They have it from their listener: four system calls less, and as many objects, for each of them.
    """
    if listener.family == socket.AF_UNIX:
        return
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, bool(seconds))
    if seconds:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(seconds // KEEPALIVE_PROBES, 1))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)

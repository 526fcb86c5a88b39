"""Who serves at each door: sessions at a plain one, TLS before them at the others. What CONFIG SET can change of it.

    await listeners.open()              # raises CannotListen
    listeners.follow(["port"])          # the configuration says so by now; raises CannotFollow

Rule: all of a change or nothing: certificates are read and sockets are bound before anything that is there is given up.
"""

import asyncio
import logging
import socket
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from router.encrypted import Encrypted
from router.listening import CannotListen, Doors
from router.session import Session
from router.tls import BadTls, Tls

if TYPE_CHECKING:
    from router.server import Router

logger = logging.getLogger("shardis")

PLACES = ("bind", "port", "tls-port")
OF_TLS = "tls-"
AT_ONCE = ("tls-auth-clients", "tls-auth-clients-user", "tls-auto-reload-interval")
"""They hold from the next connection on, and no file is read for them."""
REASONS = {
    "bind": "Failed to bind to specified addresses.",
    "port": "Unable to listen on this port. Check server logs.",
    "tls-port": "Unable to listen on this port. Check server logs.",
}
BAD_TLS = "Unable to update TLS configuration. Check server logs."


def files_of_tls(names: Iterable[str]) -> list[str]:
    """Those of the directives for which the certificates are read again though they are what they were."""
    return [name for name in names if name.startswith(OF_TLS) and name not in PLACES]


class CannotFollow(Exception):
    """The directive that can't be followed, and why, as the reference says it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


class Listeners:
    """The doors of a router, and their servers."""

    def __init__(self, router: "Router", fds: Sequence[int]) -> None:
        self.router = router
        self.config = router.config
        self.doors = Doors(router.config, fds)
        self.tls = Tls(router)
        self.servers: dict[socket.socket, asyncio.Server] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listens and serves.  Raises CannotListen."""
        sockets = self.doors.open()
        if self.config["tls-port"]:
            try:
                self.tls.load()
            except BadTls as fault:
                self.doors.close()
                raise CannotListen(f"TLS can't be set up: {fault}") from None
        self.tls.look_again()
        for sock in sockets:
            await self._serve(sock)

    def close(self) -> None:
        """Lets nobody in any more."""
        self.tls.stop()
        self.tls.look_again()
        for server in self.servers.values():
            server.close()
        self.doors.close()
        for connection in list(self.tls.handshakes):
            connection.abort()

    @property
    def fixed(self) -> Sequence[str]:
        """What can't be changed: the sockets that systemd has opened."""
        return PLACES if self.doors.fds else ()

    def follow(self, names: Sequence[str]) -> None:
        """Does what these directives say by now; the certificates are read again also if they are as before.

        Raises CannotFollow; then all is as before.
        """
        kept = self.tls.context, self.tls.facts
        moved = [name for name in names if name in PLACES]
        of_tls = [name for name in names if name.startswith(OF_TLS)]
        read = [name for name in of_tls if name not in AT_ONCE]
        if read and self.config["tls-port"]:
            try:
                self.tls.load()
            except BadTls as fault:
                logger.warning("%s", fault)
                raise CannotFollow(next((name for name in read if name not in moved), read[0]), BAD_TLS) from None
        if moved:
            try:
                self._move()
            except CannotListen as fault:
                logger.warning("%s", fault)
                self.tls.context, self.tls.facts = kept
                raise CannotFollow(moved[0], REASONS[moved[0]]) from None
        if of_tls:
            if not self.config["tls-port"]:
                self.tls.stop()
            self.tls.look_again()

    def fields(self) -> dict[str, str]:
        """The lines of INFO, in the reference's order of kinds."""
        found = {}
        if self.config["port"]:
            found["listener0"] = self._field("tcp", "port")
        if self.doors.unix_path:
            found["listener1"] = f"name=unix,bind={self.doors.unix_path}"
        if self.config["tls-port"]:
            found["listener2"] = self._field("tls", "tls-port")
        return found

    def _field(self, kind: str, port: str) -> str:
        addresses = "".join(f"bind={word}," for word in self.config["bind"].split())
        return f"name={kind},{addresses}port={self.config[port]}"

    def _move(self) -> None:
        """Listens elsewhere.  Raises CannotListen."""
        if self.fixed:
            raise CannotListen("systemd has opened the port, see shardis.socket: shardis-apply changes it")
        left = self.doors.follow()
        for sock in self.doors.sockets:
            if sock not in self.servers:
                task = self.router.loop.create_task(self._serve(sock))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        for sock in left:
            if server := self.servers.pop(sock, None):
                server.close()
            sock.close()

    async def _serve(self, sock: socket.socket) -> None:
        if sock not in self.doors.sockets:  # It is closed already, by one more change in the same turn.
            return
        loop, backlog = self.router.loop, self.config["tcp-backlog"]  # Else asyncio sets its own.
        made = self._encrypted if self.doors.is_tls(sock) else self._session
        if sock.family is socket.AF_UNIX:
            self.servers[sock] = await loop.create_unix_server(made, sock=sock, backlog=backlog)
        else:
            self.servers[sock] = await loop.create_server(made, sock=sock, backlog=backlog)

    def _session(self) -> asyncio.Protocol:
        """What asyncio makes for each connection. A Session has the methods of a Protocol, see there."""
        return cast(asyncio.Protocol, Session(self.router))

    def _encrypted(self) -> Any:
        """The same for TLS."""
        return Encrypted(self.router, self.tls)

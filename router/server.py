"""The router's process: its listener, its loop and its clock around sessions and links.

`Router` is what all sessions share: the links and the owner of each slot, the table learned from the shards, the clients,
the configuration, the pause, and the counters of INFO.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from common.command import Command, Plan, Table
from common.config import Config
from common.errors import RedisError
from common.slot import SLOTS, shard_of_slot, slot_function
from router.commands.table import TABLE
from router.link import Link, LinkState
from router.pause import Pause
from router.session import Session
from router.slowlog import SlowLog
from router.stats import Stats

logger = logging.getLogger("shardis")

DRAIN_S = 1.0
"""How long a stop waits for the answers of what is under way."""


class Router:
    """What the sessions of one server share."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.loop = asyncio.get_running_loop()
        self.clock_ns = time.perf_counter_ns
        self.random_bytes = os.urandom
        self.shards: int = config["shards"]
        self.slot_of = slot_function(config["hash-tags"])
        self.owners = bytes(shard_of_slot(slot, self.shards) for slot in range(SLOTS)) if self.shards <= 256 else None
        self.shard_of: Callable[[bytes], int] = self._owner_function()
        rundir = config["rundir"]
        self.links = [Link(index, f"{rundir}/shard-{index}.sock", self, self.now_ms) for index in range(self.shards)]
        self.table = Table()
        self.table.merge(TABLE)
        self.routes: dict[bytes, Command] = {}
        """By name, the commands of one key that a session in its usual state may forward without a question."""
        self.known = False
        """Whether a shard has said which commands there are; until then clients wait."""
        self.sessions: dict[int, Session] = {}
        self.congested: set[int] = set()
        """Shards that do not read as fast as their clients feed them."""
        self.pause = Pause()
        self._pause_timer: asyncio.TimerHandle | None = None
        self.stats = Stats()
        self.slowlog = SlowLog()
        self.started_ms = self.now_ms()
        self.run_id = self.random_bytes(20).hex()
        self.stopping = False
        self.stopped = asyncio.Event()
        self._last_client_id = 0

    def _owner_function(self) -> Callable[[bytes], int]:
        slot_of, owners, shards = self.slot_of, self.owners, self.shards
        if shards == 1:
            return lambda key: 0
        if owners is None:
            return lambda key: shard_of_slot(slot_of(key), shards)
        return lambda key: owners[slot_of(key)]

    # The clock

    @staticmethod
    def now_ms() -> int:
        """Unix time in ms."""
        return time.time_ns() // 1_000_000

    # Links

    def link_hello(self, link: Link, hello: dict[str, Any]) -> None:
        """Learns which commands there are, and tells the shard what was changed since it was configured."""
        if not self.known:
            self.known = True
            self.table.merge(Table.from_wire(hello["table"]))
            self._choose_routes()
            for session in list(self.sessions.values()):
                session.pump()
        changed = self.config.changed_at_run_time()
        if changed:
            link.tell(["config", changed])
        link.tell(["pause_expiry", self.pause.active])

    def _choose_routes(self) -> None:
        self.routes = {
            name: command
            for name, command in self.table.lookup.items()
            if command.plan in (Plan.ONE, Plan.BORROW, Plan.SPLIT) and command.first_key == 1 and _one_key(command)
        }

    def link_changed(self, link: Link) -> None:
        logger.log(
            logging.WARNING if link.state is LinkState.DOWN and not self.stopping else logging.INFO,
            "shard %d is %s",
            link.index,
            link.state.value,
        )
        if all(other.state is LinkState.READY for other in self.links):
            logger.info("all %d shards are ready", self.shards)

    def link_congested(self, link: Link, congested: bool) -> None:
        """Stops beginning commands while a shard has too much unread, and goes on when it has caught up."""
        if congested:
            self.congested.add(link.index)
        elif link.index in self.congested:
            self.congested.discard(link.index)
            if not self.congested:
                for session in list(self.sessions.values()):
                    session.pump()

    def link_slow(self, session: Session, argv: list[bytes], duration_us: int) -> None:
        self.slowlog.add(argv, duration_us, self.now_ms() // 1000, session.address, session.name)

    # Sessions

    def next_client_id(self) -> int:
        self._last_client_id += 1
        return self._last_client_id

    def password_needed(self) -> bool:
        """Whether a new client has to authenticate first."""
        return bool(self.config["requirepass"])

    def session_made(self, session: Session) -> None:
        """Registers a client, or turns it away if there are too many."""
        self.stats.total_connections_received += 1
        if len(self.sessions) >= self.config["maxclients"]:
            self.stats.rejected_connections += 1
            session.write(b"-ERR max number of clients reached\r\n")
            session.end()
            session.close()
            return
        self.sessions[session.id] = session
        session.changed()  # A pause may have begun since its connection was accepted.

    def session_lost(self, session: Session) -> None:
        self.sessions.pop(session.id, None)
        self.pause.forget(session)

    def pause_clients(self, duration_ms: int, all_commands: bool) -> None:
        """Makes clients wait with their writes, or with all commands (CLIENT PAUSE)."""
        self.pause.begin(self.now_ms() + duration_ms, all_commands)
        self._pause_changed()
        self._end_pause_in_time()

    def _end_pause_in_time(self) -> None:
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None
        left_ms = self.pause.until_ms - self.now_ms()
        if left_ms > 0:
            self._pause_timer = self.loop.call_later(left_ms / 1000, self._end_pause_in_time)
        elif self.pause.active:
            self.resume()

    def resume(self) -> None:
        """Ends a pause: clients that were held go on."""
        held = self.pause.end()
        self._pause_changed()
        # In a later turn: an UNPAUSE comes here while the commands before it, of its own client, are not sent yet.
        self.loop.call_soon(self._release, held)

    def _release(self, held: list[Session]) -> None:
        for session in held:
            session.held = False
            session.pump()

    def _pause_changed(self) -> None:
        for session in self.sessions.values():
            session.changed()
        for link in self.links:
            link.tell(["pause_expiry", self.pause.active])

    def count_error(self, error: RedisError) -> None:
        """Counts an error reply that was made here, by its first word."""
        self.stats.count_error(str(error))

    # Start and stop

    async def serve(self) -> None:
        """Listens, connects to the shards, and runs until told to stop.  Raises OSError if the port is taken."""
        servers = [await self.loop.create_server(lambda: Session(self), sock=sock) for sock in self._sockets()]
        for link in self.links:
            self.loop.create_task(link.connect())
        logger.info("ready to accept connections on port %d", self.config["port"])
        await self.stopped.wait()
        for server in servers:
            server.close()
        await self._drain()
        for link in self.links:
            link.close()
        for session in list(self.sessions.values()):
            session.close()

    def _sockets(self) -> list[socket.socket]:
        """Listening sockets for all addresses of `bind`. A leading "-" forgives an address that is not there."""
        port = self.config["port"]
        made = []
        for address in self.config["bind"].split():
            optional = address.startswith("-")
            host = address.removeprefix("-")
            host = {"*": "0.0.0.0", "::*": "::"}.get(host, host)
            try:
                made.append(listening(host, port, self.config["tcp-backlog"]))
            except OSError as error:
                if not optional:
                    raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        return made

    async def _drain(self) -> None:
        """Waits for the answers of what is under way, and for the clients to get them."""
        deadline = self.loop.time() + DRAIN_S
        while any(session.batches for session in self.sessions.values()) and self.loop.time() < deadline:
            await asyncio.sleep(0.01)

    def stop(self) -> None:
        """Ends `serve` in order."""
        self.stopping = True
        self.stopped.set()

    def stop_on_signals(self, supervisor_fd: int | None) -> None:
        """SIGTERM and SIGINT stop the router in order, and so does the end of the supervisor."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self.stop)
        if supervisor_fd is not None:
            self.loop.add_reader(supervisor_fd, self.stop)


def _one_key(command: Command) -> bool:
    """Whether every call within `shortest` and `longest` has exactly the one key argv[1]."""
    return command.plan is Plan.ONE and command.last_key == 1 and not command.subcommands


def listening(host: str, port: int, backlog: int) -> socket.socket:
    """A listening TCP socket, IPv6 if the address is."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        sock.bind((host, port))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock

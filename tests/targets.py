"""What a transcript runs on: a server on a port, or a bare shard in this process.

The names: `reference`, `shardis-N`, `shardis-N-no-tags`, `shard`, or HOST:PORT of a server that runs already.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from tests.expectation import MONITORED
from tests.reference import Reference
from tests.resp_client import Client, Reply, Status
from tests.servers import Server, Shardis

REPLY_TIMEOUT_S = 10.0
BARRIER_TIMEOUT_S = 1.0


class Connection(Protocol):
    def send(self, *argv: bytes) -> None: ...

    def send_bytes(self, data: bytes) -> None: ...

    def read(self, timeout_s: float | None = None) -> Reply: ...

    def maybe_read(self) -> Reply | None: ...

    def close(self) -> None: ...


class Target(Protocol):
    """A server, or what stands for one."""

    name: str

    def connect(self) -> Connection: ...

    def begin(self) -> None:
        """Empties it."""

    def end(self) -> str:
        """After a transcript: what is wrong beyond its replies, an empty text if nothing is."""

    def control(self, *argv: bytes) -> Any:
        """The value of the reply to a command of the runner's own."""

    def is_own(self, value: Any) -> bool:
        """Whether this is what MONITOR tells of a command of the runner's own."""

    def barrier(self) -> None:
        """Returns when all that was sent before has been executed, as far as it does not block."""

    def advance(self, duration_ms: float) -> None: ...


class ServerTarget:
    """A server that listens on a port."""

    def __init__(self, name: str, address: tuple[str, int], server: Server | None = None) -> None:
        """`server` is given where it is ours, so that its log can be shown."""
        self.name = name
        self.address = address
        self.server = server
        self.client: Client | None = None
        self.own: set[bytes] = set()
        """The addresses that the runner's own commands come from."""

    def connect(self) -> Connection:
        client = Client(self.address, REPLY_TIMEOUT_S)
        self.own.discard(address_of(client))  # The system gives ports again.
        return client

    def begin(self) -> None:
        self.control(b"FLUSHALL")
        for argv in ((b"SCRIPT", b"FLUSH"), (b"FUNCTION", b"FLUSH"), (b"CONFIG", b"RESETSTAT"), (b"SLOWLOG", b"RESET")):
            self.control(*argv)  # An error where the server lacks it: then there is nothing to reset.

    def end(self) -> str:
        self._hang_up()
        return ""

    def _hang_up(self) -> None:
        if self.client is not None:
            self.client.close()
        self.client = None

    def control(self, *argv: bytes) -> Any:
        """On a connection of its own; on a new one if a step killed it."""
        if self.client is not None:
            with suppress(ConnectionError):
                return self.client.call(*argv)
            self._hang_up()
        self.client = Client(self.address, REPLY_TIMEOUT_S)
        self.own.add(address_of(self.client))
        return self.client.call(*argv)

    def is_own(self, value: Any) -> bool:
        monitored = MONITORED.fullmatch(value) if type(value) is Status else None
        return monitored is not None and monitored[2] in self.own

    def barrier(self) -> None:
        """DBSIZE goes to all shards, after what came before it, and its answer leaves after the answers to that."""
        with suppress(ConnectionError, TimeoutError):
            self.control(b"PING")
            assert self.client is not None
            self.client.send(b"DBSIZE")
            try:
                self.client.read(BARRIER_TIMEOUT_S)
            except TimeoutError:
                self._hang_up()  # Clients are paused, or a hold is on: the late answer must not be taken for another.

    def advance(self, duration_ms: float) -> None:
        time.sleep(duration_ms / 1000)


def address_of(client: Client) -> bytes:
    """As a server shows the client's end of a connection."""
    host, port = client.socket.getsockname()[:2]
    return b"%s:%d" % (host.encode(), port)


@contextmanager
def open_target(name: str) -> Iterator[Target]:
    """The target of that name, started if it has to be.  Raises ValueError for a name that is none."""
    shardis = re.fullmatch(r"shardis-(\d+)(-no-tags)?", name)
    address = re.fullmatch(r"(.+):(\d+)", name)
    if address:
        yield ServerTarget(name, (address[1], int(address[2])))
    elif name == "reference":
        with Reference() as reference:
            yield ServerTarget(name, reference.address, reference)
    elif shardis:
        with Shardis(int(shardis[1]), hash_tags="no" if shardis[2] else "yes", enable_debug_command="yes") as server:
            yield ServerTarget(name, server.address, server)
    elif name == "shard":
        from tests.bare_shard import ShardTarget  # Not at the head: the recorder needs none of the server's code.

        yield ShardTarget()
    else:
        raise ValueError(f"no such target: {name}")

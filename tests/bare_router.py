"""A router without sockets: its sessions and links in this process, and for each shard an executor, which waits.

All is the real code but for the transports. A test decides when a shard reads and answers, and so in what order the
answers come: `router.shards[1].answer()`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

from common.config import Config
from common.frame import CONTROL, packer, unpacker
from router.link import Link
from router.paced import Paced
from router.server import Router
from router.session import Session
from tests.bare_shard import BareShard, commands
from tests.resp_client import encode_command

Scene = Callable[[], Awaitable[None]]


def on_a_loop(scene: Scene) -> None:
    """Runs a test that needs a loop."""

    async def run() -> None:
        await asyncio.wait_for(scene(), timeout=30)

    asyncio.run(run())


class ShardEnd(asyncio.Transport):
    """The far end of a link: what the router wrote, and a shard that executes it when it is told to."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self.executor = BareShard(0).executor
        self.stream = unpacker()
        self.frames: deque[list[Any]] = deque()
        """Those not answered yet."""
        self.commands: list[list[bytes]] = []
        """All that came, without the messages of the router itself."""
        self.headers: list[int] = []
        """Of the run of each of `commands`."""

    def greet(self, state: str = "ready") -> None:
        """Connects and says hello, as a shard does."""
        self.link.connection_made(self)
        hello = {"index": self.link.index, "pid": 0, "state": state, "table": commands().to_wire()}
        self.send({"hello": hello | {"appendonly": cast(Router, self.link.listener).config["appendonly"]}})

    def send(self, frame: Any) -> None:
        self.link.data_received(packer().pack(frame))

    def get_write_buffer_size(self) -> int:
        """Nothing waits here."""
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.stream.feed(bytes(data))
        for frame in self.stream:
            self.frames.append(frame)
            for header, run in zip(frame[1::2], frame[2::2], strict=True):
                if not header & CONTROL:
                    self.commands += run
                    self.headers += [header] * len(run)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def answer(self, frames: int | None = None) -> None:
        """Executes that many frames, all that came if none is said, each with one frame of replies."""
        for _ in range(len(self.frames) if frames is None else min(frames, len(self.frames))):
            frame = self.frames.popleft()
            self.executor.turn(frame[0])
            self.send([self._answer(header, run) for header, run in zip(frame[1::2], frame[2::2], strict=True)])

    def _answer(self, header: int, run: list[Any]) -> Any:
        return [None] * len(run) if header & CONTROL else self.executor.run(header, run)

    def die(self) -> None:
        """Ends the connection with whatever is under way."""
        self.frames.clear()
        self.link.closed = True  # Or it would be made again, over a real socket.
        self.link.connection_lost(None)

    def close(self) -> None: ...


class ClientEnd(asyncio.Transport):
    """The far end of a session: what the client got."""

    def __init__(self, session: Session, address: str = "127.0.0.1") -> None:
        super().__init__()
        self.session = session
        self.address = address
        self.received = b""
        self.closed = False
        session.connection_made(self)

    def get_write_buffer_size(self) -> int:
        """Nothing waits here."""
        return 0

    def send(self, *calls: list[bytes]) -> None:
        """All at once."""
        self.send_bytes(b"".join(map(encode_command, calls)))

    def send_bytes(self, data: bytes) -> None:
        self.session.data_received(data)

    def take(self) -> bytes:
        """What came since the last time."""
        received, self.received = self.received, b""
        return received

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": (self.address, 50000), "sockname": ("127.0.0.1", 6379)}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.received += bytes(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


class BareRouter:
    """A router whose shards are up, with as many clients as a test wants."""

    def __init__(self, shards: int = 3, *options: str, greet: bool = True) -> None:
        self.router = Router(Config.from_arguments(["--shards", str(shards), "--appendonly", "no", *options]))
        self.router.newcomers.begun_max = 1 << 30  # All of a test's clients come in one turn.
        self.shards = [ShardEnd(link) for link in self.router.links]
        if greet:
            for shard in self.shards:
                shard.greet()

    def connect(self, address: str = "127.0.0.1") -> ClientEnd:
        return ClientEnd(Session(self.router), address)

    async def sent(self) -> None:
        """Returns when this turn's frames are with the shards."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def settle(self) -> None:
        """Lets everything that is under way be answered."""
        await self.sent()
        while any(shard.frames for shard in self.shards) or self.paces():
            for shard in self.shards:
                shard.answer()
            await self.sent()
            await self.sent()  # What was begun behind a large reply.

    def paces(self) -> bool:
        """Whether a large reply is on its way to a client."""
        transports = [session.transport for session in self.router.sessions.values()]
        return any(isinstance(transport, Paced) and transport.due for transport in transports)

    def key_of(self, shard: int, number: int = 0) -> bytes:
        """A key of that shard: the `number`-th of the names key:0, key:1 ..."""
        owned = (b"key:%d" % count for count in range(10_000))
        keys = [key for key in owned if self.router.shard_of(key) == shard]
        return keys[number]

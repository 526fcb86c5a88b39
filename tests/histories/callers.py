"""Clients that write down what they call and what they are answered, many of them in one event loop.

Rule: no call waits for ever. One that is not answered within HANG_S raises Hang, which ends the run: a server that
refuses says so, and one that has died is restarted.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from math import inf
from time import monotonic
from typing import Any, cast

from tests.linearizability import Operation
from tests.resp_client import NULL_ARRAY, BadReply, Error, Incomplete, encode_command, parse_reply

HANG_S = 30.0
"""No call takes that long, on whatever machine, and no shard's start."""
NOT_DONE = (b"SHARDDOWN", b"LOADING")
UNKNOWN = b"the outcome of this command is unknown"
ABORTED = b"EXECABORT"
ABORTED_BY = b"EXECABORT Transaction discarded because of: "
CONNECT_AGAIN_S = 0.02

Argv = Sequence[bytes]
Watched = Sequence[tuple[bytes, Any]]


class Hang(Exception):
    """A call that nobody answered."""


class Refused(Exception):
    """The server could not do it now: not done, or nobody knows."""


class Meter:
    """How much was going on at once, over a whole run."""

    def __init__(self) -> None:
        self.open = 0
        self.calls = 0
        self.overlaps = 0
        """The sum, over all calls, of how many others were open when they were sent."""

    @property
    def overlap(self) -> float:
        return self.overlaps / self.calls if self.calls else 0.0


class Connection(asyncio.Protocol):
    """One connection. Replies go to those who asked, in order, with the time at which their bytes came."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.received = bytearray()
        self.waiting: deque[asyncio.Future[tuple[Any, float]]] = deque()
        self.transport: asyncio.Transport | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        now_s = monotonic()
        self.received += data
        start = 0
        try:
            while start < len(self.received):
                value, start = parse_reply(self.received, start)
                future = self.waiting.popleft()
                if not future.done():
                    future.set_result((_with_one_null(value), now_s))
        except Incomplete:
            pass
        except (BadReply, IndexError) as failure:
            self.connection_lost(ConnectionError(f"{failure!r}: {bytes(self.received[:200])!r}"))
        del self.received[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        while self.waiting:
            future = self.waiting.popleft()
            if not future.done():
                future.set_exception(ConnectionError(f"closed: {exc}"))

    def ask(self, argvs: Iterable[Argv]) -> list["asyncio.Future[tuple[Any, float]]"]:
        """Sends them at once."""
        data = []
        futures = []
        for argv in argvs:
            data.append(encode_command(argv))
            futures.append(self.loop.create_future())
        assert self.transport is not None
        if self.lost:
            raise ConnectionError("closed")
        self.waiting.extend(futures)
        self.transport.write(b"".join(data))
        return futures

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


def _with_one_null(value: Any) -> Any:
    """RESP2 has two, and which of them is sent is not what is asked here."""
    if isinstance(value, list):
        return [_with_one_null(each) for each in value]
    return None if value is NULL_ARRAY else value


class Caller:
    """A client. Each call that is answered, or may have happened, is an Operation in `history`."""

    def __init__(self, address: tuple[str, int], number: int, meter: Meter, setup: Sequence[Argv] = ()) -> None:
        """`setup` is sent on each new connection."""
        self.address = address
        self.number = number
        self.meter = meter
        self.setup = setup
        self.history: list[Operation] = []
        self.refused = 0
        self.unknown = 0
        self.connection: Connection | None = None
        self.watching: Connection | None = None
        """The connection on which keys are watched: on another EXEC would find nothing wrong."""

    async def call(self, *argv: bytes) -> Any:
        """The reply. An error is one, but for what raises Refused."""
        return await self._recorded([argv], argv)

    async def exec(self, *argvs: Argv, watched: Watched = ()) -> Any:
        """MULTI, the commands and EXEC, sent at once: the replies, or None if a key changed that was watched."""
        if watched and await self._connected() is not self.watching:
            raise Refused
        call: tuple[Any, ...] = (b"WATCHED", tuple(watched)) if watched else (b"EXEC",)
        if self.watching and not watched:
            await self._recorded([(b"UNWATCH",)], None)  # Left over: what was to follow was refused.
        self.watching = None
        return await self._recorded([(b"MULTI",), *argvs, (b"EXEC",)], (*call, *map(tuple, argvs)))

    async def watch(self, *keys: bytes) -> None:
        """Not recorded: nothing can be told from its reply."""
        self.watching = await self._connected()  # Also if it is refused: some keys may be watched then.
        await self._recorded([(b"WATCH", *keys)], None)

    async def _recorded(self, argvs: Sequence[Argv], call: tuple[Any, ...] | None) -> Any:
        """The last reply of those commands, written down as that of `call`.  Raises Refused and Hang."""
        connection = await self._connected()
        meter = self.meter
        meter.calls += 1
        meter.overlaps += meter.open
        meter.open += 1
        invoked_s = monotonic()  # Not the time of the loop, which is that of its turn.
        try:
            async with asyncio.timeout(HANG_S):
                futures = connection.ask(argvs)
                reply, responded_s = await futures[-1]
        except ConnectionError:
            self._unknown(call, invoked_s, inf)
        except TimeoutError:
            raise Hang(f"client {self.number}: {argvs!r} was not answered within {HANG_S} s") from None
        finally:
            meter.open -= 1
        if isinstance(reply, Error) and reply.startswith((*NOT_DONE, ABORTED)):
            await self._refused(call, reply, [each.result()[0] for each in futures], invoked_s, responded_s)
        if isinstance(reply, list) and any(isinstance(each, Error) and _not_done(each) for each in reply):
            self._unknown(call, invoked_s, responded_s)
        if call is not None:
            self.history.append(Operation(call, reply, invoked_s, responded_s, client=self.number))
        return reply

    async def _refused(
        self, call: tuple[Any, ...] | None, reply: Error, replies: Sequence[Any], invoked_s: float, responded_s: float
    ) -> None:
        if _is_unknown(reply):
            self._unknown(call, invoked_s, responded_s)
        if not any(isinstance(each, Error) and _not_done(each) for each in replies):
            self.history.append(Operation(call or (), reply, invoked_s, responded_s, client=self.number))
        self.refused += 1
        raise Refused

    def _unknown(self, call: tuple[Any, ...] | None, invoked_s: float, responded_s: float) -> None:
        if call is not None:
            self.history.append(Operation(call, None, invoked_s, responded_s, known=False, client=self.number))
        self.unknown += 1
        raise Refused

    async def _connected(self) -> Connection:
        if self.connection is None or self.connection.lost:
            try:
                async with asyncio.timeout(HANG_S):
                    return await self._connect()
            except TimeoutError:
                raise Hang(f"client {self.number} could not connect within {HANG_S} s") from None
        return self.connection

    async def _connect(self) -> Connection:
        while True:
            try:
                _, connection = await asyncio.get_running_loop().create_connection(Connection, *self.address)
                if self.setup:
                    await connection.ask(self.setup)[-1]
            except ConnectionError:
                await asyncio.sleep(CONNECT_AGAIN_S)
            else:
                self.connection = connection
                return connection

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


def _not_done(reply: Error) -> bool:
    return reply.removeprefix(ABORTED_BY).startswith(NOT_DONE)


def _is_unknown(reply: Error) -> bool:
    return _not_done(reply) and reply.endswith(UNKNOWN)

"""The way to the router: asks at its inner door how all stands. See router/metrics_door.py.

    door = Door(path)
    facts = await door.facts()      # None: the router is not there

Rule: the router is asked once a second at most, however many want to know; all of them share the answer.
"""

import asyncio
import logging
from contextlib import suppress

import msgpack

from common.frame import unpacker
from common.peer import stranger
from metrics.facts import Facts

logger = logging.getLogger("shardis")

SOCKET = "metrics.sock"
SHARED_S = 0.9
"""How long an answer counts as new; less than a second, so that who asks each second gets a new one."""
ANSWER_S = 3.0
"""A router that has not answered by then is stuck, or gone: it does within 0.5 s."""
GONE = "is not there"
READ_BYTES = 1 << 18
QUESTION = msgpack.packb(1)


class Door:
    """One connection, made when somebody asks, and made anew when it broke."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.last: Facts | None = None
        self.fault = GONE  # At the start both begin together: that is nothing to be told.
        """Why there are no facts."""
        self.questions = 0
        """How often the router was asked."""
        self._asked_s = float("-inf")
        self._lock = asyncio.Lock()

    async def facts(self) -> Facts | None:
        """What the router says, not older than SHARED_S; None if it is not there."""
        async with self._lock:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._asked_s >= SHARED_S:
                self._asked_s = now_s
                self.last = await self._ask()
        return self.last

    async def _ask(self) -> Facts | None:
        try:
            async with asyncio.timeout(ANSWER_S):
                facts = await self._answer()
        except (OSError, EOFError, TimeoutError, ValueError, msgpack.UnpackException) as error:
            fault = "does not answer" if isinstance(error, TimeoutError) else GONE
            if fault != self.fault:
                logger.warning("the router %s", fault)
            self.fault = fault
            await self.close()
            return None
        if self.fault:
            logger.info("the router answers")
        self.fault = ""
        return facts

    async def _answer(self) -> Facts:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_unix_connection(self.path)
            if who := stranger(self.writer.transport):
                raise ConnectionError(f"what listens in the place of the router is of {who}")
        assert self.reader is not None
        self.writer.write(QUESTION)
        self.questions += 1
        answers = unpacker()
        while True:
            data = await self.reader.read(READ_BYTES)
            if not data:
                raise EOFError
            answers.feed(data)
            for answer in answers:
                return Facts.from_wire(answer)

    async def close(self) -> None:
        """Ends the connection: an answer that came late would be taken for the next one's."""
        writer, self.reader, self.writer = self.writer, None, None
        if writer is not None:
            with suppress(OSError):
                writer.transport.abort()
                await writer.wait_closed()

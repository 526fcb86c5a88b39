"""The link to a router: frames in, a turn for what has come, replies out.

Rule 1: a turn is: read all frames that have come, run every request, one write to the log (and its fsync if `always`),
        then one write with the replies. A client that has its +OK finds the write after a crash of the process. Where
        the log could not be written, no write of that turn is answered +OK.
Rule 2: a turn costs much more than a command, and without pipelining there is one for every few commands: nothing is
        done here per turn that need not be.
"""

import asyncio
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from common.frame import AS_ONE, CONTROL, LARGE_SIZE_BYTES, ROUTER, Frames, packer
from common.peer import stranger
from common.resp import Chunks
from shard import beside
from shard.keeping import Keeping
from shard.refusal import refuse_writes
from shard.staging import Stage

if TYPE_CHECKING:
    from shard.server import Shard

logger = logging.getLogger("shardis")

NONCE_SIZE_BYTES = 16


class Link:
    """A stream of frames from a router, and of replies to it: the protocol of its transport.

    It is no subclass of asyncio.Protocol, because a compiled class with C fields cannot be one.
    """

    def __init__(self, shard: "Shard") -> None:
        self.shard = shard
        self.executor = shard.executor
        self.staged = Stage()
        """Large strings that frames will name."""
        self.keeping = Keeping()
        """Large replies that the router fetches."""
        self.stream = Frames(self.staged.value_of)
        self.pack = packer().pack
        self.transport: asyncio.WriteTransport | None = None
        self.runs = 0
        """Runs answered: the number of the next one."""
        self.corked: list[bytes] | None = None
        """What is sent as one when all of it is there."""
        self.admitted = False
        """Whether what it said first is a router's. Who only connects, or says anything else, changes nothing."""
        self.nonce = os.urandom(NONCE_SIZE_BYTES)
        """What a router says first. Whoever does not listen does not know it, however well its frames are made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if who := stranger(transport):
            logger.warning("a connection of %s is closed: it is not this server's", who)
            cast(asyncio.WriteTransport, transport).abort()
            return
        self.transport = transport = cast(asyncio.WriteTransport, transport)
        # At 0 uvloop writes at once, and not only when the turn is over.
        transport.set_write_buffer_limits(high=0)
        shard = self.shard
        shard.links.add(self)
        state = shard.state_for_router()
        hello = {"index": shard.index, "pid": os.getpid(), "state": state, "table": shard.executor.table.to_wire()}
        hello["nonce"] = self.nonce
        hello["appendonly"], hello["shards"] = shard.config["appendonly"], shard.config["shards"]
        self.send({"hello": hello, "refusal": str(shard.executor.refusal or "")})

    def data_received(self, data: bytes) -> None:
        """One turn, Rule 1."""
        if self.transport is None:
            return
        shard = self.shard
        stream = self.stream
        frames: list[list[Any]] = []
        replies: list[Any] = []
        shard.room.origin = self
        try:
            stream.feed(data)
            for frame in stream:
                if not self.admitted:
                    self._admit(frame)
                    continue
                frames.append(frame)
                if self.staged.named:
                    self.run_large(frame, replies)
                else:
                    self.run(frame, replies)
        except Exception:
            # Whoever has sent this gets no answers that it would count wrong. What was done before it stays done.
            if self.admitted:
                logger.exception("what came on a link is no frame: it is closed")
            else:
                logger.warning("what came on a new link is not from a router: it is closed")
            self._abort()
            return
        if shard.budget.limited:
            shard.budget.turn(len(data), answered=bool(replies))
        if not replies:
            return
        self.runs += len(replies)
        shard.note_turn()
        refused = None if shard.flush() else shard.misconf()
        if refused is not None:
            refuse_writes(frames, replies, shard.executor.table, refused)
            shard.room.tell_unsure(refused)
        if shard.executor.slow:
            self.send({"slow": shard.executor.slow})
            shard.executor.slow = []
        if shard.late_events:
            self.send({"latency": shard.late_events})
            shard.late_events = []
        if shard.room.waiters.new:
            shard.send_blocked()  # Before the replies: INFO is one of them.
        if shard.store.events:
            self.corked = []  # A router that has read the answers has to have the events, too.
        self.send(self.keeping.named(replies) if size_of(replies) >= LARGE_SIZE_BYTES else replies)
        shard.send_late(refused)
        if self.corked is not None:
            self._uncork(self.corked)

    def run(self, frame: list[Any], replies: list[Any]) -> None:
        """Runs one request frame, and adds an entry to the replies of this turn for each of its runs."""
        executor = self.executor
        executor.turn(frame[0])
        first = self.runs
        for place in range(1, len(frame), 2):
            header = frame[place]
            executor.number = first + len(replies)
            if header & CONTROL:
                replies.append(self.shard.room.messages(header, frame[place + 1]))
            elif header & AS_ONE:
                replies.append(self.shard.transact(header, frame[place + 1]))
            else:
                replies.append(executor.run(header, frame[place + 1]))

    def run_large(self, frame: list[Any], replies: list[Any]) -> None:
        """The same, of a frame in which there are large strings."""
        executor, room = self.executor, self.shard.room
        self.staged.named = False
        for place in range(1, len(frame), 2):
            executor.detour = partial(beside.run, self.shard)
            self.run([frame[0], *frame[place : place + 2]], replies)
            executor.detour = room.run if room.holds.line else None

    def send(self, frame: Any) -> None:
        """Sends one frame."""
        if self.corked is not None:
            self.corked.append(self.pack(frame))
        elif self.transport is not None:
            self.transport.write(self.pack(frame))

    def is_laden(self) -> bool:
        """Whether large strings come or leave by it."""
        return bool(self.staged.coming or self.keeping.kept)

    def send_late(self, answers: dict[int, Any]) -> None:
        """Sends what comes late, by the numbers of the runs."""
        self.send({"late": {number: self.keeping.named(answer) for number, answer in answers.items()}})

    def _uncork(self, frames: list[bytes]) -> None:
        self.corked = None
        if self.transport is not None:
            self.transport.write(b"".join(frames))

    def _admit(self, frame: Any) -> None:
        """Looks at the first frame: a router repeats what it was told.  Raises ValueError if it is none."""
        if frame != [ROUTER, self.nonce]:
            raise ValueError("the first frame is not a router's")
        self.admitted = True
        self.shard.met_router()

    def _abort(self) -> None:
        transport, self.transport = self.transport, None
        self._end()
        if transport is not None:
            transport.abort()

    def _end(self) -> None:
        """Takes back what a router had here; of others there is nothing."""
        if self.admitted:
            self.admitted = False
            self.shard.note_turn()
            self.shard.forget(self)
        self.shard.links.discard(self)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def pause_writing(self) -> None:
        """The kernel's buffer is full: the router does not read now. What it may leave unread is bounded by what it
        lets be under way."""

    def resume_writing(self) -> None:
        """The router has read what was with the kernel."""

    def eof_received(self) -> None:
        """The router is gone: the connection ends."""

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self._end()


def size_of(answers: list[Any]) -> int:
    """How many bytes of strings there are among these entries of a frame, and in them; at least so much that it is
    large if something in it is in chunks."""
    size_bytes = 0
    for answer in answers:
        if type(answer) is bytes:
            size_bytes += len(answer)
        elif type(answer) is list:
            size_bytes += size_of(answer)
        elif type(answer) is Chunks:
            size_bytes += LARGE_SIZE_BYTES
    return size_bytes

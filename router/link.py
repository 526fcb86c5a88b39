"""The link to one shard: an ordered stream of runs out, and their answers back.

Rule 1: `put` only appends; `flush` sends, at the end of the turn or when there is enough for the shard to begin with
        while the router reads on: with one frame for all that fifty clients sent, the two took turns instead of working
        side by side. The frames of a turn, on all links, carry one time.
Rule 2: answers come in the order of the runs; one that comes late is announced by None at its place and then carries
        the number of its run.
Rule 3: a run is answered exactly once, also if the shard dies: what was not sent says that the shard is down, what was
        sent says that its outcome is unknown.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol, cast

from common.errors import OutcomeUnknown, RedisError
from common.frame import LARGE_CODE, LARGE_NAME, ROUTER, Frames, Large, Staged, packer, pieces, value_of
from common.peer import stranger
from router.batch import Message, Run
from router.freight import Fetch, Freight, larges
from router.tracked_keys import TrackedKeys

logger = logging.getLogger("shardis")

RECONNECT_S = 0.02
"""Between two tries to reach a shard. A refused connect on a Unix socket costs 30 µs."""

FRAME_COMMANDS = 64
"""Commands with which a frame is sent before the turn is over: SET at P=16 went from 0.42x to 0.48x of redis-server."""
WRITE_BUFFER_BYTES_MAX = 8 * 1024 * 1024
"""Bytes for a shard that does not read them; beyond it the clients are no longer read."""


def answer(run: Run, replies: Any) -> None:
    """Hands a run its answer. What goes wrong there is a bug of ours, and costs one client its connection at most."""
    try:
        run.answer(replies)
    except Exception:
        logger.exception("internal error behind an answer of shard %d", run.shard)
        if not isinstance(run, Message):
            run.batch.session.kill()


def ignore(answer: Any) -> None:
    """For messages whose answer nobody waits for."""


class LinkState(Enum):
    DOWN = "down"
    LOADING = "loading"
    LOADED = "loaded"
    """It has done what its log says, and serves when it is admitted: see recovery.py."""
    READY = "ready"


class Listener(Protocol):
    """Who hears of what happens on a link."""

    def link_hello(self, link: "Link", hello: dict[str, Any]) -> None: ...
    def link_changed(self, link: "Link") -> None: ...
    def link_refuses(self, link: "Link") -> None: ...
    def link_congested(self, link: "Link", congested: bool) -> None: ...
    def link_slow(self, run: Run, place: int, duration_us: int) -> None: ...
    def link_latency(self, event: str, duration_ms: int) -> None: ...
    def link_blocked(self, session: Any, number: int, until_ms: int) -> None: ...
    def link_ready(self, run: Run) -> None: ...
    def link_events(self, link: "Link", events: list[list[Any]]) -> None: ...


class Link:
    """A stream to shard `index`, made again for as long as it takes: the protocol of its transport.

    It is no subclass of asyncio.Protocol, because a compiled class with C fields cannot be one.
    """

    def __init__(self, index: int, path: str, listener: Listener, turn_ms: Callable[[], int]) -> None:
        self.index = index
        self.path = path
        self.listener = listener
        self.turn_ms = turn_ms
        self.loop = asyncio.get_running_loop()
        self.state = LinkState.DOWN
        self.hello: dict[str, Any] = {}
        self.transport: asyncio.WriteTransport | None = None
        self.closed = False
        self.congested = False
        """Whether the shard has more unread than it should."""
        self.recorder: TrackedKeys | None = None
        """Who wants to know which runs are answered in a turn, while clients track keys."""
        self.large = False
        """Whether something in the next frame may be large."""
        self.freight = Freight(self)
        """Large strings that are sent ahead."""
        self._forget()

    def _forget(self) -> None:
        self.frame: list[Any] = []
        self.commands = 0
        """Commands in the frame."""
        self.awaiting: deque[Run] = deque()
        self.late: dict[int, Run] = {}
        self.answered = 0
        self.staged: Staged = {}
        """What of the freight is there, until a frame names it."""
        self.refusal = ""
        """What the shard answers to writes because its log can't be written; empty in health."""
        self.pack = packer().pack
        self.named = False
        """Whether something in the frame that was read is only named."""
        self.stream = Frames(self._value_of)

    async def connect(self) -> None:
        """Connects, trying until it succeeds or the link is closed."""
        while not self.closed:
            try:
                await self.loop.create_unix_connection(lambda: cast(asyncio.Protocol, self), self.path)
                return
            except OSError:
                await asyncio.sleep(RECONNECT_S)

    def close(self) -> None:
        """Ends the link; it is not made again."""
        self.closed = True
        if self.transport is not None:
            self.transport.close()

    # Out

    def put(self, run: Run) -> None:
        """Appends a run to this turn's frame, or answers it with an error if the shard is down."""
        if self.state is LinkState.DOWN:
            run.fail(self.down())
            return
        frame = self.frame
        if not frame:
            frame.append(self.turn_ms())
            self.loop.call_soon(self.flush)
        frame.append(run.header)
        frame.append(run.requests)
        self.awaiting.append(run)
        self.commands += len(run.requests)
        if self.commands >= FRAME_COMMANDS:
            self.flush()

    def tell(self, message: list[Any], then: Callable[[Any], None] = ignore) -> None:
        """Sends the shard a message of the router itself; `then` gets its answer, a RedisError if it is down."""
        self.put(Message(self.index, message, then))

    def flush(self) -> None:
        """Sends what this turn has put so far."""
        frame = self.frame
        if frame and self.transport is not None:
            self.frame = []
            self.commands = 0
            try:
                if self.staged or self.large:
                    self.large = False
                    self.transport.writelines(pieces(frame, self.staged))
                else:
                    self.transport.write(self.pack(frame))
            except Exception:
                # The shard would answer what comes next in the place of this: only a new stream counts right again.
                logger.exception("a frame for shard %d cannot be sent", self.index)
                self.transport.abort()
                return
            if not self.congested and self.transport.get_write_buffer_size() > WRITE_BUFFER_BYTES_MAX:
                self.congest()

    def congest(self) -> None:
        """Says that the shard is behind, until all that waits for it is with the kernel."""
        self.congested = True
        self.listener.link_congested(self, True)

    def number_of(self, run: Run) -> int:
        """The number of a run that is not answered. O(runs under way)."""
        for number, late in self.late.items():
            if late is run:
                return number
        return self.answered + self.awaiting.index(run)

    def _run_of(self, number: int) -> Run:
        """The run of that number, which is not answered. O(runs under way)."""
        return self.late.get(number) or self.awaiting[number - self.answered]

    def down(self) -> RedisError:
        """What a command for this shard is told while it is down."""
        return RedisError(f"SHARDDOWN shard {self.index} is down, it is being restarted")

    def unknown(self) -> RedisError:
        """What a command is told that this shard may have done or not."""
        return OutcomeUnknown(f"SHARDDOWN shard {self.index} went down, the outcome of this command is unknown")

    # In

    def data_received(self, data: bytes) -> None:
        stream = self.stream
        stream.feed(data)
        for frame in stream:
            if self.named:
                self.named = False
                frame = self._whole(frame)
            if type(frame) is list:
                self._answers(frame)
            else:
                self._event(frame)

    def _answers(self, frame: list[Any]) -> None:
        """Hands the runs that wait their answers, in their order."""
        awaiting = self.awaiting
        if self.recorder is not None:
            pairs = zip(awaiting, frame, strict=False)
            self.recorder.turn(self.answered, [None if replies is None else run for run, replies in pairs])
        for replies in frame:
            run = awaiting.popleft()
            number = self.answered
            self.answered += 1
            if replies is None:
                self.late[number] = run
                run.postponed()
            else:
                answer(run, replies)

    def _late_answers(self, answers: dict[int, Any]) -> None:
        recorder = self.recorder
        if recorder is not None:
            recorder.late_turn({number: self.late[number] for number in answers})
        for number, replies in answers.items():
            answer(self.late.pop(number), replies)
        if recorder is not None:
            recorder.late = False

    def _value_of(self, code: int, data: bytes) -> Any:
        """What an extension type in a frame stands for."""
        if code == LARGE_CODE:
            self.named = True
            return Large(*LARGE_NAME.unpack(data))
        return value_of(code, data)

    def _whole(self, frame: Any) -> Any:
        """What is whole of a frame: what is only named is fetched, and then comes late."""
        if type(frame) is list:
            for place, answer in enumerate(frame):
                if any(larges(answer)):
                    frame[place] = None
                    Fetch(self, self.answered + place, answer)
        else:
            answers: dict[int, Any] = frame.get("late", {})
            for number in [number for number, answer in answers.items() if any(larges(answer))]:
                Fetch(self, number, answers.pop(number))
        return frame

    def fetched(self, number: int, answer: Any) -> None:
        """Takes an answer that was fetched."""
        self._late_answers({number: answer})

    def _event(self, frame: dict[str, Any]) -> None:
        if "late" in frame:
            self._late_answers(frame["late"])
        if "slow" in frame:
            for number, place, duration_us in frame["slow"]:
                run = self._run_of(number)
                if not isinstance(run, Message):
                    self.listener.link_slow(run, place, duration_us)
        for number, until_ms in frame.get("blocked", ()):
            self.listener.link_blocked(self._run_of(number).batch.session, number, until_ms)
        for number in frame.get("ready", ()):
            self.listener.link_ready(self._run_of(number))
        for event, duration_ms in frame.get("latency", ()):
            self.listener.link_latency(event, duration_ms)
        if "events" in frame:
            self.listener.link_events(self, frame["events"])
        if "refusal" in frame:
            self.refusal = frame["refusal"]
            self.listener.link_refuses(self)
        if "hello" in frame:
            self.hello = frame["hello"]
            if self.transport is not None and "nonce" in self.hello:
                self.transport.write(self.pack([ROUTER, self.hello["nonce"]]))
            self._move(LinkState(self.hello["state"]))
            self.listener.link_hello(self, self.hello)
        if "state" in frame:
            self._move(LinkState(frame["state"]))

    def _move(self, state: LinkState) -> None:
        if state is not self.state:
            self.state = state
            self.listener.link_changed(self)

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if who := stranger(transport):
            logger.warning("what listens in the place of shard %d is of %s: it is not talked to", self.index, who)
            cast(asyncio.WriteTransport, transport).abort()
            return
        self.transport = transport = cast(asyncio.WriteTransport, transport)
        # At 0 uvloop writes at once, and not only when the turn is over.
        transport.set_write_buffer_limits(high=0)

    def pause_writing(self) -> None:
        """The kernel's buffer is full. `flush` sees when there is too much behind it."""

    def eof_received(self) -> None:
        """The shard has closed: the connection ends."""

    def resume_writing(self) -> None:
        """All that waited is with the kernel."""
        if self.congested:
            self.congested = False
            self.listener.link_congested(self, False)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        unknown = self.unknown()
        unanswered = [*self.late.values(), *self.awaiting]
        unsent = len(self.frame) // 2
        self._forget()
        self._move(LinkState.DOWN)
        self.resume_writing()
        for place, run in enumerate(unanswered):
            run.fail(self.down() if place >= len(unanswered) - unsent else unknown)
        if not self.closed:
            self.loop.create_task(self.connect())

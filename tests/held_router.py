"""A router without sockets, whose shards have a waiting room: holds, calls that wait, messages of the router.

As bare_router.py, a test decides when a shard reads and answers. What it answers is what a shard of a process would.
"""

from typing import Any

from common.frame import AS_ONE, CONTROL
from shard.transaction import run_as_one
from tests.bare_router import BareRouter, ShardEnd
from tests.held_shard import HeldShard


class HeldEnd(ShardEnd):
    """The far end of a link, with a whole shard behind it."""

    def __init__(self, link: Any) -> None:
        super().__init__(link)
        self.held = HeldShard()
        self.held.index = link.index
        self.executor = self.held.executor
        self.runs = 0

    def answer(self, frames: int | None = None) -> None:
        """Does that many frames, all that came if none is said, each in a turn of its own."""
        room = self.held.room
        for _ in range(len(self.frames) if frames is None else min(frames, len(self.frames))):
            frame = self.frames.popleft()
            room.origin = self
            self.executor.turn(frame[0])
            replies = [self._answer(header, run) for header, run in zip(frame[1::2], frame[2::2], strict=True)]
            self._send_news()
            self.send(replies)
            for answers in room.take(None).values():
                self.send({"late": answers})
            self._send_news()
            if self.held.store.events:
                self.send({"events": self.held.store.events})
                self.held.store.events = []
            room.holds._check()
            room.waiters._check()

    def _answer(self, header: int, run: list[Any]) -> Any:
        self.executor.number = self.runs
        self.runs += 1
        if header & AS_ONE:
            return run_as_one(self.held, header, run)  # type: ignore[arg-type]  # As far as it is one.
        return self.held.room.messages(header, run) if header & CONTROL else self.executor.run(header, run)

    def _send_news(self) -> None:
        for blocked in self.held.room.waiters.take_new().values():
            self.send({"blocked": blocked})
        for ready in self.held.room.waiters.take_ready().values():
            self.send({"ready": ready})

    def contents(self) -> dict[bytes, Any]:
        """The values of db 0."""
        return dict(self.held.store.dbs[0].items())

    def is_idle(self) -> bool:
        """Whether nothing is held and nobody waits."""
        room = self.held.room
        return not room.holds.line and not room.named and not room.waiters.named and not self.held.store.blocked


class HeldRouter(BareRouter):
    """A router with such shards, that are up."""

    def __init__(self, shards: int = 2, *options: str) -> None:
        super().__init__(shards, *options, greet=False)
        self.shards = [HeldEnd(link) for link in self.router.links]
        for shard in self.shards:
            shard.greet()

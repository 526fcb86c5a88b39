"""Commands so large that the log takes what they did beside the loop: nobody waits for that but who sent them.

Rule 1: the keys of such a command are held until its write is on disk, see reservation.py. So nobody sees what a crash
        could take back, and nothing is in the log that builds on what is not.
Rule 2: its client is answered then, and who waits for what it did is served then.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from common.frame import JOINED
from shard.late import Room, Waiting, WaitingCommand
from shard.log_buffer import LogBuffer
from shard.transaction import gathering, write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shard.reservation import Reservation
    from shard.server import Shard

BESIDE_BYTES_MIN = 1 << 22
"""A word of so many bytes makes a command one of these. To write 4 MB takes 1 to 12 ms; a client that sends less is
better served by one write than by two syncs."""


def run(shard: "Shard", header: int, requests: list[list[bytes]]) -> Any:
    """As `Executor.run`, of a run in which something may be so large."""
    if not shard.aof.reserves or not any(map(is_large, requests)):
        shard.executor.detour = None
        return shard.room.run(header, requests)
    shard.room.run_late(header, requests, partial(_ticket, shard))
    return None


def is_large(argv: list[bytes]) -> bool:
    """Whether a call has such a word."""
    return any(len(word) >= BESIDE_BYTES_MIN for word in argv)


def _ticket(shard: "Shard", keys: "Iterable[bytes] | None", argv: list[bytes]) -> Waiting:
    return Beside(shard, keys) if is_large(argv) else WaitingCommand(keys)


class Beside(Waiting):
    """One such command, from its turn until its write is on disk."""

    __slots__ = ("shard", "stays", "reply", "reservation")

    def __init__(self, shard: "Shard", keys: "Iterable[bytes] | None") -> None:
        super().__init__(keys)
        self.shard = shard
        self.stays = False
        self.reply: Any = None
        self.reservation: Reservation | None = None

    def go(self, room: Room) -> Any:
        """Runs it, and has the log take what it did; its reply."""
        assert self.run is not None
        with gathering(room.executor) as effects:
            reply = room.execute(self.run.header & ~JOINED, [self.run.requests[self.place]], [self.place])[0]
        if any(is_large(argv) for _, argv in effects.gathered):
            buffer = LogBuffer()
            buffer.append_group(effects.gathered)
            self.reservation = self.shard.aof.reserve_for(buffer, self._heard)
        if self.reservation is None:
            write(self.shard, effects.gathered, None)
        else:
            self.stays, self.reply = True, reply
        return reply

    def done(self, room: Room, reply: Any) -> None:
        if self.reservation is None:
            super().done(room, reply)
            if room.executor.store.ready:
                room.waiters.wake()

    def end(self, room: Room) -> None:
        """The router is gone. That waits for the disk: nobody could be told later that these keys are free."""
        self._finish()

    def _heard(self) -> None:
        """The log's thread says that it is over."""
        self.shard.loop.call_soon_threadsafe(self.shard.between_turns, self._over)

    def _over(self) -> None:
        """Answers, and gives the keys free; unless that was done."""
        room, run, reply = self.shard.room, self.run, self.reply
        assert run is not None
        if self.stays:
            filled = self._finish()
            room.answer(run, self.place, reply, done=not filled)
            room.leave(self)
            room.settle()
            if room.executor.store.ready:
                room.waiters.wake()

    def _finish(self) -> bool:
        """Whether the write is on disk; if not, it is in the log's buffer by now."""
        assert self.reservation is not None
        reservation, self.reservation = self.reservation, None
        self.stays, self.reply = False, None
        return self.shard.aof.finish(reservation)

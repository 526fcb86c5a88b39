"""Who waits until what was written is on disk (WAITAOF): each is told when the log is synced as far as it went when the
question came. The policy, `appendfsync`, is not changed by it: with `no` nobody is told before the kernel was asked to
sync for another reason.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shard.control import control

if TYPE_CHECKING:
    from shard.aof import Aof
    from shard.server import Shard


@dataclass(frozen=True, slots=True)
class SyncWait:
    """One of them."""

    link: Any
    id: int
    aof: "Aof"
    position: int
    """How far that log has to be synced."""
    urgent: bool
    """Whether that is to be now."""
    patient: bool
    """Whether a log is waited for that can't be written."""

    def failing(self) -> bool:
        """Whether it is in vain for who is not patient."""
        return not self.patient and self.aof.last_write_error is not None

    def pressing(self) -> bool:
        """Whether the sync can't wait for when it would come anyway."""
        return self.urgent and not (self.patient and self.aof.put_off)


class SyncWaits:
    """The questions of all routers that are not answered."""

    def __init__(self, shard: "Shard") -> None:
        self.shard = shard
        self.waiting: list[SyncWait] = []
        self.urged = False
        """Whether the thread was told to sync, and has not."""

    def add(self, link: Any, id_: int, *, urgent: bool = False, patient: bool = True) -> bool:
        """Whether all that was appended is synced. If not, the router is told by an event when it is; if it is `urgent`
        that begins when this turn is written, whatever the policy is. Who is not `patient` waits for no log that can't
        be written."""
        aof = self.shard.aof
        aof.hear_syncs(self._heard)
        wait = SyncWait(link, id_, aof, aof.written_bytes + aof.buffer.bytes_count, urgent, patient)
        if self.synced(wait.position) or wait.failing():
            return True
        self.waiting.append(wait)
        if wait.pressing():
            self._urge()
        return False

    def tell_when_synced(self, link: Any, id_: int) -> None:
        """Has an event tell the router in any case, soon, and of a log that can't be written at once."""
        if self.add(link, id_, urgent=True, patient=False):
            link.send(event(id_))

    def _urge(self) -> None:
        if not self.urged:
            self.urged = True
            self.shard.loop.call_soon(self.shard.aof.sync_ahead)

    def synced(self, position: int) -> bool:
        """Whether the log is known to be on disk up to there. What was written by a process before this one is, once it
        is loaded."""
        return self.shard.loaded and self.shard.aof.synced_bytes >= position

    def _heard(self) -> None:
        """The log was synced; called in any thread."""
        if self.waiting:
            self.shard.loop.call_soon_threadsafe(self.tell)

    def tell(self) -> None:
        """Tells those whose wait is over. A log that is no more the shard's was closed, and so synced."""
        self.urged = False
        left = []
        for wait in self.waiting:
            if wait.aof is self.shard.aof and not self.synced(wait.position) and not wait.failing():
                left.append(wait)
            else:
                wait.link.send(event(wait.id))
        self.waiting = left
        if any(wait.pressing() for wait in left):
            self._urge()

    def forget(self, link: Any) -> None:
        """A router is gone."""
        self.waiting = [wait for wait in self.waiting if wait.link is not link]


def event(id_: int) -> dict[str, Any]:
    """The frame that says that what this id asked for is on disk."""
    return {"events": [["synced", id_]]}


@control
def synced(shard: "Shard") -> bool:
    """Whether all that was written before this turn is on disk."""
    return shard.sync_waits.synced(shard.aof.written_bytes)


@control
def await_sync(shard: "Shard", id_: int, urgent: bool = False, patient: bool = True) -> bool:
    """As `synced`, of all that came before; if not, an event says when it is: ["synced", id]. See SyncWaits.add."""
    return shard.sync_waits.add(shard.room.origin, id_, urgent=urgent, patient=patient)

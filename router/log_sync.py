"""A question to shards whether their logs are on disk: who asks hears when all are, as far as they went at that time.

A shard that dies meanwhile is asked again when it is back: it has synced by then what it found in its log.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router.link import Link
    from router.server import Router


class LogSync:
    """Such a question, until it is answered or ended."""

    def __init__(
        self,
        router: "Router",
        shards: Iterable[int],
        then: Callable[[], None],
        *,
        urgent: bool = False,
        patient: bool = True,
        asked: bool = False,
    ) -> None:
        """`then` hears that all is synced. An `urgent` one has them sync now, whatever `appendfsync` is. Who is not
        `patient` does not wait for a log that can't be written. They may be `asked` with another message."""
        self.router = router
        self.then = then
        self.urgent = urgent
        self.patient = patient
        self.id = next(router.borrow_ids)
        self.missing = set(shards)
        """The shards that have not said yet that all is synced."""
        router.log_syncs[self.id] = self
        for shard in list(self.missing) if not asked else ():
            self.ask(router.links[shard])

    def ask(self, link: "Link") -> None:
        """Asks a shard, if it is one of those. One that is down is asked when it is up."""
        if link.index in self.missing:
            link.tell(["await_sync", self.id, self.urgent, self.patient], partial(self._heard, link.index))

    def _heard(self, shard: int, answer: Any) -> None:
        if answer is True:
            self.synced(shard)

    def synced(self, shard: int) -> None:
        """A shard has all on disk."""
        self.missing.discard(shard)
        if not self.missing and self.router.log_syncs.pop(self.id, None) is not None:
            self.then()

    def end(self) -> None:
        """Nobody wants to know any more."""
        self.router.log_syncs.pop(self.id, None)


def synced(router: "Router", link: "Link", id_: int) -> None:
    """A shard says so."""
    if sync := router.log_syncs.get(id_):
        sync.synced(link.index)

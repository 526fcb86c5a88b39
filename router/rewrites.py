"""Rewrites of the shards' logs that nobody asked for: one shard at a time has its turn.

A shard says by an event that its log has grown enough, and by another that a rewrite is over, however it ended.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from router.link import LinkState

if TYPE_CHECKING:
    from router.link import Link
    from router.server import Router


class Rewrites:
    """Who wants to, and whose turn it is."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.waiting: dict[int, None] = {}
        """The shards that want to, in the order in which they said so."""
        self.turn: int | None = None
        self.begun = False
        """Whether the shard whose turn it is has begun."""

    def wanted(self, shard: int) -> None:
        """A shard wants to."""
        self.waiting[shard] = None
        self._next()

    def over(self, shard: int) -> None:
        """A rewrite came to its end on a shard. One before its turn does not end that."""
        if self.turn == shard and self.begun:
            self._end()

    def lost(self, shard: int) -> None:
        """A shard is down. When it is back it says anew what it wants."""
        self.waiting.pop(shard, None)
        if self.turn == shard:
            self._end()

    def _end(self) -> None:
        self.turn = None
        self._next()

    def _next(self) -> None:
        while self.turn is None and self.waiting:
            shard = next(iter(self.waiting))
            del self.waiting[shard]
            link = self.router.links[shard]
            if link.state is not LinkState.DOWN:
                self.turn, self.begun = shard, False
                link.tell(["rewrite_granted"], partial(self._answered, shard))

    def _answered(self, shard: int, begun: Any) -> None:
        """A shard that has its turn has begun, or does not want to any more, or is gone."""
        if self.turn == shard and not self.begun:
            self.begun = begun is True
            if not self.begun:
                self._end()


def wanted(router: "Router", link: "Link") -> None:
    router.rewrites.wanted(link.index)


def over(router: "Router", link: "Link") -> None:
    router.rewrites.over(link.index)


EVENTS = {"rewrite_wanted": wanted, "rewrite_over": over}

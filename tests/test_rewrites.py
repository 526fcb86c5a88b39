"""Whose turn it is to rewrite its log: one shard at a time, and never nobody's for good."""

from collections.abc import Callable
from typing import Any, cast

from common.errors import RedisError
from router.link import LinkState
from router.rewrites import EVENTS, Rewrites
from router.server import Router


class End:
    """A link that keeps what is sent by it."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.state = LinkState.READY
        self.asked: list[tuple[list[Any], Callable[[Any], None]]] = []

    def tell(self, message: list[Any], then: Callable[[Any], None]) -> None:
        self.asked.append((message, then))

    def answer(self, answer: Any) -> None:
        """To what was asked."""
        message, then = self.asked.pop(0)
        assert message == ["rewrite_granted"]
        then(answer)


class Shards:
    """All that a router has, as far as this goes."""

    def __init__(self, count: int = 3) -> None:
        self.links = [End(index) for index in range(count)]
        self.rewrites = Rewrites(cast(Router, self))

    def hear(self, event: str, shard: int) -> None:
        EVENTS[event](cast(Router, self), cast(Any, self.links[shard]))

    def asked(self) -> list[int]:
        return [link.index for link in self.links if link.asked]


def test_one_after_the_other() -> None:
    shards = Shards()
    for shard in (2, 0, 1, 2):
        shards.hear("rewrite_wanted", shard)
    for shard in (2, 0, 1):
        assert shards.asked() == [shard]
        shards.links[shard].answer(True)
        assert shards.asked() == []
        shards.hear("rewrite_over", (shard + 1) % 3)
        assert shards.asked() == []
        shards.hear("rewrite_over", shard)
    assert shards.asked() == [2], "it wanted to once more"
    shards.links[2].answer(False)
    assert shards.asked() == [] and shards.rewrites.turn is None


def test_who_does_not_want_to_any_more_or_is_gone_gives_its_turn_away() -> None:
    shards = Shards()
    for shard in range(3):
        shards.hear("rewrite_wanted", shard)
    shards.links[0].answer(False)
    assert shards.asked() == [1]
    shards.links[1].answer(RedisError("SHARDDOWN shard 1 is down, it is being restarted"))
    assert shards.asked() == [2]
    shards.rewrites.lost(2)
    assert shards.rewrites.turn is None


def test_the_end_of_an_earlier_one_is_not_that_of_its_turn() -> None:
    shards = Shards()
    shards.hear("rewrite_wanted", 0)
    shards.hear("rewrite_wanted", 1)
    shards.hear("rewrite_over", 0)
    assert shards.asked() == [0]
    shards.links[0].answer(True)
    shards.rewrites.lost(0)
    assert shards.asked() == [1]


def test_one_that_is_down_is_passed_over() -> None:
    shards = Shards()
    shards.hear("rewrite_wanted", 0)
    shards.hear("rewrite_wanted", 1)
    shards.hear("rewrite_wanted", 2)
    shards.links[1].state = LinkState.DOWN
    shards.links[0].answer(False)
    assert shards.asked() == [2]

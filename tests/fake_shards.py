"""Shards of uneven size as maxmemory sees them: what a router has for its budget, where a test says what they say."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from router.budget import EVENTS, Budget
from router.link import LinkState
from router.server import Router

MB = 2**20
LIMIT = 64 * MB
NOW_S = 1_700_000_000


def ago(seconds: float) -> float:
    """The score of what was used so long ago."""
    return seconds - NOW_S


def use(
    used_mb: float,
    score: float = 0.0,
    exhausted: bool = False,
    came_mb: float = 0,
    keys: int = 1,
    freeing: bool = False,
) -> list[Any]:
    """What a shard says of itself."""
    return [int(used_mb * MB), score, exhausted, int(came_mb * MB), keys, freeing]


class End:
    """A link that keeps what is sent by it."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.state = LinkState.READY
        self.told: list[list[Any]] = []
        self.asked: list[tuple[list[Any], Callable[[Any], None]]] = []

    def tell(self, message: list[Any], then: Callable[[Any], None]) -> None:
        self.told.append(message)
        self.asked.append((message, then))


class Stopped:
    def is_set(self) -> bool:
        return True


class Timer:
    """Something that is to be done later."""

    def __init__(self, at_s: float, act: Callable[[], None]) -> None:
        self.at_s, self.act = at_s, act
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Time passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, act: Callable[..., None], *words: Any) -> Timer:
        timer = Timer(self.now_s + delay_s, partial(act, *words))
        self.timers.append(timer)
        return timer

    def call_soon(self, act: Callable[..., None], *words: Any) -> Timer:
        return self.call_later(0, act, *words)

    def run(self, seconds: float = 0.0) -> None:
        """What is to be done until so much later, in its order."""
        until_s = self.now_s + seconds
        while due := [timer for timer in self.timers if timer.at_s <= until_s and not timer.cancelled]:
            first = min(due, key=lambda timer: timer.at_s)
            self.timers.remove(first)
            self.now_s = max(self.now_s, first.at_s)
            first.act()
        self.now_s = until_s


class Shards:
    """All that a router has, as far as this goes."""

    def __init__(self, count: int = 3, policy: str = "allkeys-lru") -> None:
        self.shards = count
        self.links = [End(index) for index in range(count)]
        self.loop, self.stopped = Loop(), Stopped()
        self.sessions: dict[int, Any] = {}
        self.routes: dict[bytes, Any] = {}
        self.ms = NOW_S * 1000
        self.config = type("Config", (), {"values": {"maxmemory": LIMIT, "maxmemory-policy": policy}})()
        self.budget = Budget(cast(Router, self))
        self.budget.look_at_own = lambda: None  # type: ignore[method-assign]
        self.budget.configure()
        self.answer([use(0, keys=0)] * count)

    def now_ms(self) -> int:
        return self.ms

    def answer(self, uses: list[list[Any]]) -> None:
        """All questions, each by what its shard takes, and what comes of it."""
        while any(link.asked for link in self.links):
            for link in self.links:
                if link.asked:
                    link.asked.pop(0)[1](uses[link.index])
        self.loop.run()

    def hear(
        self,
        shard: int,
        used_mb: float,
        score: float = -NOW_S,
        exhausted: bool = False,
        came_mb: float = 0,
        keys: int = 1000,
        freeing: bool = False,
    ) -> None:
        said = use(used_mb, score, exhausted, came_mb, keys, freeing)
        EVENTS["memory"](cast(Router, self), cast(Any, self.links[shard]), *said)
        self.loop.run()

    def allowed(self) -> list[float]:
        """What each was told last, in MB."""
        return [link.told[-1][1] / MB for link in self.links]

    def forget(self) -> None:
        for link in self.links:
            link.told.clear()

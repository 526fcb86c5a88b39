"""A scene: a few clients, fresh keys, a short history of what happened, and what is wrong with it.

A workload plays one scene after the other, each with keys of its own. So a history stays short enough to be searched,
whatever the length of the run, and one that is wrong can be read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from common.slot import SLOTS, slot_of_whole
from tests.histories.callers import Argv, Caller, Refused
from tests.linearizability import Operation
from tests.resp_client import Error

PARTS = (0, 7, 10, 4, 2, 9, 5, 11, 1, 6, 8, 3)
"""Twelfths of the slots, in the order in which keys lie there: two, three or four are on as many shards."""
REFUSED_PAUSE_S = 0.02
"""A shard that is being restarted is not asked all the time."""
SETUP_TRIES = 2000

Step = Callable[[Caller], Awaitable[Any]]


@dataclass(slots=True)
class Scene:
    """What a workload is given: its clients, chance, and where its keys begin."""

    callers: Sequence[Caller]
    random: Random
    prefix: str
    rounds: int
    keys: tuple[bytes, ...] = ()
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 62)))

    @property
    def history(self) -> list[Operation]:
        return [operation for caller in self.callers for operation in caller.history]

    def unique(self) -> bytes:
        """A value that this scene has not used."""
        return b"%d" % next(self.numbers)

    def spread(self, count: int, name: str = "k") -> tuple[bytes, ...]:
        """Keys on different shards, as far as there are."""
        return tuple(spread_keys(f"{self.prefix}:{name}", count))

    def some(self, count: int) -> list[bytes]:
        """Of the scene's keys, in any order."""
        return self.random.sample(self.keys, count)

    async def setup(self, *argvs: Argv) -> None:
        """Commands that may be repeated, until the server has done them. Not in the history."""
        caller = self.callers[0]
        for argv in argvs:
            for _ in range(SETUP_TRIES):
                try:
                    await caller.call(*argv)
                    break
                except Refused:
                    await asyncio.sleep(REFUSED_PAUSE_S)
        caller.history.clear()

    async def play(self, *steps: Step) -> None:
        """Each client takes one of the steps `rounds` times: the first the first, and so on, the rest the last."""
        steps += (steps[-1],) * (len(self.callers) - len(steps))
        async with asyncio.TaskGroup() as group:
            for caller, step in zip(self.callers, steps, strict=False):
                group.create_task(self._repeat(caller, step))

    async def _repeat(self, caller: Caller, step: Step) -> None:
        for _ in range(self.rounds):
            await tried(step(caller))


async def tried(call: Awaitable[Any]) -> Any:
    """The reply; None, a little later, if the call was refused."""
    try:
        return await call
    except Refused:
        await asyncio.sleep(REFUSED_PAUSE_S)
        return None


def spread_keys(prefix: str, count: int) -> Iterator[bytes]:
    for number in range(count):
        for tail in range(1 << 16):
            key = f"{prefix}{number}.{tail}".encode()
            if slot_of_whole(key) * len(PARTS) // SLOTS == PARTS[number % len(PARTS)]:
                yield key
                break


class Workload:
    """A kind of scene. Subclasses say how it is played and what it shows."""

    name = ""
    clients = 5
    rounds = 20
    whole_keyspace = True
    """If it needs that commands on several shards are atomic also when a shard dies: checked only where that holds."""
    needs: Sequence[Sequence[Argv]] = ()
    """Pipelines without an error in their replies, else the server lacks what this is about; `%0` ... are keys."""
    setup: Sequence[Argv] = ()
    """What each new connection begins with."""
    errors: tuple[bytes, ...] = ()
    """Replies that are to be expected."""

    async def play(self, scene: Scene) -> None:
        raise NotImplementedError

    def faults(self, history: list[Operation], keys: Sequence[bytes]) -> list[str]:
        """What is wrong with the history of one scene, whose calls are in any order, if nothing is surprising in it."""
        raise NotImplementedError

    def surprises(self, history: list[Operation]) -> list[str]:
        """Errors that nobody should be told, and transactions without a reason to fail."""
        failed = [f"failed: {call!r}" for call, reply in replies(history, b"EXEC") if reply is None]
        return failed + [
            f"{operation.call!r}: {error!r}"
            for operation in history
            for error in ([operation.reply] if not isinstance(operation.reply, list) else operation.reply)
            if isinstance(error, Error) and bytes(error) not in self.errors
        ]


def replies(history: Sequence[Operation], *names: bytes) -> Iterator[tuple[Any, Any]]:
    """Call and reply of those that have one of the names."""
    for operation in history:
        if operation.known and operation.call[0] in names:
            yield operation.call, operation.reply

"""Which keys the commands of a transaction touch, shard by shard, before any of them is run."""

from collections import deque
from typing import TYPE_CHECKING

from common.command import Command, Flag, Plan
from router.dispatch import check_shards, keys_or_none
from router.reach import reaches

if TYPE_CHECKING:
    from router.server import Router
    from router.session import Session
    from router.transaction import Transaction
    from router.watching import Watching

Keys = dict[int, list[bytes] | None]
"""By shard, the keys there; None for all that there are."""


class Scope:
    """The keys of each queued command."""

    def __init__(self, router: "Router", transaction: "Transaction") -> None:
        self.router = router
        self.commands = transaction.commands(router.table.find)
        self.each = [keys_of_call(router, *call) for call in zip(self.commands, transaction.queued, strict=True)]
        calls = zip(self.commands, self.each, transaction.queued, strict=True)
        self.lone = deque(place for place, call in enumerate(calls) if is_lone(router, *call))
        """The places of the commands that need keys of several shards at once."""

    def check(self, session: "Session") -> None:
        """Refuses the whole if a shard would not do its part.  Raises RedisError."""
        for command, keys in zip(self.commands, self.each, strict=True):
            check_shards(session, command, list(keys))

    def union(self) -> Keys:
        """The keys of all."""
        union: Keys = {}
        for keys in self.each:
            for shard, some in keys.items():
                before = union.get(shard, [])
                union[shard] = None if some is None or before is None else before + some
        return union

    def to_hold(self, watching: "Watching | None") -> Keys:
        """The keys of all, and those that are watched."""
        keys = self.union()
        for shard, watched in watching.shards.items() if watching is not None else ():
            before = keys.get(shard, [])
            keys[shard] = None if before is None else before + watched
        return keys

    def writes(self) -> bool:
        """Whether one of them may write."""
        return any(command.flags & Flag.WRITE for command in self.commands)

    def recorded(self) -> bool:
        """Whether several shards may write."""
        return self.writes()

    def asks_router(self) -> bool:
        """Whether the router itself has to do something for one of them."""
        return any(command.plan is Plan.ROUTER for command in self.commands)


def is_lone(router: "Router", command: Command, keys: Keys, argv: list[bytes]) -> bool:
    """Whether a call, which touches these keys, needs some of several shards at once."""
    return command.plan is Plan.BORROW and (len(keys) > 1 or reaches(command, argv, list(keys), router.owners))


def keys_of_call(router: "Router", command: Command, argv: list[bytes]) -> Keys:
    """The keys that a call touches. Where it is wrong some shard says so: that of its first key, or the first."""
    if command.plan is Plan.EVERY or (command.plan is Plan.ROUTER and command.flags & (Flag.READONLY | Flag.WRITE)):
        return dict.fromkeys(range(router.shards))
    if command.plan is Plan.ROUTER:
        return {}
    keys: Keys = {}
    for index in keys_or_none(command, argv) or []:
        found = keys.setdefault(router.shard_of(argv[index]), [])
        assert found is not None
        found.append(argv[index])
    if command.plan is Plan.BORROW and reaches(command, argv, list(keys), router.owners):
        return dict.fromkeys(range(router.shards))
    return keys or {0: []}

"""Which keys the commands of a long transaction touch: found out some commands at a time, before any of them is run.

The keys are laid aside on their shards as they are found, under a number; the holds then name that (shard/loan.py).
"""

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from common.command import Command
from router.batch import WRITE, Route
from router.dispatch import check_shards
from router.scope import is_lone, keys_of_call

if TYPE_CHECKING:
    from router.session import Session
    from router.transaction import Transaction
    from router.watching import Watching

SLICE_WORDS = 1024
"""How many words are looked at, or run, at a time: about a millisecond's work."""
WORD_BYTES = 1024
"""So many bytes of them count as one word more."""

LAST_KEYS_MAX = 10_000
"""Keys of each shard that are remembered, so that they need not be laid aside once more."""


def slice_end(queued: list[list[bytes]], place: int, until: int) -> int:
    """The place behind the commands that are seen to next, of those from `place` on: one at least, up to `until`."""
    words = 0
    while place < until and words < SLICE_WORDS:
        argv = queued[place]
        words += len(argv) + sum(map(len, argv)) // WORD_BYTES
        place += 1
    return place


class LongScope:
    """What is known of the commands up to `place`."""

    def __init__(self, session: "Session", transaction: "Transaction", number: int) -> None:
        self.session = session
        self.router = session.router
        self.transaction = transaction
        self.number = number
        """By which the shards know the keys."""
        self.place = 0
        self.last: dict[int, set[bytes]] = {}
        """Some keys that are laid aside, by shard."""
        self.held: dict[int, int | None] = {}
        """What is to be held of each shard: what is laid aside under this number, or None for all that it has."""
        self.lone: deque[int] = deque()
        """The places of the commands that need keys of several shards at once."""
        self.commands: dict[int, Command] = {}
        """Those."""
        self.touching: dict[int, Command] = {}
        self.writing: dict[int, Command] = {}
        """For each shard a command that touches keys there, and one that may write there."""

    @property
    def over(self) -> bool:
        """Whether all commands were looked at."""
        return self.place == len(self.transaction.queued)

    def look(self) -> dict[int, set[bytes]]:
        """Looks at some more commands; the keys that are to be laid aside, by shard."""
        found: dict[int, set[bytes]] = {}
        routes, unusual = self.session.routes, self.transaction.unusual
        owners = self.router.owners
        queued = self.transaction.queued
        until = slice_end(queued, self.place, len(queued))
        kinds: set[tuple[int, Route]] = set()
        for place in range(self.place, until):
            argv = queued[place]
            route = routes.get(argv[0])
            if route is None or place in unusual or (route.step and (len(argv) - route.start) % route.step):
                self._look_closer(place, argv, found)
                continue
            for key in (argv[1],) if not route.step else argv[route.start :: route.step]:
                shard = owners.of(key)
                kinds.add((shard, route))
                keys = found.get(shard)
                if keys is None:
                    found[shard] = {key}
                else:
                    keys.add(key)
        self.place = until
        for shard, route in kinds:
            self._add(found, route.command, shard, ())
        if self.over:
            self._add_watched(found)
        return {shard: self._unlaid(shard, keys) for shard, keys in found.items()}

    def _unlaid(self, shard: int, keys: set[bytes]) -> set[bytes]:
        """Those that were not among the last ones that were laid aside there: mostly some keys come again and again."""
        last = self.last.setdefault(shard, set())
        new = keys - last
        if len(last) > LAST_KEYS_MAX:
            last.clear()
        last |= new
        return new

    def _look_closer(self, place: int, argv: list[bytes], found: dict[int, set[bytes]]) -> None:
        command = self.transaction.unusual.get(place) or self.router.table.find(argv)
        keys = keys_of_call(self.router, command, argv)
        if is_lone(self.router, command, keys, argv):
            self.lone.append(place)
            self.commands[place] = command
        for shard, some in keys.items():
            self._add(found, command, shard, some)

    def _add(
        self, found: dict[int, set[bytes]], command: Command, shard: int, keys: "list[bytes] | tuple[()] | None"
    ) -> None:
        if shard not in self.held:
            self.held[shard] = self.number
            self.touching[shard] = command
            found.setdefault(shard, set())
        if command.flags & WRITE:
            self.writing[shard] = command
        if keys is None:
            self.held[shard] = None
        elif keys:
            found.setdefault(shard, set()).update(keys)

    def _add_watched(self, found: dict[int, set[bytes]]) -> None:
        """The watched keys are held as well; and something is, where there is none at all."""
        watching = self.session.watching
        for shard, watched in watching.shards.items() if watching is not None else ():
            self.held.setdefault(shard, self.number)
            found.setdefault(shard, set()).update(watched)
        if not self.held:
            self.held[0] = self.number
            found[0] = set()

    def to_hold(self, watching: "Watching | None") -> Mapping[int, int | None]:
        """The keys of all, and those that are watched."""
        return self.held

    def writes(self) -> bool:
        """Whether one of them may write."""
        return bool(self.writing)

    def recorded(self) -> bool:
        """Whether several shards may write."""
        return len(self.writing) > 1

    def check(self) -> None:
        """Refuses the whole if a shard would not do its part.  Raises RedisError."""
        exec_ = self.router.table.commands["exec"]
        for shard in self.held:
            for commands in (self.touching, self.writing):
                check_shards(self.session, commands.get(shard, exec_), [shard])

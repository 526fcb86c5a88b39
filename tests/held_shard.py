"""A shard in this process that takes the messages of a router: for tests of what waits for held keys."""

from typing import Any

import shard.loan  # noqa: F401  The messages there answer to their names.
import shard.sync_waits  # And those there.
from common.errors import RedisError
from common.frame import CONTROL, VALUES
from common.slot import Owners
from shard.control import CONTROLS, WHOLES
from shard.invariants import check
from shard.keyspace import Store
from shard.late import Room
from shard.redo import Book
from tests.bare_shard import BareShard

NOW_MS = 1_700_000_000_000


class Enabled:
    """A log that is kept, and as good as on disk: what BareShard takes note of."""

    enabled = True

    def add(self, link: Any, id_: int, *, urgent: bool, patient: bool) -> bool:
        """Whether all is synced, as SyncWaits says it."""
        return True

    def tell_when_synced(self, link: Any, id_: int) -> None:
        """Says so, as SyncWaits does."""
        link.send(shard.sync_waits.event(id_))


class HeldShard:
    """A shard without a process, as far as the messages of the router need one."""

    def __init__(self) -> None:
        self.bare = BareShard(NOW_MS)
        self.executor = self.bare.executor
        self.store: Store = self.executor.store
        self.room = Room(self.executor, self.control, WHOLES)
        self.book = Book()
        self.index = 0
        self.owners = Owners(1, hash_tags=True)
        self.loaded = True
        self.failed = False
        self.links: set[Any] = set()
        self.aof = self.sync_waits = Enabled()
        self.number = 0
        self.replies: dict[int, Any] = {}
        """By the number of the run, in the order in which they came."""

    def stop(self, *, failed: bool) -> None:
        self.failed = failed

    def admit(self) -> None:
        self.executor.state(loading=False, refusal=None)

    def control(self, message: list[Any], place: int) -> Any:
        try:
            return CONTROLS[message[0]](self, *message[1:])
        except RedisError as error:
            return error

    def send(
        self, header: int, requests: list[list[Any]], now_ms: int = NOW_MS, refused: RedisError | None = None
    ) -> int:
        """A frame with one run; its number."""
        number = self.number
        self.number += 1
        self.executor.turn(now_ms)
        self.executor.number = number
        answer = self.room.messages(header, requests) if header & CONTROL else self.executor.run(header, requests)
        if answer is not None:
            self.replies[number] = answer
        for answers in self.room.take(refused).values():
            assert not self.replies.keys() & answers.keys()
            self.replies |= answers
        self.room.holds._check()
        assert (self.executor.detour is not None) == bool(self.room.holds.line)
        return number

    def message(self, *message: Any) -> int:
        return self.send(CONTROL | VALUES, [list(message)])

    def hold(self, id_: int, keys: list[bytes] | None, *, gives: str = "values", waiter: int = 0) -> int:
        return self.message("hold", id_, keys, [0], gives, True, waiter)


def contents(store: Store) -> dict[Any, Any]:
    for db in store.dbs:
        check(db)
    return {
        (db.index, key): (bytes(slot[key]), db.expiry_ms(key)) for db in store.dbs for slot in db.slots for key in slot
    }

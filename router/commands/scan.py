"""Looking through the keys of all shards as if they were one keyspace: SCAN and RANDOMKEY.

KEYS and DBSIZE need nothing here: their shards' answers are just joined.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from common.command import ALL_SHARDS, READONLY, SPECIAL, SPECIAL_FAN, Command
from common.cursor import parse_cursor, place_of
from common.errors import RedisError
from common.frame import RESP3, VALUES
from common.numbers import maybe_integer
from common.resp import encode
from common.slot import shard_of_slot
from router.batch import Batch, Later, Run
from router.commands.table import TABLE
from router.dispatch import AskShards, Deferred, Forward
from router.session import Session

command = TABLE.family("generic")


@command(
    "SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]",
    READONLY,
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to"
    " return back to 0. N is the number of elements inside the collection.",
    tips="nondeterministic_output",
    fan=SPECIAL_FAN,
    merge=SPECIAL,
)
def scan(session: Session, cursor: bytes, *options: bytes) -> Deferred:
    """Iterates over the key names in the database."""
    # A shard's last cursor names the first slot of the next shard, so this walks from shard to shard.
    try:
        slot, _ = place_of(parse_cursor(cursor))
    except RedisError:
        slot = 0  # Any shard tells the client what is wrong.
    shard = shard_of_slot(slot, session.router.shards)
    if shard == session.router.shards - 1 or session.transaction is not None:
        return Forward(shard, [b"SCAN", cursor, *options])
    return Walk(session, shard, cursor, options)


COUNT_DEFAULT = 10


class Step(Run):
    """One call of SCAN on one shard; who asked hears the answer."""

    __slots__ = ("then",)

    def __init__(self, batch: Batch, shard: int, argv: list[bytes], then: Callable[[Any], None]) -> None:
        super().__init__(batch, shard, batch.header | VALUES)
        self.requests.append(argv)
        self.replies = ()
        self.then = then

    def answer(self, replies: Any) -> None:
        self.then(replies[0])


class FirstStep(Step):
    """The one that stands among the runs of its batch."""

    __slots__ = ()

    def answer(self, replies: Any) -> None:
        self.requests = []  # They answer no step of the client's.
        self.batch.waiting -= 1  # Not the last that it waits for: that is the reply.
        super().answer(replies)


class Walk(Deferred):
    """A call of SCAN that goes on with the next shard where one ends before there are as many keys as asked for: a
    client that wants all keys of a small db at once gets them, whatever the number of shards.
    """

    __slots__ = ("session", "shard", "cursor", "options", "keys", "wanted", "step", "command")

    counted = False

    def __init__(self, session: Session, shard: int, cursor: bytes, options: tuple[bytes, ...]) -> None:
        self.session = session
        self.shard = shard
        self.cursor = cursor
        self.options = options
        self.keys: list[bytes] = []
        counts = [maybe_integer(word) for name, word in pairwise(options) if name.upper() == b"COUNT"]
        self.wanted = (counts[-1] if counts else COUNT_DEFAULT) or 0
        self.step: Later
        self.command: Command

    def add(self, batch: Batch, command: Command, argv: list[bytes]) -> None:
        self.command = command
        batch.runs.append(FirstStep(batch, self.shard, argv, self._heard))
        batch.open[self.shard] = None
        self.step = Later(batch)
        batch.add_step(self.step)

    def _heard(self, answer: Any) -> None:
        """An error is the reply; a shard that is down says so by one."""
        if isinstance(answer, RedisError):
            self.command.failed_calls += 1
            self.session.router.count_error(answer)
            self._finish(answer)
            return
        self.cursor, keys = answer
        self.keys += keys
        slot, _ = place_of(parse_cursor(self.cursor))
        shard = shard_of_slot(slot, self.session.router.shards)
        if self.cursor == b"0" or shard == self.shard or len(self.keys) >= self.wanted:
            self._finish([self.cursor, self.keys])
            return
        self.shard = shard
        argv = [b"SCAN", self.cursor, *self.options]
        self.session.router.links[shard].put(Step(self.step.batch, shard, argv, self._heard))

    def _finish(self, reply: Any) -> None:
        self.command.calls += 1
        self.step.finish(encode(reply, 3 if self.step.batch.header & RESP3 else 2))


@command(
    "RANDOMKEY",
    READONLY,
    since="1.0.0",
    complexity="O(1)",
    tips="nondeterministic_output",
    fan=ALL_SHARDS,
    merge=SPECIAL,
)
def randomkey(session: Session) -> AskShards:
    """Returns a random key name from the database."""
    return AskShards(["random_key", session.db], any_key)


def any_key(answers: list[Any]) -> bytes | None:
    """One of the keys that the shards chose, each in proportion to how many it was chosen from.

    An answer is [number of keys, key, chance], the chance a number in [0, 1): the first one decides.
    """
    place = int(answers[0][2] * sum(count for count, _, _ in answers))
    for count, key, _ in answers:
        if place < count:
            return bytes(key)
        place -= count
    return None

"""A shard without processes: the executor on a keyspace in this process, as a target of transcripts.

What a router does for a client and a transcript cannot do without is done here: the number of the db, the protocol, the
check of names and arity, the deadlines of calls that are blocked. Time stands still but for the transcript's own clock.
At the end of each transcript the log is replayed into a second shard, which must then hold the same: so every
transcript is a test of the log too.
"""

import importlib
import pkgutil
import time
import traceback
from random import Random
from typing import Any

import shard.commands
from common.command import Table
from common.errors import RedisError
from common.frame import DB_SHIFT, JOINED, RESP3
from common.resp import OK, Chunks, encode
from shard.commands.table import TABLE
from shard.execute import Executor
from shard.keyspace import Store
from shard.late import Room
from shard.waiters import GONE
from tests.audit import audit, differences
from tests.resp_client import Reply, parse_reply

DONE_BY_ROUTER = {b"SELECT", b"HELLO"}
"""The commands of the router that this target knows too."""


def commands() -> Table:
    """All that a shard can run."""
    for module in pkgutil.iter_modules(shard.commands.__path__):
        importlib.import_module(f"shard.commands.{module.name}")
    return TABLE


class BareShard:
    """An empty shard, its executor and what it logged."""

    def __init__(self, now_ms: int) -> None:
        self.logged: list[tuple[int, list[bytes]]] = []
        self.executor = Executor(Store(random=Random(0)), commands(), self._log, self.logged.extend, time.monotonic_ns)
        self.executor.turn(now_ms)
        self.room = Room(self.executor, lambda message, place: None, set())
        self.runs = 0
        self.deadlines: list[tuple[int, int, ShardConnection]] = []
        """Of blocked calls: when, the number of the run, and whose it is."""

    def deliver(self) -> None:
        """Hands what was answered late to those whom it is for, and begins what they sent behind it."""
        for client, blocked in self.room.waiters.take_new().items():
            self.deadlines += [(until_ms, number, client) for number, until_ms in blocked if until_ms]
        while late := self.room.take(None):
            for client, answers in late.items():
                for answer in answers.values():
                    client.take(answer)
                client.begin()

    def advance(self, duration_ms: int) -> None:
        """Moves the clock on, and ends the calls whose deadlines it passes."""
        until_ms = self.executor.store.now_ms + duration_ms
        while due := [deadline for deadline in self.deadlines if deadline[0] <= until_ms]:
            deadline = min(due, key=lambda one: one[:2])
            self.deadlines.remove(deadline)
            self.executor.turn(deadline[0])
            self.room.waiters.end((deadline[2], deadline[1]), None)
            self.deliver()
        self.executor.turn(until_ms)

    def _log(self, db: int, argv: list[bytes]) -> None:
        self.logged.append((db, argv))

    def replayed(self) -> "BareShard":
        """Another shard, made from the log of this one."""
        other = BareShard(self.executor.store.now_ms)
        other.executor.store.expiring = False
        for db, argv in self.logged:
            other.executor.replay(db, argv)
        other.executor.store.expiring = True
        return other


class ShardConnection:
    """What a client of a bare shard has: a db and a protocol."""

    def __init__(self, shard: BareShard) -> None:
        self.shard = shard
        self.db = 0
        self.protocol = 2
        self.replies: list[Reply] = []
        self.blocked_in: int | None = None
        """The number of the run that is blocked."""
        self.backlog: list[list[bytes]] = []
        """What was sent behind it."""

    def close(self) -> None:
        self.backlog.clear()
        if self.blocked_in is not None:
            self.shard.room.waiters.end((self, self.blocked_in), GONE)
            self.shard.deliver()

    def send(self, *argv: bytes) -> None:
        self.backlog.append(list(argv))
        self.begin()

    def begin(self) -> None:
        """Does what was sent, as far as nothing blocks."""
        while self.backlog and self.blocked_in is None:
            self.take(self._answer(self.backlog.pop(0)))
            self.shard.deliver()

    def take(self, raw: bytes | None) -> None:
        """Takes a reply; None where it comes late."""
        self.blocked_in = self.shard.runs if raw is None else None
        if raw:
            self.replies.append(Reply(raw, parse_reply(raw)[0]))

    def call(self, *argv: bytes | str | int) -> Any:
        self.send(*[word if isinstance(word, bytes) else str(word).encode() for word in argv])
        return self.read().value

    def send_bytes(self, data: bytes) -> None:
        raise NotImplementedError("a bare shard reads no bytes: put @servers into the file")

    def read(self, timeout_s: float | None = None) -> Reply:
        """Who waits for the reply to a blocked call waits for its deadline: the clock moves on to that."""
        while not self.replies:
            ends_ms = [until_ms for until_ms, number, _ in self.shard.deadlines if number == self.blocked_in]
            if not ends_ms:
                raise TimeoutError
            self.shard.advance(ends_ms[0] - self.shard.executor.store.now_ms)
        return self.replies.pop(0)

    def maybe_read(self) -> Reply | None:
        return self.replies.pop(0) if self.replies else None

    def _answer(self, argv: list[bytes]) -> bytes | None:
        executor = self.shard.executor
        try:
            name = argv[0].upper()
            if name == b"SELECT" and len(argv) == 2:
                self.db = int(argv[1])
                return encode(OK, self.protocol)
            if name == b"HELLO":
                self.protocol = int(argv[1]) if len(argv) > 1 else self.protocol
                return encode({b"server": b"valkey", b"proto": self.protocol}, self.protocol)
            executor.table.find(argv)
        except RedisError as error:
            return encode(error, self.protocol)
        header = self.db << DB_SHIFT | (RESP3 if self.protocol == 3 else 0)
        self.shard.runs += 1
        self.shard.room.origin, executor.number = self, self.shard.runs
        reply = executor.run(header | JOINED, [argv])
        if isinstance(reply, Chunks):
            return b"".join(reply)
        assert reply is None or isinstance(reply, bytes)
        return reply


class ShardTarget:
    """The target `shard` of transcripts."""

    name = "shard"

    def __init__(self) -> None:
        self.shard = BareShard(0)

    def connect(self) -> ShardConnection:
        return ShardConnection(self.shard)

    def begin(self) -> None:
        self.shard = BareShard(int(time.time() * 1000))

    def end(self) -> str:
        """Whether the log makes the same shard again."""
        try:
            replayed = self.shard.replayed()
        except Exception:  # Of any kind: it is a failure of the transcript, which has to be told with the others.
            return f"the log cannot be replayed:\n{traceback.format_exc()}"
        found = differences(audit(self.connect().call), audit(ShardConnection(replayed).call))
        return "\n".join(["a replay of the log makes another shard:", *found]) if found else ""

    def control(self, *argv: bytes) -> Any:
        return self.connect().call(*argv)

    def is_own(self, value: Any) -> bool:
        return False

    def barrier(self) -> None: ...

    def advance(self, duration_ms: float) -> None:
        self.shard.advance(int(duration_ms))


def misses(names: set[bytes]) -> set[bytes]:
    """Those of the commands that a shard alone does not have."""
    known = commands().lookup
    return {name for name in names - DONE_BY_ROUTER if name not in known}

"""A shard in this process with a real log, for tests of what is done to the log between turns.

Its loop runs while a test awaits something. A turn, and a look at the folder from the log's thread, exclude each other:
so a copy of the folder is what a crash at one moment would leave.
"""

import asyncio
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from common.config import Config
from common.frame import CONTROL, DB_SHIFT, VALUES
from shard.aof import Aof
from shard.digest import digest_of_db
from shard.keyspace import Store
from shard.server import Shard
from shard.states import fill
from tests.audit import Audit, audit
from tests.bare_shard import BareShard, ShardConnection, commands

NOW_MS = 3_000_000_000_000
"""Later than any real clock: nothing expires by itself."""
PATIENCE_S = 20.0

Digest = tuple[tuple[int, bytes], ...]


class RouterEnd:
    """A link that keeps what a router would get, but for the answers that are given at once."""

    runs = 0
    router = ""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.laden = False

    def send(self, frame: dict[str, Any]) -> None:
        self.sent.append(frame)

    def send_late(self, answers: dict[int, Any]) -> None:
        self.send({"late": answers})

    def is_laden(self) -> bool:
        return self.laden


class RewritingShard:
    """The only shard of a server whose data is in `folder`."""

    def __init__(self, folder: Path, *options: str) -> None:
        commands()
        words = ["--dir", str(folder), "--rundir", str(folder), "--shards", "1", *options]
        self.shard = Shard(Config.from_arguments(words), 0)
        self.shard.room.origin = self.link = RouterEnd()
        self.lock = threading.RLock()
        self.now_ms = NOW_MS
        if self.shard.aof.enabled:
            for _ in self.shard.aof.load(self.shard.executor.replay, partial(fill, self.store), {}):
                pass
        self.shard.loaded = True
        self.shard.executor.state(loading=False, refusal=None)

    @property
    def folder(self) -> Path:
        return self.shard.aof.files.path

    @property
    def store(self) -> Store:
        return self.shard.store

    def call(self, *argv: bytes | str | int, db: int = 0) -> Any:
        """One command, in a turn of its own."""
        words = [word if isinstance(word, bytes) else str(word).encode() for word in argv]
        return self.turn(lambda: self.shard.executor.run(db << DB_SHIFT, [words]))

    def turn(self, act: Callable[[], Any]) -> Any:
        """Does something, and writes the log."""
        with self.lock:
            self.shard.executor.turn(self.now_ms)
            answer = act()
            assert self.shard.flush()
            self.shard.send_late(None)
            return answer

    def ask(self, *message: Any) -> Any:
        """A message of the router; its answer, None if that comes late."""
        answers = self.turn(lambda: self.shard.room.messages(CONTROL | VALUES, [list(message)]))
        return answers and answers[0]

    def advance(self, duration_ms: int) -> None:
        """Moves the clock, and removes what has expired."""
        self.now_ms += duration_ms

        def expire() -> None:
            for db in self.store.dbs:
                for _ in db.expire_due(self.now_ms):
                    pass
            self.store.changes = 0
            self.shard.executor.log_expired()

        self.turn(expire)

    async def run_until(self, condition: Callable[[], bool]) -> None:
        """Lets the loop run."""
        deadline_s = asyncio.get_running_loop().time() + PATIENCE_S
        while not condition():
            assert asyncio.get_running_loop().time() < deadline_s, "it does not come to an end"
            await asyncio.sleep(0)

    async def rewritten(self) -> None:
        """Returns when no rewrite is under way."""
        await self.run_until(lambda: self.shard.rewriter.current is None)

    def info(self) -> dict[str, Any]:
        return self.shard.aof.info() | self.shard.rewriter.info()

    def digest(self) -> Digest:
        return digest_of(self.store)

    def audit(self) -> Audit:
        """What there is, by commands."""
        return seen(self.store)

    def copy(self, to: Path) -> Path:
        """The folder of the log as a crash would leave it now."""
        with self.lock:
            shutil.copytree(self.folder, to)
        return to

    async def close(self) -> None:
        self.shard.saves.end()
        await self.shard.rewriter.finish()
        self.shard.aof.close()


def digest_of(store: Store) -> Digest:
    """By db."""
    expiring, store.expiring = store.expiring, False
    try:
        return tuple((db.index, digest_of_db(db)) for db in store.dbs if db.size)
    finally:
        store.expiring = expiring


def loaded(folder: Path) -> Store:
    """What a start would make of the folder of a log."""
    bare = BareShard(NOW_MS)
    bare.executor.store.expiring = False
    log = Aof(folder)
    try:
        for _ in log.load(bare.executor.replay, partial(fill, bare.executor.store), {}):
            pass
    finally:
        log.close()
    return bare.executor.store


def seen(store: Store) -> Audit:
    """What is in a keyspace, whatever its times and encodings."""
    bare = BareShard(NOW_MS)
    bare.executor.store = store
    now_ms, store.now_ms = store.now_ms, NOW_MS
    expiring, store.expiring = store.expiring, False
    touching, store.touching = store.touching, False
    try:
        found = audit(ShardConnection(bare).call)
    finally:
        store.expiring, store.now_ms, store.touching = expiring, now_ms, touching
    return {place: (*entry[:3], None) for place, entry in found.items()}

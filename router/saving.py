"""Saves: an RDB file of all shards' keys as they are at one moment (SAVE, BGSAVE, save points, SHUTDOWN, DEBUG RELOAD).

    turn 1   to all shards     save_part     each takes a snapshot, and writes its keys to a part of the file
    ...      from each         part_saved    its part is there, or why not
    then     to shard 0        join_parts    makes the file of the parts
    ...      from shard 0      joined        the file is on disk and has its name, or why not
    then     to all            save_over     what was made for it can go

Rule 1: the first message goes to all shards in one turn, so all parts are of one moment: see router/batch.py, Rule 1.
        There it waits for commands that hold keys, as every command on the whole keyspace does.
Rule 2: one save at a time, and on each shard one snapshot: a shard that rewrites its log is `BUSY`. Then BGSAVE is
        refused, as in Redis; whoever waits for a save waits for that, too.
Rule 3: a save that fails, or loses a shard, leaves the file that was there.
"""

import logging
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from common.command import Command, Flag
from common.errors import RedisError
from router.link import LinkState

if TYPE_CHECKING:
    import asyncio

    from router.link import Link
    from router.server import Router
    from router.session import Session

logger = logging.getLogger("shardis")

PULSE_S = 1.0
"""How often save points are looked at."""
AGAIN_S = 0.1
"""Until a save that can't begin yet is tried again."""
RETRY_S = 5
"""After one that failed the next automatic one comes no sooner, as in Redis."""
SAVE_PART = ["save_part", False]
SAVE_LAST = ["save_part", True]
"""What the shards are asked; for the last time, so that nothing else matters."""
BUSY = "busy"
"""What a shard says that writes another snapshot just now."""
CANCELLED = "cancelled"
NOT_SAVED = "ERR"
"""All that Redis says of a save that failed: why is in the log."""
IN_PROGRESS = "ERR Background save already in progress"
MISCONF = (
    "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that"
    " may modify the data set are disabled, because this instance is configured to report errors during writes if RDB"
    " snapshotting fails (stop-writes-on-bgsave-error option). Please check the Valkey logs for details about the RDB"
    " error."
)


class Kind(Enum):
    """Why there is a save."""

    FOREGROUND = "SAVE"
    BACKGROUND = "BGSAVE"
    RELOAD = "DEBUG RELOAD"
    SHUTDOWN = "SHUTDOWN"


class Save:
    """One of them."""

    __slots__ = ("id", "kind", "words", "started_s", "parts", "error", "then")

    def __init__(self, kind: Kind, words: list[Any], then: "Then | None") -> None:
        """`words` are what the message that begins it says to a shard: its name, then, behind the id, the rest. `then`
        hears that it is over."""
        self.id = ""
        self.kind = kind
        self.words = words
        self.started_s = 0
        self.parts: dict[int, list[int]] = {}
        """What each shard says of the part that it has written."""
        self.error = ""
        """Why it came to nothing, once it is over."""
        self.then = then

    def message(self) -> list[Any]:
        """What each shard is asked."""
        return [self.words[0], self.id, *self.words[1:]]


Then = Callable[[Save], None]


class Saving:
    """All saves of a router."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.current: Save | None = None
        self.scheduled = False
        """Whether a BGSAVE is to begin as soon as none of the shards is busy."""
        self.last_save_s = router.started_ms // 1000
        self.last_try_s = 0
        self.last_failed = False
        """Whether the last BGSAVE, or automatic save, did."""
        self.last_duration_s = -1
        """Of that one."""
        self.begun = 0
        self.refusal: RedisError | None = None
        """Why writes are refused: saves fail that are configured."""
        self._ids = 0
        self._timer: asyncio.TimerHandle | None = None

    # Begin

    def begin(self, kind: Kind, words: list[Any], then: "Then | None" = None) -> Save:
        """A save that its caller begins with its message to all shards, in this turn."""
        save = self.current = Save(kind, words, then)
        self._number(save)
        if kind in (Kind.FOREGROUND, Kind.BACKGROUND):
            self.begun += 1
        return save

    def _number(self, save: Save) -> None:
        """Begins a try: of an earlier one nothing more is heard."""
        self._ids += 1
        save.id = f"{self.router.run_id[:8]}.{self._ids}"
        save.parts = {}
        save.started_s = self.last_try_s = self.now_s()
        if save.kind is Kind.BACKGROUND:
            logger.info("Background saving started")

    def begin_alone(self, kind: Kind, words: list[Any], then: "Then | None" = None) -> None:
        """A save that is no part of anybody's batch: its messages go out here."""
        self._send(self.begin(kind, words, then))

    def begin_after(self, kind: Kind, words: list[Any], then: "Then") -> None:
        """The same, once what is under way is over."""
        if self.current is None:
            self.begin_alone(kind, words, then)
        else:
            self.router.loop.call_later(AGAIN_S, self.begin_after, kind, words, then)

    def _send(self, save: Save) -> None:
        if not self.possible():
            self._fail(save, "a shard is not ready")
            return
        for link in self.router.links:
            link.tell(save.message())

    def possible(self) -> bool:
        """Whether all shards are there."""
        return all(link.state is LinkState.READY for link in self.router.links)

    def schedule(self) -> None:
        """Has a BGSAVE begin when it can."""
        self.scheduled = True
        self._wake(AGAIN_S)

    def cancel(self) -> str:
        """BGSAVE CANCEL; what it answers.  Raises RedisError."""
        save = self.current
        if save is not None and save.kind is Kind.BACKGROUND:
            self._fail(save, CANCELLED)
            return "Background saving cancelled"
        if self.scheduled:
            self.scheduled = False
            return "Scheduled background saving cancelled"
        raise RedisError("ERR Background saving is currently not in progress or scheduled")

    def give_up(self) -> None:
        """Ends what is under way: the server is about to save for the last time."""
        self.scheduled = False
        if self.current is not None:
            self._fail(self.current, CANCELLED)

    # What is heard of it

    def part_saved(self, link: "Link", id_: str, error: str, part: list[int]) -> None:
        save = self._save(id_)
        if save is None:
            return
        if error == BUSY:
            self._wait(save)
        elif error:
            self._fail(save, error)
        else:
            save.parts[link.index] = part
            if len(save.parts) == self.router.shards:
                parts = [save.parts[index] for index in range(self.router.shards)]
                self.router.links[0].tell(["join_parts", id_, parts], lambda answer: self._asked(id_, answer))

    def _asked(self, id_: str, answer: Any) -> None:
        save = self._save(id_)
        if save is not None and isinstance(answer, RedisError):
            self._fail(save, str(answer))

    def joined(self, id_: str, error: str) -> None:
        save = self._save(id_)
        if save is None:
            return
        if error:
            self._fail(save, error)
            return
        self.last_save_s = self.now_s()
        self.last_failed = False
        logger.info("DB saved on disk")
        if save.kind is Kind.BACKGROUND:
            self.last_duration_s = self.last_save_s - save.started_s
            logger.info("Background saving terminated with success")
        self._over(save)

    def lost(self, link: "Link") -> None:
        """A shard is down."""
        if self.current is not None:
            self._fail(self.current, f"shard {link.index} went down")

    def _save(self, id_: str) -> Save | None:
        return self.current if self.current is not None and self.current.id == id_ else None

    def _wait(self, save: Save) -> None:
        """A shard is busy: nothing comes of this try."""
        self._tell_over(save, done=False)
        if save.kind is Kind.BACKGROUND:
            self.begun -= 1
            save.error = BUSY
            self._end(save)
            return
        save.id = ""
        self._wake(AGAIN_S)

    def _fail(self, save: Save, error: str) -> None:
        save.error = error
        if save.kind is Kind.BACKGROUND:
            self.last_duration_s = self.now_s() - save.started_s
            self.last_failed = self.last_failed or error != CANCELLED
        logger.warning("%s failed: %s", save.kind.value, error)
        self._over(save)

    def _over(self, save: Save) -> None:
        self._tell_over(save, done=not save.error)
        self._end(save)

    def _tell_over(self, save: Save, *, done: bool) -> None:
        for link in self.router.links if save.id else ():
            if link.state is not LinkState.DOWN:
                link.tell(["save_over", save.id, done])

    def _end(self, save: Save) -> None:
        self.current = None
        self.refuse()
        if save.then is not None:
            save.then(save)

    # What nobody asks for

    def configure(self) -> None:
        """Takes over the directives."""
        self.refuse()
        if self.router.config["save"]:
            self._wake(PULSE_S)

    def refuse(self) -> None:
        """Sees whether writes are refused."""
        config = self.router.config
        refuses = self.last_failed and config["save"] and config["stop-writes-on-bgsave-error"]
        if bool(refuses) != (self.refusal is not None):
            self.refusal = RedisError(MISCONF) if refuses else None
            self.router.choose_routes()

    def check(self, session: "Session", command: Command) -> None:
        """Refuses what Redis refuses while it can't save: what writes, and PING, which monitors go by.  Raises
        RedisError."""
        if self.refusal is None:
            return
        queued = session.transaction
        refused = command.flags & Flag.WRITE or command.name == "ping"
        if command.name == "exec" and queued is not None:
            refused = any(one.flags & Flag.WRITE for one in queued.commands(self.router.table.find))
        if refused:
            raise self.refusal

    def _wake(self, delay_s: float) -> None:
        loop = self.router.loop
        if self._timer is not None:
            if self._timer.when() <= loop.time() + delay_s:
                return
            self._timer.cancel()
        self._timer = loop.call_later(delay_s, self._pulse)

    def _pulse(self) -> None:
        self._timer = None
        if self.router.stopped.is_set():
            return
        save = self.current
        if save is not None and not save.id:
            self._number(save)
            self._send(save)
        elif save is None and self.possible():
            if self.scheduled:
                self._begin_scheduled()
            else:
                self._ask_for_changes()
        if self.scheduled:
            self._wake(AGAIN_S)
        elif self.router.config["save"]:
            self._wake(PULSE_S)

    def _begin_scheduled(self) -> None:
        self.scheduled = False

        def hear(save: Save) -> None:
            if save.error == BUSY:
                self.schedule()

        self.begin_alone(Kind.BACKGROUND, SAVE_PART, hear)

    def _ask_for_changes(self) -> None:
        """Asks how much has changed, if it has been long enough for a save point."""
        now_s = self.now_s()
        due = [point for point in self.router.config["save"] if now_s - self.last_save_s > point[0]]
        if self.router.long_executions:
            return  # It would wait for their end, and everybody behind it.
        if not due or (self.last_failed and now_s - self.last_try_s <= RETRY_S):
            return
        counts: list[int] = []

        def heard(answer: Any) -> None:
            if isinstance(answer, int):
                counts.append(answer)
                if len(counts) == self.router.shards:
                    self._save_if_due(sum(counts), due)

        for link in self.router.links:
            link.tell(["changes"], heard)

    def _save_if_due(self, changes: int, points: list[list[int]]) -> None:
        for seconds, least in points:
            if changes >= least and self.current is None and self.possible() and self.router.config["save"]:
                logger.info("%d changes in %d seconds. Saving...", changes, seconds)
                self.begin_alone(Kind.BACKGROUND, SAVE_PART)

    # What is told

    def now_s(self) -> int:
        return self.router.now_ms() // 1000

    def info(self) -> dict[str, int | str]:
        """Its lines of INFO persistence."""
        running = self.current is not None and self.current.kind in (Kind.BACKGROUND, Kind.FOREGROUND)
        return {
            "rdb_bgsave_in_progress": int(running),
            "rdb_last_save_time": self.last_save_s,
            "rdb_last_bgsave_status": "err" if self.last_failed else "ok",
            "rdb_last_bgsave_time_sec": self.last_duration_s,
            "rdb_current_bgsave_time_sec": self.now_s() - self.current.started_s if running and self.current else -1,
            "rdb_saves": self.begun,
        }


def _part_saved(router: "Router", link: "Link", id_: str, error: str, part: list[int]) -> None:
    router.saving.part_saved(link, id_, error, part)


def _joined(router: "Router", link: "Link", id_: str, error: str) -> None:
    router.saving.joined(id_, error)


EVENTS: dict[str, Callable[..., None]] = {"part_saved": _part_saved, "joined": _joined}

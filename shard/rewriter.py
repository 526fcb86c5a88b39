"""When a shard rewrites its log: when it is told to, and when the log has grown enough. How is in rewrite.py.

Rule: the router lets one shard rewrite at a time, but for BGREWRITEAOF: all together would slow down all that clients
      ask, and each would take as long as all of them one after the other.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from common.errors import RedisError
from shard.control import control
from shard.rewrite import Rewrite

if TYPE_CHECKING:
    from shard.server import Shard

logger = logging.getLogger("shardis")

FINISH_LOOK_S = 0.01
"""How often a shard that is told to stop looks whether its first base is written."""
FAILURES_FREE = 3
"""After so many in a row the next has to wait, as in Redis: each leaves one increment more."""
DELAY_MIN_S, DELAY_MAX_S = 60, 3600


LADEN_MAX_S = 10.0
"""For so long one that nobody has asked for waits while large strings come or leave: both take all the CPU there is,
and who waits for that is whoever has asked for something small."""


class Rewriter:
    """What a shard does to keep its log short."""

    def __init__(self, shard: "Shard") -> None:
        self.shard = shard
        self.current: Rewrite | None = None
        """The one that is under way."""
        self.scheduled = False
        """Whether one is to begin as soon as nothing is in its way."""
        self.wanted = False
        """Whether the routers were told that the log has grown enough for one."""
        self.laden_since_s: float | None = None
        """Since when one waits for the end of what is large."""
        self.limit = Limit()
        self.begun = 0
        self.failed = False
        """Whether the last one did."""
        self.last_s = -1
        """How long it took."""
        self.numbers = 0

    def info(self) -> dict[str, int | str]:
        """Its lines of INFO persistence."""
        return {
            "aof_rewrite_in_progress": int(self.current is not None),
            "aof_rewrite_scheduled": int(self.scheduled),
            "aof_last_rewrite_time_sec": self.last_s,
            "aof_current_rewrite_time_sec": -1 if self.current is None else self.current.duration_s(),
            "aof_last_bgrewrite_status": "err" if self.failed else "ok",
            "aof_rewrites": self.begun,
            "aof_rewrites_consecutive_failures": self.limit.failures,
            "aof_pending_rewrite": int(self.scheduled),
        }

    def reset_stats(self) -> None:
        """CONFIG RESETSTAT."""
        self.begun = self.limit.failures = 0

    def ask(self, *, later: bool) -> str:
        """Begins one, or has it begin `later` or once the snapshot that is being written is done; says which.  Raises
        RedisError."""
        if self.current is not None:
            raise RedisError("ERR Background append only file rewriting already in progress")
        if later or self.scheduled or self.shard.snapshots.current is not None:
            self.schedule()
            return "scheduled"
        self.begin()
        return "started"

    def schedule(self) -> None:
        """Has one begin when nothing is in its way."""
        self.scheduled = True
        self.shard.note_turn()

    def begin(self) -> None:
        """Begins one."""
        self.scheduled = self.wanted = False
        self.begun += 1
        self.numbers += 1
        self.current = Rewrite(self, self.numbers)
        self.current.begin()

    def stop(self) -> None:
        """Gives up what is under way and what is to come: the log is about to be closed."""
        self.scheduled = self.wanted = False
        if self.current is not None:
            self.current.stop()

    async def finish(self) -> None:
        """Ends what is under way, because the shard stops. Who has turned the log on wants what is there to be in it:
        the first base is written to its end."""
        while self.shard.aof.provisional and self.current is not None:
            await asyncio.sleep(FINISH_LOOK_S)
        self.stop()

    def pulse(self, now_s: float) -> None:
        """Sees what is to be done; to be called now and then."""
        if self.current is not None or not self.shard.loaded:
            return
        if self.shard.room.holds.many is not None or self.shard.aof.reserving:
            return  # It would wait for the end of a long EXEC, or of a very large write, and everybody behind it.
        if self.scheduled:
            if self.shard.snapshots.current is None and not self.limit.holds_up(now_s):
                self.begin()
        elif not self.wanted and self.is_long() and not self._laden(now_s) and not self.limit.holds_up(now_s):
            self.wanted = bool(self.shard.links)
            self.tell("rewrite_wanted")

    def _laden(self, now_s: float) -> bool:
        """Whether large strings are on their way just now, and have not been for too long."""
        if not any(link.is_laden() for link in self.shard.links):
            self.laden_since_s = None
            return False
        if self.laden_since_s is None:
            self.laden_since_s = now_s
        return now_s - self.laden_since_s < LADEN_MAX_S

    def is_long(self) -> bool:
        """Whether the log has grown so much that the directives want it to be rewritten."""
        aof, config = self.shard.aof, self.shard.config
        percentage = config["auto-aof-rewrite-percentage"]
        size_bytes = aof.size_bytes
        if not percentage or not aof.enabled or aof.provisional or size_bytes <= config["auto-aof-rewrite-min-size"]:
            return False
        base_bytes = aof.base_size_bytes or 1
        return bool(size_bytes * 100 // base_bytes - 100 >= percentage)

    def ended(self, rewrite: "Rewrite", error: Exception | None) -> None:
        """Hears how one ended."""
        self.current = None
        self.last_s = rewrite.duration_s()
        self.failed = error is not None
        if error is None:
            self.limit.failures = 0
            logger.info("the log is rewritten: %d keys in %.3f seconds", rewrite.keys, rewrite.exact_s())
        else:
            self.limit.failures += 1
            logger.warning("the log can't be rewritten: %s", error)
        self.over()

    def over(self) -> None:
        """None is under way any more."""
        self.current = None
        self.scheduled = self.scheduled or self.shard.aof.provisional
        self.tell("rewrite_over")
        self.shard.note_turn()

    def tell(self, event: str) -> None:
        """Tells the routers."""
        for link in self.shard.links:
            link.send({"events": [[event]]})


class Limit:
    """How long rewrites that fail again and again have to wait: as in Redis, a minute, then twice as long each time."""

    def __init__(self) -> None:
        self.failures = 0
        """In a row."""
        self._delay_s = 0
        self._until_s = 0.0

    def holds_up(self, now_s: float) -> bool:
        """Whether the next one has to wait.

        >>> limit = Limit()
        >>> limit.failures = 3
        >>> [limit.holds_up(now_s) for now_s in (0, 59, 60, 60, 179, 180)]
        [True, True, False, True, True, False]
        """
        if self.failures < FAILURES_FREE:
            self._delay_s, self._until_s = 0, 0.0
            return False
        if self._until_s:
            if now_s < self._until_s:
                return True
            self._until_s = 0.0
            return False
        self._delay_s = min(max(DELAY_MIN_S, self._delay_s * 2), DELAY_MAX_S)
        self._until_s = now_s + self._delay_s
        logger.warning("rewriting the log failed again and again, the next try is in %d minutes", self._delay_s // 60)
        return True


# What the router asks


@control
def rewrite(shard: "Shard", later: bool) -> str:
    """BGREWRITEAOF: "started", or "scheduled" if it has to wait or is to begin `later`; "running" if one is."""
    return "running" if shard.rewriter.current is not None else shard.rewriter.ask(later=later)


@control
def rewrite_granted(shard: "Shard") -> bool:
    """It is this shard's turn, if it still wants to; whether it has begun. Then an event tells the end."""
    rewriter = shard.rewriter
    rewriter.wanted = False
    if rewriter.current is not None or shard.snapshots.current is not None or not rewriter.is_long():
        return False
    if shard.aof.reserving:
        return False  # As in `pulse`, which asks once more.
    rewriter.begin()
    return True

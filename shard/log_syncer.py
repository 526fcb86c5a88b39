"""The one thread of a shard: it syncs the log once a second, and closes files, which takes long if they are big.

Rule 1: it sleeps in the kernel while there is nothing to do: an idle server never wakes up for it.
Rule 2: jobs run one after the other, so a file that is handed over to be closed is not closed while it is synced. A
        sync that is not due yet holds up no job.
Rule 3: what both threads touch are single attributes, each written by one assignment.
"""

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

logger = logging.getLogger("shardis")

PERIOD_S = 1.0
"""Of `appendfsync everysec`: from the beginning of one sync to that of the next."""
DELAY_S = 2.0
"""A sync that runs longer is counted as delayed, as Redis does."""


class LogSyncer:
    """Syncs what `target` names, (how many bytes the log has, fd), at most once a second."""

    def __init__(
        self, sync: Callable[[int], None], target: Callable[[], tuple[int, int]], clock_s: Callable[[], float]
    ) -> None:
        self._sync_fd = sync
        self._target = target
        self._clock_s = clock_s
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._asked = False
        self._due = False
        """Whether a sync was asked for and has not begun: the thread's own."""
        self._started_s = -PERIOD_S
        self._delay_counted = False
        self.running_since_s: float | None = None
        """When the sync that runs now began; None if none does."""
        self.synced_bytes = 0
        """How much of the log is on disk, as `target` counts."""
        self.heard: Callable[[], None] = lambda: None
        """Called after each sync that succeeded, in the thread that did it."""
        self.error: OSError | None = None
        """Why the last sync failed; None once one succeeds, as in Redis."""

    def ask(self) -> None:
        """Has the log synced within a second: at once if the last sync is longer ago than that."""
        if not self._asked:
            self._asked = True
            self.do(self._plan)

    def sync_soon(self, *, promised: bool) -> None:
        """Has the log synced as soon as the thread comes to it. That it fails is an `error` only where it is promised
        to be synced now and then: where it is not, no later sync would end that."""
        self.do(self._sync if promised else self.sync_now)

    def do(self, job: Callable[[], None]) -> None:
        """Has `job` done in the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-syncer", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def sync_now(self) -> None:
        """Syncs in the caller's thread.  Raises OSError."""
        written_bytes, fd = self._target()
        self._sync_fd(fd)
        self.synced_bytes, self.error = written_bytes, None
        self.heard()

    def found_delayed(self) -> bool:
        """Whether a sync runs for too long, True once for each."""
        since_s = self.running_since_s
        if since_s is None or self._delay_counted or self._clock_s() - since_s < DELAY_S:
            return False
        self._delay_counted = True
        return True

    def stop(self) -> None:
        """Ends the thread after the jobs that it has."""
        if self._thread is not None:
            self._stopping.set()
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        """Does a job and lets go of it, as it may hold much; False if that was the last."""
        job = self._next()
        if job is None:
            return False
        try:
            job()
        except OSError as error:
            logger.warning("log: %s", error)
        except Exception:  # the thread must go on: without it nothing would be synced any more
            logger.exception("internal error in the log's thread")
        return True

    def _next(self) -> Callable[[], None] | None:
        """What is to be done next: a sync that is due, else what comes first; None at the end."""
        if not self._due:
            return self._jobs.get()
        wait_s = 0 if self._stopping.is_set() else self._started_s + PERIOD_S - self._clock_s()
        try:
            job = self._jobs.get(timeout=wait_s) if wait_s > 0 else self._sync
        except Empty:
            job = self._sync
        if job is None:
            self._jobs.put(None)  # The end is behind the sync that was asked for.
            job = self._sync
        return job

    def _plan(self) -> None:
        self._due = True

    def _sync(self) -> None:
        self._due = False
        # First this, then the size: whoever writes after it asks again, and whoever wrote before it is in the size.
        self._asked = False
        written_bytes, fd = self._target()
        self._delay_counted = False
        self._started_s = self.running_since_s = self._clock_s()
        try:
            self._sync_fd(fd)
        except OSError as error:
            if self.error is None:
                logger.error("the log can't be synced: %s", error)
            self.error = error
        else:
            self.synced_bytes, self.error = written_bytes, None
            self.heard()
        finally:
            self.running_since_s = None

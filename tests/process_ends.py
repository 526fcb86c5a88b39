"""The ends of processes that are not the test's own children."""

import time
from collections.abc import Sequence

import psutil  # type: ignore[import-untyped]

from tests.servers import POLL_S


def wait_ended(processes: Sequence[psutil.Process], timeout_s: float) -> None:
    """Returns when all have ended.  Raises AssertionError if that does not come."""
    deadline_s = time.monotonic() + timeout_s
    while left := [process for process in processes if not has_ended(process)]:
        assert time.monotonic() < deadline_s, f"they do not end: {left}"
        time.sleep(POLL_S)


def has_ended(process: psutil.Process) -> bool:
    """Also if nobody has taken note of its end, as a machine's first process may be slow to."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True

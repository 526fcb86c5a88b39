"""The thread that syncs: at most once a second, never missing the last write, asleep when idle."""

import errno
import os
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from shard import log_syncer
from shard.log_syncer import DELAY_S, PERIOD_S, LogSyncer

LONG_S = 60.0
"""A second that even a busy machine does not take for a short time."""


class BadDisk:
    """Lets each sync begin, and end when the test says so."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.calls: list[tuple[float, int]] = []
        self.errors: list[OSError] = []

    def sync(self, fd: int) -> None:
        self.calls.append((time.monotonic(), fd))
        self.began.release()
        assert self.may_end.acquire(timeout=30)
        if self.errors:
            raise self.errors.pop()


class Log:
    """What is synced: how much was written, where to, and the time."""

    def __init__(self) -> None:
        self.written_bytes = 0
        self.fd = 7
        self.late_s = 0.0
        self.disk = BadDisk()
        self.syncer = LogSyncer(
            self.disk.sync, lambda: (self.written_bytes, self.fd), lambda: time.monotonic() + self.late_s
        )

    def write(self, count_bytes: int) -> None:
        self.written_bytes += count_bytes
        self.syncer.ask()

    def sync_begins(self) -> None:
        assert self.disk.began.acquire(timeout=30)

    def sync_ends(self) -> None:
        self.disk.may_end.release()
        done = threading.Event()
        self.syncer.do(done.set)  # jobs are done in order
        assert done.wait(timeout=30)


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    yield log
    log.disk.may_end.release(100)
    log.syncer.stop()


def test_the_first_write_is_synced_at_once_and_the_next_a_second_later(log: Log) -> None:
    log.write(10)
    log.sync_begins()
    log.disk.may_end.release()
    log.write(20)
    log.write(5)
    log.sync_begins()
    log.sync_ends()
    assert log.syncer.synced_bytes == 35
    (first, _), (second, _) = log.disk.calls
    assert PERIOD_S <= second - first < PERIOD_S + LONG_S


def test_what_is_written_while_a_sync_runs_waits_for_the_next(log: Log) -> None:
    log.write(10)
    log.sync_begins()
    log.write(20)
    log.disk.may_end.release()
    log.sync_begins()
    assert log.syncer.synced_bytes == 10
    log.sync_ends()
    assert log.syncer.synced_bytes == 30


def test_an_error_stays_until_a_sync_succeeds(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.disk.errors.append(OSError(errno.EIO, os.strerror(errno.EIO)))
    log.write(10)
    log.sync_begins()
    log.sync_ends()
    assert isinstance(log.syncer.error, OSError)
    assert log.syncer.synced_bytes == 0
    assert "the log can't be synced" in caplog.text
    log.write(10)
    log.sync_begins()
    log.sync_ends()
    assert log.syncer.error is None
    assert log.syncer.synced_bytes == 20


def test_a_sync_that_hangs_is_counted_once(log: Log) -> None:
    assert not log.syncer.found_delayed()
    log.write(10)
    log.sync_begins()
    assert not log.syncer.found_delayed()
    log.late_s = DELAY_S
    assert log.syncer.found_delayed()
    assert not log.syncer.found_delayed()


def test_stopping_does_not_wait_out_the_second(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_syncer, "PERIOD_S", LONG_S)
    log.disk.may_end.release(2)
    log.write(10)
    log.sync_begins()
    log.write(10)
    started = time.monotonic()
    log.syncer.stop()
    assert time.monotonic() - started < LONG_S / 2
    assert log.syncer.synced_bytes == 20


def test_a_sync_that_is_not_due_holds_up_no_job(log: Log) -> None:
    log.disk.may_end.release(2)
    log.write(10)
    log.sync_begins()
    log.late_s = -1000.0  # So it would be due in that time.
    log.write(10)
    for _ in range(3):
        done = threading.Event()
        log.syncer.do(done.set)
        assert done.wait(timeout=30)
    assert len(log.disk.calls) == 1
    log.syncer.stop()
    assert log.syncer.synced_bytes == 20


def test_a_job_that_fails_does_not_end_the_thread(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.syncer.do(lambda: os.close(-1))
    log.syncer.do(lambda: os.close(None))  # type: ignore[arg-type]
    log.disk.may_end.release()
    log.write(1)
    log.sync_begins()
    assert "Bad file descriptor" in caplog.text
    assert "internal error" in caplog.text


def test_an_idle_thread_never_wakes(log: Log) -> None:
    """Counted by the kernel: a thread that wakes gives the processor up again."""
    log.write(1)
    log.sync_begins()
    log.sync_ends()
    status = f"/proc/self/task/{next(t.native_id for t in threading.enumerate() if t.name == 'log-syncer')}/status"
    before = _switches(status)
    threading.Event().wait(1.5)
    assert _switches(status) - before <= 1  # it may still have been on its way to sleep


def _switches(status: str) -> int:
    with open(status) as file:
        return sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)


def test_a_job_that_was_done_is_let_go_of() -> None:
    """It may hold megabytes, and the next may be far off."""

    class Job:
        def __call__(self) -> None:
            pass

    syncer = LogSyncer(lambda fd: None, lambda: (0, 0), time.monotonic)
    gone = threading.Event()
    job = Job()
    weakref.finalize(job, gone.set)
    syncer.do(job)
    del job
    assert gone.wait(timeout=30)
    syncer.stop()

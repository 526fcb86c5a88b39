"""Tasks, each in a process of its own, so many at once as there are cores: for work that takes minutes and much memory.

A task is a generator: what it yields is its progress, what it returns its result. It runs in a fork, so that it needs
no copy of what it works on, and gives all its memory back when it ends.

Rule 1: no process outlives who started it, even if that is killed -9: between two steps it looks whether its parent is
        still there.
Rule 2: the first task that fails ends all.
"""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from shard.log_reader import LogDamaged

logger = logging.getLogger("shardis")

Task = Callable[[], Generator[Any, None, Any]]

TOLD_EVERY_S = 0.1
"""How often a task's progress is told at most."""
FORKED = multiprocessing.get_context("fork")


class Stopped(Exception):
    """A task did not end because nobody wants it any more."""


class TaskDied(Exception):
    """The process of a task ended without a result: it was killed, or the log says why."""


def run(
    tasks: Sequence[Task], at_once: int, stops: Sequence[int], heard: Callable[[int, Any], None], every_s: float = 1.0
) -> list[Any]:
    """The results of the tasks, in their order. `heard` gets the number of a task and its progress; and (-1, None) once
    in `every_s` whatever happens.

    Raises the LogDamaged or OSError of a task, TaskDied for any other end, and Stopped as soon as one of the
    descriptors `stops` is readable.
    """
    pool = _Pool(tasks, heard)
    try:
        while pool.waiting or pool.running:
            while pool.waiting and len(pool.running) < at_once:
                pool.start(pool.waiting.pop(0))
            pool.step(stops, every_s)
        return pool.results
    finally:
        pool.end()


class _Pool:
    """The processes that run, by what they are heard on."""

    def __init__(self, tasks: Sequence[Task], heard: Callable[[int, Any], None]) -> None:
        self.tasks = tasks
        self.heard = heard
        self.waiting = list(range(len(tasks)))
        self.running: dict[Connection, tuple[int, BaseProcess]] = {}
        self.results: list[Any] = [None] * len(tasks)
        self.told_s = time.monotonic()

    def start(self, number: int) -> None:
        """Begins a task."""
        mine, theirs = FORKED.Pipe(duplex=False)
        others = [mine, *self.running]
        process = FORKED.Process(target=_work, args=(self.tasks[number], theirs, others, os.getpid()))
        process.start()
        theirs.close()
        self.running[mine] = (number, process)

    def step(self, stops: Sequence[int], every_s: float) -> None:
        """Waits for whatever comes first."""
        ready = wait([*self.running, *stops], max(0.0, self.told_s + every_s - time.monotonic()))
        if any(stop in ready for stop in stops):
            raise Stopped
        for connection in ready:
            assert isinstance(connection, Connection)
            self._hear(connection)
        if time.monotonic() >= self.told_s + every_s:
            self.told_s = time.monotonic()
            self.heard(-1, None)

    def _hear(self, connection: Connection) -> None:
        number, process = self.running[connection]
        try:
            kind, value = connection.recv()
        except EOFError:
            process.join()
            raise TaskDied(_how_ended(process.exitcode)) from None
        if kind == "failed":
            raise value
        if kind == "progress":
            self.heard(number, value)
            return
        self.results[number] = value
        del self.running[connection]
        connection.close()
        process.join()

    def end(self) -> None:
        """Has nothing run any more."""
        for connection, (_, process) in self.running.items():
            process.kill()
            process.join()
            connection.close()


def _work(task: Task, told: Connection, others: Sequence[Connection], parent: int) -> None:
    """The life of a process."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal: the parent ends us.
    for other in others:
        other.close()
    told_s = 0.0
    steps = task()
    try:
        while True:
            progress = next(steps)
            if os.getppid() != parent:
                os._exit(1)
            if time.monotonic() >= told_s:
                told_s = time.monotonic() + TOLD_EVERY_S
                told.send(("progress", progress))
    except StopIteration as end:
        told.send(("done", end.value))
    except BrokenPipeError:
        os._exit(1)
    except (OSError, LogDamaged) as error:
        told.send(("failed", error))
    except Exception:
        logger.exception("internal error")
        os._exit(1)


def _how_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"a process of it was killed by {signal.Signals(-code).name}"
    return f"a process of it ended with status {code}"

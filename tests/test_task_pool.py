"""Tasks in processes of their own: results, progress, and every way in which they end before they are done."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from shard.log_reader import LogDamaged
from shard.task_pool import Stopped, Task, TaskDied, run
from tests.servers import ROOT

Steps = Generator[Any, None, Any]


def counting(until: int) -> Steps:
    yield from range(until)
    return os.getpid(), until


def endless() -> Steps:
    while True:
        yield None
        time.sleep(0.001)


def failing(error: Exception) -> Steps:
    yield None
    raise error


def dying() -> Steps:
    yield None
    os.kill(os.getpid(), signal.SIGKILL)


def results(tasks: list[Task], at_once: int = 2, stops: tuple[int, ...] = ()) -> list[Any]:
    """What they give; none of them is left, whether they do or not."""
    before = set(psutil.Process().children())
    try:
        return run(tasks, at_once, stops, lambda number, progress: None)
    finally:
        assert set(psutil.Process().children()) <= before


def test_results_in_their_order_each_from_a_process_of_its_own() -> None:
    found = results([partial(counting, number) for number in range(7)])
    assert [result for _, result in found] == list(range(7))
    assert len({pid for pid, _ in found} | {os.getpid()}) == 8
    assert results([]) == []


def test_progress_is_heard() -> None:
    heard: list[tuple[int, Any]] = []
    run([partial(counting, 3)], 1, (), lambda number, progress: heard.append((number, progress)))
    assert heard[0] == (0, 0)
    assert all(number == 0 for number, _ in heard)


def test_no_more_at_once(tmp_path: Path) -> None:
    """Each leaves a file while it runs: nobody may see more than there may be."""

    def seeing() -> Steps:
        mine = tmp_path / str(os.getpid())
        mine.touch()
        for _ in range(5):
            yield None
        seen = len(list(tmp_path.iterdir()))
        mine.unlink()
        return seen

    assert max(results([seeing] * 8, at_once=3)) <= 3


@pytest.mark.parametrize("error", [LogDamaged(7, "why", "file"), OSError(28, "no room", "file")])
def test_the_first_that_fails_ends_all(error: Exception) -> None:
    with pytest.raises(type(error)) as found:
        results([endless, partial(failing, error), endless], at_once=3)
    assert found.value.args == error.args
    assert str(found.value) == str(error)


def test_a_process_that_is_killed() -> None:
    with pytest.raises(TaskDied, match="killed by SIGKILL"):
        results([endless, dying])


def test_a_bug_in_a_task(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TaskDied, match="ended with status 1"):
        results([partial(failing, KeyError("a bug"))])


def test_a_stop() -> None:
    readable, writable = os.pipe()
    os.close(writable)
    try:
        with pytest.raises(Stopped):
            results([endless, endless], stops=(readable,))
    finally:
        os.close(readable)


def test_the_clock_is_heard_while_nothing_comes() -> None:
    class Enough(Exception):
        pass

    def hear(number: int, progress: Any) -> None:
        if number == -1:
            raise Enough

    with pytest.raises(Enough):
        run([endless], 1, (), hear, every_s=0.01)


PARENT = """
from shard.task_pool import run
from tests.test_task_pool import endless
run([endless, endless], 2, (), lambda number, progress: print(number, flush=True))
"""


def test_nobody_outlives_the_parent() -> None:
    """Their end is seen by the pipe that all have as their output."""
    process = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    with process.stdout:
        seen: set[bytes] = set()
        while len(seen) < 2:
            seen.add(process.stdout.readline())
        process.kill()
        process.wait()
        process.stdout.read()

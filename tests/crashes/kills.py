"""Which processes are killed, and how: also after some were frozen for a while, so that others are ahead of them."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import psutil  # type: ignore[import-untyped]

from tests.bench.processes import roles
from tests.process_ends import wait_ended
from tests.servers import Shardis

END_TIMEOUT_S = 30.0
FROZEN = 0.6
FROZEN_MAX_S = 0.02


@contextmanager
def freeze_some(server: Shardis, random: Random) -> Iterator[None]:
    """Stops some shards for a moment, so that the others run ahead, before the block; what still lives goes on after
    it. A busy machine does the same to a process."""
    frozen: list[int] = []
    if random.random() < FROZEN:
        pids = [pid for role, pid in roles(server).items() if role.startswith("shard")]
        frozen = random.sample(pids, random.randint(1, len(pids)))
    for pid in frozen:
        _send(pid, signal.SIGSTOP)
    if frozen:
        time.sleep(random.uniform(0, FROZEN_MAX_S))
    try:
        yield
    finally:
        for pid in frozen:
            _send(pid, signal.SIGCONT)


def kill_some(server: Shardis, chosen: Callable[[list[str]], list[str]]) -> None:
    """Kills the processes whose roles are chosen from all, and waits for their end."""
    found = roles(server)
    processes = _processes([found[role] for role in chosen(list(found))])
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_ended(processes, END_TIMEOUT_S)


def kill_all(server: Shardis, random: Random | None = None) -> None:
    """Kills all processes of a server, in some order."""
    if server.process is None:
        return
    if server.process.poll() is not None:
        server.stop()
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGSTOP)  # It must not start one that is not in the list.
    processes = _processes(list(roles(server).values()))
    if random is not None:
        random.shuffle(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    server.stop(signal.SIGKILL)
    wait_ended(processes, END_TIMEOUT_S)


def kill_supervisor(server: Shardis) -> None:
    """Returns when its children, whom nobody told, have ended as well."""
    processes = _processes(list(roles(server).values()))
    server.stop(signal.SIGKILL)
    for process in processes:  # Those that are frozen can't see it before.
        _send(process.pid, signal.SIGCONT)
    wait_ended(processes, END_TIMEOUT_S)


def _processes(pids: list[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)

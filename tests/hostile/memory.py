"""The memory of a server's processes, watched while something happens to them."""

import threading
from contextlib import suppress
from typing import NamedTuple, Self

import psutil

from tests.servers import Server

LOOK_S = 0.05


class Memory(NamedTuple):
    """Resident bytes: of the process that clients talk to, and of the others."""

    router: int
    shards: int

    @property
    def total(self) -> int:
        return self.router + self.shards

    def __str__(self) -> str:
        return f"{self.router / 2**20:.0f} + {self.shards / 2**20:.0f}"


def processes(server: Server) -> dict[int, str]:
    """The processes of a server by their number, with their titles; the supervisor is left out where there is one."""
    mother = psutil.Process(server.pid)
    children = mother.children()
    return {one.pid: " ".join(one.cmdline()) for one in children or [mother]}


class Watch:
    """Looks at the memory again and again: `with Watch(server) as watch: ...; watch.peak`."""

    def __init__(self, server: Server) -> None:
        self.processes = processes(server)
        self.before = self.peak = self.look()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def look(self) -> Memory:
        """What they take just now."""
        sizes = {pid: _resident_bytes(pid) for pid in self.processes}
        router = [pid for pid, title in self.processes.items() if "router" in title or len(sizes) == 1]
        return Memory(sum(sizes[pid] for pid in router), sum(sizes[pid] for pid in sizes if pid not in router))

    def _watch(self) -> None:
        while not self.ended.wait(LOOK_S):
            found = self.look()
            self.peak = Memory(max(self.peak.router, found.router), max(self.peak.shards, found.shards))

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()


def _resident_bytes(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * 4096
    return 0

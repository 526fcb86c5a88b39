"""The processes of a server, and what /proc says of them: CPU time and memory.

A real server is one process, "server". A Shardis is its "router", "shard 0" and so on, and the "supervisor", which
should cost nothing.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.servers import Server, Shardis

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class CpuTime:
    """CPU seconds that a process has used."""

    user_s: float
    system_s: float

    @property
    def total_s(self) -> float:
        return self.user_s + self.system_s


@dataclass(frozen=True, slots=True)
class CpuReading:
    """What a process has used since it began. The sum is exact to the nanosecond, how it splits only to a tick."""

    run_s: float
    user_ticks: int
    system_ticks: int

    def since(self, before: "CpuReading") -> CpuTime:
        user, system = self.user_ticks - before.user_ticks, self.system_ticks - before.system_ticks
        run_s = self.run_s - before.run_s
        if not self.run_s:  # No schedstat in this kernel.
            run_s = (user + system) / TICKS_PER_S
        share = user / (user + system) if user + system else 1.0
        return CpuTime(run_s * share, run_s * (1 - share))


def roles(server: Server) -> dict[str, int]:
    """The process ids of a server by role."""
    if not isinstance(server, Shardis):
        return {"server": server.pid}
    found = {"supervisor": server.pid}
    for process in psutil.Process(server.pid).children(recursive=True):
        if role := _role(process.pid):
            found[role] = process.pid
    return dict(sorted(found.items()))


def _role(pid: int) -> str | None:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    shard = re.search(r"-m shard\b.*--index[ =](\d+)|\bshard[ -](\d+)", line)
    if shard:
        return f"shard {shard[1] or shard[2]}"
    return "router" if re.search(r"\brouter\b", line) else None


def cpu_reading(pid: int) -> CpuReading:
    """Of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    run_ns = sum(_run_ns(task) for task in Path(f"/proc/{pid}/task").iterdir())
    return CpuReading(run_ns / 1e9, int(fields[11]), int(fields[12]))


def _run_ns(task: Path) -> int:
    try:
        return int((task / "schedstat").read_text().split()[0])
    except (OSError, ValueError):
        return 0


def cpu_readings(pids: dict[str, int]) -> dict[str, CpuReading]:
    return {role: cpu_reading(pid) for role, pid in pids.items()}


def used(before: dict[str, CpuReading], after: dict[str, CpuReading]) -> dict[str, CpuTime]:
    """By role, between two readings."""
    return {role: after[role].since(before[role]) for role in before if role in after}


def proportional_bytes(server: Server) -> int:
    """The memory of all its processes, and of those that they forked, a page that some of them share counted once."""
    process = psutil.Process(server.pid)
    found = 0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += each.memory_full_info().pss
    return found


def resident_bytes(server: Server) -> int:
    """The memory of all its processes, each page of a file counted in each."""
    return sum(psutil.Process(pid).memory_info().rss for pid in roles(server).values())

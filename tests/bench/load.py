"""Load: redis-benchmark on a server, and a quick way to fill one.

One run gives the rate, the latencies as the clients saw them, and the CPU time of each process of the server.
"""

import csv
import io
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.processes import CpuTime, cpu_readings, roles, used
from tests.bench.rows import KEYSPACE, VALUE, Row
from tests.resp_client import Client, Error, encode_command
from tests.servers import Server

CLIENTS = 50
FILL_BATCH = 1000
RUN_TIMEOUT_S = 300


WAYS: dict[str, list[str]] = {}
"""By the kind of a server: how redis-benchmark gets to it, if not by its port, see encryption.py."""


class LoadFailed(Exception):
    """The load did not come through. The text says why: what redis-benchmark said, or where it stuck."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run."""

    rate: float
    """Commands per second; transactions, where the row is one."""
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, CpuTime]
    """Microseconds per command, by role; in `CpuTime`'s fields."""
    elapsed_s: float


def run(server: Server, row: Row, *, pipeline: int, requests: int, cpus: set[int] | None = None) -> Figures:
    """Runs the row; redis-benchmark stays on `cpus` if given.  Raises LoadFailed."""
    pids = roles(server)
    commands = [argv for argv in (row.argv, row.other_argv) if argv]
    each = requests // len(commands)
    before = cpu_readings(pids)
    clients = CLIENTS // len(commands)
    running = [_started(server, argv, row.keyspace, clients, pipeline, each, cpus) for argv in commands]
    results = [_fields(process) for process in running]
    cpu = used(before, cpu_readings(pids))
    elapsed_s = max(each / float(fields["rps"]) for fields in results)
    sent = each * len(commands)
    return Figures(
        sent / elapsed_s,
        max(float(fields["p50_latency_ms"]) for fields in results),
        max(float(fields["p99_latency_ms"]) for fields in results),
        {role: CpuTime(time.user_s * 1e6 / sent, time.system_s * 1e6 / sent) for role, time in cpu.items()},
        elapsed_s,
    )


def _started(
    server: Server,
    command: tuple[str, ...],
    keyspace: int,
    clients: int,
    pipeline: int,
    requests: int,
    cpus: set[int] | None,
) -> "subprocess.Popen[str]":
    argv = [
        "redis-benchmark",
        *WAYS.get(server.kind, ["-p", str(server.port)]),
        "-c",
        str(clients),
        "-n",
        str(requests),
    ]
    argv += ["-r", str(keyspace), "-P", str(pipeline), "--csv", *command]
    if cpus:
        argv = ["taskset", "-c", ",".join(map(str, sorted(cpus))), *argv]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _fields(process: "subprocess.Popen[str]") -> dict[str, str]:
    """What redis-benchmark measured, by the names of its CSV."""
    try:
        output, _ = process.communicate(timeout=RUN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise LoadFailed(f"not done after {RUN_TIMEOUT_S} s: {output}") from None
    if process.returncode or '"test"' not in output:
        raise LoadFailed(f"redis-benchmark ended with {process.returncode}: {output}")
    names, values = list(csv.reader(io.StringIO(output[output.index('"test"') :])))[:2]
    return dict(zip(names, values, strict=True))


def fill(client: Client, count: int = KEYSPACE, key_bytes: int = 16, value: str = VALUE) -> None:
    """Sets key:000000000000 and so on to `value`, the keys being as long as asked.  Raises ValueError on an error."""
    digits = key_bytes - len("key:")
    for first in range(0, count, FILL_BATCH):
        numbers = range(first, min(first + FILL_BATCH, count))
        pairs = [word for number in numbers for word in (f"key:{number:0{digits}}", value)]
        reply = client.call("MSET", *pairs)
        if isinstance(reply, Error):
            raise ValueError(f"MSET was refused: {reply!r}")


def knows(server: Server, command: str) -> bool:
    """Whether the server has the command."""
    with server.connect(timeout_s=60.0) as client:
        return isinstance(client.call("COMMAND", "INFO", command)[0], list)


def pipelined(client: Client, commands: Iterator[tuple[str, ...]], batch: int = FILL_BATCH) -> int:
    """Sends single commands, many at once, and gives their number."""
    sent = 0
    waiting: list[tuple[str, ...]] = []
    for argv in commands:
        waiting.append(argv)
        if len(waiting) == batch:
            sent += _flush(client, waiting)
    return sent + _flush(client, waiting)


def _flush(client: Client, waiting: list[tuple[str, ...]]) -> int:
    count = len(waiting)
    client.send_bytes(b"".join([encode_command(argv) for argv in waiting]))
    refused = [reply.value for reply in client.read_many(count) if isinstance(reply.value, Error)]
    if refused:
        raise LoadFailed(f"{waiting[0][0]} was refused: {refused[0]!r}")
    waiting.clear()
    return count

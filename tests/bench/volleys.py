"""Volleys: load that redis-benchmark cannot make, such as transactions. The same bytes go to every server.

A volley is a batch of calls sent at once. All answers to a call have the same length, so a client that counts bytes
knows when a volley is answered, without a look at them: one process of Python is faster than the servers it asks.
"""

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from random import Random

from tests.bench.load import Figures, LoadFailed
from tests.bench.processes import CpuTime, cpu_readings, roles, used
from tests.bench.rows import DIGITS, Row
from tests.resp_client import Client, Error, encode_command
from tests.servers import Server

CLIENTS = 50
DIFFERENT = 512
"""Volleys that are made before the clock runs, and then sent again and again."""
ANSWER_TIMEOUT_S = 30.0
RECEIVED_SIZE_BYTES = 1 << 16

Call = Sequence[Sequence[str]]
"""Commands that belong together, and are counted as one."""


class _Shooter:
    """A client with one volley under way."""

    __slots__ = ("missing_bytes", "sent_s", "socket")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, ANSWER_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.missing_bytes = 0
        self.sent_s = 0.0

    def shoot(self, volley: bytes, answer_bytes: int) -> None:
        self.missing_bytes = answer_bytes
        self.sent_s = time.perf_counter()
        self.socket.sendall(volley)


def run_row(server: Server, row: Row, *, pipeline: int, requests: int) -> Figures:
    """The row's transaction, the keys of each with one random number.  Raises LoadFailed."""

    def make(random: Random) -> Call:
        number = f"{random.randrange(row.keyspace):0{DIGITS}}"
        calls = [[word.replace("__rand_int__", number) for word in argv] for argv in row.transaction]
        return [["MULTI"], *calls, ["EXEC"]]

    return run(server, make, pipeline=pipeline, calls=requests)


def run(
    server: Server, make: Callable[[Random], Call], *, pipeline: int, calls: int, clients: int = CLIENTS
) -> Figures:
    """`make` makes the calls: the answers to all of them are equally long.  Raises LoadFailed."""
    random = Random(1)
    answer_bytes = _answer_bytes(server, [make(random) for _ in range(3)])
    volleys = [b"".join(_encoded(make(random)) for _ in range(pipeline)) for _ in range(DIFFERENT)]
    pids = roles(server)
    shooters = [_Shooter(server.address) for _ in range(clients)]
    try:
        before = cpu_readings(pids)
        started_s = time.perf_counter()
        times_s = _shoot(shooters, volleys, answer_bytes * pipeline, max(calls // pipeline, clients))
        elapsed_s = time.perf_counter() - started_s
        cpu = used(before, cpu_readings(pids))
    finally:
        for shooter in shooters:
            shooter.socket.close()
    sent = len(times_s) * pipeline
    return Figures(
        sent / elapsed_s,
        *percentiles_ms(times_s),
        {role: CpuTime(spent.user_s * 1e6 / sent, spent.system_s * 1e6 / sent) for role, spent in cpu.items()},
        elapsed_s,
    )


def _shoot(shooters: Sequence[_Shooter], volleys: Sequence[bytes], answer_bytes: int, count: int) -> list[float]:
    """Sends so many volleys, each client its next one when the last is answered. Gives their times."""
    times_s: list[float] = []
    received = bytearray(RECEIVED_SIZE_BYTES)
    with selectors.DefaultSelector() as selector:
        for number, shooter in enumerate(shooters):
            selector.register(shooter.socket, selectors.EVENT_READ, shooter)
            shooter.shoot(volleys[number % len(volleys)], answer_bytes)
        sent = len(shooters)
        while len(times_s) < count:
            ready = selector.select(ANSWER_TIMEOUT_S)
            if not ready:
                raise LoadFailed(f"no answer for {ANSWER_TIMEOUT_S} s, after {len(times_s)} volleys")
            for key, _ in ready:
                shooter = key.data
                size_bytes = shooter.socket.recv_into(received)
                shooter.missing_bytes -= size_bytes
                if shooter.missing_bytes > 0 and size_bytes:
                    continue
                if shooter.missing_bytes:
                    raise LoadFailed(f"a longer answer than expected, or none: {bytes(received[:size_bytes])!r}")
                times_s.append(time.perf_counter() - shooter.sent_s)
                if sent < count:
                    shooter.shoot(volleys[sent % len(volleys)], answer_bytes)
                    sent += 1
    return times_s


def _encoded(call: Call) -> bytes:
    return b"".join([encode_command(argv) for argv in call])


def _answer_bytes(server: Server, calls: Sequence[Call]) -> int:
    """How long the answer to a call is.  Raises LoadFailed if it is an error, or not always as long."""
    lengths = set()
    with server.connect(timeout_s=ANSWER_TIMEOUT_S) as client:
        for call in calls:
            client.send_bytes(_encoded(call))
            replies = client.read_many(len(call))
            if errors := [reply.value for reply in replies if isinstance(reply.value, Error)]:
                raise LoadFailed(f"{call[0][0]} was refused: {errors[0]!r}")
            lengths.add(sum(len(reply.raw) for reply in replies))
    if len(lengths) != 1:
        raise LoadFailed(f"answers of different lengths: {lengths}")
    return lengths.pop()


def percentiles_ms(times_s: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 99th."""
    ordered = sorted(times_s)
    return ordered[len(ordered) // 2] * 1000, ordered[len(ordered) * 99 // 100] * 1000


def one_by_one(client: Client, commands: Sequence[Sequence[str]], count: int) -> list[float]:
    """The times of so many calls of one client that waits for each, the commands in turn.  Raises LoadFailed."""
    times_s = []
    for number in range(count):
        argv = commands[number % len(commands)]
        started_s = time.perf_counter()
        reply = client.call(*argv)
        times_s.append(time.perf_counter() - started_s)
        if isinstance(reply, Error):
            raise LoadFailed(f"{argv[0]} was refused: {reply!r}")
    return times_s

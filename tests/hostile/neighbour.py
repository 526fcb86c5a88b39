"""A well-behaved client in a process of its own, while others attack: how long its commands take.

    neighbour = Neighbour(port); neighbour.lap()        # the time of each command since the last lap, in ms

It asks every PACE_S, whether it had its last answer or not: who is kept waiting for 100 ms is so with all commands that
it would have sent meanwhile, and not with one.
"""

import json
import select
import socket
import subprocess
import sys
import time

from tests.resp_client import encode_command
from tests.servers import ROOT

PACE_S = 0.004
KEYS = 100


class Neighbour:
    """The process, seen from here."""

    def __init__(self, port: int, password: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.neighbour", str(port), password],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lap()

    def lap(self) -> list[float]:
        """The times since the last lap, in ms.  Raises EOFError if the server has turned it away."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("lap\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise EOFError("the well-behaved client has ended")
        times: list[float] = json.loads(line)
        return times

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)


def percentile(times: list[float], share: float) -> float:
    """The time that this share of them does not exceed; 0 if there are none."""
    return sorted(times)[min(int(len(times) * share), len(times) - 1)] if times else 0.0


def main(port: int, password: str) -> None:
    """Asks until standard input ends; each line there is answered by the times since the last."""
    calls = [(encode_command([b"SET", b"neighbour:%d" % number, b"v"]), b"+OK\r\n") for number in range(KEYS)] + [
        (encode_command([b"GET", b"neighbour:%d" % number]), b"$1\r\nv\r\n") for number in range(KEYS)
    ]
    times: list[float] = []
    with socket.create_connection(("127.0.0.1", port)) as server:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if password:
            ask(server, encode_command([b"AUTH", password.encode()]), b"+OK\r\n")
        due_s, turn = time.perf_counter(), 0
        while True:
            wait_s = due_s - time.perf_counter()
            if (wait_s > 0 or turn % KEYS == 0) and select.select([sys.stdin], [], [], max(wait_s, 0))[0]:
                if not sys.stdin.readline():
                    return
                print(json.dumps(times), flush=True)
                times, due_s = [], time.perf_counter()
            ask(server, *calls[turn % len(calls)])
            times.append((time.perf_counter() - due_s) * 1000)
            due_s, turn = due_s + PACE_S, turn + 1


def ask(server: socket.socket, data: bytes, expected: bytes) -> None:
    """Sends a request and reads its answer; ends the process if it is another one."""
    server.sendall(data)
    got = b""
    while len(got) < len(expected):
        received = server.recv(4096)
        if not received:
            sys.exit("the server has closed the connection")
        got += received
    if got != expected:
        sys.exit(f"{data!r} was answered by {got!r}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

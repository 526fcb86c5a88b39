"""Servers that tests start: on a free loopback port, in a folder of their own, stopped by their process id.

    with Shardis(shards=3) as server:
        with server.connect() as client:
            assert client.call("PING") == Status(b"PONG")

Rule: nothing here waits by the clock where an event can be waited for. A server is up when it answers PING (and no
longer says LOADING), down when its process has been waited for. The ceilings only end what hangs.
"""

import contextlib
import functools
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from tests.resp_client import Client, Status

ROOT = Path(__file__).resolve().parent.parent

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
START_TRIES = 5
"""A free port can be taken by somebody else between the moment it was found and the moment the server binds it."""

FIRST_PORT, PORTS_END, PORTS_OF_A_PROCESS = 10_000, 32_000, 200
"""Below those that the system gives to outgoing connections. Tests that run at once draw from blocks of their own:
where two found the same port free, the one whose server came too late would talk to the other's, and not know it."""

POLL_S = 0.02
LOG_LINES_SHOWN = 60


RUNNING: list["Server"] = []
"""Those started and not yet stopped, so that the report of a failed test can show their logs."""


class ServerFailed(Exception):
    """A server that did not come up or go down. The text ends with its log."""


class Server:
    """A server process. Subclasses say its command line."""

    kind = "server"

    def __init__(self, folder: Path | None = None, **options: str | int) -> None:
        """`options` are directives, with underscores for dashes: `appendonly="yes"`. `folder` is kept, else removed."""
        self.options = {name.replace("_", "-"): str(value) for name, value in options.items()}
        self._given = folder
        self.folder = folder or Path()
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            print(f"--- log of {self.kind}:\n{self.log()}", file=sys.stderr)
        self.stop()
        self.clear()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.kind} is not running"
        return self.process.pid

    def connect(self, **options: Any) -> Client:
        return Client(self.address, **options)

    def start(self) -> Self:
        """Starts it and waits until it answers.  Raises ServerFailed with the log."""
        if self._given is None and not self.folder.is_absolute():
            self.folder = Path(tempfile.mkdtemp(prefix="test-"))
        for tries_left in reversed(range(START_TRIES)):
            if not self.port or tries_left < START_TRIES - 1:
                self.port = free_port()
            self.launch()
            try:
                self.wait_ready()
            except ServerFailed as failure:
                self.stop()
                if "ddress already in use" not in str(failure) or not tries_left:
                    self.clear()
                    raise
            else:
                break
        return self

    def launch(self) -> None:
        """Starts the process and does not wait for it. A later start keeps the port and the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.working_folder(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment(),
            )
        if self not in RUNNING:
            RUNNING.append(self)

    def working_folder(self) -> Path:
        return self.folder

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Returns when PING is answered by PONG."""
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if self.process is None or self.process.poll() is not None:
                code = None if self.process is None else self.process.returncode
                raise ServerFailed(f"{self.kind} ended with {code} before it answered:\n{self.log()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.kind} did not answer within {timeout_s} s:\n{self.log()}")
            time.sleep(POLL_S)

    def _answers(self) -> bool:
        try:
            with self._probe() as client:
                return bool(client.call(*self.first_question()) == Status(b"PONG"))
        except OSError:
            return False

    def _probe(self) -> Client:
        client = Client(self.address, timeout_s=2.0)
        if "requirepass" in self.options:
            try:
                client.call("AUTH", self.options["requirepass"])
            except OSError:
                client.close()
                raise
        return client

    def first_question(self) -> list[str]:
        return ["PING"]

    def stop(self, signal_number: int = signal.SIGTERM) -> int | None:
        """Ends the process and waits for it. Returns its exit code, None if there was none."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        RUNNING.remove(self)
        if process.poll() is None:
            process.send_signal(signal_number)
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ServerFailed(f"{self.kind} did not stop within {STOP_TIMEOUT_S} s:\n{self.log()}") from None

    def clear(self) -> None:
        """Removes the folder, unless it was given."""
        if self._given is None and self.folder.is_absolute():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = Path()

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    def log_size_bytes(self) -> int:
        return self.log_path.stat().st_size if self.log_path.is_file() else 0

    def log(self, since_byte: int = 0) -> str:
        """The end of what the server printed, or of what it printed after the log had that size."""
        if not self.log_path.is_file():
            return "(no log)"
        lines = self.log_path.read_bytes()[since_byte:].decode(errors="backslashreplace").splitlines()
        return "\n".join(lines[-LOG_LINES_SHOWN:])


class Shardis(Server):
    """The server under test: supervisor, router and N shards."""

    kind = "shardis"

    def __init__(self, shards: int = 1, folder: Path | None = None, **options: str | int) -> None:
        super().__init__(folder, **options)
        self.shards = shards
        self._rundir = Path()

    def command(self) -> list[str]:
        # Not the folder of the data: the path of a Unix socket must be shorter than 108 bytes.
        if not self._rundir.is_absolute():
            self._rundir = Path(tempfile.mkdtemp(prefix="test-"))
        argv = [sys.executable, "-m", "deploy", "--port", str(self.port), "--shards", str(self.shards)]
        argv += ["--dir", str(self.folder), "--rundir", str(self._rundir)]
        return argv + [word for name, value in self.options.items() for word in (f"--{name}", value)]

    def working_folder(self) -> Path:
        return ROOT

    def clear(self) -> None:
        super().clear()
        if self._rundir.is_absolute():
            shutil.rmtree(self._rundir, ignore_errors=True)
            self._rundir = Path()

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Also waits until each shard answers: the router listens before they have loaded."""
        super().wait_ready(timeout_s)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), self._probe() as client:
                if isinstance(client.call("DBSIZE"), int):
                    return
            if self.process is None or self.process.poll() is not None:
                break
            time.sleep(POLL_S)
        raise ServerFailed(f"the shards did not answer:\n{self.log()}")


@functools.cache
def _own_ports() -> tuple[socket.socket, Iterator[int]]:
    """Ports that this process alone gives away, in turn, for ever; the socket on the port before them says so."""
    for first in range(FIRST_PORT, PORTS_END, PORTS_OF_A_PROCESS):
        claim = socket.socket()
        try:
            claim.bind(("127.0.0.1", first))
            claim.listen()
        except OSError:
            claim.close()
        else:
            return claim, itertools.cycle(range(first + 1, first + PORTS_OF_A_PROCESS))
    raise OSError(f"no ports are left between {FIRST_PORT} and {PORTS_END}")


def free_port() -> int:
    """A loopback port that nobody listens on, and that no test beside this one is given."""
    for port in itertools.islice(_own_ports()[1], PORTS_OF_A_PROCESS):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("all ports of this process are taken")


def wait_until(holds: Callable[[], object], timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Asks again and again: for what a process does and tells nobody about.  Raises AssertionError in the end."""
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(POLL_S)

"""A supervisor whose children are stand-ins: real processes, which say on one pipe what happens to them."""

import os
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers import ROOT

LINE_TIMEOUT_S = 30.0

# A child: its name, what it does (run, stubborn, exit:N, first:N = exit N at the first start only, TERM:N).
CHILD = """
import os, select, signal, sys

name, folder, act = sys.argv[1:4]
fd = int(sys.argv[sys.argv.index("--supervisor-fd") + 1])

def say(event):
    os.write(1, f"{name} {event}\\n".encode())

def stop(number, frame):
    say("got SIGTERM")
    if act != "stubborn":
        os._exit(0)

# A signal that comes just before select() does not interrupt it: the byte in this pipe does.
wake, waker = os.pipe()
os.set_blocking(waker, False)
signal.set_wakeup_fd(waker)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGHUP, lambda number, frame: say("got SIGHUP"))
first = not os.path.exists(f"{folder}/{name}")
open(f"{folder}/{name}", "w").close()
say(f"runs as {os.getpid()}")
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
kind, _, status = act.partition(":")
if kind == "exit" or kind == ("first" if first else "second"):
    os._exit(int(status))
while fd not in select.select([fd, wake], [], [])[0]:
    os.read(wake, 1)
say("is an orphan")
"""

RUN = """
import os, sys
from deploy.supervisor import Command, Supervisor

timeout_s, script, folder = float(sys.argv[1]), *sys.argv[2:4]
commands = []
for word in sys.argv[4:]:
    name, _, act = word.partition("=")
    argv = [sys.executable, "-S", script, name, folder, act] if act != "missing" else ["/nonexistent/program"]
    commands.append(Command(name, argv, is_router=name == "router", is_first=name == "first"))

def say(line):
    os.write(1, f"{line}\\n".encode())  # In one write: the children write there, too.

def reload():
    say("reads again")
    return not os.path.exists(f"{folder}/fault")

sys.exit(Supervisor(commands, timeout_s, say, say, on_reload=reload).run())
"""


class Group:
    """A supervisor and its children, and the lines that they print."""

    def __init__(
        self, folder: Path, children: tuple[str, ...], timeout_s: float, prefix: tuple[str, ...], **how: Any
    ) -> None:
        script = folder / "child.py"
        script.write_text(CHILD)
        argv = [*prefix, sys.executable, "-c", RUN, str(timeout_s), str(script), str(folder), *children]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT, **how)
        assert self.process.stdout is not None
        self.fd = self.process.stdout.fileno()
        self.rest = b""
        self.seen: list[str] = []

    def line(self) -> str | None:
        """The next line; None at the end, when no process of the group is left."""
        while b"\n" not in self.rest:
            assert select.select([self.fd], [], [], LINE_TIMEOUT_S)[0], f"nothing more after {self.seen}"
            data = os.read(self.fd, 4096)
            if not data:
                return None
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        self.seen.append(line.decode())
        return self.seen[-1]

    def until(self, pattern: str) -> re.Match[str]:
        while (line := self.line()) is not None:
            if found := re.fullmatch(pattern, line):
                return found
        raise AssertionError(f"no {pattern!r} in {self.seen}")

    def pids(self, count: int) -> dict[str, int]:
        """Name and process id of the next `count` children that start."""
        found = [self.until(r"(.+) runs as (\d+)") for _ in range(count)]
        return {match[1]: int(match[2]) for match in found}

    def finish(self) -> tuple[int, list[str]]:
        """Waits until all are gone: the exit status, and the lines since the last one read."""
        before = len(self.seen)
        while self.line() is not None:
            pass
        return self.process.wait(LINE_TIMEOUT_S), self.seen[before:]

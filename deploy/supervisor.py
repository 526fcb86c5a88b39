"""Keeps a router and N shards running: starts them, restarts the one that dies, stops all in order.

Rule 1: it waits in one place, `sigtimedwait`, with its signals blocked: no handler, no thread, no polling, no asyncio.
        Idle, it uses no CPU at all; and it starts fast, because it imports next to nothing before the children run.
Rule 2: no child outlives it, even if it is killed -9. Each child inherits the read end of a pipe whose write end only
        the supervisor has, and learns its number from `--supervisor-fd N`: at end of file there it stops in order.
        Nothing is ever written into that pipe.
Rule 3: a child is in a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone, which then
        stops router and shards in their order.

Rule 4: SIGHUP is the end of the terminal if the kernel sends it, or the shell of a terminal that is gone. That stops
        all, but for `nohup`. From anybody else it means to read the configuration again: what is to be done for that is
        not known here, and the router is told as it would be without a supervisor.

What the end of a child means:

    router, exit status 0       the whole server was told to stop (SHUTDOWN): stop all, exit 0
    what comes first, status 0  it is done: start all others; with any other end: exit 1
    any, status 1 while young   a fault that a restart won't mend (port in use, damaged log), of which the child has
                                printed one line: stop all, exit 1
    anything else               restart it, after 0.1 s, 0.2 s, ... 10 s; from 0.1 s again once it ran well
"""

import contextlib
import enum
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 10.0
RAN_WELL_S = 10.0
"""A child that ran so long was well: when it dies, the back-off begins anew."""

YOUNG_S = 30.0
"""Exit status 1 within this time of the first start ends the whole server. Generous, for a log is read at start."""

STOP_FLOOR_S = 1.0
"""`shutdown-timeout 0` means not to wait for replicas, in Redis: a shard still gets the time to finish its log."""

HURRY_S = 1.0
"""What is left to the children after a second SIGINT or SIGTERM."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SI_KERNEL = 0x80  # Who has sent a signal, as Linux says it.

WAIT, STAY = signal.SIGUSR1, signal.SIGUSR2
"""What the router says when it is told to stop: that it saves a file first, however long that takes; and that this came
to nothing, so that the server has to go on, as Redis does."""

ECHO_S = 0.3
"""A stop signal so soon after the one before is no second thought: `timeout` sends each of its signals twice."""

START_FAULT = 1  # The exit status of a child that can't start, and of the supervisor then.


class Command(NamedTuple):
    """One process to keep running."""

    name: str  # "router", "shard 2"
    argv: Sequence[str]  # argv[0] is the program's path; --supervisor-fd is added
    is_router: bool = False
    is_first: bool = False  # The others are started once it ends well.


class Phase(enum.Enum):
    RUNNING = "running"
    STOPPING_ROUTER = "stopping the router"
    STOPPING_SHARDS = "stopping the shards"
    STOPPED = "stopped"


NEXT = {
    Phase.RUNNING: Phase.STOPPING_ROUTER,
    Phase.STOPPING_ROUTER: Phase.STOPPING_SHARDS,
    Phase.STOPPING_SHARDS: Phase.STOPPED,
}


class Child:
    """A command, and the process that runs it just now, if one does."""

    def __init__(self, command: Command) -> None:
        self.name = command.name
        self.argv = [*command.argv]
        self.is_router = command.is_router
        self.is_first = command.is_first
        self.pid: int | None = None
        self.starts = 0
        self.started_s = 0.0
        self.delay_s = BACKOFF_FIRST_S
        self.due_s: float | None = None  # When it is to be started again.

    def spawn(self, supervisor_fd: int, now_s: float) -> None:
        """Starts the process.  Raises OSError."""
        self.pid = os.posix_spawn(
            self.argv[0],
            [*self.argv, "--supervisor-fd", str(supervisor_fd)],
            os.environ,
            setpgroup=0,
            setsigmask=[signal.SIGHUP] if self.is_router else (),  # Which it takes when it can act on it.
            setsigdef=(*STOP_SIGNALS, WAIT, STAY, signal.SIGCHLD),
        )
        self.starts += 1
        self.started_s, self.due_s = now_s, None

    def send(self, number: int) -> None:
        """A child that is not waited for yet still has its pid, so this never reaches a stranger."""
        if self.pid is not None:
            os.kill(self.pid, number)

    def plan_restart(self, now_s: float) -> float:
        """Sets when it is started again; in how many seconds that is."""
        if now_s - self.started_s >= RAN_WELL_S:
            self.delay_s = BACKOFF_FIRST_S
        delay_s = self.delay_s
        self.due_s = now_s + delay_s
        self.delay_s = min(delay_s * 2, BACKOFF_MAX_S)
        return delay_s


class Supervisor:
    """`Supervisor(commands, shutdown_timeout_s=10).run()` is the exit status. One use only.

    A command that is first runs alone, to its end, before the others.
    """

    def __init__(
        self,
        commands: Iterable[Command],
        shutdown_timeout_s: float,
        notice: Callable[[str], None] = print,
        warn: Callable[[str], None] = print,
        on_started: Callable[[], None] = lambda: None,
        on_reload: Callable[[], bool] = lambda: True,
    ) -> None:
        """`on_started` runs when children have been started: for what can wait until they load. `on_reload` reads the
        configuration again, and says whether the router is to do so, too."""
        children = [Child(command) for command in commands]
        self.first = [child for child in children if child.is_first]
        self.others = [child for child in children if not child.is_first]
        self.children = self.first or self.others
        self.wait_at_most(shutdown_timeout_s)
        self.notice, self.warn = notice, warn
        self.on_started, self.on_reload = on_started, on_reload
        self.outlives_terminal = is_ignored(signal.SIGHUP)
        self.signals = awaited_signals()
        self.phase = Phase.RUNNING
        self.status = 0
        self.deadline_s: float | None = None  # When what still runs in this phase is killed.
        self.stop_signals = 0
        self.stop_signal_s = 0.0  # When the last one came that was no echo.
        self.alive_fd, self._alive_end = os.pipe()
        os.set_inheritable(self.alive_fd, True)

    def wait_at_most(self, shutdown_timeout_s: float) -> None:
        """How long children may take to stop."""
        self.stop_timeout_s = max(shutdown_timeout_s, STOP_FLOOR_S)

    def run(self) -> int:
        """Starts all and keeps them running; returns when all have ended."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # Ignored, it would not come, and statuses would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, self.signals)
        for child in self.children:
            self._start(child)
        self.on_started()
        while self.phase is not Phase.STOPPED:
            got = self._next_signal()
            number = got.si_signo if got else 0
            if got and number == signal.SIGHUP and not is_hangup(got):
                self._reload()
            elif number in STOP_SIGNALS and not (number == signal.SIGHUP and self.outlives_terminal):
                self._stop_by(signal.Signals(number))
            elif number in (WAIT, STAY) and self.phase is Phase.STOPPING_ROUTER and self.stop_signals < 2:
                self._heed_router(number)
            self._reap()
            self._do_what_is_due()
        os.close(self._alive_end)
        os.close(self.alive_fd)
        return self.status

    def _next_signal(self) -> signal.struct_siginfo | None:
        """Waits for a signal, but not beyond the next thing to do; None if it is time for that."""
        moments = [child.due_s for child in self.children if child.due_s is not None]
        if self.deadline_s is not None:
            moments.append(self.deadline_s)
        if not moments:
            return signal.sigwaitinfo(self.signals)
        return signal.sigtimedwait(self.signals, max(0.0, min(moments) - time.monotonic()))

    def _reload(self) -> None:
        if self.phase is Phase.RUNNING and self.on_reload():
            self._send([child for child in self.children if child.is_router], signal.SIGHUP)

    def _reap(self) -> None:
        """Takes note of every child that ended: several ends may come as one SIGCHLD."""
        for pid, code in ended_processes():
            for child in self.children:
                if child.pid == pid:
                    child.pid = None
                    self._ended(child, code)
        if self.phase is not Phase.RUNNING:
            self._go_on_stopping()

    def _ended(self, child: Child, code: int) -> None:
        if self.phase is not Phase.RUNNING:
            return
        now_s = time.monotonic()
        if child.is_first:
            self._first_ended(child, code)
        elif child.is_router and code == 0:
            self.notice("the server was told to stop")
            self._stop()
        elif code == START_FAULT and child.starts == 1 and now_s - child.started_s < YOUNG_S:
            self.status = START_FAULT  # Why, the child has said.
            self._stop()
        else:
            delay_s = child.plan_restart(now_s)
            self.warn(f"the {child.name} {how_ended(code)}: starting it again in {delay_s:g} s")

    def _first_ended(self, child: Child, code: int) -> None:
        if code:
            if code != START_FAULT:
                self.warn(f"the {child.name} {how_ended(code)}")
            self.status = START_FAULT
            self._stop()
            return
        self.children = self.others
        for other in self.others:
            self._start(other)

    def _do_what_is_due(self) -> None:
        now_s = time.monotonic()
        for child in self.children:
            if child.due_s is not None and child.due_s <= now_s:
                self._start(child)
        if self.deadline_s is not None and self.deadline_s <= now_s:
            self._kill_the_late()

    def _start(self, child: Child) -> None:
        if self.phase is not Phase.RUNNING:  # The one before it could not be started.
            return
        try:
            child.spawn(self.alive_fd, time.monotonic())
        except OSError as error:
            self._could_not_start(child, error)
            return
        if child.starts > 1:
            self.notice(f"the {child.name} runs again, as process {child.pid}")

    def _could_not_start(self, child: Child, error: OSError) -> None:
        """A program that is not there ends the server at its first start; a full process table passes."""
        reason = f"cannot start the {child.name}: {error.strerror}"
        if child.starts:
            delay_s = child.plan_restart(time.monotonic())
            self.warn(f"{reason}: trying again in {delay_s:g} s")
        else:
            self.warn(reason)
            self.status = START_FAULT
            self._stop()

    # Stopping: the router first, so that no client is told of a shard that is gone; then the shards, whose logs have
    # to be on disk.

    def _stop_by(self, number: signal.Signals) -> None:
        now_s = time.monotonic()
        if self.stop_signals and now_s - self.stop_signal_s < ECHO_S:
            return
        self.stop_signals += 1
        self.stop_signal_s = now_s
        if self.phase is Phase.RUNNING:
            self.notice(f"got {number.name}: stopping")
            self._stop()
        elif self.stop_signals <= 2:
            self.notice(f"got {number.name} again: stopping all at once")
            self._send(self.children, signal.SIGTERM)
            self.deadline_s = now_s + HURRY_S
        else:
            self._kill_the_late()

    def _heed_router(self, number: int) -> None:
        if number == WAIT:
            self.notice("the router saves a file before it stops")
            self.deadline_s = None
            return
        self.warn("the last file could not be saved: going on")
        self.phase, self.deadline_s, self.stop_signals = Phase.RUNNING, None, 0
        now_s = time.monotonic()
        for child in self.children:
            if child.pid is None:  # It died meanwhile.
                child.due_s = now_s

    def _stop(self) -> None:
        for child in self.children:
            child.due_s = None
        self._enter(Phase.STOPPING_ROUTER)
        self._go_on_stopping()

    def _go_on_stopping(self) -> None:
        """Moves on as far as nothing that this phase stops is running any more."""
        while self.phase is not Phase.STOPPED and not any(child.pid for child in self._stopped_in(self.phase)):
            self._enter(NEXT[self.phase])

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        hurry = self.stop_signals > 1
        self.deadline_s = time.monotonic() + (HURRY_S if hurry else self.stop_timeout_s)
        self._send(self._stopped_in(phase), signal.SIGTERM)

    def _stopped_in(self, phase: Phase) -> list[Child]:
        if phase is Phase.STOPPED:
            return []
        return [child for child in self.children if child.is_router == (phase is Phase.STOPPING_ROUTER)]

    def _kill_the_late(self) -> None:
        late = [child for child in self.children if child.pid is not None]
        if self.stop_signals < 2:
            late = [child for child in late if child in self._stopped_in(self.phase)]
        for child in late:
            self.warn(f"the {child.name} did not stop in time: killing it")
        self.status = self.status or (1 if late else 0)
        self._send(late, signal.SIGKILL)
        self.deadline_s = None

    @staticmethod
    def _send(children: Iterable[Child], number: int) -> None:
        for child in children:
            child.send(number)


def awaited_signals() -> list[signal.Signals]:
    """All that mean something here, but for those that whoever started us ignores: a shell's `&` does. SIGHUP, which
    `nohup` ignores, has another meaning beside."""
    heard = [number for number in STOP_SIGNALS if number == signal.SIGHUP or not is_ignored(number)]
    return [*heard, WAIT, STAY, signal.SIGCHLD]


def is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def is_hangup(got: signal.struct_siginfo) -> bool:
    """Whether a SIGHUP means the end of the terminal. A shell tells what it has started before the kernel does."""
    return got.si_code == SI_KERNEL or (got.si_pid == os.getsid(0) and not has_terminal())


def has_terminal() -> bool:
    """Whether this process has a terminal, and it has not ended."""
    with contextlib.suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
        return True
    return False


def ended_processes() -> Iterator[tuple[int, int]]:
    """(process id, exit code) of all that ended, those too that a container's first process inherits."""
    while True:
        try:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, os.waitstatus_to_exitcode(wait_status)


def how_ended(code: int) -> str:
    """ "exited with status 3" or "was killed by SIGSEGV"; `code` as os.waitstatus_to_exitcode gives it."""
    if code >= 0:
        return f"exited with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"

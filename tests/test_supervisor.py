"""The supervisor on stand-in children, which are real processes and say what happens to them; then `shardis` itself.

Everything a test waits for is a line on one pipe, which supervisor and children share: its end of file means that all
of them are gone.
"""

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.supervisor import BACKOFF_FIRST_S, BACKOFF_MAX_S, ECHO_S, HURRY_S, RAN_WELL_S, Child, Command, how_ended
from tests.process_ends import wait_ended
from tests.resp_client import Client, Status
from tests.servers import ROOT, Shardis, free_port, wait_until
from tests.stand_ins import LINE_TIMEOUT_S, Group


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Callable[..., Group]]:
    groups: list[Group] = []

    def start(*children: str, timeout_s: float = 20.0, prefix: tuple[str, ...] = (), **how: Any) -> Group:
        groups.append(Group(tmp_path, children, timeout_s, prefix, **how))
        return groups[-1]

    yield start
    for one in groups:
        one.process.kill()
        one.process.wait()
        assert one.process.stdout is not None
        one.process.stdout.close()


class TestRunning:
    def test_starts_all_with_a_pipe_and_a_group_of_their_own(self, group: Callable[..., Group]) -> None:
        one = group("router=run", "shard 0=run", "shard 1=run")
        pids = one.pids(3)
        assert set(pids) == {"router", "shard 0", "shard 1"}
        assert {os.getpgid(pid) for pid in pids.values()} == set(pids.values())

    def test_one_that_is_killed_runs_again_later_and_later(self, group: Callable[..., Group]) -> None:
        one = group("router=run", "shard 0=run", "shard 1=run")
        pid = one.pids(3)["shard 1"]
        for delay in ("0.1", "0.2", "0.4"):
            os.kill(pid, signal.SIGKILL)
            one.until(rf"the shard 1 was killed by SIGKILL: starting it again in {delay} s")
            assert one.until(r"the shard 1 runs again, as process (\d+)|shard 1 runs as (\d+)")
            pid = psutil_child(one.process.pid, "shard 1")
        os.kill(pid, 0)

    def test_status_1_of_one_that_ran_before_is_no_reason_to_stop(self, group: Callable[..., Group]) -> None:
        one = group("router=run", "shard 0=second:1")
        pid = one.pids(2)["shard 0"]
        os.kill(pid, signal.SIGKILL)
        for delay in ("0.1", "0.2", "0.4"):
            one.until(rf"the shard 0 .*: starting it again in {delay} s")

    def test_another_status_at_the_first_start_is_no_reason_to_stop(self, group: Callable[..., Group]) -> None:
        one = group("router=run", "shard 0=first:3")
        one.until("the shard 0 exited with status 3: starting it again in 0.1 s")
        one.until(r"shard 0 runs as \d+")

    def test_idle_costs_nothing(self, group: Callable[..., Group]) -> None:
        one = group("router=run", "shard 0=run")
        one.pids(2)
        process = psutil.Process(one.process.pid)
        wait_until(lambda: process.status() == psutil.STATUS_SLEEPING)
        before = process.num_ctx_switches()
        time.sleep(0.5)  # The one thing that can only be seen by the clock: nothing happens.
        assert process.num_ctx_switches() == before


class TestWhatComesFirst:
    def test_the_others_wait_for_its_good_end(self, group: Callable[..., Group]) -> None:
        one = group("first=run", "router=run", "shard 0=run")
        os.kill(one.pids(1)["first"], signal.SIGTERM)
        assert set(one.pids(2)) == {"router", "shard 0"}

    @pytest.mark.parametrize("act, said", [("exit:1", []), ("exit:3", ["the first exited with status 3"])])
    def test_another_end_is_that_of_all(self, group: Callable[..., Group], act: str, said: list[str]) -> None:
        one = group(f"first={act}", "router=run", "shard 0=run")
        one.until(r"first runs as \d+")
        assert one.finish() == (1, said)

    def test_a_stop_meanwhile(self, group: Callable[..., Group]) -> None:
        one = group("first=run", "router=run", "shard 0=run")
        one.until(r"first runs as \d+")
        one.process.send_signal(signal.SIGTERM)
        assert one.finish() == (0, ["got SIGTERM: stopping", "first got SIGTERM"])


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_router_first(self, group: Callable[..., Group], number: signal.Signals) -> None:
        one = group("shard 0=run", "router=run", "shard 1=run")
        one.pids(3)
        one.process.send_signal(number)
        status, lines = one.finish()
        assert (status, lines[:2]) == (0, [f"got {number.name}: stopping", "router got SIGTERM"]), lines
        assert sorted(lines[2:]) == ["shard 0 got SIGTERM", "shard 1 got SIGTERM"]

    def test_while_one_waits_to_run_again(self, group: Callable[..., Group]) -> None:
        one = group("router=run", "shard 0=exit:3")
        one.until(".* starting it again in 0.8 s")
        one.process.send_signal(signal.SIGTERM)
        status, lines = one.finish()
        assert (status, lines) == (0, ["got SIGTERM: stopping", "router got SIGTERM"])

    def test_the_router_was_told_to(self, group: Callable[..., Group]) -> None:
        """SHUTDOWN: the router ends with status 0."""
        one = group("router=run", "shard 0=run")
        os.kill(one.pids(2)["router"], signal.SIGTERM)
        status, lines = one.finish()
        assert (status, lines) == (0, ["router got SIGTERM", "the server was told to stop", "shard 0 got SIGTERM"])

    @pytest.mark.parametrize("children", [("router=exit:1", "shard 0=run"), ("router=run", "shard 0=exit:1")])
    def test_one_that_cannot_start(self, group: Callable[..., Group], children: tuple[str, ...]) -> None:
        """The child has said why; the supervisor adds nothing to that."""
        status, lines = group(*children).finish()
        assert status == 1
        assert not [line for line in lines if "runs as" not in line and "got SIGTERM" not in line]

    def test_a_program_that_is_not_there(self, group: Callable[..., Group]) -> None:
        status, lines = group("router=run", "shard 0=missing", "shard 1=run").finish()
        assert status == 1
        assert "cannot start the shard 0: No such file or directory" in lines
        assert not [line for line in lines if line.startswith("shard 1")]

    def test_one_that_does_not_stop_is_killed(self, group: Callable[..., Group]) -> None:
        one = group("router=run", "shard 0=stubborn", timeout_s=0)
        one.pids(2)
        one.process.send_signal(signal.SIGTERM)
        status, lines = one.finish()
        assert status == 1
        assert lines[-2:] == ["shard 0 got SIGTERM", "the shard 0 did not stop in time: killing it"]

    def test_a_second_signal_makes_it_quicker(self, group: Callable[..., Group]) -> None:
        one = group("router=stubborn", "shard 0=run", timeout_s=1000)
        one.pids(2)
        one.process.send_signal(signal.SIGTERM)
        one.until("router got SIGTERM")
        time.sleep(ECHO_S)  # So long a signal counts as the echo of the one before.
        one.process.send_signal(signal.SIGINT)
        started_s = time.monotonic()
        status, lines = one.finish()
        assert time.monotonic() - started_s < HURRY_S + LINE_TIMEOUT_S
        assert status == 1
        assert lines[0] == "got SIGINT again: stopping all at once"
        assert "shard 0 got SIGTERM" in lines and "the router did not stop in time: killing it" in lines

    def test_a_third_signal_kills(self, group: Callable[..., Group]) -> None:
        one = group("router=stubborn", "shard 0=stubborn", timeout_s=1000)
        one.pids(2)
        for _ in range(3):
            one.process.send_signal(signal.SIGTERM)
            one.until("router got SIGTERM|.*killing it")
            time.sleep(ECHO_S)
        assert one.finish()[0] == 1

    def test_an_echo_is_no_second_signal(self, group: Callable[..., Group]) -> None:
        one = group("router=run", "shard 0=run")
        one.pids(2)
        one.process.send_signal(signal.SIGTERM)
        one.process.send_signal(signal.SIGINT)
        status, lines = one.finish()
        assert status == 0
        assert not [line for line in lines if "again" in line]

    def test_what_whoever_started_it_ignores_is_ignored(self, group: Callable[..., Group]) -> None:
        one = group("router=run", "shard 0=run", prefix=("env", "--ignore-signal=INT"))
        one.pids(2)
        one.process.send_signal(signal.SIGINT)
        one.process.send_signal(signal.SIGTERM)
        assert one.finish()[1][0] == "got SIGTERM: stopping"

    def test_killed_it_leaves_no_orphan(self, group: Callable[..., Group]) -> None:
        one = group("router=run", "shard 0=run", "shard 1=run")
        one.pids(3)
        one.process.kill()
        status, lines = one.finish()  # The pipe ends only when all are gone.
        assert status == -signal.SIGKILL
        assert sorted(lines) == ["router is an orphan", "shard 0 is an orphan", "shard 1 is an orphan"]


class TestHangUp:
    """SIGHUP, which means one of two things."""

    def test_to_read_the_configuration_again(self, group: Callable[..., Group], tmp_path: Path) -> None:
        """The router is told, if there is no fault; nobody else is."""
        one = group("shard 0=run", "router=run")
        one.pids(2)
        (tmp_path / "fault").touch()
        for lines in ["reads again"], ["reads again", "router got SIGHUP"]:
            one.process.send_signal(signal.SIGHUP)
            assert [one.line() for _ in lines] == lines
            (tmp_path / "fault").unlink(missing_ok=True)
        one.process.send_signal(signal.SIGTERM)
        assert "got SIGTERM: stopping" in one.finish()[1][0]

    def test_a_router_that_is_just_starting(self, group: Callable[..., Group]) -> None:
        """It takes the signal when it can."""
        one = group("shard 0=run", "router=run")
        one.until(r"shard 0 runs as \d+")
        one.process.send_signal(signal.SIGHUP)
        one.until("router got SIGHUP")

    def test_the_end_of_the_terminal(self, group: Callable[..., Group]) -> None:
        terminal, end = os.openpty()
        one = group("shard 0=run", "router=run", prefix=("setsid", "--ctty"), stdin=end)
        os.close(end)
        one.pids(2)
        os.close(terminal)
        status, lines = one.finish()
        assert (status, lines) == (0, ["got SIGHUP: stopping", "router got SIGTERM", "shard 0 got SIGTERM"])

    def test_a_shell_whose_terminal_ends(self, group: Callable[..., Group]) -> None:
        """It tells what it has started before the kernel does: the terminal is gone, and that is the same."""
        terminal, end = os.openpty()
        shell = "trap 'kill -HUP $!' HUP; \"$@\" & wait; wait"
        one = group("router=run", prefix=("setsid", "--ctty", "bash", "-c", shell, "shell"), stdin=end)
        os.close(end)
        one.pids(1)
        os.close(terminal)
        assert one.finish()[1] == ["got SIGHUP: stopping", "router got SIGTERM"]

    def test_from_anybody_else_when_the_terminal_is_gone(self, group: Callable[..., Group]) -> None:
        terminal, end = os.openpty()
        shell = 'trap : HUP; "$@" & wait; wait'
        one = group("router=run", prefix=("setsid", "--ctty", "bash", "-c", shell, "shell"), stdin=end)
        os.close(end)
        supervisor = psutil.Process(one.pids(1)["router"]).parent()
        os.close(terminal)
        supervisor.send_signal(signal.SIGHUP)
        assert [one.line(), one.line()] == ["reads again", "router got SIGHUP"]
        supervisor.terminate()
        assert one.finish()[1] == ["got SIGTERM: stopping", "router got SIGTERM"]

    def test_nohup(self, group: Callable[..., Group]) -> None:
        """The end of the terminal is nothing then; the other meaning stays."""
        terminal, end = os.openpty()
        one = group("router=run", prefix=("setsid", "--ctty", "nohup"), stdin=end)
        os.close(end)
        one.pids(1)
        os.close(terminal)
        while not select.select([one.fd], [], [], 0.05)[0]:  # One that comes before the kernel's is heard is none.
            one.process.send_signal(signal.SIGHUP)
        one.until("reads again")
        one.process.terminate()
        status, lines = one.finish()
        assert status == 0 and "got SIGTERM: stopping" in lines


class TestBackOff:
    def test_doubles_up_to_a_limit(self) -> None:
        child = Child(Command("shard 0", ["/bin/true"]))
        delays = [child.plan_restart(0.0) for _ in range(9)]
        assert delays[:4] == [BACKOFF_FIRST_S, 0.2, 0.4, 0.8]
        assert delays[-1] == delays[-2] == BACKOFF_MAX_S

    @pytest.mark.parametrize(("ran_s", "delay_s"), [(RAN_WELL_S - 0.1, 0.2), (RAN_WELL_S, BACKOFF_FIRST_S)])
    def test_begins_anew_after_a_good_run(self, ran_s: float, delay_s: float) -> None:
        child = Child(Command("shard 0", ["/bin/true"]))
        child.plan_restart(0.0)
        child.started_s = 100.0
        assert child.plan_restart(100.0 + ran_s) == delay_s

    def test_how_ended(self) -> None:
        assert how_ended(3) == "exited with status 3"
        assert how_ended(-9) == "was killed by SIGKILL"
        assert how_ended(-65) == "was killed by signal 65"


def shardis(*argv: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `shardis`, which is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "deploy", *argv],
        capture_output=True,
        text=True,
        cwd=cwd or ROOT,
        timeout=LINE_TIMEOUT_S,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


class TestCommandLine:
    def test_help(self) -> None:
        result = shardis("--help")
        assert result.returncode == 0 and not result.stderr
        assert result.stdout.startswith("Usage: shardis [FILE] [--NAME VALUE ...]")
        assert max(map(len, result.stdout.splitlines())) <= 120

    def test_version(self) -> None:
        result = shardis("--version")
        assert result.returncode == 0 and re.match(r"shardis \S.* \(Python 3\.", result.stdout)

    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (["--prot", "7000"], "--prot: unknown directive 'prot', did you mean 'port'?"),
            (["--port", "x"], "--port: x: argument couldn't be parsed into an integer"),
            (["--shards", "1025"], "--shards: 1025: argument must be between 0 and 1024 inclusive"),
            (["nothing.conf"], "can't read nothing.conf: No such file or directory"),
            (["--daemonize", "yes"], "--daemonize: yes: Shardis stays in the foreground"),
            (["--dir", "/dev/null/data"], "cannot make the data directory /dev/null/data: Not a directory"),
            (["--dir", "{tmp}", "--logfile", "/"], "cannot write the log file /: Is a directory"),
            (
                ["--dir", "{tmp}", "--rundir", "/dev/null/r"],
                "cannot make the run directory /dev/null/r: Not a directory",
            ),
        ],
    )
    def test_one_line_and_status_1(self, tmp_path: Path, argv: list[str], said: str) -> None:
        result = shardis(*(word.format(tmp=tmp_path) for word in argv))
        assert result.returncode == 1
        assert result.stderr.startswith(f"shardis: {said}")
        assert result.stderr.count("\n") == 1 and not result.stdout

    def test_names_the_line_of_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.conf").write_text("port 7000\n\nappendfsync never\n")
        result = shardis("a.conf", cwd=tmp_path)
        assert result.returncode == 1
        assert result.stderr == (
            "shardis: a.conf:3: appendfsync never: argument(s) must be one of the following: everysec, always, no\n"
        )


class TestServer:
    def test_port_in_use(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            result = shardis("--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--shards", "2")
        assert result.returncode == 1
        said = [line for line in result.stderr.splitlines() if line.startswith("shardis: ")]
        assert len(said) == 1 and f"127.0.0.1:{port}" in said[0] and "ddress already in use" in said[0]
        assert "Traceback" not in result.stderr

    def test_one_at_a_time_in_a_folder(self, start: Callable[[Shardis], Shardis]) -> None:
        server = start(Shardis())
        result = shardis("--port", str(free_port()), "--dir", str(server.folder))
        assert result.returncode == 1
        assert result.stderr == f"shardis: another shardis (process {server.pid}) runs on {server.folder}\n"

    def test_a_shard_that_is_killed_comes_back_with_its_data(self, start: Callable[[Shardis], Shardis]) -> None:
        server = start(Shardis(shards=2))
        with server.connect() as client:
            for number in range(20):
                client.call("SET", f"key:{number}", number)
            before = children_of(server.pid)
            os.kill(before["shard 1"], signal.SIGKILL)
            wait_until(lambda: children_of(server.pid).get("shard 1", before["shard 1"]) != before["shard 1"])
            wait_until(lambda: client.call("DBSIZE") == 20)
            assert client.call("GET", "key:7") == b"7"

    def test_a_router_that_is_killed_comes_back(self, start: Callable[[Shardis], Shardis]) -> None:
        server = start(Shardis(shards=2))
        with server.connect() as client:
            client.call("SET", "key", "value")
        os.kill(children_of(server.pid)["router"], signal.SIGKILL)
        server.wait_ready()
        with server.connect() as client:
            assert client.call("GET", "key") == b"value"

    def test_killed_it_leaves_no_orphan_and_can_be_started_again(self, start: Callable[[Shardis], Shardis]) -> None:
        server = start(Shardis(shards=2))
        with server.connect() as client:
            client.call("SET", "key", "value")
        children = [psutil.Process(pid) for pid in children_of(server.pid).values()]
        server.stop(signal.SIGKILL)
        server.launch()  # At once: it waits until the children of the one before are gone.
        wait_ended(children, LINE_TIMEOUT_S)
        server.wait_ready()
        with server.connect() as client:
            assert client.call("GET", "key") == b"value"

    def test_stops_in_order(self, start: Callable[[Shardis], Shardis]) -> None:
        server = start(Shardis(shards=2))
        children = [psutil.Process(pid) for pid in children_of(server.pid).values()]
        assert len(children) == 3
        assert server.stop() == 0
        assert not any(child.is_running() for child in children)

    def test_a_run_folder_too_long_for_a_socket(self, tmp_path: Path) -> None:
        folder = tmp_path / ("long" * 30)
        short = tmp_path / "x"
        short.mkdir()
        port = free_port()
        argv = [sys.executable, "-m", "deploy", "--port", str(port), "--dir", str(folder), "--shards", "1"]
        argv += ["--set-proc-title", "no"]
        environment = {**os.environ, "XDG_RUNTIME_DIR": ""}
        with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL, env=environment) as it, ended(it):
            wait_until(lambda: answers(port))
            used = Path(children_command(it.pid)[0]).parent
            assert used.parent == Path("/tmp") and used.stat().st_mode & 0o777 == 0o700
            it.terminate()
            assert it.wait(LINE_TIMEOUT_S) == 0
        assert not used.exists()

    def test_the_password_is_not_among_the_arguments(self, tmp_path: Path) -> None:
        (tmp_path / "a.conf").write_text("requirepass hush\n")
        port = free_port()
        argv = [sys.executable, "-m", "deploy", str(tmp_path / "a.conf"), "--port", str(port), "--dir", str(tmp_path)]
        argv += ["--set-proc-title", "no", "--shards", "1"]
        with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL) as it, ended(it):
            wait_until(lambda: len(psutil.Process(it.pid).children()) == 2)
            files = children_command(it.pid)
            assert len(files) == 2 and all((Path(path).stat().st_mode & 0o777) == 0o600 for path in files)
            shown = [psutil.Process(it.pid), *psutil.Process(it.pid).children()]
            assert not [process for process in shown if "hush" in " ".join(process.cmdline())]
            it.terminate()
            assert it.wait(LINE_TIMEOUT_S) == 0


@contextlib.contextmanager
def ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Has it end when the test fails: the end of its `with` would wait for it."""
    try:
        yield
    finally:
        process.kill()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), Client(("127.0.0.1", port)) as client:
        return bool(client.call("PING") == Status(b"PONG"))
    return False


def psutil_child(pid: int, name: str) -> int:
    """The stand-in child of that name."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = [child.pid for child in psutil.Process(pid).children() if name in child.cmdline()]
        return bool(found)

    wait_until(is_there)
    return found[0]


def children_of(pid: int) -> dict[str, int]:
    """Name and process id of the router and the shards of a supervisor, which may have set their titles or not yet."""
    found: dict[str, int] = {}
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):
            line = " ".join(child.cmdline())
            if match := re.search(r"(?:--index|shard) (\d+)", line):
                found[f"shard {match[1]}"] = child.pid
            elif "router" in line:
                found["router"] = child.pid
    return found


def children_command(pid: int) -> list[str]:
    """The configuration files that the children of a supervisor were given."""
    words = [word for child in psutil.Process(pid).children() for word in child.cmdline()]
    return [word for word in words if word.endswith("/shardis.conf")]

"""`shardis top` on a terminal: keys, sizes, Ctrl-C, a server that goes and comes back; and one frame without one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
import pytest

from tests.certificates import Authority
from tests.servers import ROOT, Shardis, free_port

TIMEOUT_S = 60
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
"""The other screen of a terminal: a program that leaves it leaves all as it was."""


@pytest.fixture(scope="module")
def server() -> Iterator[Shardis]:
    with Shardis(2) as server:
        yield server


def top(*words: object) -> list[str]:
    return ["-m", "deploy", "top", *map(str, words)]


@contextmanager
def screen(server: Shardis, *words: object) -> Iterator["pexpect.spawn[str]"]:
    """The program on a terminal of 100 to 30."""
    child = pexpect.spawn(
        sys.executable, top("-p", server.port, "--interval", 0.2, *words), cwd=str(ROOT), encoding="utf-8",
        dimensions=(30, 100), timeout=TIMEOUT_S, env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"},
    )  # fmt: skip
    try:
        yield child
    finally:
        child.close(force=True)


def ended(child: "pexpect.spawn[str]") -> int | None:
    """How it ended; the terminal is as it was."""
    child.expect_exact(LEAVE)
    child.expect(pexpect.EOF)
    child.wait()
    status: int | None = child.exitstatus
    return status


def test_q_quits(server: Shardis) -> None:
    with screen(server) as child:
        child.expect_exact(ENTER)
        child.expect_exact("all 2 shards ready")
        child.send("q")
        assert ended(child) == 0


@pytest.mark.parametrize("act", ["ctrl-c", "terminate"])
def test_it_ends_cleanly(server: Shardis, act: str) -> None:
    with screen(server) as child:
        child.expect_exact("all 2 shards ready")
        child.sendintr() if act == "ctrl-c" else child.kill(signal.SIGTERM)
        assert ended(child) == 0
        assert "Traceback" not in (child.before or "")


def test_keys_change_the_screen(server: Shardis) -> None:
    with screen(server) as child:
        child.expect_exact("sort: time")
        child.send("s")
        child.expect_exact("sort: calls")
        child.send("n")
        child.expect_exact("sort: name")
        child.send(" ")
        child.expect_exact("paused")
        child.send("-")
        child.expect_exact("every 1 s")
        child.send("q")
        assert ended(child) == 0


def test_another_size(server: Shardis) -> None:
    with screen(server) as child:
        child.expect_exact("commands/s")
        child.setwinsize(20, 60)
        child.expect_exact("ops/s")
        child.send("q")
        assert ended(child) == 0


def test_a_terminal_that_does_not_say_its_size(server: Shardis) -> None:
    with screen(server) as child:
        child.expect_exact("all 2 shards ready")
        child.setwinsize(0, 0)
        child.send("s")
        child.expect_exact("sort: calls")
        child.send("q")
        assert ended(child) == 0


def test_what_runs_is_shown(server: Shardis) -> None:
    with server.connect() as client, screen(server) as child:
        while True:
            for number in range(100):
                client.call("SET", f"key:{number}", number)
            if child.expect_exact([" SET ", pexpect.TIMEOUT], timeout=0.1) == 0:
                break
        child.send("q")
        assert ended(child) == 0


def test_a_server_that_goes_and_comes_back(server: Shardis) -> None:
    with screen(server) as child:
        child.expect_exact("all 2 shards ready")
        server.stop()
        child.expect_exact("no connection")
        server.launch()
        child.expect_exact("all 2 shards ready")
        child.send("q")
        assert ended(child) == 0
        server.wait_ready()


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *top(*words)], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)


def test_one_frame(server: Shardis) -> None:
    done = run("-p", server.port, "--once", "--interval", 0.1)
    assert (done.returncode, done.stderr) == (0, "")
    assert "all 2 shards ready" in done.stdout and "\x1b" not in done.stdout and "INFO" in done.stdout


def test_one_frame_over_tls(tls_server: Shardis, authority: Authority) -> None:
    port = tls_server.options["tls-port"]
    done = run("-p", port, "--tls", "--cacert", authority.path, "--once", "--interval", 0.1)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"127.0.0.1:{port}" in done.stdout and "all 2 shards ready" in done.stdout
    done = run("-p", port, "--tls", "--cacert", "/nosuch", "--once")
    assert (done.returncode, done.stderr) == (1, "shardis top: /nosuch: No such file or directory\n")


def test_without_a_terminal(server: Shardis) -> None:
    done = run("-p", server.port)
    assert (done.returncode, done.stdout) == (2, "") and "--once prints one frame" in done.stderr


def test_nobody_there() -> None:
    port = free_port()
    done = run("-p", port, "--once")
    assert done.returncode == 1 and done.stderr.startswith(f"shardis top: 127.0.0.1:{port}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["--interval", "0"], ["--sort", "size"], ["-p", "x"], ["--nonsense"], ["--cert", "x"]]
)
def test_bad_options(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2 and "usage: shardis top" in done.stderr


def test_help() -> None:
    done = run("--help")
    assert done.returncode == 0 and "REDISCLI_AUTH" in done.stdout and "shardis top --once" in done.stdout

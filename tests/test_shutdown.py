"""How a server ends, and how it refuses to begin: in order, with one line that says what to do."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.bench.processes import roles
from tests.resp_client import Client, Error, Status
from tests.servers import ROOT, START_TIMEOUT_S, STOP_TIMEOUT_S, Shardis, free_port
from tests.test_crash import key_on
from tests.writers import faults, wait_for_progress, writing

SHARDS = 3
KEYS = 300

Start = Callable[[Shardis], Shardis]


def ended(server: Shardis, processes: list[psutil.Process]) -> int:
    """Waits for the end of a server that was told to; its exit status."""
    assert server.process is not None
    status = server.process.wait(STOP_TIMEOUT_S)
    assert not [process for process in processes if process.is_running()]
    server.stop()
    return status


def again(server: Shardis) -> None:
    server.launch()
    server.wait_ready()


# The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load(start: Start, number: signal.Signals) -> None:
    server = start(Shardis(shards=SHARDS))
    with writing(server, seed=int(number)) as writers:
        wait_for_progress(writers, 50)
        processes = [psutil.Process(pid) for pid in roles(server).values()]
        os.kill(server.pid, number)
        assert ended(server, processes) == 0
        again(server)
        wait_for_progress(writers, 50)
    assert not faults(server, writers)
    log = server.log_path.read_text()
    assert "Traceback" not in log and "error:" not in log and "fatal:" not in log


@pytest.mark.parametrize("words", ["", "NOSAVE", "now force"])
def test_shutdown(start: Start, words: str) -> None:
    """Everything is kept, whatever the words say: the log has it. What came before it in the pipeline is answered."""
    server = start(Shardis(shards=SHARDS))
    processes = [psutil.Process(pid) for pid in roles(server).values()]
    with server.connect() as client:
        for shard in range(SHARDS):
            client.send("SET", key_on(shard), shard)
        client.send("SHUTDOWN", *words.split())
        assert [reply.value for reply in client.read_many(SHARDS)] == [Status(b"OK")] * SHARDS
        with pytest.raises(ConnectionError):
            client.read()
    assert ended(server, processes) == 0
    again(server)
    with server.connect() as client:
        assert client.call("MGET", *map(key_on, range(SHARDS))) == [b"0", b"1", b"2"]


def test_a_reload_meanwhile(start: Start) -> None:
    """SIGHUP does not end a process that is ending: it would be one that died, and was to be started again."""
    server = start(Shardis(shards=SHARDS))
    processes = [psutil.Process(pid) for pid in roles(server).values()]
    router = psutil.Process(roles(server)["router"])
    with server.connect() as client:
        client.send("SHUTDOWN")
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        while router.is_running():
            assert time.monotonic() < deadline_s
            with suppress(psutil.NoSuchProcess):
                router.send_signal(signal.SIGHUP)
            time.sleep(0.0005)
    assert ended(server, processes) == 0


def test_shutdown_under_load(start: Start) -> None:
    server = start(Shardis(shards=SHARDS, appendfsync="always"))
    with writing(server, seed=1) as writers:
        wait_for_progress(writers, 50)
        processes = [psutil.Process(pid) for pid in roles(server).values()]
        with server.connect() as client:
            client.send("SHUTDOWN")
            with pytest.raises(ConnectionError):
                client.read()
        assert ended(server, processes) == 0
        again(server)
    assert not faults(server, writers)


def test_shutdown_that_is_refused(client: Client) -> None:
    assert client.call("SHUTDOWN", "ABORT") == Error(b"ERR No shutdown in progress.")
    for wrong in (["SOON"], ["SAVE", "NOSAVE"], ["ABORT", "NOW"]):
        assert client.call("SHUTDOWN", *wrong) == Error(b"ERR syntax error")
    assert client.call("PING") == Status(b"PONG")


def test_shutdown_while_a_shard_is_down(start: Start) -> None:
    server = start(Shardis(shards=SHARDS))
    pids = roles(server)
    processes = [psutil.Process(pid) for pid in pids.values()]
    with server.connect() as client:
        os.kill(pids["shard 1"], signal.SIGKILL)
        client.send("SHUTDOWN")
        with pytest.raises(ConnectionError):
            client.read()
    assert ended(server, processes) == 0


# No beginning


def refusal(folder: Path, *options: str, port: int = 0, cwd: Path = ROOT) -> str:
    """What a server says that does not start: its one line, without the prefix."""
    argv = [sys.executable, "-m", "deploy", *options]
    argv += ["--port", str(port or free_port()), "--dir", str(folder), "--bind", "127.0.0.1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, timeout=START_TIMEOUT_S)
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert "Traceback" not in said and not done.stdout
    lines = [line for line in said.splitlines() if not re.match(r"\d{4}-\d\d-\d\d .* (notice|warning): ", line)]
    assert len(lines) == 1 and lines[0].startswith("shardis: "), said
    return lines[0].removeprefix("shardis: ")


def written(start: Start, folder: Path) -> None:
    """Data in that folder, by a server that has ended."""
    server = Shardis(shards=SHARDS, folder=folder)
    start(server)
    with server.connect() as client:
        client.send_bytes(b"".join(b"SET key:%d %d\r\n" % (number, number) for number in range(KEYS)))
        client.read_many(KEYS)
    assert server.stop() == 0


def log_of(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard}" / "appendonlydir" / "appendonly.aof.1.incr.aof"


def test_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(tmp_path, "--shards", "2", port=port)
    assert said == f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another one with --port"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot 7000", "{file}:2: unknown directive 'prot', did you mean 'port'?"),
        ("port seven", "{file}:2: port seven: argument couldn't be parsed into an integer"),
        ("appendfsync never", "{file}:2: appendfsync never: argument(s) must be one of the following: "),
        ('requirepass "half', "{file}:2: "),
        ("shards 0 0", "{file}:2: shards"),
    ],
)
def test_a_bad_directive(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "shardis.conf"
    file.write_text(f"# mine\n{text}\n")
    assert refusal(tmp_path, str(file)).startswith(said.format(file=file))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal(tmp_path, str(tmp_path)).startswith(f"can't read {tmp_path}: ")
    assert refusal(tmp_path, "none.conf").startswith("can't read none.conf: No such file")


def test_a_log_damaged_in_the_middle(start: Start, tmp_path: Path) -> None:
    written(start, tmp_path)
    path = log_of(tmp_path, 1)
    data = bytearray(path.read_bytes())
    middle = data.index(b"*3", len(data) // 2)
    data[middle : middle + 4] = b"!!!!"
    path.write_bytes(data)
    said = refusal(tmp_path, "--shards", str(SHARDS))
    assert said.startswith(f"{path} is damaged at byte {middle}: ")
    assert path.read_bytes() == data
    # What it advises works.
    advised = said.partition("redis-check-aof --fix ")[2]
    assert advised == str(path.parent / "appendonly.aof.manifest")
    if shutil.which("redis-check-aof"):
        subprocess.run(["redis-check-aof", "--fix", advised], input=b"y\n", capture_output=True, check=True)
        server = start(Shardis(shards=SHARDS, folder=tmp_path))
        with server.connect() as client:
            assert KEYS // 2 < client.call("DBSIZE") < KEYS


def test_a_file_of_the_log_is_gone(start: Start, tmp_path: Path) -> None:
    written(start, tmp_path)
    log_of(tmp_path, 2).unlink()
    said = refusal(tmp_path, "--shards", str(SHARDS))
    assert said == (
        f"{log_of(tmp_path, 2)} is damaged at byte 0: the manifest names this file, but there is none; restore a backup"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_log_that_may_not_be_read(start: Start, tmp_path: Path) -> None:
    written(start, tmp_path)
    log_of(tmp_path, 0).chmod(0)
    assert str(log_of(tmp_path, 0)) in refusal(tmp_path, "--shards", str(SHARDS))


def test_a_cut_tail(start: Start, tmp_path: Path) -> None:
    """What a crash of the machine leaves: the server starts, says so, and has everything but the last write."""
    written(start, tmp_path)
    path = log_of(tmp_path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    last = whole.rindex(b"*3")
    said = refusal(tmp_path, "--shards", str(SHARDS), "--aof-load-truncated", "no")
    assert said.startswith(f"{path} is damaged at byte {last}: ")
    server = start(Shardis(shards=SHARDS, folder=tmp_path))
    with server.connect() as client:
        assert client.call("DBSIZE") == KEYS - 1
    warning = f"warning: {path}: the unfinished end is cut off: {len(whole) - 3 - last} bytes at {last}"
    assert warning in server.log_path.read_text()

"""What the processes are given by the supervisor, and SIGHUP to it: the configuration read again."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.config import Config
from deploy.handover import hand_over, path_of, read_again
from tests.certificates import Authority, connect
from tests.resp_client import Status
from tests.servers import Shardis

OK = Status(b"OK")
WAIT_TIMEOUT_S = 30.0
POLL_S = 0.02


class Scene:
    """A configuration that was handed over."""

    def __init__(self, folder: Path, text: str) -> None:
        self.file = folder / "given.conf"
        self.said: list[str] = []
        self.file.write_text(text)
        self.argv = [str(self.file), "--dir", str(folder), "--rundir", str(folder), "--shards", "2"]
        self.config = Config.from_arguments(self.argv)
        hand_over(self.config)

    def again(self, text: str) -> bool:
        self.file.write_text(text)
        return read_again(self.config, self.argv, {}, self.said.append)

    def found(self) -> Config:
        """As a process gets it."""
        return Config.from_arguments([path_of(self.config)])


def test_what_is_handed_over_is_for_this_user_only(tmp_path: Path) -> None:
    one = Scene(tmp_path, "requirepass secret\nmaxclients 10000\n")
    assert os.stat(path_of(one.config)).st_mode & 0o777 == 0o600
    assert one.found().text() == one.config.text()
    assert one.found().given["maxclients"] == 10000  # The default, and asked for.


def test_what_changes_is_handed_over_anew(tmp_path: Path) -> None:
    one = Scene(tmp_path, "maxclients 100\nloglevel verbose\ndatabases 4\n")
    assert one.again("maxclients 200\ndatabases 7\n")
    found = one.found()
    assert [found[name] for name in ("maxclients", "loglevel", "databases", "shards")] == [200, "notice", 4, 2]
    assert one.said == ["only a restart changes these directives: databases"]


@pytest.mark.parametrize(
    ("text", "reason"), [("maxclients none\n", "given.conf:1"), ("include nowhere.conf\n", "nowhere.conf")]
)
def test_a_fault_changes_nothing(tmp_path: Path, text: str, reason: str) -> None:
    one = Scene(tmp_path, "maxclients 100\n")
    assert not one.again(text)
    assert one.found()["maxclients"] == one.config["maxclients"] == 100
    assert "the configuration is not reloaded: " in one.said[0] and reason in one.said[0]


class Configured(Shardis):
    """A server with a file."""

    def command(self) -> list[str]:
        argv = super().command()
        return [*argv[:3], str(self.folder / "given.conf"), *argv[3:]]

    def write(self, text: str) -> None:
        (self.folder / "given.conf").write_text(text)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + WAIT_TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline_s, self.log()
            time.sleep(POLL_S)

    def lines(self) -> list[str]:
        return self.log().splitlines()


@pytest.fixture
def server(start: Callable[[Configured], Configured], tmp_path: Path) -> Configured:
    one = Configured(shards=2, folder=tmp_path)
    one.write("maxclients 100\nset-max-intset-entries 7\n")
    return start(one)


def test_a_running_server(server: Configured) -> None:
    """Router and shards go by the file; a router that dies comes back with it; a fault changes nothing."""

    def value(name: str) -> bytes:
        with server.connect() as client:
            return bytes(client.call("CONFIG", "GET", name)[1])

    server.write("maxclients 50\nset-max-intset-entries 2\n")
    os.kill(server.pid, signal.SIGHUP)
    server.until(lambda: value("maxclients") == b"50")
    with server.connect() as client:
        client.call("SADD", "set", 1, 2, 3)
        assert client.call("OBJECT", "ENCODING", "set") == b"listpack"
        router = int(client.call("INFO", "server").split(b"process_id:")[1].split()[0])
    os.kill(router, signal.SIGKILL)
    server.wait_ready()
    assert value("maxclients") == b"50"
    server.write("maxclients many\n")
    os.kill(server.pid, signal.SIGHUP)
    server.until(lambda: any("not reloaded" in line and "given.conf:1" in line for line in server.lines()))
    assert value("maxclients") == b"50"


def test_the_supervisors_lines_follow(server: Configured) -> None:
    """CONFIG SET, and the file when it is read again."""

    def kill_shard() -> None:
        with server.connect() as client:
            facts = client.call("INFO", "shards").decode().splitlines()
        pid = next(field.split("=")[1] for line in facts for field in line.split(",") if "pid=" in field)
        os.kill(int(pid), signal.SIGKILL)

    with server.connect() as client:
        assert client.call("CONFIG", "SET", "log-format", "json", "log-timestamp-format", "milliseconds") == OK
    kill_shard()
    server.until(lambda: any('"role":"supervisor"' in line and "runs again" in line for line in server.lines()))
    said = [json.loads(line) for line in server.lines() if '"role":"supervisor"' in line]
    assert all(str(line["timestamp"]).isdigit() for line in said) and said[0]["level"] == "warning"
    server.wait_ready()
    server.write("log-format logfmt\n")
    os.kill(server.pid, signal.SIGHUP)
    server.until(
        lambda: any(
            line.endswith('the configuration is reloaded: log-format, maxclients, set-max-intset-entries"')
            for line in server.lines()
        )
    )
    kill_shard()
    server.until(lambda: any(" role=supervisor " in line and "runs again" in line for line in server.lines()))


def test_new_certificates(start: Callable[[Configured], Configured], tmp_path: Path) -> None:
    """Those who come after SIGHUP get them, though the directives are as they were."""
    authority = Authority(tmp_path / "certificates")
    authority.issue("server")
    one = Configured(shards=1, folder=tmp_path)
    given = authority.directives()
    one.options["tls-port"] = given.pop("tls_port")
    one.write("".join(f"{name.replace('_', '-')} {text}\n" for name, text in given.items()))
    start(one)

    def shown() -> str:
        with connect(one, authority.context()) as client:
            return str((client.stream.getpeercert() or {})["serialNumber"])

    assert shown() == authority.serial("server")
    authority.issue("server")
    assert shown() != authority.serial("server")
    os.kill(one.pid, signal.SIGHUP)
    one.until(lambda: shown() == authority.serial("server"))

"""Passwords: in no log, no INFO, no MONITOR, no command log, and not in the list of processes."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.resp_client import Client, Error, Push, Status
from tests.servers import Server, Shardis

OK = Status(b"OK")
SECRETS = [b"hush-requirepass", b"hush-primaryauth", b"hush-tls-pass", b"hush-changed", b"hush-wrong"]


def found_in(text: bytes) -> list[bytes]:
    return [secret for secret in SECRETS if secret in text]


@pytest.fixture
def server(start: Callable[[Server], Server], tmp_path: Path) -> Server:
    return start(
        Shardis(
            2,
            tmp_path,
            requirepass="hush-requirepass",
            masterauth="hush-primaryauth",
            tls_key_file_pass="hush-tls-pass",
            set_proc_title="no",
            loglevel="debug",
            slowlog_log_slower_than=0,
            commandlog_request_larger_than=0,
            commandlog_reply_larger_than=0,
            hide_user_data_from_log="no",
            logfile="all.log",
        )
    )


def use_secrets(client: Client) -> None:
    assert client.call("AUTH", "hush-requirepass") == OK
    assert isinstance(client.call("AUTH", "hush-wrong"), Error)
    assert isinstance(client.call("AUTH", "someone", "hush-wrong"), Error)
    assert isinstance(client.call("HELLO", "2", "AUTH", "default", "hush-wrong"), Error)
    assert not isinstance(client.call("HELLO", "2", "AUTH", "default", "hush-requirepass"), Error)
    assert client.call("CONFIG", "SET", "requirepass", "hush-changed", "primaryauth", "hush-changed") == OK
    assert client.call("CONFIG", "SET", "requirepass", "hush-requirepass") == OK
    assert isinstance(client.call("CONFIG", "SET", "requirepass", "hush-wrong", "databases", "3"), Error)
    assert isinstance(client.call("CONFIG", "SET", "hz", "x", "tls-key-file-pass", "hush-wrong"), Error)
    assert client.call("AUTH", "hush-requirepass") == OK


def test_nobody_reads_them(server: Server, tmp_path: Path) -> None:
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
    with server.connect() as watcher, server.connect() as client:
        assert watcher.call("AUTH", "hush-requirepass") == OK
        assert watcher.call("MONITOR") == OK
        use_secrets(client)
        shown = []
        client.call("ECHO", "the end")
        while b"the end" not in (line := watcher.read()).raw:
            shown.append(line.raw)
        assert shown and not found_in(b"".join(shown))
        for words in (
            ["INFO", "everything"],
            ["CLIENT", "LIST"],
            ["SLOWLOG", "GET", "-1"],
            ["COMMANDLOG", "GET", "-1", "large-request"],
            ["COMMANDLOG", "GET", "-1", "large-reply"],
            ["LATENCY", "DOCTOR"],
            ["MEMORY", "DOCTOR"],
        ):
            client.send(*words)
            reply = client.read()
            assert len(reply.raw) > 10 and not isinstance(reply.value, Error | Push)
            assert not found_in(reply.raw), words
    for process in processes:
        assert not found_in(" ".join(process.cmdline()).encode()), process
    assert len(processes) == 4
    server.stop()
    assert not found_in((tmp_path / "all.log").read_bytes() + server.log_path.read_bytes())


@pytest.mark.parametrize(
    "text", ["requirepass hush-wrong more", "tls-key-file-pass hush-wrong x", 'requirepass "hush-wrong']
)
def test_nor_where_they_are_badly_written(tmp_path: Path, text: str) -> None:
    from common.config import Config, ConfigError

    (tmp_path / "a.conf").write_text(f"{text}\n")
    with pytest.raises(ConfigError) as caught:
        Config.from_arguments([str(tmp_path / "a.conf")])
    assert not found_in(str(caught.value).encode())
    with pytest.raises(ConfigError) as caught:
        Config.from_arguments(["--port", "1", "--requirepass", "hush-wrong", "hush-changed"])
    assert not found_in(str(caught.value).encode())

"""Directives from the environment."""

import subprocess
import sys
from pathlib import Path

import pytest

from common.config import Config, ConfigError
from tests.servers import ROOT, Server, Shardis


def config_of(*argv: str, file: str = "", **environ: str) -> Config:
    return Config.from_arguments(["shardis.conf", *argv], lambda path: file, environ)


@pytest.mark.parametrize(
    ("variable", "value", "name", "found"),
    [
        ("SHARDIS_PORT", "7000", "port", 7000),
        ("SHARDIS_MAXMEMORY", "1gb", "maxmemory", 2**30),
        ("SHARDIS_APPENDONLY", "no", "appendonly", False),
        ("SHARDIS_SAVE", "900 1 300 10", "save", [[900, 1], [300, 10]]),
        ("SHARDIS_SAVE", "", "save", []),
        ("SHARDIS_BIND", "127.0.0.1 ::1", "bind", "127.0.0.1 ::1"),
        ("SHARDIS_REQUIREPASS", 'it\'s "a" --secret', "requirepass", 'it\'s "a" --secret'),
        ("SHARDIS_HASH_MAX_ZIPLIST_ENTRIES", "9", "hash-max-listpack-entries", 9),
        ("SHARDIS_SHARDS", "3", "shards", 3),
        ("SHARDIS_PORT", "tcp://10.0.0.7:6379", "port", 6379),
        ("SHARDIS_INDEX", "3", "index", -1),
        ("shardis_port", "3", "port", 6379),
    ],
)
def test_variable(variable: str, value: str, name: str, found: object) -> None:
    assert config_of(**{variable: value})[name] == found


def test_order() -> None:
    file = "port 1\nhz 20\ndatabases 5\n"
    config = config_of("--port", "3", file=file, SHARDIS_PORT="2", SHARDIS_HZ="30")
    assert (config["port"], config["hz"], config["databases"]) == (3, 30, 5)


def test_children_do_not_hear_it_again() -> None:
    """All that it says is in the file that the supervisor hands over, also what the command line said against it."""
    config = config_of("--port", "3", SHARDIS_PORT="2")
    child = config_of("--index", "1", file=config.text(), SHARDIS_PORT="2", SHARDIS_HZ="7")
    assert (child["port"], child["hz"], child["index"]) == (3, 10, 1)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"SHARDIS_PORT": "x"}, "SHARDIS_PORT: x: argument couldn't be parsed into an integer"),
        ({"SHARDIS_HZ": ""}, 'SHARDIS_HZ: "": argument couldn\'t be parsed into an integer'),
        ({"SHARDIS_CLUSTER_ENABLED": "yes"}, "SHARDIS_CLUSTER_ENABLED: yes: cluster mode is not supported by Shardis"),
    ],
)
def test_names_the_variable(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_of(**environ)
    assert str(caught.value) == said


def test_what_is_no_directive() -> None:
    config = config_of(
        SHARDIS_MAXMEMROY="1gb",
        SHARDIS_PLAIN="1",
        SHARDIS_PORT="tcp://10.0.0.7:6379",
        SHARDIS_PORT_6379_TCP="tcp://10.0.0.7:6379",
        SHARDIS_PORT_6379_TCP_ADDR="10.0.0.7",
        SHARDIS_PORT_6379_TCP_PORT="6379",
        SHARDIS_PORT_6379_TCP_PROTO="tcp",
        SHARDIS_SERVICE_HOST="10.0.0.7",
        SHARDIS_SERVICE_PORT="6379",
        SHARDIS_INDEX="3",
        HOME="/",
    )
    assert config.unknown_variables == ["SHARDIS_INDEX", "SHARDIS_MAXMEMROY"]


def test_a_server(tmp_path: Path) -> None:
    class FromEnvironment(Shardis):
        def environment(self) -> dict[str, str]:
            return super().environment() | {"SHARDIS_MAXCLIENTS": "77", "SHARDIS_TIMEOUT": "5", "SHARDIS_TIMOUT": "6"}

    server: Server = FromEnvironment(folder=tmp_path, timeout=9)
    with server, server.connect() as client:
        assert client.call("CONFIG", "GET", "maxclients", "timeout") == [b"maxclients", b"77", b"timeout", b"9"]
        assert "the environment variable SHARDIS_TIMOUT is no directive" in server.log()


def test_a_fault_is_one_line(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "deploy", "--dir", str(tmp_path)],
        cwd=ROOT,
        env={"SHARDIS_PORT": "x"},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "shardis: SHARDIS_PORT: x: argument couldn't be parsed into an integer\n"

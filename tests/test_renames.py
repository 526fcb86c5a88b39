"""rename-command, as in the reference."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from router.renames import BadRename, Renames
from tests.reference import Reference, reference_binary
from tests.resp_client import Client
from tests.servers import ROOT, Server, Shardis, free_port

NAMES = ("get", "set", "del", "auth")


@pytest.mark.parametrize(
    ("renames", "originals", "gone"),
    [
        ([("GET", "fetch")], {b"fetch": b"GET"}, {b"get"}),
        ([("get", "")], {}, {b"get"}),
        ([("get", "GET")], {}, set()),
        ([("get", "x"), ("set", "GET")], {b"x": b"GET", b"get": b"SET"}, {b"set"}),
        ([("get", "x"), ("x", "y")], {b"y": b"GET"}, {b"get"}),
        ([("get", ""), ("set", "")], {}, {b"get", b"set"}),
    ],
)
def test_names(renames: list[tuple[str, str]], originals: dict[bytes, bytes], gone: set[bytes]) -> None:
    found = Renames(renames, NAMES)
    assert (found.originals, found.gone) == (originals, gone)


@pytest.mark.parametrize(
    "renames", [[("nosuch", "x")], [("get", "set")], [("get", ""), ("get", "x")], [("get", "x"), ("set", "X")]]
)
def test_what_means_nothing(renames: list[tuple[str, str]], tmp_path: Path) -> None:
    """The reference's last line is how ours ends, and neither starts."""
    with pytest.raises(BadRename) as caught:
        Renames(renames, NAMES)
    path = tmp_path / "valkey.conf"
    path.write_text("".join(f'rename-command {old} "{new}"\n' for old, new in renames))
    theirs = subprocess.run([reference_binary(), path], capture_output=True, text=True, cwd=tmp_path, timeout=10)
    said = (theirs.stdout + theirs.stderr).strip().splitlines()[-1]
    assert str(caught.value).endswith(f": {said}")


def test_a_server_ends_with_one_line(tmp_path: Path) -> None:
    argv = ["--dir", str(tmp_path), "--port", str(free_port()), "--shards", "1", "--rename-command", "nosuch", "x"]
    result = subprocess.run([sys.executable, "-m", "deploy", *argv], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "shardis: rename-command nosuch x: No such command in rename-command\n" in result.stderr
    assert "Traceback" not in result.stderr


def with_renames(kind: type[Server]) -> type[Server]:
    class Renamed(kind):  # type: ignore[misc, valid-type]
        def command(self) -> list[str]:
            path = self.folder / "renames.conf"
            path.write_text(
                'rename-command SET put\nrename-command FLUSHALL ""\nrename-command MULTI begin\n'
                "rename-command EXEC commit\nrename-command AUTH login\nrename-command CONFIG conf\n"
                "rename-command BLPOP take\n"
            )
            program, *options = super().command()
            if program == sys.executable:
                return [program, *options[:2], str(path), *options[2:]]
            return [program, str(path), *options]

        def _probe(self) -> Client:
            return Client(self.address, timeout_s=2.0)

        def first_question(self) -> list[str]:
            return ["PING"]

    return Renamed


CALLS = (
    "SET a 1|PUT a 1|put b 2|Put c|GET a|MGET a b|FLUSHALL|flushall async|DBSIZE|MULTI|EXEC|begin|put a 3|GET a|commit"
    "|begin|SET a 4|GET a|commit|GET a|CONFIG GET maxmemory|conf get maxmemory|RPUSH l 1|take l 0|BLPOP l 0"
    "|AUTH x|login|begin|FLUSHALL x|DISCARD|put a 5|get a|nosuch x"
)


def test_replies_are_the_references(start: Callable[[Server], Server], tmp_path: Path) -> None:
    def replies(server: Server) -> list[Any]:
        with server.connect() as client:
            return [client.call(*line.split()) for line in CALLS.split("|")]

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    theirs = replies(start(with_renames(Reference)(folder=tmp_path / "a")))
    ours = replies(start(with_renames(Shardis)(shards=3, folder=tmp_path / "b")))  # type: ignore[call-arg]
    assert list(zip(CALLS.split("|"), ours, strict=True)) == list(zip(CALLS.split("|"), theirs, strict=True))


def test_the_log_has_the_original_names(start: Callable[[Server], Server], tmp_path: Path) -> None:
    server = start(with_renames(Shardis)(folder=tmp_path))
    with server.connect() as client:
        client.call("put", "key", "value")
    server.stop()
    with Shardis(folder=tmp_path) as plain, plain.connect() as client:
        assert client.call("GET", "key") == b"value"


def test_a_password_comes_first(start: Callable[[Server], Server], tmp_path: Path) -> None:
    def replies(kind: type[Server], folder: Path) -> list[Any]:
        folder.mkdir()
        server = start(with_renames(kind)(folder=folder))
        with server.connect() as admin:
            admin.call("conf", "set", "requirepass", "x")
        with server.connect() as client:
            return [client.call(*line.split()) for line in ("FLUSHALL", "put a 1", "AUTH x", "login x", "put a 1")]

    assert replies(Shardis, tmp_path / "a") == replies(Reference, tmp_path / "b")

"""The sockets between router and shards: for this user only, and what comes by them is looked at."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from common.frame import packer, unpacker
from tests.resp_client import Client, Status
from tests.servers import Server, Shardis

NOBODY = 65534
NOW_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[Shardis]:
    with Shardis(shards=2) as server:
        yield server


def sockets(server: Shardis) -> list[Path]:
    return sorted(server._rundir.glob("shard-*.sock"))


def shard_pids(client: Client) -> bytes:
    """The processes that serve: a shard that died would have another."""
    info = client.call("INFO", "shards")
    return b" ".join(word for word in info.replace(b"\r\n", b",").split(b",") if b"pid=" in word)


def test_modes(start: Callable[[Server], Server], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)

    class Plain(Shardis):
        def command(self) -> list[str]:
            argv = super().command()
            at = argv.index("--rundir")
            return [*argv[:at], *argv[at + 2 :]]

    start(Plain(shards=1, folder=tmp_path))
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    files = list((tmp_path / "run").iterdir())
    assert {path.name for path in files} >= {"shard-0.sock", "shardis.conf"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_stranger_is_not_served(server: Shardis) -> None:
    path = sockets(server)[0]
    modes = {file: file.stat().st_mode for file in (path, path.parent)}
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(20)
        for file in modes:
            file.chmod(0o777)
        os.seteuid(NOBODY)
        try:
            link.connect(str(path))
        finally:
            os.seteuid(0)
            for file, mode in modes.items():
                file.chmod(mode)
        assert not list(read(link, unpacker()))
    assert f"a connection of user {NOBODY} (process {os.getpid()}) is closed" in server.log()


def test_who_only_connects_changes_nothing(server: Shardis) -> None:
    with server.connect() as client, socket.socket(socket.AF_UNIX) as link:
        client.call("MSET", "a", "1", "b", "2")
        link.settimeout(20)
        link.connect(str(sockets(server)[0]))
        assert "hello" in next(read(link, unpacker()))
        for number in range(20):
            assert client.call("SET", f"key:{number}", "v") == Status(b"OK")


pack = packer().pack


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        b"GET key\r\n",
        pack(7),
        pack([]),
        pack({"hello": 1}),
        pack("text"),
        pack(["soon", 0, [[b"PING"]]]),
        pack([NOW_MS, "header", [[b"SET", b"key", b"other"]]]),
        pack([NOW_MS, 0]),
        pack([NOW_MS, 0, 7]),
        pack([NOW_MS, 0, [[b"SET", b"key", b"other"]]]),
        pack([NOW_MS, 2, [[b"FLUSHALL"]]]),
        pack(["router", bytes(16)]),
        pack(["router"]),
        msgpack.packb(msgpack.ExtType(77, b"x")),
    ],
    ids=str,
)
def test_what_is_no_frame_closes_that_connection_and_no_other(server: Shardis, data: bytes) -> None:
    with server.connect() as client:
        client.call("MSET", "a", "1", "b", "2", "key", "value")
        before = shard_pids(client)
        for path in sockets(server):
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(20)
                link.connect(str(path))
                stream = unpacker()
                while "hello" not in (frame := next(read(link, stream))):
                    assert frame
                link.sendall(data)
                assert not [frame for frame in read(link, stream) if type(frame) is list]
            assert client.call("MGET", "a", "b", "key") == [b"1", b"2", b"value"]
            assert client.call("PING") == Status(b"PONG")
        assert shard_pids(client) == before
    assert "Traceback" not in server.log()


def read(link: socket.socket, stream: msgpack.Unpacker) -> Iterator[Any]:
    """The frames that come until the connection is closed."""
    while True:
        yield from stream
        try:
            data = link.recv(1 << 16)
        except ConnectionResetError:
            return
        if not data:
            return
        stream.feed(data)

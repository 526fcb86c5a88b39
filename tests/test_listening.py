"""The sockets that clients come in by, and what a server says that cannot have them."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from common.bind import tcp_socket
from common.config import Config
from router.listening import (
    KEEPALIVE_PROBES,
    CannotListen,
    Doors,
    handed_over,
    keep_alive,
    places_of,
    sockets_at,
    unix_socket,
)
from tests.reference import Reference, reference_binary
from tests.resp_client import Client, Status
from tests.servers import ROOT, Server, Shardis, free_port

PONG = Status(b"PONG")
NOWHERE = "192.0.2.1"
"""An address that no machine has (RFC 5737)."""


def hosts(bind: str) -> list[str]:
    """The addresses that are listened on."""
    sockets = sockets_at(places_of(bind, free_port()), 5).values()
    found = [sock.getsockname()[0] for sock in sockets]
    for sock in sockets:
        sock.close()
    return found


class TestBind:
    @pytest.mark.parametrize(
        ("bind", "found"),
        [
            ("127.0.0.1", ["127.0.0.1"]),
            ("127.0.0.1 127.0.0.2", ["127.0.0.1", "127.0.0.2"]),
            ("*", ["0.0.0.0"]),
            ("-127.0.0.1", ["127.0.0.1"]),
            (f"127.0.0.1 -{NOWHERE}", ["127.0.0.1"]),
            ("", []),
        ],
    )
    def test_addresses(self, bind: str, found: list[str]) -> None:
        assert hosts(bind) == found

    @pytest.mark.skipif(not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
    def test_ipv6(self) -> None:
        assert hosts("* -::*") == ["0.0.0.0", "::"]
        assert hosts("::1 127.0.0.1") == ["::1", "127.0.0.1"]

    def test_a_name(self) -> None:
        assert hosts("localhost") in (["127.0.0.1"], ["::1"])

    @pytest.mark.parametrize("bind", [NOWHERE, f"127.0.0.1 {NOWHERE}", f"-{NOWHERE}", "nosuch.invalid"])
    def test_what_is_not_there(self, bind: str) -> None:
        with pytest.raises(CannotListen):
            sockets_at(places_of(bind, free_port()), 5)

    @pytest.mark.parametrize("bind", ["127.0.0.1", "-127.0.0.1"])
    def test_a_port_that_is_taken_is_never_forgiven(self, bind: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{port}: .* choose another"):
                sockets_at(places_of(bind, port), 5)

    def test_nowhere_to_listen(self, tmp_path: Path) -> None:
        for argv in (["--port", "0"], ["--bind", ""]):
            with pytest.raises(CannotListen, match="neither port nor unixsocket"):
                Doors(Config.from_arguments([*argv, "--dir", str(tmp_path)])).open()


class TestUnixSocket:
    @pytest.mark.parametrize("mode", [0o770, 0o700, 0o666])
    def test_mode(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "s"
        unix_socket(str(path), mode, "", 5).close()
        assert path.stat().st_mode & 0o777 == mode

    def test_without_a_mode_the_umask_decides(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            unix_socket(str(tmp_path / "s"), 0, "", 5).close()
            assert os.umask(0o027) == 0o027
        finally:
            os.umask(before)
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o750

    def test_takes_the_place_of_what_was_left(self, tmp_path: Path) -> None:
        path = str(tmp_path / "s")
        unix_socket(path, 0, "", 5).close()
        with unix_socket(path, 0, "", 5), socket.socket(socket.AF_UNIX) as client:
            client.connect(path)

    def test_says_which_path(self, tmp_path: Path) -> None:
        for options in (["--unixsocket", "no/s"], ["--unixsocket", "s", "--unixsocketgroup", "nosuchgroup"]):
            config = Config.from_arguments(["--port", "0", "--dir", str(tmp_path), *options])
            with pytest.raises(CannotListen, match=f"cannot listen on {tmp_path}/"):
                Doors(config).open()
            assert not list(tmp_path.iterdir())

    def test_clients(self, start: Callable[[Server], Server], tmp_path: Path) -> None:
        """Beside TCP, or alone; in protected mode a Unix socket is this machine, as in Redis."""
        path = tmp_path / "clients.sock"
        server = start(Shardis(shards=2, folder=tmp_path, unixsocket="clients.sock", unixsocketperm="700"))
        with Client(str(path)) as client, server.connect() as other:
            assert client.call("MSET", "a", "1", "b", "2") == Status(b"OK")
            assert other.call("GET", "a") == b"1"
            assert f" addr={path}:0 ".encode() in client.call("CLIENT", "LIST", "ID", client.call("CLIENT", "ID"))
            assert client.call("CONFIG", "GET", "unixsocketperm") == [b"unixsocketperm", b"700"]
        assert path.stat().st_mode & 0o777 == 0o700
        server.stop()
        assert not path.exists()

    def test_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        argv = [sys.executable, "-m", "deploy", "--port", "0", "--unixsocket", str(path), "--dir", str(tmp_path)]
        with subprocess.Popen([*argv, "--shards", "1"], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if f"ready to accept connections on {path}" in line:
                    break
            with Client(str(path)) as client:
                assert client.call("PING") == PONG
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("argv", "status"), [(["--port", "0"], 1), (["--bind", NOWHERE], 1), (["--unixsocket", "/nosuch/s"], 1)]
)
def test_the_end_of_a_server_that_cannot_listen(tmp_path: Path, argv: list[str], status: int) -> None:
    """As the reference's."""
    argv = ["--dir", str(tmp_path), "--save", "", *(argv if "--port" in argv else [*argv, "--port", str(free_port())])]
    ours = subprocess.run([sys.executable, "-m", "deploy", *argv, "--shards", "1"], cwd=ROOT, capture_output=True)
    theirs = subprocess.run([reference_binary(), *argv], cwd=tmp_path, capture_output=True)
    assert ours.returncode == theirs.returncode == status
    assert b"listen" in ours.stderr and b"Traceback" not in ours.stderr


@pytest.mark.parametrize("seconds", [0, 2, 300])
def test_keep_alive(seconds: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        keep_alive(listener, 50)
        keep_alive(listener, seconds)
        with socket.create_connection(listener.getsockname()):
            sock, _ = listener.accept()
            with sock:
                on = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                times = [
                    sock.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                ]
    assert on == bool(seconds)
    if seconds:
        assert times == [seconds, max(seconds // 3, 1), KEEPALIVE_PROBES]


@pytest.mark.parametrize("moved", [False, True])
def test_keep_alive_at_every_door(moved: bool, tmp_path: Path) -> None:
    argv = ["--bind", "127.0.0.1", "--port", str(free_port()), "--unixsocket", str(tmp_path / "s")]
    config = Config.from_arguments([*argv, "--tcp-keepalive", "70"])
    doors = Doors(config)
    try:
        doors.open()
        if moved:
            config.update({"port": free_port()})
            for sock in doors.follow():
                sock.close()
        (sock,) = doors.places.values()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 70
        config.update({"tcp-keepalive": 0})
        doors.keep_alive()
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    finally:
        doors.close()


def timer_of(server: Server, client: Client) -> str:
    """The timer of the server's end of a connection, as /proc/net/tcp has it: "02" is that of the keep-alive."""
    port, peer = f":{server.port:04X}", f":{client.socket.getsockname()[1]:04X}"
    while True:
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        (timer,) = [words[5][:2] for words in lines if words[1].endswith(port) and words[2].endswith(peer)]
        if timer != "01":  # What was sent just now is not acknowledged yet.
            return timer


@pytest.mark.parametrize("kind", [Reference, Shardis])
def test_keep_alive_of_clients(start: Callable[[Server], Server], kind: type[Server]) -> None:
    """It holds for those who come from then on, in the reference too."""
    server = start(kind(tcp_keepalive="100"))
    with server.connect() as first:
        assert first.call("PING") == PONG
        assert timer_of(server, first) == "02"
        assert first.call("CONFIG", "SET", "tcp-keepalive", "0") == Status(b"OK")
        assert timer_of(server, first) == "02"
        with server.connect() as second:
            assert second.call("PING") == PONG
            assert timer_of(server, second) == "00"


# --- Opened by systemd -----------------------------------------------------------------------------------------------


def test_sockets_of_systemd_go_before_the_directives() -> None:
    opened = tcp_socket("127.0.0.1", 0, 10)
    opened.setblocking(True)
    address = opened.getsockname()
    fd = opened.detach()
    os.set_inheritable(fd, True)
    config = Config.from_arguments(["--bind", "192.0.2.1", "--port", "1"])
    doors = Doors(config, [fd])
    (sock,) = doors.open()
    assert sock.getsockname() == address and config["port"] == address[1]
    assert not sock.getblocking() and not sock.get_inheritable()
    doors.close()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_descriptor_that_is_no_listener(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as sock, pytest.raises(CannotListen, match="is no listening TCP socket"):
        handed_over(os.dup(sock.fileno()))


def test_a_unix_socket_is_none_for_clients() -> None:
    one, other = socket.socketpair()
    with one, other, pytest.raises(CannotListen, match="is no listening TCP socket"):
        handed_over(os.dup(one.fileno()))

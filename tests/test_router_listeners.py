"""Ports that move while the server runs: clients who are there stay, and what can't be listened on changes nothing."""

import asyncio
import os
import socket
from collections.abc import Callable

import pytest

from common.config import Config
from router.listeners import Listeners
from router.listening import CannotListen, Doors
from tests.bare_router import BareRouter, on_a_loop
from tests.certificates import HOST, Authority, connect
from tests.reference import Reference
from tests.resp_client import Client, Error, Status
from tests.servers import Server, Shardis, free_port

OK, PONG = Status(b"OK"), Status(b"PONG")
NOWHERE = "192.0.2.1"
"""An address that no machine has (RFC 5737)."""


@pytest.mark.parametrize("kind", [Reference, Shardis])
class TestAsTheReference:
    def test_another_port(self, start: Callable[[Server], Server], kind: type[Server]) -> None:
        server = start(kind())
        old, new = server.port, free_port()
        with server.connect() as client:
            assert client.call("CONFIG", "SET", "port", new) == OK
            assert client.call("CONFIG", "GET", "port") == [b"port", str(new).encode()]
            with Client((HOST, new)) as other:
                assert other.call("PING") == PONG
            with pytest.raises(ConnectionRefusedError):
                Client((HOST, old))
            assert client.call("CONFIG", "SET", "port", 0) == OK
            with pytest.raises(ConnectionRefusedError):
                Client((HOST, new))
            assert client.call("CONFIG", "SET", "port", old) == OK
            with server.connect() as other:
                assert other.call("PING") == PONG

    def test_a_port_that_somebody_has(self, start: Callable[[Server], Server], kind: type[Server]) -> None:
        server = start(kind())
        with socket.create_server((HOST, 0)) as sock, server.connect() as client:
            answer = client.call("CONFIG", "SET", "maxclients", 100, "port", sock.getsockname()[1])
            assert answer == Error(
                b"ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check "
                b"server logs."
            )
            assert client.call("CONFIG", "GET", "port") == [b"port", str(server.port).encode()]
            assert client.call("CONFIG", "GET", "maxclients") == [b"maxclients", b"10000"]
            with server.connect() as other:
                assert other.call("PING") == PONG

    def test_other_addresses(self, start: Callable[[Server], Server], kind: type[Server]) -> None:
        server = start(kind(bind=HOST))
        with server.connect() as client:
            for bind in (
                "127.0.0.1 127.0.0.2",
                "127.0.0.2",
                f"127.0.0.1 -{NOWHERE}",
                "127.0.0.1",
                f"127.0.0.1 -{NOWHERE}",
            ):
                assert client.call("CONFIG", "SET", "bind", bind) == OK
                assert client.call("CONFIG", "GET", "bind") == [b"bind", bind.encode()]
                for host in ("127.0.0.1", "127.0.0.2"):
                    if host in bind:
                        with Client((host, server.port)) as other:
                            assert other.call("PING") == PONG
                    else:
                        with pytest.raises(ConnectionRefusedError):
                            Client((host, server.port))
            for bind in (NOWHERE, f"127.0.0.2 {NOWHERE}"):
                assert client.call("CONFIG", "SET", "bind", bind) == Error(
                    b"ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified "
                    b"addresses."
                )
            with server.connect() as other:
                assert other.call("PING") == PONG


def test_all_addresses_and_one_of_them(start: Callable[[Server], Server]) -> None:
    """One is in the other's way: it gives way, and comes back where the change comes to nothing."""
    server = start(Shardis(bind="*"))
    with server.connect() as client:
        assert client.call("CONFIG", "SET", "bind", "127.0.0.1") == OK
        with pytest.raises(ConnectionRefusedError):
            Client(("127.0.0.2", server.port))
        assert client.call("CONFIG", "SET", "bind", "*") == OK
        assert isinstance(client.call("CONFIG", "SET", "bind", f"127.0.0.1 {NOWHERE}"), Error)
        for host in ("127.0.0.1", "127.0.0.2"):
            with Client((host, server.port)) as other:
                assert other.call("PING") == PONG


def test_tls_comes_and_goes(start: Callable[[Server], Server], tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    authority.issue("server")
    given = {name.replace("_", "-"): text for name, text in authority.directives().items()}
    port = given.pop("tls-port")
    server = start(Shardis())
    with server.connect() as client:
        assert client.call("CONFIG", "SET", "tls-port", port) == Error(
            b"ERR CONFIG SET failed (possibly related to argument 'tls-port') - Unable to update TLS configuration. "
            b"Check server logs."
        )
        words = [word for pair in given.items() for word in pair]
        assert client.call("CONFIG", "SET", *words) == OK
        assert b"tls_server_cert_serial:none\r\n" in client.call("INFO", "tls")
        assert client.call("CONFIG", "SET", "tls-port", port) == OK
        server.options["tls-port"] = port
        with connect(server, authority.context()) as other:
            assert other.call("PING") == PONG
            answer = client.call("CONFIG", "SET", "tls-port", server.port)
            assert answer == Error(
                b"ERR CONFIG SET failed (possibly related to argument 'tls-port') - Unable to listen on this port. "
                b"Check server logs."
            )
            with connect(server, authority.context()) as third:
                assert third.call("PING") == PONG
            # Both at once: each port becomes the other's.
            swapped = client.call("CONFIG", "SET", "port", port, "tls-port", server.port)
            assert swapped == OK
            with Client((HOST, int(port))) as third:
                assert third.call("PING") == PONG
            assert client.call("CONFIG", "SET", "tls-port", "0", "port", server.port) == OK
            assert other.call("PING") == PONG
            assert b"tls_server_cert_serial:none\r\n" in client.call("INFO", "tls")
            with pytest.raises(ConnectionRefusedError):
                Client((HOST, int(port)))


def test_tls_without_a_socket_of_systemd(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server((HOST, 0)) as sock:
        config = Config.from_arguments(["--tls-port", "7"])
        doors = Doors(config, [os.dup(sock.fileno())])
        doors.open()
        assert config["tls-port"] == 0 and doors.where() == f"port {sock.getsockname()[1]}"
        doors.close()
    assert "nobody is served over TLS: systemd has not opened port 7" in caplog.text


def test_what_systemd_has_opened_stays() -> None:
    async def scene() -> None:
        bare = BareRouter(1)
        opened = [socket.create_server((HOST, 0)) for _ in range(2)]
        ports = [sock.getsockname()[1] for sock in opened]
        config = bare.router.config
        config.override("tls-port", str(ports[1]))
        listeners = bare.router.listeners = Listeners(bare.router, [os.dup(sock.fileno()) for sock in opened])
        with pytest.raises(CannotListen, match="TLS can't be set up: No tls-cert-file configured!"):
            await listeners.open()
        listeners = bare.router.listeners = Listeners(bare.router, [os.dup(sock.fileno()) for sock in opened])
        listeners.doors.open()
        assert (config["port"], config["tls-port"]) == tuple(ports)
        assert [listeners.doors.is_tls(sock) for sock in listeners.doors.sockets] == [False, True]
        assert listeners.doors.where() == f"port {ports[0]} and TLS port {ports[1]}"
        client = bare.connect()
        client.send([b"CONFIG", b"SET", b"port", b"7"])
        await bare.settle()
        assert client.take().startswith(b"-ERR CONFIG SET failed (possibly related to argument 'port') - Unable to")
        assert config["port"] == ports[0]
        listeners.close()
        await asyncio.sleep(0)
        for sock in opened:
            sock.close()

    on_a_loop(scene)

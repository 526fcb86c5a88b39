"""TLS and those who do it wrong: no TLS at all, handshakes that hang, clients that do not read, or too many."""

import os
import socket
from collections.abc import Callable

import pytest

from tests.certificates import HOST, Authority, TlsClient, connect
from tests.resp_client import Client, Status
from tests.servers import Server, Shardis

PONG = Status(b"PONG")


def until_alone(admin: Client) -> None:
    """Returns when the server has heard that all others are gone."""
    while admin.info("clients")["connected_clients"] != "1":
        pass


def test_what_is_no_tls(tls_server: Server, admin: Client, authority: Authority) -> None:
    before = admin.info("stats")
    size = tls_server.log_size_bytes()
    for data in (b"PING\r\n", b"*1\r\n$4\r\nPING\r\n", os.urandom(10_000), b"\x16\x03\x01\xff\xff" + bytes(70_000)):
        with socket.create_connection((HOST, int(tls_server.options["tls-port"])), 20) as sock:
            sock.sendall(data)
            try:
                got = b""
                while piece := sock.recv(1000):
                    got += piece
            except ConnectionResetError:
                pass
            assert len(got) <= 7 and got[:1] in (b"", b"\x15")  # An alert at most.
    with socket.create_connection((HOST, int(tls_server.options["tls-port"]))):
        pass
    after = admin.info("stats")
    for name in ("total_connections_received", "rejected_connections", "total_error_replies"):
        assert after[name] == before[name]
    with connect(tls_server, authority.context()) as client:
        assert client.call("PING") == PONG
    until_alone(admin)
    assert "Error accepting a client connection: " in tls_server.log(size)
    assert "Traceback" not in tls_server.log(size)


def test_handshakes_that_hang_keep_nobody_out(tls_server: Server, admin: Client, authority: Authority) -> None:
    hanging = [socket.create_connection((HOST, int(tls_server.options["tls-port"]))) for _ in range(20)]
    for sock in hanging[::2]:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01")
    with connect(tls_server, authority.context()) as client:
        assert client.call("PING") == PONG
    while admin.info("clients")["connected_clients"] != "21":  # Until the last of them is accepted.
        pass
    for sock in hanging:
        sock.close()
    until_alone(admin)


def test_who_does_not_read_is_closed_at_its_limit(tls_server: Server, admin: Client, authority: Authority) -> None:
    before = int(admin.info("stats")["client_output_buffer_limit_disconnections"])
    admin.call("CONFIG", "SET", "client-output-buffer-limit", "normal 2mb 0 0")
    admin.call("SET", "big", bytes(1_000_000))
    with connect(tls_server, authority.context()) as client:
        client.send_bytes(b"GET big\r\n" * 50)
        while int(admin.info("stats")["client_output_buffer_limit_disconnections"]) == before:
            pass
    admin.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
    admin.call("DEL", "big")


def test_who_does_not_read_is_not_read(tls_server: Server, admin: Client, authority: Authority) -> None:
    """Its commands wait in the kernel; later it gets every reply."""
    admin.call("SET", "some", bytes(100_000))
    with connect(tls_server, authority.context()) as client, connect(tls_server, authority.context()) as other:
        number = client.call("CLIENT", "ID")
        client.send_bytes(b"GET some\r\n" * 500)
        while b" events=w " not in (line := other.call("CLIENT", "LIST", "ID", number)):
            pass
        waiting = int(line.split(b" omem=")[1].split()[0])
        assert waiting < 20_000_000
        assert [len(reply.value) for reply in client.read_many(500)] == [100_000] * 500
    admin.call("DEL", "some")


def test_too_many_clients(authority: Authority) -> None:
    """Who is one too many is closed without a handshake, and counted, as in the reference."""
    with (
        Shardis(maxclients=2, **authority.directives()) as server,
        server.connect() as admin,
        connect(server, authority.context()) as client,
    ):
        assert client.call("PING") == PONG
        with pytest.raises(OSError):
            TlsClient((HOST, int(server.options["tls-port"])), authority.context())
        assert admin.info("stats")["rejected_connections"] == "1"


@pytest.mark.parametrize("signal_name", ["SHUTDOWN"])
def test_a_stop_says_good_bye(start: Callable[[Server], Server], authority: Authority, signal_name: str) -> None:
    """Who is answered gets all of it, and then TLS's word for the end."""
    server = start(Shardis(**authority.directives()))
    with connect(server, authority.context()) as client, connect(server, authority.context()) as other:
        other.call("SET", "big", bytes(2_000_000))
        client.send("GET", "big")
        other.send(signal_name, "NOSAVE")
        assert len(client.read().value) == 2_000_000
        client.socket.settimeout(20)
        assert client.socket.recv(10) == b""

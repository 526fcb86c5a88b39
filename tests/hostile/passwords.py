"""Attacks on passwords."""

import time

from tests.hostile.attack import Attack, Size, admin, connect, stat
from tests.resp_client import encode_command
from tests.servers import Server

MB = 2**20
AT_ONCE = 50


def brute_force(server: Server, size: Size) -> str:
    """Wrong passwords, `count` a second; a different one each time."""
    tried, connections = 0, 10
    socks = [connect(server) for _ in range(connections)]
    started_s = time.monotonic()
    while (passed_s := time.monotonic() - started_s) < size.seconds:
        if tried > passed_s * size.count:
            time.sleep(0.001)
            continue
        sock = socks[tried // AT_ONCE % connections]
        sock.sendall(
            b"".join([encode_command([b"AUTH", b"user%d" % (tried + n), b"word%d" % n]) for n in range(AT_ONCE)])
        )
        got = b""
        while got.count(b"\n") < AT_ONCE:
            got += sock.recv(1 << 16)
        assert got.count(b"-WRONGPASS") == AT_ONCE
        tried += AT_ONCE
    for sock in socks:
        sock.sendall(b"GET neighbour:1\r\n")
        assert sock.recv(100).startswith(b"-NOAUTH")
        sock.close()
    with admin(server) as client:
        assert stat(client, "acl_access_denied_auth") >= tried
        entries = len(client.call("ACL", "LOG", "100000"))
        assert entries <= 128
    return f"{tried:,} wrong ones, {tried / size.seconds:,.0f} a second; nobody let in, {entries} entries in ACL LOG"


PASSWORDS = [
    Attack(
        "passwords",
        "{count} wrong passwords a second",
        brute_force,
        Size(10_000, 10),
        Size(2000, 1),
        20 * MB,
        {"requirepass": "the right one"},
    ),
]

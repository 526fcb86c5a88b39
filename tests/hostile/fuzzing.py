"""Attacks by bytes that are no requests: at the clients' port, at the shards' sockets, at the parser itself."""

import os
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from common import requests as compiled
from common.errors import ProtocolError
from common.frame import packer
from tests.hostile.attack import Attack, Size, admin, connect, stat, wait_until
from tests.resp_client import encode_command
from tests.servers import Server, Shardis

MB = 2**20
SEEDS = [
    encode_command([b"SET", b"fuzz:k", b"value"]),
    encode_command([b"GET", b"fuzz:k"]) * 3,
    encode_command([b"MSET", b"fuzz:a", b"1", b"fuzz:b", b"2"]),
    encode_command([b"ECHO", b"x" * 300]),
    encode_command([b"ZADD", b"fuzz:z", b"1.5", b"m"]),
    encode_command([b"EVAL", b"return 1", b"0"]),
    encode_command([b"MULTI"]) + encode_command([b"INCR", b"fuzz:n"]) + encode_command([b"EXEC"]),
    encode_command([b"XADD", b"fuzz:s", b"*", b"f", b"v"]),
    encode_command([b"BITFIELD", b"fuzz:b", b"SET", b"u8", b"0", b"255"]),
    encode_command([b"HELLO", b"3"]) + encode_command([b"CLIENT", b"TRACKING", b"ON"]),
    b'SET fuzz:k "a\\x41\\n"\r\nPING\r\n',
    b"*0\r\n*-1\r\n\r\n",
]
WORDS = [b"\r\n", b"*", b"$", b"-1", b"0", b"2147483647", b"99999999999", b"\0", b"\xff", b'"', b"'", b"+", b":", b" "]


def mutated(chance: random.Random) -> bytes:
    """A real request, damaged here and there; sometimes bytes that never were one."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(1, 200))
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data) + 1)
        act = chance.randrange(5)
        if act == 0:
            data[at : at + 1] = chance.randbytes(1)
        elif act == 1:
            del data[at : at + chance.randrange(1, 8)]
        elif act == 2:
            data[at:at] = chance.choice(WORDS)
        elif act == 3:
            data[at:at] = data[max(at - 6, 0) : at]
        else:
            del data[at:]
    return bytes(data) or b"\r"


def outcome(parser: Any, data: bytes, cuts: list[int]) -> tuple[list[list[bytes]], str]:
    """The commands in it, fed in pieces, and the fault behind them."""
    commands: list[list[bytes]] = []
    start = 0
    try:
        for end in [*cuts, len(data)]:
            commands += parser.feed(data[start:end])
            start = end
            while parser.stopped:
                commands += parser.feed(b"")
    except ProtocolError as fault:
        return commands, str(fault)
    return commands, ""


def compare(count: int, seed: int, plain: Callable[[], Any], other: Callable[[], Any]) -> int:
    """Has both parsers read as many streams, each cut as it comes; how many commands there were.  Raises AssertionError
    if they differ."""
    chance = random.Random(seed)
    found = 0
    for _ in range(count):
        data = mutated(chance)
        if chance.random() < 0.3:
            data += mutated(chance)
        cuts = sorted(chance.choices(range(len(data)), k=chance.randrange(3)))
        expected, got = outcome(plain(), data, []), outcome(other(), data, cuts)
        assert got == expected, (data, cuts, got, expected)
        found += len(got[0])
    return found


def parser(server: Server, size: Size) -> str:
    """Damaged requests in this process: the parser as it runs against the plain one."""
    from tests.test_requests import plain_module

    plain = plain_module()
    found = compare(size.count, 1, plain.Requests, compiled.Requests)
    kinds = "compiled and plain" if compiled.COMPILED else "plain, whole and in pieces"
    return f"{kinds}: the same {found:,} commands and the same faults"


def streams(server: Server, size: Size) -> str:
    """Damaged requests at a server that runs."""
    chance = random.Random(2)
    closed = 0
    for _ in range(size.count):
        with connect(server) as sock, suppress(ConnectionError):
            sock.sendall(mutated(chance))
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(1 << 16):
                pass
            closed += 1
    with admin(server) as client:
        assert wait_until(lambda: stat(client, "connected_clients") < 10)
    return "all were answered or refused, and closed"


def shard_sockets(server: Server) -> list[str]:
    assert isinstance(server, Shardis)
    return [f"{server._rundir}/shard-{index}.sock" for index in range(server.shards)]


def mutated_frame(chance: random.Random) -> bytes:
    """A frame as a router sends it, damaged; sometimes bytes that never were one."""
    if chance.random() < 0.3:
        return chance.randbytes(chance.randrange(1, 300))
    runs = [[b"SET", b"fuzz:f", b"v"], [b"NOSUCH"], [b"GET", b"fuzz:f"]]
    data = bytearray(
        packer().pack([chance.choice([0, -1, 2**40, "x"]), chance.choice([2, 8, None, -7]), [chance.choice(runs)]])
    )
    for _ in range(chance.randrange(1, 5)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def frames(server: Server, size: Size) -> str:
    """Random bytes and damaged frames at the shards' sockets, as the user who runs them."""
    chance = random.Random(3)
    paths = shard_sockets(server)
    for number in range(size.count):
        with socket.socket(socket.AF_UNIX) as sock, suppress(ConnectionError):
            sock.settimeout(20)
            sock.connect(paths[number % len(paths)])
            sock.sendall(mutated_frame(chance))
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(1 << 16):
                pass
    return "each connection closed, no other; nobody else noticed"


def stranger(server: Server, size: Size) -> str:
    """Frames as another user, for whom the folder was opened by mistake."""
    if os.geteuid():
        return "not tried: that takes root"
    paths = shard_sockets(server)
    folder = os.path.dirname(paths[0])
    os.chmod(folder, 0o777)
    for path in paths:
        os.chmod(path, 0o777)
    got = 0
    try:
        for number in range(size.count):
            got += _as_nobody(paths[number % len(paths)], packer().pack([0, 2, [[b"SET", b"fuzz:stranger", b"v"]]]))
    finally:
        os.chmod(folder, 0o700)
    with admin(server) as client:
        assert client.call("EXISTS", "fuzz:stranger") == 0
    assert not got, "another user was answered"
    return "turned away by the kernel's word for who it is; not a byte was answered"


def _as_nobody(path: str, frame: bytes) -> int:
    """How many bytes a process of another user is answered."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(20)
                sock.connect(path)
                with suppress(ConnectionError):
                    sock.sendall(frame)
                    status = 0 if not sock.recv(1 << 16) else 2
                if status == 1:  # Reset before anything came.
                    status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


FUZZING = [
    Attack("parser", "{count} damaged requests, in process", parser, Size(1_000_000), Size(20_000), 20 * MB),
    Attack("streams", "{count} damaged requests at the port", streams, Size(20_000), Size(500), 20 * MB),
    Attack(
        "frames", "{count} damaged frames at the shards' sockets, same user", frames, Size(10_000), Size(300), 20 * MB
    ),
    Attack("stranger", "{count} frames at the shards' sockets, another user", stranger, Size(1000), Size(20), 20 * MB),
]

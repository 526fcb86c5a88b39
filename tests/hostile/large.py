"""Attacks by size: one huge value, one huge transaction, one huge command."""

from tests.hostile.attack import Attack, Size, admin
from tests.resp_client import Client, Error, Status, encode_command
from tests.servers import Server

MB = 2**20
OK = Status(b"OK")
PIECE = bytes(MB)


def _send_set(client: Client, key: bytes, size_bytes: int) -> None:
    client.send_bytes(b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n" % (len(key), key, size_bytes))
    left = size_bytes
    while left:
        piece = PIECE[: min(left, MB)]
        client.send_bytes(piece)
        left -= len(piece)
    client.send_bytes(b"\r\n")


def _read_bulk(client: Client) -> int:
    """Reads a bulk string without keeping it; its size."""
    sock, data = client.socket, b""
    while b"\r\n" not in data:
        data += sock.recv(64)
    head, _, rest = data.partition(b"\r\n")
    size, left = int(head[1:]), int(head[1:]) + 2 - len(rest)
    buffer = bytearray(MB)
    while left:
        left -= sock.recv_into(buffer, min(left, MB))
    return size


def value(server: Server, size: Size) -> str:
    """A value as large as may be is set and read; one that is larger is refused."""
    with admin(server) as client:
        _send_set(client, b"huge", size.count * MB)
        assert client.read().value == OK
        client.send("GET", "huge")
        assert _read_bulk(client) == size.count * MB
        assert client.call("DEL", "huge") == 1
        assert client.call("CONFIG", "SET", "proto-max-bulk-len", size.count * MB) == OK
        with admin(server) as other:
            other.send_bytes(b"*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$%d\r\n" % (size.count * MB + 1))
            assert other.read().value == Error(b"ERR Protocol error: invalid bulk length")
    return "set and read; one byte more is refused"


def transaction(server: Server, size: Size) -> str:
    """As many commands are queued, then run."""
    with admin(server) as client:
        assert client.call("MULTI") == OK
        for start in range(0, size.count, 1000):
            calls = range(start, min(start + 1000, size.count))
            client.send_bytes(
                b"".join([b"*2\r\n$4\r\nINCR\r\n$7\r\n{t}%04d\r\n" % (number % 1000) for number in calls])
            )
            for reply in client.read_many(len(calls)):
                assert reply.value == Status(b"QUEUED")
        client.send("EXEC")
        replies = client.read(120).value
        assert len(replies) == size.count
        assert all(type(reply) is int for reply in replies)
    return "run as one"


def pairs(server: Server, size: Size) -> str:
    """One MSET of as many pairs."""
    with admin(server) as client:
        client.send_bytes(b"*%d\r\n$4\r\nMSET\r\n" % (2 * size.count + 1))
        for start in range(0, size.count, 1000):
            numbers = range(start, min(start + 1000, size.count))
            client.send_bytes(b"".join([b"$8\r\n%08d\r\n$1\r\nv\r\n" % number for number in numbers]))
        assert client.read(120).value == OK
        assert client.call("GET", "00000007") == b"v"
    return "set as one"


def queue_without_end(server: Server, size: Size) -> str:
    """Commands are queued until the server closes the connection."""
    queued = 0
    with admin(server) as client:
        assert client.call("CONFIG", "SET", "client-query-buffer-limit", size.count * MB) == OK
        try:
            client.send("MULTI")
            call = encode_command([b"SET", b"k", bytes(100_000)])
            while True:
                client.send_bytes(call)
                client.read()
                queued += 1
        except ConnectionError:
            pass
        with admin(server) as other:
            assert other.call("CONFIG", "SET", "client-query-buffer-limit", "1gb") == OK
    assert queued * 100_000 < size.count * MB * 1.1
    return f"closed with {queued * 0.1:,.0f} MB queued"


LARGE = [
    Attack("value", "a value of {count} MB set and read", value, Size(512), Size(32), 300 * MB),
    Attack(
        "value-unlogged",
        "a value of {count} MB set and read, with `appendonly no`",
        value,
        Size(512),
        Size(32),
        300 * MB,
        {"appendonly": "no"},
    ),
    Attack("transaction", "a transaction of {count} commands", transaction, Size(1_000_000), Size(100_000), 200 * MB),
    Attack("pairs", "an MSET of {count} pairs", pairs, Size(1_000_000), Size(20_000), 100 * MB),
    Attack(
        "queue", "commands queued without end, where {count} MB may be", queue_without_end, Size(200), Size(5), 60 * MB
    ),
]

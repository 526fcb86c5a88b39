"""The session: order, limits and ends of a connection, on real servers or, where each turn counts, without sockets.

What a transcript can't say is here: packets cut anywhere, many clients at once, and who keeps how much in memory.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import psutil
import pytest

from tests.bare_router import BareRouter, on_a_loop
from tests.resp_client import Client, Error, Status, encode_command
from tests.servers import Server, Shardis, wait_until

MEGABYTE = 1024 * 1024
ROUTER_MEMORY_BYTES_MAX = 200 * MEGABYTE
STALLED_S = 1.0
"""A server that takes no byte for so long has stopped reading."""

Start = Callable[[Server], Server]


def child_pid(server: Server, title: str) -> int:
    """The process of the server that is titled so: "router", "shard 1"."""
    for child in psutil.Process(server.pid).children(recursive=True):
        if f"shardis: {title}" in child.cmdline():
            return int(child.pid)
    raise AssertionError(f"no child with the title {title}")


def memory_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no VmRSS of {pid}")


def rest_of(client: Client) -> bytes:
    """All that comes until the server closes."""
    data = bytes(client.received)
    client.received.clear()
    while chunk := client.socket.recv(1 << 18):
        data += chunk
    return data


def held_clients(client: Client) -> int:
    return int(client.call("CLIENT", "LIST", "FLAGS", "b").count(b"\n"))


# --- Order -----------------------------------------------------------------------------------------------------------


def commands_of_all_kinds(random: Random, count: int) -> Iterator[list[str]]:
    """Commands of one shard, of several, of none, and wrong ones, on keys of three dbs."""
    for number in range(count):
        key, other = f"k{random.randrange(20)}", f"k{random.randrange(20)}"
        yield random.choice(
            [
                ["SET", key, str(number)],
                ["GET", key],
                ["GET", other],
                ["APPEND", key, "x"],
                ["MSET", key, "1", other, "2", f"k{number % 20}", "3"],
                ["MGET", key, other, "none"],
                ["DEL", key, other],
                ["EXISTS", key, other, key],
                ["DBSIZE"],
                ["INCR", other],
                ["PING"],
                ["ECHO", str(number)],
                ["SELECT", str(random.randrange(3))],
                ["SELECT", "99"],
                ["GET"],
                ["NOSUCH", key],
                ["CLIENT", "GETNAME"],
                ["CLIENT", "SETNAME", f"n{number}"],
                ["CLIENT", "REPLY", "SKIP"],
                ["RESET"],
            ]
        )


def in_pieces(data: bytes, random: Random) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = random.choice([1, 7, 100, 5000, 100_000])
        yield data[at : at + size]
        at += size


@pytest.mark.parametrize("seed", range(4))
def test_a_pipeline_is_answered_in_order(client: Client, reference_client: Client, seed: int) -> None:
    data = b"".join(encode_command(argv) for argv in commands_of_all_kinds(Random(seed), 3000))
    answers = []
    for target in (client, reference_client):
        random = Random(seed)
        with ExitStack() as stack:
            sender = stack.enter_context(Client(target.socket.getpeername()))
            for piece in in_pieces(data, random) if seed else [data]:
                sender.send_bytes(piece)
            sender.socket.shutdown(socket.SHUT_WR) if target is client else sender.send("QUIT")
            answers.append(rest_of(sender))
    assert answers[0] == answers[1].removesuffix(b"+OK\r\n")


def test_clients_do_not_disturb_each_other(client: Client) -> None:
    address = client.socket.getpeername()
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(address)) for _ in range(20)]
        for number, one in enumerate(clients):
            one.send_bytes(b"".join(encode_command(["ECHO", f"{number}:{place}"]) for place in range(500)))
            one.send_bytes(b"".join(encode_command(["INCR", "count"]) for _ in range(50)))
        for number, one in enumerate(clients):
            echoes = [reply.value for reply in one.read_many(500)]
            assert echoes == [b"%d:%d" % (number, place) for place in range(500)]
            counts = [reply.value for reply in one.read_many(50)]
            assert counts == sorted(counts)
    assert client.call("GET", "count") == b"1000"


# --- Ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 10, 5000])
def test_who_has_sent_all_still_gets_its_replies(client: Client, count: int) -> None:
    with Client(client.socket.getpeername()) as sender:
        sender.send_bytes(b"".join(encode_command(["INCR", f"half-closed:{place % 7}"]) for place in range(count)))
        sender.socket.shutdown(socket.SHUT_WR)
        assert rest_of(sender).count(b"\r\n") == count
    assert sum(int(client.call("GET", f"half-closed:{place}") or 0) for place in range(7)) == count


def test_a_command_cut_off_by_the_end_is_not_done(client: Client) -> None:
    with Client(client.socket.getpeername()) as sender:
        sender.send_bytes(encode_command(["SET", "whole", "1"]) + encode_command(["SET", "cut", "1"])[:-1])
        sender.socket.shutdown(socket.SHUT_WR)
        assert rest_of(sender) == b"+OK\r\n"
    assert client.call("MGET", "whole", "cut") == [b"1", None]


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_a_protocol_error_comes_in_its_place(client: Client, count: int) -> None:
    commands = b"".join(encode_command(["INCR", f"fault:{place}"]) for place in range(count))
    with Client(client.socket.getpeername()) as sender:
        sender.send_bytes(commands + b"*1\r\n$-7\r\n" + encode_command(["SET", "fault:behind", "1"]))
        assert rest_of(sender) == b":1\r\n" * count + b"-ERR Protocol error: invalid bulk length\r\n"
    assert client.call("EXISTS", "fault:behind") == 0
    assert client.call("PING") == Status(b"PONG")


def test_a_client_is_killed_under_its_pipeline(client: Client) -> None:
    with Client(client.socket.getpeername()) as victim:
        number = victim.call("CLIENT", "ID")
        victim.send_bytes(b"".join(encode_command(["INCR", "killed"]) for _ in range(20_000)))
        assert client.call("CLIENT", "KILL", "ID", number) == 1
        assert client.call("CLIENT", "LIST", "ID", number) == b""
        done = int(client.call("GET", "killed") or 0)
        try:
            replies = rest_of(victim)
        except ConnectionError:
            replies = b""
    answered = replies.count(b"\r\n")
    assert replies == b"".join(b":%d\r\n" % (place + 1) for place in range(answered)) + replies.split(b"\n")[-1]
    # What it had sent is done up to some command, and nothing is done after the kill.
    assert answered <= int(client.call("GET", "killed") or 0) == done


def test_the_server_is_full(start: Start) -> None:
    server = start(Shardis(shards=1, maxclients=3))
    with ExitStack() as stack:
        first = stack.enter_context(server.connect())
        wait_until(lambda: first.call("CLIENT", "LIST").count(b"\n") == 1)  # Who asked whether it is up has gone.
        second, third = (stack.enter_context(server.connect()) for _ in range(2))
        assert second.call("PING") == third.call("PING") == Status(b"PONG")
        with server.connect() as fourth:
            assert rest_of(fourth) == b"-ERR max number of clients reached\r\n"
        assert first.call("CLIENT", "LIST").count(b"\n") == 3
        third.close()
        wait_until(lambda: first.call("CLIENT", "LIST").count(b"\n") == 2)
        with server.connect() as fifth:
            assert fifth.call("PING") == Status(b"PONG")


# --- Who has no password ---------------------------------------------------------------------------------------------


@contextmanager
def password(client: Client, word: str) -> Iterator[None]:
    assert client.call("CONFIG", "SET", "requirepass", word) == Status(b"OK")
    try:
        yield
    finally:
        client.call("CONFIG", "SET", "requirepass", "")


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"*10\r\n" + b"$1\r\na\r\n" * 10, b"-NOAUTH Authentication required.\r\n"),
        (b"*11\r\n", b"-ERR Protocol error: unauthenticated multibulk length\r\n"),
        (b"*1\r\n$16384\r\n" + b"a" * 16384 + b"\r\n", b"-NOAUTH Authentication required.\r\n"),
        (b"*1\r\n$16385\r\n", b"-ERR Protocol error: unauthenticated bulk length\r\n"),
    ],
    ids=["10 arguments", "11 arguments", "16 KB", "16 KB and 1"],
)
def test_limits_before_a_password(client: Client, reference_client: Client, data: bytes, answer: bytes) -> None:
    for target in (client, reference_client):
        with password(target, "secret"), Client(target.socket.getpeername()) as stranger:
            stranger.send_bytes(data + b"QUIT\r\n")
            assert rest_of(stranger) == answer + (b"+OK\r\n" if b"NOAUTH" in answer else b"")


def test_a_password_and_what_needs_it_in_one_packet(client: Client, reference_client: Client) -> None:
    long = encode_command(["DEL", *map(str, range(50))]) + encode_command(["SET", "long", "x" * 20_000])
    for target in (client, reference_client):
        with password(target, "secret"), Client(target.socket.getpeername()) as stranger:
            stranger.send_bytes(b"PING\r\nAUTH secret\r\n" + long + b"RESET\r\nPING\r\nQUIT\r\n")
            expected = [b"-NOAUTH Authentication required.", b"+OK", b":0", b"+OK", b"+RESET"]
            assert rest_of(stranger).split(b"\r\n") == [*expected, expected[0], b"+OK", b""]


# --- Pause -----------------------------------------------------------------------------------------------------------


def test_a_pause_lets_clients_go_on_in_the_order_in_which_they_were_held(client: Client) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(client.socket.getpeername())) for _ in range(8)]
        client.call("CLIENT", "PAUSE", 100_000, "WRITE")
        for number, one in enumerate(clients):
            one.send_bytes(encode_command(["APPEND", "order", str(number)]) + b"GET order\r\nPING\r\n")
            wait_until(lambda wanted=number + 1: held_clients(client) == wanted)  # type: ignore[misc]
        assert client.call("GET", "order") is None
        client.call("CLIENT", "UNPAUSE")
        for number, one in enumerate(clients):
            length, text, pong = (reply.value for reply in one.read_many(3))
            assert length == number + 1
            assert text.startswith(b"01234567"[: number + 1])
            assert pong == Status(b"PONG")
        assert client.call("GET", "order") == b"01234567"
        assert held_clients(client) == 0


def test_a_pause_of_everything_holds_reads_and_ends_in_time(client: Client, reference_client: Client) -> None:
    for target in (client, reference_client):
        with Client(target.socket.getpeername()) as other:
            other.call("PING")
            started = time.monotonic()
            target.call("CLIENT", "PAUSE", 300, "ALL")
            for argv in (["PING"], ["GET", "k"], ["CLIENT", "UNPAUSE"], ["SET", "k", "1"], ["GET", "k"]):
                other.send(*argv)
            assert other.maybe_read() is None
            values = [reply.value for reply in other.read_many(5)]
            assert values == [Status(b"PONG"), None, Status(b"OK"), Status(b"OK"), b"1"]
            assert 0.29 < time.monotonic() - started < 10


def test_what_is_wrong_is_said_in_a_pause_of_everything(client: Client) -> None:
    with Client(client.socket.getpeername()) as other:
        other.call("PING")
        client.call("CLIENT", "PAUSE", 300, "ALL")
        assert other.call("NOSUCH").startswith(b"ERR unknown command")
        assert isinstance(other.call("GET"), Error)
        assert other.call("PING") == Status(b"PONG")


def test_a_pause_holds_who_comes_while_it_is_on(client: Client) -> None:
    client.call("CLIENT", "PAUSE", 100_000, "WRITE")
    with Client(client.socket.getpeername()) as newcomer:
        newcomer.send("SET", "new", "1")
        wait_until(lambda: held_clients(client) == 1)
        client.call("CLIENT", "UNPAUSE")
        assert newcomer.read().value == Status(b"OK")


def test_a_long_pipeline_is_held_as_a_whole(client: Client) -> None:
    with Client(client.socket.getpeername()) as other:
        client.call("CLIENT", "PAUSE", 100_000, "WRITE")
        other.send_bytes(b"".join(encode_command(["INCR", "held"]) for _ in range(10_000)))
        wait_until(lambda: held_clients(client) == 1)
        assert client.call("GET", "held") is None
        client.call("CLIENT", "UNPAUSE")
        assert [reply.value for reply in other.read_many(10_000)] == list(range(1, 10_001))


# --- Memory ----------------------------------------------------------------------------------------------------------


def send_until_stalled(client: Client, data: bytes) -> int:
    """How much of `data` the server takes before it stops reading."""
    client.socket.setblocking(False)
    sent = 0
    view = memoryview(data)
    while sent < len(data) and select.select([], [client.socket], [], STALLED_S)[1]:
        sent += client.socket.send(view[sent : sent + MEGABYTE])
    return sent


def exchange(client: Client, data: bytes, answer_size_bytes: int) -> int:
    """Sends and reads at once, until so much has come; the size of what came."""
    client.socket.setblocking(False)
    received = 0
    view = memoryview(data)
    while received < answer_size_bytes:
        readable, writable, _ = select.select([client.socket], [client.socket] if view else [], [], client.timeout_s)
        assert readable or writable, "the server neither reads nor answers"
        if readable:
            chunk = client.socket.recv(MEGABYTE)
            assert chunk, "the server closed the connection"
            received += len(chunk)
        if writable:
            view = view[client.socket.send(view[:MEGABYTE]) :]
    return received


def test_a_client_that_does_not_read_is_not_read(start: Start) -> None:
    """A million GETs of 1 KB are a GB of replies: none of it may pile up in the router."""
    server = start(Shardis(shards=2, appendonly="no"))
    router = child_pid(server, "router")
    get = encode_command(["GET", "k"])
    data = get * 1_000_000
    with server.connect() as client, server.connect() as other:
        client.call("SET", "k", "v" * 1024)
        sent = send_until_stalled(client, data)
        assert memory_bytes(router) < ROUTER_MEMORY_BYTES_MAX
        assert sent < len(data)
        assert other.call("PING") == Status(b"PONG")
        # It was only stopped, not forgotten: what it sent is answered when it reads, and so is the rest.
        count = sent // len(get) + 20_000
        reply_size_bytes = len(b"$1024\r\n\r\n") + 1024
        assert exchange(client, data[sent : count * len(get)], count * reply_size_bytes) == count * reply_size_bytes
        assert memory_bytes(router) < ROUTER_MEMORY_BYTES_MAX


def test_a_client_that_feeds_faster_than_the_shards_execute(start: Start) -> None:
    server = start(Shardis(shards=2, appendonly="no"))
    router = child_pid(server, "router")
    value = "v" * 4096
    commands = b"".join(encode_command(["SET", f"k{place}", value]) for place in range(100))
    with server.connect() as client:
        for _ in range(10):
            count = 50
            assert exchange(client, commands * count, 5 * 100 * count) == 5 * 100 * count
            assert memory_bytes(router) < ROUTER_MEMORY_BYTES_MAX


def test_a_shard_that_stands_still_does_not_fill_the_router(start: Start) -> None:
    server = start(Shardis(shards=1, appendonly="no"))
    router, shard = child_pid(server, "router"), child_pid(server, "shard 0")
    command = encode_command(["SET", "k", "v" * 100_000])
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(4)]
        os.kill(shard, signal.SIGSTOP)
        try:
            sent = [send_until_stalled(client, command * 1000) for client in clients]
            assert max(sent) < 1000 * len(command)
            assert memory_bytes(router) < ROUTER_MEMORY_BYTES_MAX
        finally:
            os.kill(shard, signal.SIGCONT)
        for client, size_bytes in zip(clients, sent, strict=True):
            count = -(-size_bytes // len(command))
            answers = exchange(client, (command * count)[size_bytes:], 5 * count)
            assert answers == 5 * count


def test_only_who_feeds_a_shard_that_is_behind_waits_for_it() -> None:
    async def scene() -> None:
        bare = BareRouter(shards=2)
        clients = [bare.connect(), bare.connect()]
        for link in bare.router.links:
            link.congest()
        for shard, client in enumerate(clients):
            client.send([b"SET", bare.key_of(shard), b"1"])
        assert [client.session.stalled for client in clients] == [True, True]
        bare.router.links[1].resume_writing()
        assert [client.session.stalled for client in clients] == [True, False]
        bare.router.links[0].resume_writing()
        assert [client.session.stalled for client in clients] == [False, False]

    on_a_loop(scene)


def test_behind_a_fault_nothing_is_read() -> None:
    """The fault is answered when what came before it is, which may take long."""

    async def scene() -> None:
        bare = BareRouter(shards=1)
        client = bare.connect()
        client.send([b"GET", b"k"])
        client.send_bytes(b"*1\r\nno\r\n")
        assert client.session.reading_paused and not client.closed
        await bare.settle()
        assert client.take() == b"$-1\r\n-ERR Protocol error: expected '$', got 'n'\r\n"
        assert client.closed

    on_a_loop(scene)


def test_a_router_that_stops_begins_nothing_more() -> None:
    async def scene() -> None:
        bare = BareRouter(shards=1)
        client = bare.connect()
        client.send([b"GET", b"k"])
        bare.router.stop()
        client.send([b"SET", b"k", b"1"])
        await bare.settle()
        assert client.take() == b"$-1\r\n"
        assert bare.shards[0].commands == [[b"GET", b"k"]]

    on_a_loop(scene)

"""MONITOR: what is shown, to whom, and in which order. monitor.session has it beside the reference."""

import asyncio
import re
from random import Random

import pytest

from router.monitor import ESCAPES, LINES_BYTES_MAX, TOLD_MAX, Feed, line, quoted
from router.session import Session
from tests.bare_router import BareRouter, ClientEnd, on_a_loop
from tests.servers import free_port

OK = b"+OK\r\n"


def shown(client: ClientEnd) -> list[bytes]:
    """What a monitor got, without times and addresses."""
    lines = client.take().split(b"\r\n")[:-1]
    return [re.sub(rb"^\+\d+\.\d{6} \[(\d+) [^\]]*\] ", rb"\1 ", text) for text in lines]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (b"", '""'),
        (b"plain", '"plain"'),
        (b'a"b\\c', '"a\\"b\\\\c"'),
        (b"\n\r\t\a\b", '"\\n\\r\\t\\a\\b"'),
        (b"\0\x0b\x1b\x7f\x80\xff ~", '"\\x00\\x0b\\x1b\\x7f\\x80\\xff ~"'),
    ],
)
def test_quoting(word: bytes, text: str) -> None:
    assert quoted(word) == text


@pytest.mark.parametrize("letters", [b"ab ", b'a"\\\n\r\t\a\b', bytes(range(256))])
def test_quoting_is_byte_by_byte(letters: bytes) -> None:
    random = Random(1)
    for _ in range(500):
        word = bytes(random.choices(letters, k=random.randrange(30)))
        assert quoted(word) == '"' + "".join([ESCAPES[byte] for byte in word]) + '"'


def test_a_line() -> None:
    words = [b"set", b"k", b"\xc3\xa4"]
    assert line(1_700_000_000_000_042, 3, "[::1]:50", words) == (
        b'+1700000000.000042 [3 [::1]:50] "set" "k" "\\xc3\\xa4"\r\n'
    )
    assert line(5, 0, "unix:/run/\udce4.sock", [b"PING"]) == b'+0.000005 [0 unix:/run/\xe4.sock] "PING"\r\n'


def test_all_see_one_order() -> None:
    """That of the router, and not the one in which shards answer."""

    async def scene() -> None:
        bare = BareRouter()
        monitors = [bare.connect() for _ in range(2)]
        clients = [bare.connect() for _ in range(2)]
        for monitor in monitors:
            monitor.send([b"MONITOR"])
        keys = [bare.key_of(shard) for shard in range(3)]
        clients[0].send([b"SET", keys[2], b"1"], [b"MGET", *keys], [b"SELECT", b"4"])
        clients[1].send([b"GET", keys[0]])
        clients[0].send([b"GET", keys[1]])
        await bare.sent()
        expected = [
            OK.strip(),
            b'0 "SET" "%b" "1"' % keys[2],
            b'0 "MGET" "%b" "%b" "%b"' % tuple(keys),
            b'4 "SELECT" "4"',
            b'0 "GET" "%b"' % keys[0],
            b'4 "GET" "%b"' % keys[1],
        ]
        assert shown(monitors[0]) == expected
        assert shown(monitors[1]) == expected
        await bare.settle()

    on_a_loop(scene)


def test_others_pay_only_while_there_is_one() -> None:
    async def scene() -> None:
        bare = BareRouter()
        first, second, client = (bare.connect() for _ in range(3))
        assert client.session.plain
        first.send([b"MONITOR"])
        second.send([b"MONITOR"])
        assert not client.session.plain
        newcomer = bare.connect()
        assert not newcomer.session.plain
        first.send([b"RESET"])
        assert not client.session.plain and not first.session.monitoring
        second.session.connection_lost(None)
        assert client.session.plain and newcomer.session.plain and first.session.plain
        assert not bare.router.monitors

    on_a_loop(scene)


def test_its_own_commands_come_behind_their_replies() -> None:
    async def scene() -> None:
        bare = BareRouter()
        monitor = bare.connect()
        monitor.send([b"MONITOR"], [b"PING"], [b"MONITOR"], [b"GET", b"k"], [b"ECHO", b"x"])
        refused = b"-ERR Replica can't interact with the keyspace"
        assert shown(monitor) == [b"+OK", b"+PONG", b'0 "PING"', refused, b"$1", b"x", b'0 "ECHO" "x"']

    on_a_loop(scene)


def test_what_is_not_shown() -> None:
    async def scene() -> None:
        bare = BareRouter()
        monitor, client = bare.connect(), bare.connect()
        monitor.send([b"MONITOR"])
        client.send(
            [b"NOSUCH"], [b"GET"], [b"CONFIG", b"GET", b"port"], [b"AUTH", b"secret"], [b"MULTI"], [b"GET", b"k"]
        )
        await bare.sent()
        assert shown(monitor) == [b"+OK", b'0 "AUTH" "(redacted)"', b'0 "MULTI"']
        client.send([b"DISCARD"])
        await bare.sent()
        assert shown(monitor) == [b'0 "DISCARD"']
        monitor.send([b"CLIENT", b"REPLY", b"OFF"])
        client.send([b"PING"])
        await bare.sent()
        assert shown(monitor) == []

    on_a_loop(scene)


def test_a_monitor_is_not_paused() -> None:
    async def scene() -> None:
        bare = BareRouter()
        monitor, client = bare.connect(), bare.connect()
        monitor.send([b"MONITOR"])
        bare.router.pause.begin(100_000, all_commands=True)
        client.send([b"ECHO", b"x"])
        monitor.send([b"PING"])
        assert shown(monitor) == [b"+OK", b"+PONG", b'0 "PING"']
        bare.router.pause.end()
        await bare.settle()
        await bare.sent()
        assert shown(monitor) == [b'0 "ECHO" "x"']

    on_a_loop(scene)


# --- Many monitors ---------------------------------------------------------------------------------------------------


def monitors_of(bare: BareRouter, count: int) -> list[ClientEnd]:
    monitors = [bare.connect() for _ in range(count)]
    for monitor in monitors:
        monitor.send([b"MONITOR"])
        assert monitor.take() == OK
    return monitors


async def told(bare: BareRouter) -> None:
    """Returns when all lines are with all monitors."""
    while bare.router.feed.lines or bare.router.output.waiting:
        await asyncio.sleep(0.001)
    await bare.sent()


@pytest.mark.parametrize("over", [0, 1])
def test_some_are_told_in_a_turn_and_the_others_soon(over: int) -> None:
    async def scene() -> None:
        bare = BareRouter()
        monitors, client = monitors_of(bare, TOLD_MAX + over), bare.connect()
        client.send([b"ECHO", b"1"])
        client.send([b"ECHO", b"2"])
        assert not any(monitor.received for monitor in monitors)
        await bare.sent()
        assert sum(bool(monitor.received) for monitor in monitors) == TOLD_MAX
        assert bool(bare.router.feed.lines) == bool(over)
        client.send([b"ECHO", b"3"])
        await told(bare)
        for monitor in monitors:
            assert shown(monitor) == [b'0 "ECHO" "%d"' % number for number in (1, 2, 3)]
        assert monitors[0].session.writes == 3  # Its +OK, the first two at once, and the third.
        assert monitors[-1].session.writes == (3 - over)
        assert (bare.router.feed.lines, bare.router.feed.size_bytes) == ([], 0)

    on_a_loop(scene)


def test_what_it_asks_for_comes_behind_the_lines_before() -> None:
    async def scene() -> None:
        bare = BareRouter()
        monitors, client = monitors_of(bare, TOLD_MAX + 1), bare.connect()
        client.send([b"ECHO", b"1"])
        monitors[-1].send([b"PING"])
        client.send([b"ECHO", b"2"])
        await told(bare)
        assert shown(monitors[-1]) == [b'0 "ECHO" "1"', b"+PONG", b'0 "PING"', b'0 "ECHO" "2"']
        client.send([b"ECHO", b"3"])
        monitors[-1].send_bytes(b"*x\r\n")
        assert [text[:6] for text in shown(monitors[-1])] == [b'0 "ECH', b"-ERR P"]
        client.send([b"ECHO", b"4"])
        await told(bare)
        assert monitors[-1].closed and not monitors[-1].received

    on_a_loop(scene)


@pytest.mark.parametrize("over", [0, 1])
def test_what_is_on_its_way_to_monitors_is_bounded(over: int) -> None:
    async def scene() -> None:
        bare = BareRouter()
        monitors, client = monitors_of(bare, TOLD_MAX + 1), bare.connect()
        client.send([b"ECHO", b""])
        size_bytes = bare.router.feed.size_bytes
        await told(bare)
        for monitor in monitors:
            assert len(monitor.take()) == size_bytes
        client.send([b"ECHO", b"x" * (LINES_BYTES_MAX - size_bytes + over)])
        assert sum(bool(monitor.received) for monitor in monitors) == (len(monitors) if over else 0)
        assert bare.router.feed.size_bytes == (0 if over else LINES_BYTES_MAX)
        await told(bare)
        assert {len(monitor.take()) for monitor in monitors} == {LINES_BYTES_MAX + over}

    on_a_loop(scene)


def test_a_router_that_stops_sends_what_there_is() -> None:
    async def scene() -> None:
        bare = BareRouter(1, "--port", str(free_port()), "--bind", "127.0.0.1")
        monitors, client = monitors_of(bare, TOLD_MAX + 1), bare.connect()
        client.send([b"ECHO", b"1"])
        bare.router.stop()
        await bare.router.serve()
        assert all(monitor.closed for monitor in monitors)
        for monitor in monitors:
            assert shown(monitor) == [b'0 "ECHO" "1"']

    on_a_loop(scene)


def test_nothing_is_kept_for_who_is_gone() -> None:
    async def scene() -> None:
        bare = BareRouter()
        monitors, client = monitors_of(bare, TOLD_MAX + 2), bare.connect()
        client.send([b"ECHO", b"1"])
        await bare.sent()
        for monitor in monitors[TOLD_MAX:]:
            monitor.session.connection_lost(None)
        await told(bare)
        client.send([b"ECHO", b"2"])
        for monitor in monitors[:TOLD_MAX]:
            monitor.session.connection_lost(None)
        feed = bare.router.feed
        assert (feed.monitors, feed.apart, feed.lines, feed.size_bytes) == ({}, {}, [], 0)
        await told(bare)

    on_a_loop(scene)


def push_each(feed: Feed, session: Session, text: bytes) -> None:
    """What each monitor gets, the plain way: line by line, as any other message."""
    if session.subscriptions is not None:
        feed.router.pubsub.flush()
    if not session.replies.mutes:
        session.push(text)


CALLS = [
    *([[b"ECHO", b"x"]] * 6),
    [b"GET", b"k"],
    [b"PUBLISH", b"a", b"m"],
    [b"SUBSCRIBE", b"a"],
    [b"UNSUBSCRIBE", b"a"],
    [b"CLIENT", b"REPLY", b"SKIP"],
    [b"CLIENT", b"REPLY", b"OFF"],
    [b"CLIENT", b"REPLY", b"ON"],
    [b"MONITOR"],
    [b"RESET"],
]


@pytest.mark.parametrize("seed", range(20))
def test_lines_that_are_shared_come_as_if_each_were_pushed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        random = Random(seed)
        bare = BareRouter()
        clients = [*monitors_of(bare, TOLD_MAX + 5), *(bare.connect() for _ in range(5))]
        for number in range(300):
            client = random.choice(clients)
            client.send(*[[*random.choice(CALLS)] for _ in range(random.choice((1, 1, 3)))])
            if number % 7 == 0:
                client.send([b"ECHO", b"%d" % number])
            if random.random() < 0.2:
                await bare.sent()
            if random.random() < 0.2:
                await bare.settle()
        await bare.settle()
        await told(bare)
        found.append([shown(client) for client in clients])

    found: list[list[list[bytes]]] = []
    on_a_loop(scene)
    monkeypatch.setattr(Feed, "_push", push_each)
    on_a_loop(scene)
    assert found[0] == found[1]
    assert sum(map(len, found[0])) > 1000

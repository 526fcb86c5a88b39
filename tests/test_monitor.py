"""MONITOR: what is shown, to whom, and in which order. monitor.session has it beside the reference."""

import re
from random import Random

import pytest

from router.monitor import ESCAPES, line, quoted
from tests.bare_router import BareRouter, ClientEnd, on_a_loop

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

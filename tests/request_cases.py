"""What a client's bytes mean: the commands, and the fault behind them if there is one.

The parser is asked, whole and in pieces, and so is a real Valkey.
"""

BULK_SIZE_BYTES_MAX = 512 * 1024 * 1024
LINE_SIZE_BYTES_MAX = 64 * 1024
ARGUMENTS_MAX = 2**31 - 1

MULTIBULK = "invalid multibulk length"
BULK = "invalid bulk length"
LINE_END = "invalid CRLF in request"
QUOTES = "unbalanced quotes in request"
LONG_LINE = "too big inline request"
LONG_COUNT = "too big mbulk count string"
LONG_SIZE = "too big bulk count string"

PING = b"*1\r\n$4\r\nPING\r\n"

Commands = list[list[bytes]]


def encode(*argv: bytes) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in argv])


COMPLETE: list[tuple[bytes, Commands]] = [
    (PING, [[b"PING"]]),
    (PING * 3, [[b"PING"]] * 3),
    (encode(b"ECHO", b""), [[b"ECHO", b""]]),
    (encode(b"ECHO", b"\r\n"), [[b"ECHO", b"\r\n"]]),
    (encode(b"ECHO", b"*1\r\n$4\r\nPING\r\n"), [[b"ECHO", b"*1\r\n$4\r\nPING\r\n"]]),
    (encode(b"ECHO", b"\0\xff\n$"), [[b"ECHO", b"\0\xff\n$"]]),
    *[(encode(b"ECHO", b"x" * size), [[b"ECHO", b"x" * size]]) for size in (9, 10, 11, 99, 100, 101, 999, 1000, 10000)],
    *[(encode(*[b"PING"] * count), [[b"PING"] * count]) for count in (9, 10, 11, 12, 100)],
    (encode(b"GEORADIUSBYMEMBER_RO", b"x"), [[b"GEORADIUSBYMEMBER_RO", b"x"]]),
    (encode(b""), [[b""]]),
    (b"*0\r\n" + PING, [[b"PING"]]),
    (b"*-1\r\n" + PING, [[b"PING"]]),
    (b"*-5\r\n*0\r\n\r\n\n" + PING, [[b"PING"]]),
    (b"*-9223372036854775808\r\n" + PING, [[b"PING"]]),
    (b"PING\r\n", [[b"PING"]]),
    (b"PING\n", [[b"PING"]]),
    (b" \t\v\f PING \r\r\n", [[b"PING"]]),
    (b"\r\n\n \r\n\t\r\n\r\r\nPING\r\n", [[b"PING"]]),
    (b"P\rING\n", [[b"P", b"ING"]]),
    (b"PING\r\n" + PING + b"PING\r\n" + PING, [[b"PING"]] * 4),
    (b"$4\r\nPING\r\n", [[b"$4"], [b"PING"]]),
    (b'""\r\n', [[b""]]),
    (b'ECHO "a\\x41\\n\\r\\t\\b\\a\\q\\\\\\"z"\r\n', [[b"ECHO", b'aA\n\r\t\b\aq\\"z']]),
    (b'ECHO "\\xZZ\\x4"\r\n', [[b"ECHO", b"xZZx4"]]),
    (b"ECHO 'a\\'b\\n\"'\r\n", [[b"ECHO", b"a'b\\n\""]]),
    (b"ECHO 'abc'd\r\n", [[b"ECHO", b"abcd"]]),
    (b"ECHO a\"b c\"'d'\r\n", [[b"ECHO", b"ab cd"]]),
    (b"ECHO ''\r\n", [[b"ECHO", b""]]),
    (b"ECHO a\\x41\r\n", [[b"ECHO", b"a\\x41"]]),
    (b"ECHO 'a\\'\r\n", [[b"ECHO", b"a\\"]]),
    (b'ECHO "a\\"\r\n', [[b"ECHO", b"a\\"]]),
    (b"ECHO \va\vb\fc\r\n", [[b"ECHO", b"a\vb\fc"]]),
    (b"A" * 65535 + b"\n", [[b"A" * 65535]]),
    (b"A" * 65536 + b"\n", [[b"A" * 65536]]),
    (b"A" * 65535 + b"\r\n", [[b"A" * 65535]]),
]

INCOMPLETE: list[tuple[bytes, Commands]] = [
    (PING + b"*", [[b"PING"]]),
    (PING + PING[:-1], [[b"PING"]]),
    (PING + b"*1\r\n$4\r\nPINGX", [[b"PING"]]),
    (b"*x\r", []),
    (b"*1\r\nx\r", []),
    (b"*1\r\n$x\r", []),
    (b"*%d\r\n" % ARGUMENTS_MAX, []),
    (b"*%d\r\n$4\r\nPING\r\n" % ARGUMENTS_MAX, []),
    (b"*1\r\n$%d\r\n" % BULK_SIZE_BYTES_MAX, []),
    (b"*" + b"1" * (LINE_SIZE_BYTES_MAX - 1), []),
    (b"*1\r\n$" + b"1" * (LINE_SIZE_BYTES_MAX - 1), []),
    (b"A" * LINE_SIZE_BYTES_MAX, []),
    (b"\0PING\r\n" + PING, []),
    (b"PING\r\nPING \0\r\n", [[b"PING"]]),
    (b"PING\r", []),
]

FAULTS: list[tuple[bytes, Commands, str]] = [
    *[(b"*" + text + b"\r\n", [], MULTIBULK) for text in (b"", b"-", b"+1", b"01", b"00", b"-0", b" 1", b"1 ", b"1a")],
    *[
        (b"*" + text + b"\r\n", [], MULTIBULK)
        for text in (b"1_0", b"0x1", b"\xb2", b"1\0", b"1\n", b"1.0", b"1" * 65000)
    ],
    *[(b"*%d\r\n" % count, [], MULTIBULK) for count in (2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**30)],
    (b"*1\n$4\r\nPING\r\n", [], MULTIBULK),
    (b"*1\rX", [], LINE_END),
    (b"*x\rX", [], LINE_END),
    (b"*0\r\r\n", [], LINE_END),
    (b"*2147483648\rX", [], LINE_END),
    *[(b"*1\r\n$" + text + b"\r\n", [], BULK) for text in (b"", b"-", b"-1", b"-0", b"+4", b"04", b"00", b" 4", b"4 ")],
    *[(b"*1\r\n$" + text + b"\r\n", [], BULK) for text in (b"4a", b"1_0", b"4\0", b"4\n", b"\xb2", b"1" * 65000)],
    *[(b"*1\r\n$%d\r\n" % size, [], BULK) for size in (BULK_SIZE_BYTES_MAX + 1, 9999999999, 2**63 - 1, 2**63, 10**30)],
    (b"*1\r\n$x\rX", [], LINE_END),
    (b"*1\r\n$4\rXPINGXX", [], LINE_END),
    (b"*1\r\n$9999999999\rX", [], LINE_END),
    (b"*1\r\n$4\r\nPINGXXPING\r\n", [], LINE_END),
    (b"*1\r\n$4\r\nPING\rX", [], LINE_END),
    (b"*1\r\n$4\r\nPINGX\n", [], LINE_END),
    (b"*1\r\n$4\r\nPING\n\r", [], LINE_END),
    (b"*2\r\n$4\r\nECHO\r\n$10\r\n0123456789xx", [], LINE_END),
    (b"*2\r\n$4\r\nECHO\r\n$100\r\n" + b"x" * 102, [], LINE_END),
    (b"*2\r\n$4\r\nECHO\r\n$20000\r\n" + b"x" * 20002, [], LINE_END),
    (b"*1\r\nPING\r\n", [], "expected '$', got 'P'"),
    (b"*1\r\nx\rX", [], "expected '$', got 'x'"),
    (b"*1\r\n\r\n", [], "expected '$', got '\r'"),
    (b"*1\r\n\n\r\n", [], "expected '$', got '\n'"),
    (b"*1\r\n\xff\r\n", [], "expected '$', got '\udcff'"),
    (b"*1\r\n\0\r\n", [], "expected '$', got '\0'"),
    (b"*3\r\n$3\r\nSET\r\n*1\r\n", [], "expected '$', got '*'"),
    (b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n:1\r\n", [], "expected '$', got ':'"),
    (b"*" + b"1" * LINE_SIZE_BYTES_MAX, [], LONG_COUNT),
    (b"*1\r\n$" + b"1" * LINE_SIZE_BYTES_MAX, [], LONG_SIZE),
    (b"A" * (LINE_SIZE_BYTES_MAX + 1), [], LONG_LINE),
    (b"\0" * (LINE_SIZE_BYTES_MAX + 1), [], LONG_LINE),
    (b'ECHO "abc\r\n', [], QUOTES),
    (b"ECHO 'abc\r\n", [], QUOTES),
    (b'ECHO "a\\\r\n', [], QUOTES),
    (b"ECHO 'a\\' \r\n", [], QUOTES),
    (b'ECHO a"b\\"c\r\n', [], QUOTES),
    (PING + b"PING\r\n" + PING + b"*x\r\n" + PING, [[b"PING"]] * 3, MULTIBULK),
    (PING * 2 + b"*1\r\n$-1\r\n", [[b"PING"]] * 2, BULK),
    (PING + b'ECHO "\r\n', [[b"PING"]], QUOTES),
]

CASES: list[tuple[bytes, Commands, str | None]] = [
    *[(data, commands, None) for data, commands in COMPLETE + INCOMPLETE],
    *FAULTS,
]


def name_of(value: object) -> str | None:
    return repr(value)[:40] if isinstance(value, bytes) else ""

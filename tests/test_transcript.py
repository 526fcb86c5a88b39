"""The instruments of the transcripts themselves: command lines, replies as text, the file, a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import transcript
from tests.command_line import split_command
from tests.expectation import BadExpectation, patterns, printed
from tests.resp_client import (
    NULL_ARRAY,
    BigNumber,
    Double,
    Error,
    Incomplete,
    Map,
    Push,
    Reply,
    Set,
    Status,
    Verbatim,
    encode_command,
    parse_reply,
)
from tests.transcript import POLL_MS, BadTranscript, Run, rewritten

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.binary(),
    st.integers(),
    st.booleans(),
    st.none(),
    st.sampled_from([Status(b"OK"), Status(b"1) x"), Status(b'"'), Error(b"ERR no"), Double(b"1.5"), BigNumber(b"99")]),
    st.binary().map(lambda text: Verbatim(b"txt:" + text)),
)


def _replies(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=12),
            st.lists(inner, max_size=12).map(Set),
            st.lists(inner, max_size=3).map(Push),
            st.lists(st.tuples(scalars, inner), max_size=12).map(Map),
        ),
        max_leaves=30,
    )


REPLIES = _replies(SCALARS | st.just(NULL_ARRAY))


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ("GET k", [b"GET", b"k"]),
        (r'SET k "a \x00\n\"b\\"', [b"SET", b"k", b'a \x00\n"b\\']),
        (r"SET 'a b' 'it\'s \n'", [b"SET", b"a b", b"it's \\n"]),
        ('SET k ""', [b"SET", b"k", b""]),
        ("APPEND k ${ab*3}", [b"APPEND", b"k", b"ababab"]),
        ('APPEND k "${a *3}"', [b"APPEND", b"k", b"a a a "]),
        ("DEL k${1..3}", [b"DEL", b"k1", b"k2", b"k3"]),
        ("HSET h f${1..2} v${1..2}", [b"HSET", b"h", b"f1", b"v1", b"f2", b"v2"]),
        ("XREAD STREAMS s $", [b"XREAD", b"STREAMS", b"s", b"$"]),
        ('CLIENT KILL ID ${id} "<${id}>"', [b"CLIENT", b"KILL", b"ID", b"7", b"<7>"]),
    ],
)
def test_split_command(line: str, argv: list[bytes]) -> None:
    assert split_command(line, {"id": b"7"}) == argv


@pytest.mark.parametrize("line", ['GET "k', 'GET "k"x', "GET 'k", "GET ${unknown}"])
def test_split_command_refuses(line: str) -> None:
    with pytest.raises(ValueError):
        split_command(line, {})


@given(REPLIES)
def test_what_is_printed_is_read_back(value: Any) -> None:
    (pattern,) = patterns(printed(value).split("\n"))
    assert pattern.matches(value, {})


@given(REPLIES, _replies(SCALARS))
def test_a_printed_reply_matches_no_other(value: Any, other: Any) -> None:
    """But for NULL_ARRAY, which "(nil)" stands for too."""
    (pattern,) = patterns(printed(value).split("\n"))
    assert pattern.matches(other, {}) == (printed(value) == printed(other))


def test_printed_as_redis_cli_does() -> None:
    value = [1, b'a"\x00', [], [b"x", Map([(b"k", [1, 2]), (b"l", Set())])], *range(6)]
    assert printed(value).split("\n") == [
        " 1) (integer) 1",
        r' 2) "a\"\x00"',
        " 3) (empty array)",
        ' 4) 1) "x"',
        '    2) 1# "k" => 1) (integer) 1',
        "          2) (integer) 2",
        '       2# "l" => (empty set)',
        *[f"{number + 5:>2}) (integer) {number}" for number in range(6)],
    ]


MATCHES: list[tuple[str, Any, bool]] = [
    ("(integer) ~ 1..3", 3, True),
    ("(integer) ~ 1..3", 4, False),
    ("(integer) ~ 1..3", b"3", False),
    ("(integer) ~", -5, True),
    ("(double) ~ 0.9..1.1", Double(b"1"), True),
    ('"/[ab]+/"', b"abba", True),
    ('"/[ab]+/"', b"abbac", False),
    ('"/[ab]+/"', Status(b"a"), False),
    ("/P.NG/", Status(b"PONG"), True),
    ("(error) /ERR .*/", Error(b"ERR any"), True),
    ("(error) ERR any", Status(b"ERR any"), False),
    ('"${a*3}"', b"aaa", True),
    ("(anything)", [1, 2], True),
    ("(nil)", NULL_ARRAY, True),
    ("(nil array)", None, False),
    ('(unordered)\n1) "a"\n2) "/.*/"', [b"b", b"a"], True),
    ('(unordered)\n1) "a"\n2) "b"', [b"b", b"b"], False),
    ('(unordered) 1~ "a"\n2~ "b"', Set([b"b", b"a"]), True),
    ('(unordered) 1# "a" => "b"\n2# "c" => (integer) 1', Map([(b"c", 1), (b"a", b"b")]), True),
    ('(unordered pairs)\n1) "a"\n2) "1"\n3) "b"\n4) "2"', [b"b", b"2", b"a", b"1"], True),
    ('(unordered pairs)\n1) "a"\n2) "1"\n3) "b"\n4) "2"', [b"b", b"1", b"a", b"2"], False),
    ('1) "a"\n...', [b"a", b"b"], True),
    ('1) "a"\n2) "b"\n3) "c"\n...', [b"a", b"b"], False),
    ('1) "${x}"\n2) (integer) ${y}\n3) "${x}"', [b"a", 1, b"a"], True),
    ('1) "${x}"\n2) "${x}"', [b"a", b"b"], False),
]


@pytest.mark.parametrize(("text", "value", "expected"), MATCHES)
def test_matchers(text: str, value: Any, expected: bool) -> None:
    (pattern,) = patterns(text.split("\n"))
    assert pattern.matches(value, {}) is expected


def test_several_replies_to_one_command() -> None:
    text = '1) "subscribe"\n2) "a"\n1) "subscribe"\n2) "b"\nOK'
    assert len(patterns(text.split("\n"))) == 3


@pytest.mark.parametrize("text", ["(interger) 1", '"open', '(unordered)\n"a"', '1# "a" "b"', '1) "a"\n3) "b"'])
def test_bad_expectations(text: str) -> None:
    with pytest.raises(BadExpectation):
        patterns(text.split("\n"))


@given(REPLIES)
def test_replies_parse_only_when_whole(value: Any) -> None:
    raw = _encoded(value)
    assert parse_reply(raw + b"+tail\r\n") == (value, len(raw))
    for end in range(len(raw)):
        with pytest.raises(Incomplete):
            parse_reply(raw[:end])


def _encoded(value: Any) -> bytes:
    """A second, plain encoder, as an oracle."""
    if isinstance(value, list):
        mark = {list: b"*", Set: b"~", Push: b">", Map: b"%"}[type(value)]
        items = [half for pair in value for half in pair] if isinstance(value, Map) else value
        return mark + b"%d\r\n" % len(value) + b"".join(map(_encoded, items))
    if type(value) in (bytes, Verbatim):
        return b"%s%d\r\n%b\r\n" % (b"$" if type(value) is bytes else b"=", len(value), value)
    if value is None or value is NULL_ARRAY:
        return b"_\r\n" if value is None else b"*-1\r\n"
    if isinstance(value, bool):
        return b"#t\r\n" if value else b"#f\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    marks: dict[type, bytes] = {Status: b"+", Error: b"-", Double: b",", BigNumber: b"("}
    return marks[type(value)] + bytes(value) + b"\r\n"


class Echo:
    """A target without a server: it answers a command by its arguments, SLEEP not at all."""

    name = "echo"

    def __init__(self) -> None:
        self.clock_ms = 0.0
        self.replies: list[Reply] = []

    def connect(self) -> "Echo":
        return Echo()

    def begin(self) -> None: ...

    def end(self) -> str:
        return "one thing is wrong" if self.replies else ""

    def is_own(self, value: Any) -> bool:
        return value == b"unasked"

    def barrier(self) -> None: ...

    def close(self) -> None: ...

    def control(self, *argv: bytes) -> Any:
        return Status(b"OK")

    def advance(self, duration_ms: float) -> None:
        self.clock_ms += duration_ms

    def send(self, *argv: bytes) -> None:
        if argv[0] == b"QUIT":
            raise ConnectionError
        if argv[0] != b"SLEEP":
            self.replies.append(Reply(b"", list(argv)))

    def send_bytes(self, data: bytes) -> None:
        self.replies.append(Reply(b"", data))

    def read(self, timeout_s: float | None = None) -> Reply:
        if not self.replies:
            raise ConnectionError
        return self.replies.pop(0)

    def maybe_read(self) -> Reply | None:
        return self.replies.pop(0) if self.replies else None


SESSION = """\
@servers echo
# A comment.
> GET k
1) "GET"
2) "k"
B> SLEEP
(no reply)

~ 1.5s
> SET k
1) "SET"
2) "wrong"
>> "raw\\r\\n"
"""


def test_a_run_says_what_went_otherwise() -> None:
    target = Echo()
    failures = Run(transcript.parse(SESSION, Path("x.session")), target).run()
    assert [failure.step.line for failure in failures] == [10, 13]
    assert target.clock_ms == 1500
    assert str(failures[0]).split("\n") == [
        "x.session:10: > SET k",
        "  expected:",
        '    1) "SET"',
        '    2) "wrong"',
        "  got:",
        '    1) "SET"',
        '    2) "k"',
    ]


def test_a_recording_replaces_only_what_is_wrong() -> None:
    parsed = transcript.parse(SESSION)
    text = rewritten(parsed, Run(parsed, Echo()).run(patient=True))
    assert text == SESSION.replace("wrong", "k") + '"raw\\r\\n"\n'
    parsed = transcript.parse(text)
    assert Run(parsed, Echo()).run() == []


def test_what_is_wrong_with_the_target_is_a_failure() -> None:
    target = Echo()
    target.replies.append(Reply(b"", 1))
    (failure,) = Run(transcript.parse('> A\n1) "A"\n', Path("x.session")), target).run()
    assert str(failure) == "x.session:2: at the end: one thing is wrong"


def test_what_comes_unasked_is_a_failure() -> None:
    extra = transcript.parse('> SLEEP\n(no reply)\n>> "a"\n"a"\n')
    target = Echo()
    run = Run(extra, target)
    run.clients[""] = client = Echo()
    assert run.run() == []
    client.replies.append(Reply(b"", 5))
    run = Run(transcript.parse("B> SLEEP\n(no reply)\n"), target)
    run.clients["C"] = client
    assert "(integer) 5" in str(run.run()[0])


def test_a_command_is_repeated_until_it_goes_as_written() -> None:
    target = Echo()
    run = Run(transcript.parse('~ until\n> GET k\n"there"\n'), target)
    run.clients[""] = client = Echo()
    client.replies = [Reply(b"", b"not yet"), Reply(b"", b"not yet"), Reply(b"", b"there")]
    client.send = lambda *argv: None  # type: ignore[method-assign]  # Its replies are there already.
    assert run.run() == []
    assert target.clock_ms == 2 * POLL_MS
    run = Run(transcript.parse('~ until\n> GET k\n"never"\n> GET l\n1) "GET"\n2) "l"\n'), target)
    assert [failure.step.line for failure in run.run()] == [2], "what never comes is one failure"


TIMES = """\
> TTL k
(integer) 100
> HTTL h FIELDS 2 a b
1) (integer) -1
2) (integer) 100
> PTTL k
(integer) ~ 99000..100000
"""


@pytest.mark.parametrize(
    ("passed_s", "came", "wrong"),
    [
        (0.0, [100, [-1, 100], 99_500], []),
        (0.0, [99, [-1, 99], 98_000], [1, 3, 6]),
        (10.2, [90, [-1, 95], 89_000], []),
        (10.2, [89, [-1, 101], 88_000], [1, 3, 6]),
        (10.2, [0, [-2, 100], 100_001], [1, 3, 6]),
    ],
)
def test_what_is_left_of_a_time_is_less_by_what_has_passed(
    monkeypatch: pytest.MonkeyPatch, passed_s: float, came: list[Any], wrong: list[int]
) -> None:
    run = Run(transcript.parse(TIMES), Echo())
    run.clients[""] = client = Echo()
    client.replies = [Reply(b"", value) for value in came]
    client.send = lambda *argv: None  # type: ignore[method-assign]  # Its replies are there already.
    monkeypatch.setattr(transcript.time, "time", lambda: run.begun_s + passed_s)
    assert [failure.step.line for failure in run.run()] == wrong


def test_no_other_number_is_less_because_time_has_passed() -> None:
    run = Run(transcript.parse("> STRLEN k\n(integer) 100\n"), Echo())
    run.clients[""] = client = Echo()
    client.replies = [Reply(b"", 99)]
    client.send = lambda *argv: None  # type: ignore[method-assign]
    run.begun_s -= 10
    assert len(run.run()) == 1


MESSAGES = """\
> SLEEP
(no reply)
<
"first"
(in any order)
"b"
"a"
"""


@pytest.mark.parametrize(
    ("came", "right"),
    [
        ([b"first", b"a", b"b"], True),
        ([b"first", b"b", b"a"], True),
        ([b"a", b"first", b"b"], False),
        ([b"first", b"a", b"a"], False),
        ([b"first", b"unasked", b"b", b"unasked", b"a"], True),
    ],
)
def test_replies_in_any_order(came: list[bytes], right: bool) -> None:
    target = Echo()
    run = Run(transcript.parse(MESSAGES), target)
    run.clients[""] = client = Echo()
    client.maybe_read = lambda: None  # type: ignore[method-assign]
    client.replies = [Reply(b"", word) for word in came]
    assert (run.run() == []) is right


def test_a_recording_of_others_is_in_the_order_in_which_they_came() -> None:
    parsed = transcript.parse(MESSAGES.removeprefix("> SLEEP\n(no reply)\n"))
    run = Run(parsed, Echo())
    run.clients[""] = client = Echo()
    client.replies = [Reply(b"", word) for word in (b"first", b"a", b"c")]
    assert rewritten(parsed, run.run(patient=True)) == '<\n"first"\n"a"\n"c"\n'


def test_what_a_monitor_is_told() -> None:
    line = Status(rb'1795376581.767123 [3 127.0.0.1:40970] "SET" "k" "a \"b\""')
    (pattern,) = patterns([printed(line)])
    assert printed(line) == r'(monitor 3) "SET" "k" "a \"b\""'
    assert pattern.matches(line, {})
    assert pattern.matches(Status(rb'1.000000 [3 unix:/tmp/x] "SET" "k" "a \"b\""'), {})
    assert not pattern.matches(Status(rb'1.000000 [0 127.0.0.1:1] "SET" "k" "a \"b\""'), {})
    assert not pattern.matches(Status(b"OK"), {})


@pytest.mark.parametrize(
    "text",
    ["OK\n> PING\n", "@nonsense\n", "@config one\n", '> GET "k\n', "> GET k\n(interger) 1\n", ">\n", '>> "open\n'],
)
def test_bad_transcripts(text: str) -> None:
    with pytest.raises(BadTranscript):
        transcript.parse(text)


@pytest.mark.parametrize(
    ("directive", "targets"),
    [
        ("", ["reference", "shard", "shardis-1", "shardis-3", "shardis-3-no-tags"]),
        ("@servers reference shardis", ["reference", "shardis-1", "shardis-3", "shardis-3-no-tags"]),
        ("@servers shardis-3", ["shardis-3", "shardis-3-no-tags"]),
        ("@single-shard", ["reference", "shard", "shardis-1"]),
        ("@needs-tags", ["reference", "shard", "shardis-1", "shardis-3"]),
    ],
)
def test_where_a_transcript_runs(directive: str, targets: list[str]) -> None:
    parsed = transcript.parse(f"{directive}\n> PING\nPONG\n")
    every = ["reference", "shard", "shardis-1", "shardis-3", "shardis-3-no-tags"]
    assert [name for name in every if parsed.runs_on(name)] == targets


def test_encode_command() -> None:
    assert encode_command(["SET", b"k", 1]) == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n"


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "x.session"
    path.write_text("# Recorded.\n> SET k v\n> GET k\nB> BLPOP l 0\n> TIME\n> PTTL k\n(integer) ~ -1..-1\n")
    yield path


def test_recording_from_the_reference(recorded: Path) -> None:
    varying = transcript.record(recorded)
    assert [failure.step.text for failure in varying] == ["TIME"]
    lines = recorded.read_text().split("\n")
    assert lines[:7] == ["# Recorded.", "> SET k v", "OK", "> GET k", '"v"', "B> BLPOP l 0", "(no reply)"]
    assert lines[-3:] == ["> PTTL k", "(integer) ~ -1..-1", ""]

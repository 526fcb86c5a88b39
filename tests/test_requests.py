"""The request parser: every case whole, byte by byte and with a tail; compiled and plain.

test_requests_reference.py asks a real Valkey what these tests take for right.
"""

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ProtocolError
from tests.request_cases import BULK, CASES, COMPLETE, FAULTS, MULTIBULK, PING, Commands, encode, name_of

COMMON = Path(__file__).resolve().parent.parent / "common"
SPEEDS = ["compiled", "plain", "plain, byte by byte"]

MakeRequests = Callable[..., Any]


# The two speeds


def plain_module() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("common.requests", str(COMMON / "requests.py"))
    spec = importlib.util.spec_from_loader("common.requests", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def compiled_module() -> ModuleType | None:
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = COMMON / f"requests{suffix}"
        if path.exists():
            loader = importlib.machinery.ExtensionFileLoader("common.requests", str(path))
            spec = importlib.util.spec_from_loader("common.requests", loader)
            assert spec is not None
            module = importlib.util.module_from_spec(spec)
            loader.exec_module(module)
            return module
    return None


def has_compiler() -> bool:
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    works = shutil.which(compiler) and subprocess.run([compiler, "--version"], capture_output=True).returncode == 0
    return bool(works) and Path(sysconfig.get_paths()["include"], "Python.h").exists()


@pytest.fixture(scope="module", params=SPEEDS)
def module(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "compiled":
        found = compiled_module()
        if found is None:
            if has_compiler():
                pytest.fail("common.requests is not compiled although there is a C compiler: deploy/install builds it")
            pytest.skip("no C compiler here, so common.requests can't be compiled; its plain form is tested")
        assert found.COMPILED
        return found
    plain = plain_module()
    assert not plain.COMPILED
    # The compiled module's walk, where each of its steps can be seen: byte by byte.
    plain.COMPILED = request.param != "plain"  # type: ignore[attr-defined]
    return plain


@pytest.fixture(scope="module")
def make(module: ModuleType) -> MakeRequests:
    return module.Requests  # type: ignore[no-any-return]


def outcome(requests: Any, pieces: Iterable[bytes]) -> tuple[Commands, str | None]:
    """All the commands, and the text of the fault that ended them, as a session would get at them."""
    commands: Commands = []
    try:
        for piece in pieces:
            commands += requests.feed(piece)
            while requests.stopped:
                commands += requests.feed(b"")
    except ProtocolError as fault:
        with pytest.raises(ProtocolError) as again:
            requests.feed(b"")
        assert str(again.value) == str(fault), "a fault stays"
        return commands, str(fault)
    return commands, None


def by_bytes(data: bytes) -> list[bytes]:
    return [data[pos : pos + 1] for pos in range(len(data))]


# Every case, in every way it may come


@pytest.mark.parametrize(("data", "commands", "fault"), CASES, ids=name_of)
def test_whole(make: MakeRequests, data: bytes, commands: Commands, fault: str | None) -> None:
    assert outcome(make(), [data]) == (commands, fault)


@pytest.mark.parametrize(("data", "commands", "fault"), CASES, ids=name_of)
def test_byte_by_byte(make: MakeRequests, data: bytes, commands: Commands, fault: str | None) -> None:
    if len(data) < 1000:
        assert outcome(make(), by_bytes(data)) == (commands, fault)
    else:  # The ends are where it matters, and each byte would cost a copy of the rest.
        pieces = [*by_bytes(data[:64]), data[64:-64], *by_bytes(data[-64:])]
        assert outcome(make(), pieces) == (commands, fault)


@pytest.mark.parametrize(("data", "commands", "fault"), CASES, ids=name_of)
def test_cut_in_two(make: MakeRequests, data: bytes, commands: Commands, fault: str | None) -> None:
    cuts = range(len(data) + 1) if len(data) < 300 else [*range(64), *range(len(data) - 64, len(data) + 1)]
    for cut in cuts:
        assert outcome(make(), [data[:cut], data[cut:]]) == (commands, fault), f"cut at {cut}"


@pytest.mark.parametrize(("data", "commands"), COMPLETE, ids=name_of)
def test_with_a_tail(make: MakeRequests, data: bytes, commands: Commands) -> None:
    assert outcome(make(), [data + PING]) == ([*commands, [b"PING"]], None)
    assert outcome(make(), [data, PING]) == ([*commands, [b"PING"]], None)
    assert outcome(make(), [data + PING[:-2], PING[-2:]]) == ([*commands, [b"PING"]], None)
    assert outcome(make(), [data + b"*x\r\n"]) == (commands, MULTIBULK)


@pytest.mark.parametrize(("data", "commands", "fault"), FAULTS, ids=name_of)
def test_a_fault_hides_no_command_before_it(make: MakeRequests, data: bytes, commands: Commands, fault: str) -> None:
    assert outcome(make(), [PING + data + PING]) == ([[b"PING"], *commands], fault)
    requests = make()
    assert requests.feed(PING + data) == [[b"PING"], *commands]
    assert requests.stopped
    with pytest.raises(ProtocolError) as raised:
        requests.feed(b"")
    assert str(raised.value) == fault


def test_the_commands_belong_to_the_caller(make: MakeRequests) -> None:
    """What is returned may be changed: the parser keeps no hold of it."""
    requests = make()
    first = requests.feed(PING + PING[:-3])
    first[0].append(b"mine")
    assert requests.feed(PING[-3:]) == [[b"PING"]]


# Limits: each at the limit and one past it


def test_size_of_a_bulk(make: MakeRequests) -> None:
    for limit in (100, 20_000, 1_000_000):
        exact, above = (encode(b"ECHO", b"x" * size) for size in (limit, limit + 1))
        assert outcome(make(bulk_size_bytes_max=limit), [exact]) == ([[b"ECHO", b"x" * limit]], None)
        if limit > 16 * 1024:  # Below, a scan need not ask: Valkey's proto-max-bulk-len is never less than 1 MB.
            assert outcome(make(bulk_size_bytes_max=limit), [above]) == ([], BULK)
    requests = make()
    requests.bulk_size_bytes_max = 1_000_000
    assert outcome(requests, [b"*1\r\n$1000001\r\n"]) == ([], BULK)


def test_size_of_what_is_kept_for_one_command(module: ModuleType) -> None:
    whole = encode(b"MSET", *[b"0123456789" * 10] * 20)
    at_limit = module.Requests(query_size_bytes_max=len(whole) - 1)
    assert outcome(at_limit, [whole[:-1], whole[-1:]]) == ([[b"MSET"] + [b"0123456789" * 10] * 20], None)
    for pieces in ([whole[:-1]], by_bytes(whole[:-1]), [whole[:500], whole[500:-1]]):
        past_limit = module.Requests(query_size_bytes_max=len(whole) - 2)
        with pytest.raises(module.QueryTooLong):
            outcome(past_limit, pieces)


def test_size_of_a_big_bulk_that_is_kept(module: ModuleType) -> None:
    requests = module.Requests(query_size_bytes_max=100_000)
    head = b"*2\r\n$4\r\nECHO\r\n$500000\r\n"
    assert requests.feed(head + b"x" * 50_000) == []
    assert requests.feed(b"x" * (50_000 - len(head))) == []
    assert requests.query_size_bytes == 100_000
    with pytest.raises(module.QueryTooLong):
        requests.feed(b"x")


def test_what_is_complete_is_not_kept(make: MakeRequests) -> None:
    """A connection may send any number of bytes that leave nothing to wait for."""
    requests = make(query_size_bytes_max=1000)
    for data in [b"\r\n" * 200, b"*0\r\n" * 200, PING * 60, PING[:5], PING[5:]] * 10:
        requests.feed(data)
    assert requests.query_size_bytes == 0


@pytest.mark.parametrize(
    ("exact", "above", "fault"),
    [
        (b"*10\r\n", b"*11\r\n", "unauthenticated multibulk length"),
        (encode(*[b"x"] * 10), encode(*[b"x"] * 11), "unauthenticated multibulk length"),
        (b"*1\r\n$16384\r\n", b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
        (encode(b"x" * 16384), encode(b"x" * 16385), "unauthenticated bulk length"),
        (b"*2147483647\r\n"[:0], b"*2147483647\r\n", "unauthenticated multibulk length"),
        (b"*2147483647\r\n"[:0], b"*2147483648\r\n", MULTIBULK),
        (b"*2147483647\r\n"[:0], b"*1\r\n$9999999999\r\n", BULK),
        (b"x " * 11 + b"\n", b'"', None),
    ],
)
def test_limits_before_the_password(make: MakeRequests, exact: bytes, above: bytes, fault: str | None) -> None:
    for pieces in ([exact], by_bytes(exact)):
        requests = make()
        requests.authenticated = False
        assert outcome(requests, pieces)[1] is None
    for pieces in ([above], by_bytes(above)):
        requests = make()
        requests.authenticated = False
        assert outcome(requests, pieces) == ([], fault)


@pytest.mark.parametrize("after", [encode(*[b"x"] * 11), encode(b"ECHO", b"x" * 16385), encode(b"ECHO", b"x" * 70000)])
def test_limits_are_lifted_by_the_password_before_them(make: MakeRequests, after: bytes) -> None:
    requests = make()
    requests.authenticated = False
    assert requests.feed(encode(b"AUTH", b"secret") + after + PING) == [[b"AUTH", b"secret"]]
    assert requests.stopped
    requests.authenticated = True
    assert requests.feed(b"") == [*make().feed(after), [b"PING"]]
    assert not requests.stopped


# Memory and time


@pytest.mark.parametrize(
    "data",
    [
        b"*2147483647\r\n",
        b"*2147483647\r\n$4\r\nPING\r\n",
        b"*1\r\n$536870912\r\n",
        b"*1\r\n$536870912\r\nx",
        b"*2147483647\r\n$536870912\r\n",
    ],
)
def test_a_hostile_header_reserves_nothing(make: MakeRequests, data: bytes) -> None:
    requests = make()
    tracemalloc.start()
    try:
        for byte in by_bytes(data):
            assert requests.feed(byte) == []
        requests = make()
        assert requests.feed(data) == []
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


def test_a_big_bulk_in_chunks_is_copied_once(make: MakeRequests) -> None:
    size, chunk_size = 16 * 1024 * 1024, 256 * 1024
    chunk = os.urandom(chunk_size)
    requests = make()
    tracemalloc.start()
    try:
        assert requests.feed(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % size) == []
        for _ in range(size // chunk_size):
            assert requests.feed(chunk) == []
        [[name, value]] = requests.feed(b"\r\n")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (name, value) == (b"ECHO", chunk * (size // chunk_size))
    # The chunks are what came from the socket; beside them there is the bulk that they make.
    assert peak < 2.1 * size


def test_a_big_bulk_byte_by_byte_takes_what_it_is_long(make: MakeRequests) -> None:
    requests = make()
    requests.feed(b"*2\r\n$4\r\nECHO\r\n$100000\r\n")
    tracemalloc.start()
    try:
        for _ in range(30_000):
            requests.feed(b"x")
        assert tracemalloc.get_traced_memory()[0] < 2 * 30_000
    finally:
        tracemalloc.stop()
    assert requests.feed(b"y" * 70_000 + b"\r\n" + PING) == [[b"ECHO", b"x" * 30_000 + b"y" * 70_000], [b"PING"]]


@pytest.mark.parametrize("size", [16 * 1024, 16 * 1024 + 1, 70_000])
def test_a_big_bulk_cut_around_its_ends(make: MakeRequests, size: int) -> None:
    data = encode(b"ECHO", b"x" * size, b"y" * size) + PING
    whole = [[b"ECHO", b"x" * size, b"y" * size], [b"PING"]]
    begin = data.index(b"x" * 100)
    for first in [begin - 2, begin - 1, begin, begin + 1]:
        for second in [begin + size + offset for offset in range(-2, 8)]:
            assert outcome(make(), [data[:first], data[first:second], data[second:]]) == (whole, None)


def test_a_million_arguments(make: MakeRequests) -> None:
    arguments = [b"MSET"] + [b"%d" % number for number in range(1_000_000)]
    data = encode(*arguments)
    step = 256 * 1024
    assert outcome(make(), [data[pos : pos + step] for pos in range(0, len(data), step)]) == ([arguments], None)


# Anything, however it is cut

ARGUMENT = st.one_of(
    st.binary(max_size=12),
    st.binary(min_size=90, max_size=110),
    st.sampled_from([b"\r\n", b"$1\r\n", b"*1\r\n$4\r\nPING\r\n", b"x" * 999, b"x" * 1000, b"x" * 16384, b"x" * 20000]),
)
ARGV = st.lists(ARGUMENT, min_size=1, max_size=12)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[begin:end] for begin, end in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(argvs=st.lists(ARGV, max_size=20), places=st.lists(st.integers(0, 2**20), max_size=30))
@settings(deadline=None, max_examples=200)
def test_round_trip(make: MakeRequests, argvs: Commands, places: list[int]) -> None:
    data = b"".join([encode(*argv) for argv in argvs])
    assert outcome(make(), cut(data, places)) == (argvs, None)


TOKEN = st.sampled_from(
    [b"*1", b"*2", b"*11", b"$4", b"$1", b"$10", b"$0", b"\r\n", b"\r\n", b"\r\n", b"\r", b"\n", b"PING", b"x", b"0"]
    + [b"0123456789", b"-", b"'", b'"', b"\\", b" ", b"\0", b"*1\r\n$4\r\n", PING]
)


@given(
    tokens=st.lists(TOKEN, max_size=30),
    places=st.lists(st.integers(0, 2**20), max_size=10),
    authenticated=st.booleans(),
)
@settings(deadline=None, max_examples=500)
def test_no_cut_changes_the_meaning(
    make: MakeRequests, tokens: list[bytes], places: list[int], authenticated: bool
) -> None:
    """Also of nonsense: the commands and the fault are those of the plain parser, which is told byte by byte."""
    data = b"".join(tokens)
    oracle = PLAIN.Requests()
    requests, another = make(), make()
    for parser in (oracle, requests, another):
        parser.authenticated = authenticated
    expected = outcome(oracle, by_bytes(data))
    assert outcome(requests, [data]) == expected
    assert outcome(another, cut(data, places)) == expected


PLAIN = plain_module()


# Which of the two runs


@pytest.mark.parametrize(("plain", "expected"), [("1", "plain"), ("", None), ("0", None)])
def test_the_environment_can_ask_for_plain_python(plain: str, expected: str | None) -> None:
    code = "import common; print(common.speed())"
    environment = os.environ | {"SHARDIS_PLAIN": plain}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=COMMON.parent, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == (expected or ("compiled" if compiled_module() else "plain"))

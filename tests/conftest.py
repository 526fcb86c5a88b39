"""Servers and clients for every test, and the servers' logs in the report of a test that failed.

`reference` and `shardis` are started once and shared; `reference_client` and `client` are new connections to them, and
they are empty before the test. `target` and `there` are such a pair, which `shardis import` brings keys to.
`tls_server` has certificates of `authority`, for the tests of one file; `admin` comes to it without TLS. `opened` opens
the log in `folder`, as often as it is called. A test that stops servers or changes their options starts its own:
`start(Shardis(shards=2))`.
"""

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from common.signals import HEARD
from shard.aof import Aof
from tests import servers
from tests.certificates import Authority
from tests.log_folder import opening
from tests.reference import Reference
from tests.resp_client import Client, Status
from tests.servers import Server, Shardis

LOG_MARKS = pytest.StashKey[dict[Server, int]]()


@pytest.fixture(scope="session")
def reference() -> Iterator[Reference]:
    """A real Valkey."""
    with Reference() as server:
        yield server


@pytest.fixture(scope="session")
def shardis() -> Iterator[Shardis]:
    """A Shardis of three shards."""
    with Shardis(shards=3) as server:
        yield server


@pytest.fixture
def reference_client(reference: Reference) -> Iterator[Client]:
    yield from _empty_server(reference)


@pytest.fixture
def client(shardis: Shardis) -> Iterator[Client]:
    yield from _empty_server(shardis)


def _empty_server(server: Server) -> Iterator[Client]:
    with server.connect() as client:
        client.call("FLUSHALL")
        client.call("CONFIG", "SET", "stream-node-max-entries", 100)  # Random commands may have changed it.
        yield client


@pytest.fixture(scope="session")
def target() -> Iterator[Shardis]:
    """A Shardis that keys are brought to, or taken from."""
    with Shardis(shards=3, enable_debug_command="yes") as server:
        yield server


@pytest.fixture
def there(target: Shardis) -> Iterator[Client]:
    yield from _empty_server(target)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("certificates"))
    made.issue("server")
    made.issue("alice", common_name="alice", uris=("urn:user:bob", "urn:user:carol"))
    return made


@pytest.fixture(scope="module")
def tls_server(authority: Authority) -> Iterator[Shardis]:
    with Shardis(shards=2, **authority.directives()) as server:
        yield server


@pytest.fixture
def admin(tls_server: Shardis) -> Iterator[Client]:
    """What he sets of tls-* is set back."""
    with tls_server.connect() as client:
        yield client
        kept = {
            "tls-auth-clients-user": "off",
            "tls-protocols": "",
            "tls-ciphers": "",
            "tls-session-caching": "yes",
        } | {name: text for name, text in tls_server.options.items() if name.startswith("tls-")}
        assert client.call("CONFIG", "SET", *[word for pair in kept.items() for word in pair]) == Status(b"OK")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shard-0" / "appendonlydir"


@pytest.fixture
def opened(folder: Path) -> Iterator[Callable[..., Aof]]:
    yield from opening(folder)


@pytest.fixture
def without_collections() -> Iterator[None]:
    """What is freed is freed because nothing leads to it any more."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def start() -> Iterator[Callable[[Server], Server]]:
    """Starts a server for this test alone and stops it at its end."""
    with ExitStack() as stack:
        yield stack.enter_context


def pytest_configure() -> None:
    """What this process was told to ignore, by nohup or by a shell's `&`, those that it starts must not inherit: a
    handler stays behind when another program begins, to be ignored does not.
    """
    for number in HEARD:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_collection_finish() -> None:
    """The tests themselves stay to the end: the collector need not walk them again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[LOG_MARKS] = {server: server.log_size_bytes() for server in servers.RUNNING}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """What the running servers logged since the test began, beside what the test printed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed and "outcome_of" not in getattr(item, "fixturenames", ()):  # Those show their logs themselves.
        marks = item.stash.get(LOG_MARKS, {})
        for server in list(servers.RUNNING):
            if text := server.log(since_byte=marks.get(server, 0)):
                report.sections.append((f"log of {server.kind}, port {server.port}", text))

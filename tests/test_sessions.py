"""Every transcript of tests/sessions on every kind of server.

One thread a target runs all its files, one after the other, while the tests wait for their own: what a transcript waits
for (the clock, an expiry) costs the time of the slowest target and not the sum of all. `TARGETS="reference shardis-3"`
in the environment runs those only, and `TARGETS=matrix` all: every number of shards with hash tags and without.
"""

import importlib
import os
import pkgutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests import transcript
from tests.targets import ServerTarget, Target, open_target
from tests.transcript import SESSIONS, BadTranscript

SHARDS = (1, 2, 4, 7)
MATRIX = ("reference", "shard", *[f"shardis-{shards}{tags}" for shards in SHARDS for tags in ("", "-no-tags")])
USUAL = (
    "reference",
    "shard",
    "shardis-1",
    "shardis-2",
    "shardis-4",
    "shardis-7",
    "shardis-4-no-tags",
    "shardis-7-no-tags",
)
"""Where keys stand closest together, where they stand farthest apart, and what is between."""
CHOSEN = os.environ.get("TARGETS", "").split()
TARGETS = MATRIX if CHOSEN == ["matrix"] else tuple(CHOSEN) or USUAL

COMING = (
    b"MULTI EXEC DISCARD WATCH UNWATCH SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE PUBLISH "
    b"SPUBLISH PUBSUB MONITOR WAIT WAITAOF CLIENT|TRACKING CLIENT|TRACKINGINFO CLIENT|GETREDIR CLIENT|CACHING "
    b"EVAL EVALSHA SCRIPT FUNCTION FCALL"
)
"""Commands that the reference has: a transcript that uses one waits until a table of Shardis has it too."""


class Worker:
    """A target and the thread that runs transcripts on it. The target is started when its first file comes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self.stack = ExitStack()
        self.target: Target | None = None

    def submit(self, path: Path) -> "Future[str]":
        return self.thread.submit(self._run, path)

    def _run(self, path: Path) -> str:
        """What went wrong, with what the server logged meanwhile; an empty text if nothing did.  Raises Skipped."""
        if self.name == "shard":
            skip_without_router(path)
        if self.name.startswith("shardis"):
            skip_what_is_not_there(path)
        if self.target is None:
            self.target = self.stack.enter_context(open_target(self.name))
        server = self.target.server if isinstance(self.target, ServerTarget) else None
        logged_before = server.log_size_bytes() if server else 0
        failures = transcript.run(transcript.read(path), self.target)
        if not failures:
            return ""
        log = server.log(since_byte=logged_before) if server else ""
        said = [str(failure) for failure in failures] + ([f"log of {self.name}:", log] if log else [])
        return "\n".join([*said, *self._replaced_if_stuck()])

    def _replaced_if_stuck(self) -> list[str]:
        """The next file gets a new server if this one does nothing more."""
        assert self.target is not None
        try:
            self.target.begin()
        except (TimeoutError, ConnectionError):
            self.target.end()
            self.stack.close()
            self.target = None
            return [f"{self.name} was stuck after this, and is started again"]
        return []

    def close(self) -> None:
        self.thread.shutdown(cancel_futures=True)
        self.stack.close()


def skip_without_router(path: Path) -> None:
    """A shard alone has no MULTI, no SUBSCRIBE and no protocol."""
    from tests import bare_shard  # Not at the head: it imports the shard, and the others shall run without.

    session = transcript.read(path)
    missing = sorted(bare_shard.misses(session.commands()))
    if missing or session.speaks_raw():
        pytest.skip(f"not for a bare shard: {b' '.join(missing).decode() or 'raw bytes'}")


def skip_what_is_not_there(path: Path) -> None:
    """A transcript with a command that Shardis does not have would fail for that alone."""
    if missing := sorted(transcript.read(path).calls() & not_there_yet()):
        pytest.skip(f"waits for {b', '.join(missing).decode()}")


@cache
def not_there_yet() -> set[bytes]:
    """Those of COMING that neither router nor shard has, with a space before the name of a subcommand."""
    import router.commands  # Not at the head: as above.
    from router.commands.table import TABLE
    from tests.bare_shard import commands

    for module in pkgutil.iter_modules(router.commands.__path__):
        importlib.import_module(f"router.commands.{module.name}")
    names = [name.replace(b"|", b" ") for name in COMING.split()]
    return {name for name in names if not any(table.resolve(name.split()) for table in (TABLE, commands()))}


@pytest.fixture(scope="module")
def outcome_of(request: pytest.FixtureRequest) -> Iterator[Callable[[Path, str], str]]:
    """Waits for the outcome of one file on one target. All that were selected are under way."""
    workers = {name: Worker(name) for name in TARGETS}
    futures: dict[tuple[Path, str], Future[str]] = {}

    def outcome(path: Path, name: str) -> str:
        if (path, name) not in futures:
            futures[path, name] = workers[name].submit(path)
        return futures[path, name].result()

    # The whole selection: tests/run deals out whole files, so it is for this process.
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname == "test_session":
            path, name = _parameters(item)
            futures[path, name] = workers[name].submit(path)
    yield outcome
    for worker in workers.values():
        worker.close()


def _parameters(item: pytest.Function) -> tuple[Path, str]:
    parameters: dict[str, Any] = dict(item.callspec.params)
    return parameters["path"], parameters["name"]


def cases() -> Iterator[object]:
    for path in sorted(SESSIONS.rglob("*.session")):
        for name in TARGETS:
            if _runs_on(path, name):
                yield pytest.param(path, name, id=f"{path.relative_to(SESSIONS).with_suffix('')}-{name}")


def _runs_on(path: Path, name: str) -> bool:
    try:
        return transcript.read(path).runs_on(name)
    except BadTranscript:
        return name == TARGETS[0]  # Its test says what is bad about it.


@pytest.mark.parametrize(("path", "name"), list(cases()))
def test_session(path: Path, name: str, outcome_of: Callable[[Path, str], str]) -> None:
    if failures := outcome_of(path, name):
        pytest.fail(failures, pytrace=False)

"""`shardis import`, `export` and `check` as a user runs them, and servers with data of every type to run them on.

done = run("import", path, "--to", url(server))
assert done.status == 0, done
"""

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.resp_client import Client, Error
from tests.servers import ROOT, Server
from transfer import rdb_source
from transfer.__main__ import main
from transfer.batches import Batch, Entry, Position
from transfer.faults import Stopped
from transfer.payloads import sealed
from transfer.progress import Progress
from transfer.server import Server as Connection
from transfer.server_source import ServerSource
from transfer.state import StateFile
from transfer.to_file import FileTarget, export

KEYS = 21
DBS = (0, 2)
FAR_MS = 4_000_000_000_000
EXPORT = """
import os, resource, sys
import transfer.state
from transfer.__main__ import main

every_step, deadly_step, deadly_signal, size_bytes_max, *argv = sys.argv[1:]
sys.dont_write_bytecode = True  # Python 3.11 takes what a full disk cuts off of that for whole.
if every_step == "yes":
    transfer.state.SAVED_EVERY_S = 0
if size_bytes_max != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size_bytes_max), int(size_bytes_max)))
steps = 0

def step(event, arguments):
    global steps
    if event in ("open", "os.rename", "os.link", "os.remove", "os.truncate") and argv[1] in str(arguments[0]):
        steps += 1
        if steps == int(deadly_step):
            os.kill(os.getpid(), int(deadly_signal))

if deadly_step != "0":
    sys.addaudithook(step)
sys.exit(main(argv))
"""
"""An export. It may say how far it came after every SCAN, send itself a signal before the n-th thing that it does to
the files, and find the disk full."""


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    status: int
    out: str
    err: str


def run(*argv: object, cwd: Path | None = None, environment: dict[str, str] | None = None) -> Done:
    """Runs a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(mock.patch.dict(os.environ, environment or {}))
        if cwd is not None:
            stack.enter_context(contextlib.chdir(cwd))
        try:
            status = main([str(word) for word in argv])
        except SystemExit as exit_:  # argparse, after --help.
            status = int(exit_.code or 0)
        finally:
            signal.signal(signal.SIGTERM, before)
            logging.getLogger("shardis").handlers.clear()
    return Done(status, out.getvalue(), err.getvalue())


def command(*argv: object) -> list[str]:
    """The same, for a process of its own."""
    return [sys.executable, "-m", "deploy", *map(str, argv)]


def run_apart(
    *argv: object, eager: bool = True, step: int = 0, number: int = signal.SIGKILL, size_bytes_max: int = 0
) -> Done:
    """Runs an export in a process of its own, see EXPORT."""
    words = ["yes" if eager else "no", step, int(number), size_bytes_max, "export", *argv]
    done = subprocess.run([sys.executable, "-c", EXPORT, *map(str, words)], cwd=ROOT, capture_output=True, text=True)
    return Done(done.returncode, done.stdout, done.stderr)


def url(server: Server) -> str:
    return f"redis://127.0.0.1:{server.port}"


def fill(client: Client, *, fields_with_times: bool = True) -> None:
    """Keys of every type and encoding, in two dbs, some with times."""
    for db in DBS:
        ask(client, "SELECT", db)
        for number in range(KEYS):
            _fill_one(client, number)
        if fields_with_times:
            ask(client, "HSET", "times", "f", "v", "g", "w")
            ask(client, "HPEXPIREAT", "times", FAR_MS, "FIELDS", 1, "f")
        ask(client, "SET", b"\x00\r\n\xff", b"\r\n" * 40)
    ask(client, "SELECT", 0)


def _fill_one(client: Client, number: int) -> None:
    ask(client, "SET", f"string:{number}", "x" * number, *(["PXAT", FAR_MS + number] if number % 3 else []))
    ask(client, "SET", f"integer:{number}", number)
    ask(client, "RPUSH", f"list:{number}", *range(number % 7 + 1), "y" * number)
    ask(client, "SADD", f"set:{number}", "a", "b", number)
    ask(client, "SADD", f"integers:{number}", *range(number + 1))
    ask(client, "HSET", f"hash:{number}", "f", number, "g", "z" * (2 * number))
    ask(client, "ZADD", f"sorted:{number}", number / 4, "m", -1, "n", "inf", "o")
    if not number % 10:
        ask(client, "RPUSH", f"large list:{number}", *["q" * 200] * 300)
        ask(client, "SADD", f"large set:{number}", *(f"member {each}" for each in range(200)))
        ask(client, "HSET", f"large hash:{number}", *(f"{each}" for each in range(2000)))
        ask(client, "ZADD", f"large sorted:{number}", *(f"{each}" for each in range(600)))
        ask(client, "XADD", f"stream:{number}", "5-1", "f", "v")
        ask(client, "XADD", f"stream:{number}", "6-1", "f", "w", "g", number)
        ask(client, "XGROUP", "CREATE", f"stream:{number}", "group", "0")
        ask(client, "XREADGROUP", "GROUP", "group", "me", "COUNT", 1, "STREAMS", f"stream:{number}", ">")
        ask(client, "PEXPIREAT", f"stream:{number}", FAR_MS)


def populate(client: Client, count: int, pattern: str = "key:%d") -> None:
    """So many strings."""
    for number in range(count):
        client.send("SET", pattern % number, "v" * 20)
    client.read_many(count)


def ask(client: Client, *argv: bytes | str | int | float) -> object:
    """A call that must not fail."""
    reply = client.call(*argv)
    assert not isinstance(reply, Error), (argv, reply)
    return reply


def digest(client: Client) -> object:
    """Of all data, but for when they expire."""
    return ask(client, "DEBUG", "DIGEST")


def times(client: Client, dbs: Iterable[int] = DBS) -> dict[tuple[int, bytes], object]:
    """When each key expires."""
    found: dict[tuple[int, bytes], object] = {}
    for db in dbs:
        ask(client, "SELECT", db)
        keys = ask(client, "KEYS", "*")
        assert isinstance(keys, list)
        found |= {(db, key): ask(client, "PEXPIRETIME", key) for key in keys}
    ask(client, "SELECT", 0)
    return found


def assert_same(one: Client, other: Client) -> None:
    """That two servers have the same data."""
    assert digest(one) == digest(other)
    assert times(one) == times(other)


class Given:
    """A source of batches that are given, which may end with a fault before one of them."""

    name = "given"
    unit = "keys"
    total = 0
    replayed = False

    def __init__(
        self, batches: list[Batch], *, until: int = -1, fault: BaseException | None = None, in_slot_order: bool = False
    ) -> None:
        self.identity: dict[str, Any] = {"given": len(batches)}
        self.in_slot_order = in_slot_order
        self._given = batches
        self._until = until
        self._fault = fault or Stopped("it ended")

    def check(self, progress: Progress) -> None:
        """It is sound."""

    def batches(self, position: Position) -> Iterator[Batch]:
        places = [each.position for each in self._given]
        first = len(places) - places[::-1].index(position) if position else 0
        for number in range(first, len(self._given)):
            if number == self._until:
                raise self._fault
            yield self._given[number]


class Ending(ServerSource):
    """A server that is read up to a batch. What is done then may be a fault, or something that makes one."""

    def __init__(self, connection: Connection, until: int, act: Callable[[], object]) -> None:
        super().__init__(connection)
        self._until = until
        self._act = act

    def batches(self, position: Position) -> Iterator[Batch]:
        for number, batch in enumerate(super().batches(position)):
            if number == self._until:
                self._act()
            yield batch


def end() -> None:
    raise Stopped("it ended")


def batch(db: int, cursor: int, *keys: str) -> Batch:
    """Strings; `cursor` is where the source goes on behind them."""
    made = Batch(db=db, read=len(keys), done=len(keys), position=[db, cursor])
    for key in keys:
        made.add(Entry(key.encode(), sealed(0, b"\1v"), -1))
    return made


def keys_of(file: Path) -> list[tuple[int, bytes]]:
    """The keys of an RDB file with their dbs, sorted."""
    with rdb_source.opened_rdb(file) as opened:
        return sorted((db, key) for some, _ in rdb_source.slices(opened, str(file)) for db, key, *_ in some)


def exported(source: Given | ServerSource, file: Path) -> list[str]:
    """An export in this process."""
    with FileTarget(file, Progress(), replace=False) as target:
        return export(source, target, Progress())


def state_of(file: Path) -> StateFile:
    """Where it is kept how far an export to the file came."""
    return StateFile(file.with_name(file.name + ".export-state"))


def unfinished(file: Path) -> Path:
    """Where an export to the file writes."""
    return file.with_name(file.name + ".unfinished")

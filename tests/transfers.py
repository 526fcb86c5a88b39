"""`shardis import`, `export` and `check` as a user runs them, and servers with data of every type to run them on.

done = run("import", path, "--to", url(server))
assert done.status == 0, done
"""

import contextlib
import io
import logging
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from tests.resp_client import Client, Error
from tests.servers import Server
from transfer.__main__ import main

KEYS = 21
DBS = (0, 2)
FAR_MS = 4_000_000_000_000


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

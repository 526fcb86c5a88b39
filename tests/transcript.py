r"""Transcripts: sessions with redis-cli, written down, which run on every kind of server.

To write one, write the commands and let the real server fill in the replies, then read what it answered:

    $ cat tests/sessions/strings.session
    # APPEND makes the key if it is not there.
    > APPEND k Hello
    > GET k
    $ python -m tests.transcript record tests/sessions/strings.session     # asks a Valkey that it starts
    $ python -m tests.transcript check  tests/sessions/strings.session --on shardis-3

`record` leaves alone the replies that are right, also those with matchers, and at the end says which steps vary from
run to run and so need one. `check` knows `reference`, `shardis-N`, `shardis-N-no-tags`, `shard` (a bare one) and
HOST:PORT.

A file, from top to bottom:

    @servers reference shardis      where it runs (default: everywhere)     @single-shard  on one shard only
    @config list-max-listpack-size 4                                        @needs-tags    not with hash-tags no
    # What the next lines show.
    > SET k "a\x00b" px ${a*65}     a command; `${a*65}` repeats; `f${1..9} v${1..9}` makes f1 v1 f2 v2 ...
    OK                              the reply, as redis-cli prints it; tests/expectation.py has the matchers
    B> BLPOP k 0                    another client: any upper-case name. (no reply) is expected of what blocks
    (no reply)
    B<                              what has come for B meanwhile: a late reply, messages one after the other
    (in any order)                  before the replies of which any may come first
    ~ 100ms                         the clock moves (on a server: wait); a reply that is written is waited for anyway
    ~ until                         the next command is given again and again, until its reply is as it is written
    >> "*1\r\n$4\r\nPING\r\n"       raw bytes
    B> (disconnect)                 B goes away; its next command is on a new connection

Each file starts from FLUSHALL and fresh connections; configuration that it changes is put back.
"""

import argparse
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.command_line import split_command
from tests.expectation import (
    Aggregate,
    BadExpectation,
    Captures,
    Closed,
    NoReply,
    Order,
    Pattern,
    aged,
    patterns,
    printed,
)
from tests.targets import REPLY_TIMEOUT_S, Connection, Target, open_target

SESSIONS = Path(__file__).parent / "sessions"

PROMPT = re.compile(r"(?P<client>[A-Z]*)(?P<act>>>|>|<)(?: (?P<text>.*))?$")
ANY_ORDER = "(in any order)"
UNTIL, POLL_MS, POLLS_MAX = "~ until", 20, 1500
CLOCK = re.compile(r"~ (\d+(?:\.\d+)?)(ms|s)$")

TIMES_LEFT = {b"TTL": 1, b"HTTL": 1, b"PTTL": 1000, b"HPTTL": 1000}
"""The commands that answer how much of a time is left, with the units of each in a second."""

PATIENCE_S = 1.0
"""How long the recorder waits for a reply that is written: a call that blocks is answered at its deadline."""


class BadTranscript(Exception):
    """A line that is no transcript. The text has file and line."""


# --- The file --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Step:
    line: int
    """Its number in the file, from 1."""
    client: str
    act: str
    """`>` a command, `>>` raw bytes, `<` what has come, `~` the clock moves."""
    text: str
    expected: list[str] = field(default_factory=list)
    in_order: int | None = None
    """So many lines of what is expected come first; behind them are replies in any order."""
    last_line: int = 0
    """That of the expected text, or of the step itself where there is none."""
    awaited: bool = False
    """Whether it is repeated until it goes as it is written."""


@dataclass(slots=True)
class Transcript:
    path: Path
    lines: list[str]
    servers: list[str] = field(default_factory=list)
    config: dict[str, str] = field(default_factory=dict)
    single_shard: bool = False
    needs_tags: bool = False
    steps: list[Step] = field(default_factory=list)

    def runs_on(self, target: str) -> bool:
        """If it is meant for the target of that name."""
        if self.single_shard and target not in ("reference", "shard", "shardis-1", "shardis-1-no-tags"):
            return False
        if self.needs_tags and target.endswith("-no-tags"):
            return False
        return not self.servers or any(target == name or target.startswith(name + "-") for name in self.servers)

    def commands(self) -> set[bytes]:
        """The names of the commands in it, in upper case."""
        steps = [step for step in self.steps if step.act == ">" and not step.text.startswith("(")]
        names = {split_command(step.text)[0].upper() for step in steps}
        return names | {b"CONFIG"} if self.config else names

    def calls(self) -> set[bytes]:
        """The first word of each command, and the first two: a subcommand's name is the two."""
        lines = [split_command(step.text) for step in self.steps if step.act == ">" and not step.text.startswith("(")]
        return {b" ".join(argv[:size]).upper() for argv in lines for size in (1, 2)}

    def speaks_raw(self) -> bool:
        """If it sends bytes that are no commands."""
        return any(step.act == ">>" for step in self.steps)


def read(path: Path) -> Transcript:
    """Raises BadTranscript."""
    return parse(path.read_text(), path)


def parse(text: str, path: Path = Path("-")) -> Transcript:
    found = Transcript(path, text.splitlines())
    step = None
    awaited = False
    for number, line in enumerate(found.lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("@") and step is None:
            _read_directive(found, number, line)
        elif line == UNTIL:
            awaited = True
        elif clock := CLOCK.match(line):
            duration_ms = float(clock[1]) * (1000 if clock[2] == "s" else 1)
            step = Step(number, "", "~", str(duration_ms), last_line=number)
            found.steps.append(step)
        elif prompt := PROMPT.match(line):
            step = Step(number, prompt["client"], prompt["act"], prompt["text"] or "", last_line=number)
            step.awaited, awaited = awaited, False
            found.steps.append(step)
        elif step is None:
            raise BadTranscript(f"{path}:{number}: a reply before the first command: {line}")
        else:
            step.last_line = number
            if line == ANY_ORDER:
                step.in_order = len(step.expected)
            else:
                step.expected.append(line)
    _check_steps(found)
    return found


def _check_steps(found: Transcript) -> None:
    for step in found.steps:
        try:
            patterns(step.expected)
            if step.act in (">", ">>") and not split_command(step.text):
                raise ValueError("no command")
        except (BadExpectation, ValueError, re.error) as error:
            raise BadTranscript(f"{found.path}:{step.line}: {error}") from None


def _read_directive(found: Transcript, number: int, line: str) -> None:
    name, *arguments = line[1:].split(maxsplit=1)
    text = arguments[0].strip() if arguments else ""
    if name == "servers" and text:
        found.servers = text.split()
    elif name == "config" and " " in text:
        key, _, value = text.partition(" ")
        found.config[key] = value.strip().strip('"')
    elif name == "single-shard":
        found.single_shard = True
    elif name == "needs-tags":
        found.needs_tags = True
    else:
        raise BadTranscript(f"{found.path}:{number}: unknown directive: {line}")


# --- Running ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Failure:
    path: Path
    step: Step
    got: list[Any]
    """Replies, NoReply and Closed."""
    note: str = ""
    """Why the step could not run to its end, if so."""

    def __str__(self) -> str:
        step = self.step
        if step.act == "end":
            return f"{self.path}:{step.line}: at the end: {self.note}"
        expected = "\n".join(step.expected) or "(nothing is written here: record the file)"
        note = f" ({self.note})" if self.note else ""
        head = f"{self.path}:{step.line}: {step.client}{step.act} {step.text}{note}"
        return "\n".join([head, "  expected:", *_indented(expected), "  got:", *_indented(as_written(self.got))])


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]


class Run:
    """One transcript on one target."""

    def __init__(self, transcript: Transcript, target: Target) -> None:
        self.transcript = transcript
        self.target = target
        self.clients: dict[str, Connection] = {}
        self.captures: Captures = {}
        self.config_before: dict[bytes, bytes] = {}
        self.failures: list[Failure] = []
        self.begun_s = time.time()

    def run(self, patient: bool = False) -> list[Failure]:
        """The steps that went otherwise than written. `patient` takes all that comes, and so sees what is missing."""
        self.target.begin()
        try:
            for name, value in self.transcript.config.items():
                self._set_config(name.encode(), value.encode())
            for step in self.transcript.steps:
                if not self._run_step(step, patient):
                    break
            else:
                if not patient:
                    self._expect_nothing_more()
        finally:
            for client in self.clients.values():
                client.close()
            self._restore()
            if wrong := self.target.end():
                step = Step(len(self.transcript.lines), "", "end", "")
                self.failures.append(Failure(self.transcript.path, step, [], wrong))
        return self.failures

    def _run_step(self, step: Step, patient: bool) -> bool:
        """False if it makes no sense to go on."""
        if step.act == "~":
            self.target.advance(float(step.text))
            return True
        try:
            expected = patterns(step.expected)
            got = self._perform(step, expected, patient)
        except TimeoutError:
            self.failures.append(Failure(self.transcript.path, step, [NoReply()], "the rest was not run"))
            return False
        except ValueError as error:
            self.failures.append(Failure(self.transcript.path, step, [], f"not run: {error}"))
            return True
        in_order = len(patterns(step.expected[: step.in_order]))
        for _ in range(POLLS_MAX if step.awaited else 0):
            if got is None or self._as_expected(self._by_now(step, expected), got, in_order):
                break
            self.target.advance(POLL_MS)
            got = self._perform(step, expected, patient)
        if got is not None and not self._as_expected(self._by_now(step, expected), got, in_order):
            self.failures.append(Failure(self.transcript.path, step, got))
        return True

    def _perform(self, step: Step, expected: list[Pattern], patient: bool) -> list[Any] | None:
        """What came: values, and NoReply or Closed. None for a step that has no reply."""
        if step.text == "(disconnect)":
            self.clients.pop(step.client).close()
            self.target.barrier()
            return None
        client = self.clients.get(step.client) or self.clients.setdefault(step.client, self.target.connect())
        try:
            if step.act == ">>":
                client.send_bytes(split_command(step.text, self.captures)[0])
            elif step.act == ">":
                argv = split_command(step.text, self.captures)
                self._remember_config(argv)
                client.send(*argv)
        except ConnectionError:
            pass  # Reading will meet it too, after what had come before.
        got = self._replies(client, expected, patient)
        if isinstance(got[-1], Closed):
            self.clients.pop(step.client).close()
        return got

    def _replies(self, client: Connection, expected: list[Pattern], patient: bool) -> list[Any]:
        got: list[Any] = []
        try:
            if expected and not isinstance(expected[0], NoReply) and not patient:
                for _ in expected:
                    got.append(self._read(client, REPLY_TIMEOUT_S))
                return got
            if expected and not isinstance(expected[0], NoReply):
                with suppress(TimeoutError):
                    got.append(self._read(client, PATIENCE_S))
            self.target.barrier()
            got.extend(self._what_is_there(client))
        except ConnectionError:
            got.append(Closed())
        return got or [NoReply()]

    def _read(self, client: Connection, timeout_s: float) -> Any:
        """The next reply.  Raises TimeoutError and ConnectionError."""
        while self.target.is_own(value := client.read(timeout_s).value):
            pass
        return value

    def _what_is_there(self, client: Connection) -> Iterator[Any]:
        """The replies that have come.  Raises ConnectionError."""
        while reply := client.maybe_read():
            if not self.target.is_own(reply.value):
                yield reply.value

    def _by_now(self, step: Step, expected: list[Pattern]) -> list[Pattern]:
        """What is left of a time may be less than is written, by as much as the clock has gone on: mostly by nothing,
        but a busy machine may stand still, and its clock be set.
        """
        units = TIMES_LEFT.get(split_command(step.text)[0].upper()) if step.act == ">" else None
        by = int((time.time() - self.begun_s) * (units or 0) + 0.5)  # Servers round to the nearest second.
        return [aged(pattern, by) for pattern in expected] if by > 0 else expected

    def _as_expected(self, expected: list[Pattern], got: list[Any], in_order: int) -> bool:
        """The first `in_order` come as they are written, the others in any order."""
        if len(expected) != len(got):
            return False
        if not Aggregate(list, expected[in_order:], Order.ANY).matches(got[in_order:], self.captures):
            return False
        for pattern, value in zip(expected[:in_order], got[:in_order], strict=True):
            if isinstance(pattern, NoReply | Closed) or isinstance(value, NoReply | Closed):
                if type(pattern) is not type(value):
                    return False
            elif not pattern.matches(value, self.captures):
                return False
        return True

    def _expect_nothing_more(self) -> None:
        self.target.barrier()
        for name, client in self.clients.items():
            with suppress(ConnectionError):
                if left := list(self._what_is_there(client)):
                    step = Step(len(self.transcript.lines) + 1, name, "<", "", ["(no reply)"])
                    self.failures.append(Failure(self.transcript.path, step, left, "at the end"))

    def _remember_config(self, argv: list[bytes]) -> None:
        if len(argv) > 2 and [word.upper() for word in argv[:2]] == [b"CONFIG", b"SET"]:
            for name in argv[2::2]:
                pair = self.target.control(b"CONFIG", b"GET", name)
                if isinstance(pair, list) and len(pair) == 2:
                    self.config_before.setdefault(name, pair[1])

    def _set_config(self, name: bytes, value: bytes) -> None:
        self._remember_config([b"CONFIG", b"SET", name, value])
        reply = self.target.control(b"CONFIG", b"SET", name, value)
        if reply != type(reply)(b"OK"):
            raise BadTranscript(f"{self.transcript.path}: @config {name.decode()} was refused: {reply!r}")

    def _restore(self) -> None:
        for name, value in self.config_before.items():
            self.target.control(b"CONFIG", b"SET", name, value)
        if b"ACL" in self.transcript.commands():
            users = self.target.control(b"ACL", b"USERS")
            for user in users if isinstance(users, list) else []:
                if user != b"default":
                    self.target.control(b"ACL", b"DELUSER", user)
            self.target.control(b"ACL", b"SETUSER", b"default", b"reset", b"on", b"nopass", b"~*", b"&*", b"+@all")


def run(transcript: Transcript, target: Target) -> list[Failure]:
    return Run(transcript, target).run()


def as_written(got: Iterable[Any]) -> str:
    """Replies as a transcript writes them."""
    words = {NoReply: "(no reply)", Closed: "(closed)"}
    return "\n".join(words.get(type(value)) or printed(value) for value in got)


# --- At the command line ---------------------------------------------------------------------------------------------


def record(path: Path) -> list[Failure]:
    """Writes into the file what the reference answers, where it is not what is written. Returns what can't be fixed."""
    transcript = read(path)
    with open_target("reference") as reference:
        failures = Run(transcript, reference).run(patient=True)
    path.write_text(rewritten(transcript, [failure for failure in failures if not failure.note]))
    fresh = read(path)
    with open_target("reference") as reference:  # A second server: another hash seed, other ids, another moment.
        return [failure for failure in failures if failure.note] or run(fresh, reference)


def rewritten(transcript: Transcript, failures: list[Failure]) -> str:
    """The text of the file with the replies of these steps replaced by what came."""
    lines: list[str | None] = list(transcript.lines)
    for failure in failures:
        step = failure.step
        for number in range(step.line, step.last_line):
            if lines[number] in (*step.expected, ANY_ORDER):
                lines[number] = None
        lines[step.line - 1] = f"{transcript.lines[step.line - 1]}\n{as_written(failure.got)}"
    return "".join(f"{line}\n" for line in lines if line is not None)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.transcript", description="Records and checks transcripts.")
    parser.add_argument("action", choices=["record", "check"])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--on", default="reference", help="reference, shardis-N, shardis-N-no-tags, shard or HOST:PORT")
    options = parser.parse_args(arguments)
    failed = 0
    try:
        if options.action == "record":
            for path in options.files:
                failed += report(path, "reference", record(path))
        else:
            with open_target(options.on) as target:
                for path in options.files:
                    failed += report(path, options.on, run(read(path), target))
    except BadTranscript as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if failed else 0


def report(path: Path, target: str, failures: list[Failure]) -> int:
    for failure in failures:
        print(failure)
    print(f"{path}: {f'{len(failures)} steps went otherwise' if failures else 'as written'} on {target}")
    return len(failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

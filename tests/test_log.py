"""The lines of the log."""

import io
import itertools
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import log
from common.config import Config
from common.log import NAMES, VERBOSE, Lines, follow, follow_note, note, set_up
from tests.reference import Reference
from tests.resp_client import Status
from tests.servers import ROOT, Shardis

TEXTS = ("plain", 'a "quoted" word', "back\\slash", "two\nlines", "a\ttab", "k=v; ü 日本")
FORMATS = list(itertools.product(("logfmt", "json"), ("legacy", "iso8601", "milliseconds")))
PARTS = {
    "logfmt": re.compile(r'pid=(?P<pid>\d+) role=(?P<role>[\w-]+) timestamp="(?P<timestamp>[^"]*)" (?P<rest>.*)'),
    "json": re.compile(
        r'\{"pid":(?P<pid>\d+),"role":"(?P<role>[\w-]+)","timestamp":"(?P<timestamp>[^"]*)",(?P<rest>.*)'
    ),
}
TIMES = {
    "legacy": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}",
    "iso8601": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d",
    "milliseconds": r"\d{13}",
}


class TestLog:
    @pytest.fixture(autouse=True)
    def logging_as_it_was(self) -> Iterator[None]:
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        yield
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)

    def test_one_line_an_event(self, capsys: pytest.CaptureFixture[str]) -> None:
        logger = set_up(Config(), "shard 2")
        logger.info("loaded %d keys", 3)
        logger.warning("two\nlines")
        lines = capsys.readouterr().err.splitlines()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \d+ shard 2 notice: loaded 3 keys", lines[0])
        assert lines[1].endswith(r" shard 2 warning: two\nlines")

    @pytest.mark.parametrize(
        ("loglevel", "heard"),
        [("debug", 4), ("verbose", 3), ("notice", 2), ("warning", 1), ("nothing", 0)],
    )
    def test_levels(self, loglevel: str, heard: int) -> None:
        logger = set_up(Config(), "router")
        follow(Config().values | {"loglevel": loglevel})
        stream = io.StringIO()
        assert isinstance(logger.handlers[0], logging.StreamHandler)
        logger.handlers[0].setStream(stream)
        for level in (logging.DEBUG, VERBOSE, logging.INFO, logging.WARNING):
            logger.log(level, "x")
        assert len(stream.getvalue().splitlines()) == heard

    def test_another_process_follows(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """By what the router has written down; where that is nothing, or can't be, by its own configuration."""
        config = Config.from_arguments(["--dir", str(tmp_path), "--rundir", str(tmp_path), "--loglevel", "warning"])
        logger = set_up(config, "supervisor")
        router = Config.from_arguments(config.arguments())
        router.set([("loglevel", "verbose"), ("log-format", "logfmt"), ("log-timestamp-format", "iso8601")])
        for before in ("", "half of a line"):
            Path(config.log_note).write_text(before)
            follow_note(config)
            assert logger.level == logging.WARNING
        note(router)
        follow_note(config)
        logger.log(VERBOSE, "heard")
        assert re.search(r' role=supervisor timestamp="[^"]*T[^"]*" level=verbose ', capsys.readouterr().err)
        note(Config.from_arguments(["--rundir", "/nonexistent"]))
        assert "the supervisor's log can't follow: No such file" in capsys.readouterr().err

    def test_file(self, tmp_path: Path) -> None:
        logger = set_up(Config.from_arguments(["--dir", str(tmp_path), "--logfile", "a.log"]), "router")
        try:
            raise KeyError("x")
        except KeyError:
            logger.exception("a bug")
        lines = (tmp_path / "a.log").read_text().splitlines()
        assert lines[0].endswith(" router error: a bug") and all(line.startswith("    ") for line in lines[1:])

    @pytest.mark.parametrize(("format_", "times"), FORMATS)
    def test_formats(self, capsys: pytest.CaptureFixture[str], format_: str, times: str) -> None:
        logger = set_up(Config(), "shard 2")
        follow(Config().values | {"log-format": format_, "log-timestamp-format": times})
        logger.warning("%s", "text")
        found = PARTS[format_].fullmatch(capsys.readouterr().err.rstrip("\n"))
        assert found is not None and found["pid"] == str(os.getpid()) and found["role"] == "shard-2"
        assert re.fullmatch(TIMES[times], found["timestamp"])

    @pytest.mark.parametrize("times", TIMES)
    def test_times_of_the_usual_lines(self, capsys: pytest.CaptureFixture[str], times: str) -> None:
        logger = set_up(Config.from_arguments(["--log-timestamp-format", times]), "router")
        logger.info("x")
        assert re.fullmatch(rf"{TIMES[times]} \d+ router notice: x\n", capsys.readouterr().err)

    def test_the_distance_from_utc(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "America/St_Johns")
        time.tzset()
        try:
            logger = set_up(Config.from_arguments(["--log-timestamp-format", "iso8601"]), "router")
            record = logger.makeRecord("shardis", logging.INFO, "", 0, "x", (), None)
            record.created, record.msecs = 1767225600.25, 250.0
            logger.handle(record)
        finally:
            monkeypatch.undo()
            time.tzset()
        assert capsys.readouterr().err.startswith("2025-12-31T20:30:00.250-03:30 ")

    @pytest.mark.parametrize("format_", ["logfmt", "json"])
    def test_a_traceback_is_on_the_same_line(self, capsys: pytest.CaptureFixture[str], format_: str) -> None:
        logger = set_up(Config.from_arguments(["--log-format", format_]), "router")
        try:
            raise KeyError("x")
        except KeyError:
            logger.exception("a bug")
        (line,) = capsys.readouterr().err.splitlines()
        assert "a bug" in line and "KeyError" in line
        if format_ == "json":
            assert json.loads(line)["message"].startswith("a bug\nTraceback")

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        for format_ in ("legacy", "logfmt", "json"):
            path = tmp_path / format_
            logger = set_up(Config.from_arguments(["--logfile", str(path), "--log-format", format_]), "router")
            logger.warning("%s", b"\xff".decode("utf-8", "surrogateescape"))
            logger.handlers[0].close()
            assert "\\udcff" in path.read_text()


def test_as_the_reference_writes_them(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logger = set_up(Config(), "router")
        with Reference(enable_debug_command="yes") as server, server.connect() as client:
            for format_, times in FORMATS:
                assert client.call("CONFIG", "SET", "log-format", format_, "log-timestamp-format", times) == Status(
                    b"OK"
                )
                follow(Config().values | {"log-format": format_, "log-timestamp-format": times})
                for text in TEXTS:
                    size = server.log_size_bytes()
                    client.call("DEBUG", "LOG", text)
                    logger.warning("DEBUG LOG: %s", text)
                    theirs = PARTS[format_].fullmatch(server.log(size).strip())
                    ours = PARTS[format_].fullmatch(capsys.readouterr().err.strip())
                    assert theirs is not None and ours is not None and ours["rest"] == theirs["rest"]
                    if times != "legacy":
                        assert re.fullmatch(TIMES[times], theirs["timestamp"])
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def test_all_processes_of_a_server(tmp_path: Path) -> None:
    """At the start, and by CONFIG SET from the next line on."""
    with Shardis(shards=2, folder=tmp_path, loglevel="verbose", log_format="json") as server:
        lines = [json.loads(line) for line in server.log().splitlines()]
        assert {line["role"] for line in lines} == {"supervisor", "router", "shard-0", "shard-1"}
        assert {line["level"] for line in lines} <= set(NAMES.values())
        with server.connect() as client:
            assert client.call("CONFIG", "SET", "log-format", "logfmt", "loglevel", "notice") == Status(b"OK")
            size = server.log_size_bytes()
            client.call("BGREWRITEAOF")
            while not all(f"role={role} " in server.log(size) for role in ("shard-0", "shard-1")):
                time.sleep(0.01)
        assert all(PARTS["logfmt"].fullmatch(line) for line in server.log(size).splitlines())


class TestJournal:
    """Where standard error is the journal, `journalctl -p err` finds what is wrong."""

    @staticmethod
    def lines(tmp_path: Path, *argv: str, is_journal: bool = True) -> list[str]:
        """What a server says until it listens, or ends."""
        read, write = os.pipe()
        found = os.fstat(write)
        place = f"{found.st_dev}:{found.st_ino}" if is_journal else "1:2"
        command = [sys.executable, "-m", "deploy", "--dir", str(tmp_path), "--shards", "1", "--port", "0", *argv]
        environ = {**os.environ, "JOURNAL_STREAM": place}
        with subprocess.Popen(command, cwd=ROOT, stderr=write, env=environ) as process, open(read) as stream:
            os.close(write)
            lines = []
            for line in stream:
                lines.append(line)
                if "ready to accept" in line:
                    process.terminate()
        return lines

    def test_each_line_has_its_priority(self, tmp_path: Path) -> None:
        lines = self.lines(tmp_path, "--unixsocket", "s", "--activedefrag", "yes")
        assert all(re.match(r"<[2-7]>\d{4}-", line) for line in lines)
        assert [line[:3] for line in lines if "has no effect" in line] == ["<4>"]
        assert [line[:3] for line in lines if "ready to accept" in line] == ["<5>"]

    def test_why_a_start_fails(self, tmp_path: Path) -> None:
        assert self.lines(tmp_path, "--maxclients", "many") == [
            "<3>shardis: --maxclients: many: argument couldn't be parsed into an integer\n"
        ]
        lines = self.lines(tmp_path)
        assert [line for line in lines if "<3>" in line] == [
            "<3>shardis: neither port nor unixsocket says where to listen\n"
        ]

    def test_every_line_of_a_traceback(self, capsys: pytest.CaptureFixture[str]) -> None:
        record = logging.LogRecord("shardis", logging.ERROR, "", 0, "a bug", (), None)
        try:
            raise KeyError("x")
        except KeyError:
            record.exc_info = sys.exc_info()
        assert all(line.startswith("<3>") for line in Lines("router", with_priority=True).format(record).splitlines())

    def test_another_stream_is_none(self, tmp_path: Path) -> None:
        assert not any(line.startswith("<") for line in self.lines(tmp_path, "--unixsocket", "s", is_journal=False))

    def test_a_file_has_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(log, "is_journal", lambda: True)
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            set_up(Config.from_arguments(["--logfile", str(tmp_path / "log")]), "router").warning("x")
            root.handlers[0].close()
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        assert (tmp_path / "log").read_text().endswith(" router warning: x\n")
        assert "<" not in (tmp_path / "log").read_text()

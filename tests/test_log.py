"""The lines of the log."""

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.config import Config
from common.log import VERBOSE, set_level, set_up


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
        set_level(loglevel)
        stream = io.StringIO()
        assert isinstance(logger.handlers[0], logging.StreamHandler)
        logger.handlers[0].setStream(stream)
        for level in (logging.DEBUG, VERBOSE, logging.INFO, logging.WARNING):
            logger.log(level, "x")
        assert len(stream.getvalue().splitlines()) == heard

    def test_file(self, tmp_path: Path) -> None:
        logger = set_up(Config.from_arguments(["--dir", str(tmp_path), "--logfile", "a.log"]), "router")
        try:
            raise KeyError("x")
        except KeyError:
            logger.exception("a bug")
        lines = (tmp_path / "a.log").read_text().splitlines()
        assert lines[0].endswith(" router error: a bug") and all(line.startswith("    ") for line in lines[1:])

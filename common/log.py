"""One line an event: time, process, level, text. Redis's level names over the standard logging.

Every module has `logger = logging.getLogger("shardis")`; a __main__ calls `set_up(config, "shard 2")` once. Then:

    2026-03-01 12:00:00.123 4711 shard 2 notice: loaded 1200 keys in 0.041 s
"""

import logging
import sys

from common.config import Config

VERBOSE = 15  # Between DEBUG and INFO; Redis's "notice" is INFO.
LEVELS = {
    "debug": logging.DEBUG,
    "verbose": VERBOSE,
    "notice": logging.INFO,
    "warning": logging.WARNING,
    "nothing": logging.CRITICAL + 1,
}
NAMES = {level: name for name, level in LEVELS.items()} | {logging.ERROR: "error", logging.CRITICAL: "fatal"}


class OneLine(logging.Formatter):
    """A record as one line; a traceback follows it, indented, so that every line of a log has its event."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        moment = self.formatTime(record, "%Y-%m-%d %H:%M:%S")
        text = record.getMessage().replace("\n", "\\n")
        level = NAMES.get(record.levelno, record.levelname.lower())
        line = f"{moment}.{int(record.msecs):03d} {record.process} {self.process} {level}: {text}"
        if record.exc_info:
            line += "\n    " + self.formatException(record.exc_info).replace("\n", "\n    ")
        return line


def set_up(config: Config, process: str) -> logging.Logger:
    """Makes the root logger write as the configuration says: to `logfile`, or to standard error where there is none.

    `process` is "router", "shard 2", "supervisor". Raises OSError if the file can't be opened.
    """
    path = config.path("logfile")
    handler = logging.FileHandler(path, encoding="utf-8") if path else logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(config["loglevel"])
    logging.logThreads = logging.logMultiprocessing = False  # Looked up for every record, and shown by none.
    return root


def set_level(loglevel: str) -> None:
    """Follows `CONFIG SET loglevel`."""
    logging.getLogger().setLevel(LEVELS[loglevel])

"""One line an event: time, process, level, text. Redis's level names over the standard logging.

Every module has `logger = logging.getLogger("shardis")`; a __main__ calls `set_up(config, "shard 2")` once. Then:

    2026-03-01 12:00:00.123 4711 shard 2 notice: loaded 1200 keys in 0.041 s

or, by `log-format` and `log-timestamp-format`, what programs read as they read the reference's, with the name of the
process as the role:

    pid=4711 role=shard-2 timestamp="2026-03-01T12:00:00.123+01:00" level=notice message="loaded 1200 keys in 0.041 s"
    {"pid":4711,"role":"shard-2","timestamp":"1772362800123","level":"notice","message":"loaded 1200 keys in 0.041 s"}

Where standard error is systemd's journal each line begins with its priority, as sd-daemon(3) has it.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

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
PRIORITIES = {"debug": 7, "verbose": 6, "notice": 5, "warning": 4, "error": 3, "fatal": 2}
"""Those of syslog(3), as the reference has them."""
ERROR = PRIORITIES["error"]
FOLLOWED = ("loglevel", "log-format", "log-timestamp-format")
"""The directives that can change while the server runs."""


class Lines(logging.Formatter):
    """A record as one line; a traceback follows it, indented, so that every line of a log has its event."""

    def __init__(self, process: str, *, with_priority: bool = False) -> None:
        super().__init__()
        self.process = process
        self.with_priority = with_priority
        self.line: Callable[[Lines, logging.LogRecord], str] = legacy
        self.moment: Callable[[Lines, logging.LogRecord], str] = local_time

    def follow(self, values: Mapping[str, Any]) -> None:
        """Takes over the directives."""
        self.line = FORMATS[values["log-format"]]
        self.moment = TIMES[values["log-timestamp-format"]]

    def format(self, record: logging.LogRecord) -> str:
        text = self.line(self, record)
        if self.with_priority:
            mark = f"<{PRIORITIES.get(name_of(record), ERROR)}>"
            text = mark + text.replace("\n", f"\n{mark}")
        return text

    def traceback(self, record: logging.LogRecord) -> str:
        """What follows the text, each line of it after a line break; mostly nothing."""
        return "\n" + self.formatException(record.exc_info) if record.exc_info else ""


def name_of(record: logging.LogRecord) -> str:
    return NAMES.get(record.levelno, record.levelname.lower())


# How a line looks


def legacy(lines: Lines, record: logging.LogRecord) -> str:
    text = record.getMessage().replace("\n", "\\n")
    after = lines.traceback(record).replace("\n", "\n    ")
    return f"{lines.moment(lines, record)} {record.process} {lines.process} {name_of(record)}: {text}{after}"


def logfmt(lines: Lines, record: logging.LogRecord) -> str:
    """As the reference does it: what would end the text or the line is another character."""
    text = (record.getMessage() + lines.traceback(record)).replace('"', "'").replace("\n", " ").replace("\r", " ")
    moment, role = lines.moment(lines, record), lines.process.replace(" ", "-")
    return f'pid={record.process} role={role} timestamp="{moment}" level={name_of(record)} message="{text}"'


def json_object(lines: Lines, record: logging.LogRecord) -> str:
    import json  # 5 ms that only those wait for who want it.

    fields = {
        "pid": record.process,
        "role": lines.process.replace(" ", "-"),
        "timestamp": lines.moment(lines, record),
        "level": name_of(record),
        "message": record.getMessage() + lines.traceback(record),
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def local_time(lines: Lines, record: logging.LogRecord) -> str:
    return f"{lines.formatTime(record, '%Y-%m-%d %H:%M:%S')}.{int(record.msecs):03d}"


def iso8601(lines: Lines, record: logging.LogRecord) -> str:
    """The same with its distance from UTC: "+01:00"."""
    zone = time.strftime("%z", time.localtime(record.created))
    return f"{lines.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}{zone[:3]}:{zone[3:]}"


def milliseconds(lines: Lines, record: logging.LogRecord) -> str:
    return str(int(record.created * 1000))


FORMATS = {"legacy": legacy, "logfmt": logfmt, "json": json_object}
TIMES = {"legacy": local_time, "iso8601": iso8601, "milliseconds": milliseconds}


# Where it goes


def set_up(config: Config, process: str) -> logging.Logger:
    """Makes the root logger write as the configuration says: to `logfile` or standard error, and to syslog.

    `process` is "router", "shard 2", "supervisor". Raises OSError if the file can't be opened.
    """
    path = config.path("logfile")
    handler = (
        logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
        if path
        else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(Lines(process, with_priority=not path and is_journal()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    if config["syslog-enabled"]:
        from common.syslog import Syslog  # 10 ms that a server without it does without.

        root.handlers.append(Syslog(config["syslog-ident"], config["syslog-facility"], process))
    follow(config.values)
    logging.logThreads = logging.logMultiprocessing = False  # Looked up for every record, and shown by none.
    return root


def follow(values: Mapping[str, Any]) -> None:
    """Takes over the directives, as CONFIG SET has set them."""
    root = logging.getLogger()
    root.setLevel(LEVELS[values["loglevel"]])
    for handler in root.handlers:
        if isinstance(handler.formatter, Lines):
            handler.formatter.follow(values)


def note(config: Config) -> None:
    """Writes down what `follow` was told, for the supervisor, which has no link to hear it by."""
    path = config.log_note
    try:
        with open(f"{path}.new", "w", encoding="ascii", opener=partial(os.open, mode=0o600)) as file:
            file.writelines(f"{name} {config[name]}\n" for name in FOLLOWED)
        os.rename(f"{path}.new", path)
    except OSError as error:
        logging.getLogger("shardis").warning("the supervisor's log can't follow: %s", error.strerror)


def follow_note(config: Config) -> None:
    """Takes over what the note says, and where there is none the directives."""
    try:
        with open(config.log_note, encoding="ascii") as file:
            noted = dict(line.split() for line in file)
    except (OSError, ValueError):
        noted = {}
    follow({**config.values, **noted})


def is_journal() -> bool:
    """Whether standard error is the journal, as systemd has told this process or its parent."""
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def last_words(text: str) -> None:
    """Says why there can be no server: one line on standard error, whatever the log is."""
    mark = f"<{ERROR}>" if is_journal() else ""
    sys.stderr.write(f"{mark}shardis: {text}\n")  # In one write: others write there, too.

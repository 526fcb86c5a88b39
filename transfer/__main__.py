"""`shardis import`, `shardis export` and `shardis check`; also `python -m transfer import ...`.

What ends one of them before its end is one line on standard error.
"""

import logging
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from transfer import check, options
from transfer.courier import Source
from transfer.faults import Incomplete, Stopped, Usage
from transfer.log_source import MANIFEST_SUFFIX, LogSource, parts_of_file
from transfer.progress import progress_on
from transfer.rdb_source import RdbSource
from transfer.saved_file import export_saved
from transfer.server import Server, is_url
from transfer.server_source import ServerSource
from transfer.to_file import FileTarget, export, resume
from transfer.to_server import Wishes, transfer

STOPPED = 1
USAGE = 2


def main(argv: Sequence[str]) -> int:
    """Runs one of the three; the exit status."""
    if not argv or argv[0] not in COMMANDS:
        sys.stderr.write(f"usage: shardis {'|'.join(COMMANDS)} ... (each has --help)\n")
        return USAGE
    name = argv[0]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("shardis").handlers[:] = [Remarks()]
    try:
        return COMMANDS[name](argv[1:])
    except Usage as fault:
        return _end(name, str(fault), USAGE)
    except Incomplete as fault:
        _show(fault.lines)
        return _end(name, str(fault), STOPPED)
    except Stopped as fault:
        return _end(name, str(fault), USAGE if name == "check" else STOPPED)
    except KeyboardInterrupt:
        return _end(name, "interrupted", USAGE if name == "check" else STOPPED)


class Remarks(logging.Handler):
    """What the readers of files log, each line once: they read a file twice."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if line not in self._said:
            self._said.add(line)
            sys.stderr.write(line + "\n")


def import_(argv: Sequence[str]) -> int:
    """Brings keys into a server.  Raises Stopped, Usage."""
    said = options.import_parser().parse_args(argv)
    if said.flush and (said.replace or said.resume):
        raise Usage(f"--flush and {'--replace' if said.replace else '--resume'} exclude each other")
    wishes = Wishes(tuple(said.db), replace=said.replace, flush=said.flush, resume=said.resume)
    with ExitStack() as stack:
        target = _opened(said.to, "--to", stack)
        source, state = _source(said.source, wishes, target, stack)
        progress = stack.enter_context(progress_on(sys.stderr))
        lines = transfer(source, target, state, wishes, progress)
    _show(lines)
    return 0


def _source(text: str, wishes: Wishes, target: Server, stack: ExitStack) -> tuple[Source, Path]:
    """What SOURCE names, and where the state of an import of it is kept."""
    if is_url(text):
        server = _opened(text, "SOURCE", stack)
        _keep_apart(server, target)
        path = Path(f"shardis-import-{_plain(server.name)}.state")
        return ServerSource(server, wishes.dbs, target.rdb_version), path
    path = Path(text)
    state = path.resolve().with_name(path.resolve().name + ".import-state")
    if path.is_file() and not path.name.endswith(MANIFEST_SUFFIX):
        parts = parts_of_file(path)
        if [part.is_rdb for part in parts] == [True]:
            return RdbSource(path, wishes.dbs), state
    return LogSource(path), state


def export_(argv: Sequence[str]) -> int:
    """Writes the keys of a server elsewhere.  Raises Stopped, Usage."""
    said = options.export_parser().parse_args(argv)
    dbs = tuple(said.db)
    with ExitStack() as stack:
        source = _opened(said.source, "--from", stack)
        if is_url(said.target):
            target = _opened(said.target, "TARGET", stack)
            progress = stack.enter_context(progress_on(sys.stderr))
            state = Path(f"shardis-export-{_plain(source.name)}-to-{_plain(target.name)}.state")
            wishes = Wishes(dbs, replace=said.replace, resume=said.resume, may_flush=False)
            _keep_apart(source, target)
            keys = ServerSource(source, dbs, target.rdb_version)
            lines = transfer(keys, target, state, wishes, progress)
        else:
            progress = stack.enter_context(progress_on(sys.stderr))
            if said.resume:
                lines = resume(ServerSource(source, dbs), Path(said.target), progress, replace=said.replace)
            else:
                file = stack.enter_context(FileTarget(Path(said.target), progress, replace=said.replace))
                saved = None if dbs or said.scan else export_saved(source, file, progress)
                lines = saved or export(ServerSource(source, dbs), file, progress)
    _show(lines)
    return 0


def check_(argv: Sequence[str]) -> int:
    """Looks at a data folder; the exit status says what it found.  Raises Stopped, Usage."""
    said = options.check_parser().parse_args(argv)
    with progress_on(sys.stderr) as progress:
        report, mended = check.check(Path(said.folder), progress, fix=said.fix)
    check.show(report, mended)
    return int(report.state)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"import": import_, "export": export_, "check": check_}


def _opened(url: str, option: str, stack: ExitStack) -> Server:
    if not is_url(url):
        raise Usage(f"{option} {url!r} is no redis://HOST:PORT")
    server = Server(url)
    stack.callback(server.close)
    return server


def _keep_apart(source: Server, target: Server) -> None:
    """Raises Usage."""
    if source.run_id == target.run_id:
        raise Usage(f"{source.name} and {target.name} are the same server")


def _plain(name: str) -> str:
    """The name of a server as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name.partition("://")[2]).strip("-")


def _show(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _end(name: str, why: str, status: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"shardis {name}: {why}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`shardis check`: whether the data of a folder are whole, without a server."""

import sys
from collections.abc import Iterator
from pathlib import Path

from shard.first_logs import MARK
from transfer.faults import Stopped
from transfer.inspection import LOCK, FileReport, FolderReport, ShardReport, State, inspect, locked, trim
from transfer.progress import Progress

WORDS = {State.WHOLE: "whole", State.TORN: "torn tail", State.DAMAGED: "damaged"}
HEAD = ("shard", "file", "kind", "bytes", "keys", "commands", "groups", "records", "")
Row = tuple[str, ...]


def check(folder: Path, progress: Progress, *, fix: bool) -> tuple[FolderReport, list[str]]:
    """Reads the folder, and mends what can be mended without losing anything; what was mended, in lines.  Raises
    Stopped."""
    if not folder.is_dir():
        raise Stopped(f"{folder} is no folder")
    with locked(folder / LOCK):
        report = inspect(folder, progress)
        return report, _mend(report) if fix else []


def _mend(report: FolderReport) -> list[str]:
    lines = []
    for shard in report.shards:
        if shard.state is not State.TORN:
            continue  # Beside damage every byte may be needed.
        for file in shard.files:
            if file.state is State.TORN:
                size_bytes = file.size_bytes
                try:
                    kept = trim(file)
                except OSError as error:
                    raise Stopped(f"{error.filename or file.path}: {error.strerror}") from None
                lines.append(f"{file.path}: cut from {size_bytes:,} to {file.size_bytes:,} bytes; the rest is {kept}")
    return lines


def show(report: FolderReport, mended: list[str]) -> None:
    """Writes the report to standard output: a table on a terminal, else plain lines."""
    rows = [row for shard in report.shards for row in _rows(shard)]
    title = f"{report.folder}: {report.layout}, generation {report.layout.generation}"
    if sys.stdout.isatty():
        _show_table(title, rows)
    else:
        _write(title)
        widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
        for row in (HEAD, *rows):
            _write("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for line in [*_remarks(report), *mended]:
        _write(line)
    _write(_verdict(report))


def _rows(shard: ShardReport) -> Iterator[Row]:
    for file in shard.files:
        counts = ("", "", "", "")
        if file.kind.endswith("RDB"):
            counts = (f"{file.keys:,}", "", "", "")
        elif file.kind in ("base", "increment"):
            counts = ("", f"{file.commands:,}", f"{file.groups:,}", f"{file.records:,}")
        name = str(file.path.relative_to(shard.folder)) if file.path != shard.folder else "-"
        state = file.problem if file.kind == "log" and file.state is State.WHOLE else WORDS[file.state]
        yield (str(shard.index), name, file.kind, f"{file.size_bytes:,}", *counts, state)


def _show_table(title: str, rows: list[Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    colours = {WORDS[State.TORN]: "yellow", WORDS[State.DAMAGED]: "red", WORDS[State.WHOLE]: "green"}
    table = Table(title=escape(title), box=box.SIMPLE)
    for name in HEAD:
        table.add_column(name, justify="right" if name not in ("file", "kind", "") else "left")
    for row in rows:
        table.add_row(*map(escape, row[:-1]), f"[{colours.get(row[-1], 'default')}]{escape(row[-1])}[/]")
    Console().print(table)


def _remarks(report: FolderReport) -> Iterator[str]:
    if not report.counts:
        yield (
            f"{report.folder / MARK}: a start with an RDB file was stopped before all shards had their logs. The next"
            " one begins them anew with that file, and these do not count."
        )
    for shard in report.shards:
        for file in shard.files:
            if file.state is not State.WHOLE:
                yield _remark(file)
        if shard.others:
            yield f"shard {shard.index}: no part of the log: {', '.join(shard.others)}"
    lacking = list(report.lacking())
    for id_, index, other in lacking[:10]:
        yield f"shard {index}: lacks its part of write {id_} over several shards; shard {other} has a record of it"
    if lacking:
        yield f"{len(lacking):,} parts of writes over several shards are done at the next start, before all else"


def _remark(file: FileReport) -> str:
    remedy = f" {file.remedy[:1].upper()}{file.remedy[1:]}." if file.remedy else ""
    return f"{file.path}: {WORDS[file.state]} at byte {file.at_byte:,}: {file.problem}.{remedy}"


def _verdict(report: FolderReport) -> str:
    if report.state is State.WHOLE:
        return "The data are whole." if report.counts else "The logs are whole, and do not count."
    bad = [str(shard.index) for shard in report.shards if shard.state is report.state]
    of = f"shard {bad[0]}" if len(bad) == 1 else f"shards {', '.join(bad)}"
    if report.state is State.TORN:
        return f"A torn tail in {of}: a start cuts it off and goes on, nothing else is lost."
    return f"Damage in {of}: a start is refused."


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")

"""The screen of `shardis top`, made of its state by rich."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from metrics.top import figures
from metrics.top.state import SORTS, State

COLORS = ("blue", "yellow", "green", "magenta", "cyan", "bright_red", "bright_blue", "bright_green")
GOOD = {"good": "bold green", "warn": "bold yellow", "bad": "bold red"}
STATES = {"ready": "green", "loading": "yellow", "loaded": "yellow", "down": "bold red"}
SOFT = "bright_black"
NARROW, TINY = 96, 76
"""Columns below which what matters less is left out, and then some more."""
BAR_WIDTH = 12
LINES_BESIDE = 11
"""Lines that are not rows of tables: head, tiles, the heads of the tables, keys."""


def screen(state: State, width: int, height: int | None) -> RenderableType:
    """All of it, in as many lines as there are; `height` None: as many as it takes."""
    facts = state.facts
    parts: list[RenderableType] = [head(state, width), tiles(state, width)]
    rows = None if height is None else max(2, height - LINES_BESIDE)
    if facts is not None and facts.shards:
        most = None if rows is None else max(1, min(len(facts.shards), rows // 2))
        parts.append(shards(state, width, most))
        rows = None if rows is None or most is None else rows - most - (most < len(facts.shards))
    elif rows is not None:
        rows += 3
    parts.append(commands(state, width, rows))
    if height is not None:
        parts.append(keys(state))
    return Group(*parts)


def head(state: State, width: int) -> RenderableType:
    """Who it is and how he is."""
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True)
    line.add_column(justify="right", no_wrap=True, overflow="ellipsis")
    kind, text = state.verdict()
    name = Text.assemble((" ▲ ", "blue"), ("Shardis ", "bold"), (state.name, SOFT))
    if state.facts is not None:
        uptime = figures.duration(state.facts.number("server", "uptime_in_seconds"))
        name.append(f"  up {uptime}", SOFT)
    line.add_row(name, Text(f"● {text} ", GOOD[kind]))
    return line


def tiles(state: State, width: int) -> RenderableType:
    """Two lines of figures, and a chart of the rate."""
    sample, facts = state.sample, state.facts
    grid = Table.grid(expand=True, padding=(0, 1))
    for _ in range(4):
        grid.add_column(ratio=1, no_wrap=True)
    if facts is None:
        return grid
    limit = facts.number("memory", "maxmemory")
    # Of a limit there is what counts for it.
    memory = (
        f"{figures.size(facts.counted_bytes)} of {figures.size(limit)}" if limit else figures.size(sample.get("memory"))
    )
    clients = f"{sample.get('clients', 0)}" + (f", {sample['blocked']} wait" if sample.get("blocked") else "")
    cells = [
        tile("commands/s" if width >= TINY else "ops/s", figures.count(sample.get("ops"))),
        tile("p50", figures.micros(state.percentiles.get("p50"))),
        tile("memory", memory),
        tile("clients", clients),
        tile("keys", f"{total_keys(state):,}"),
        tile("p99", figures.micros(state.percentiles.get("p99"))),
        tile("hit ratio", figures.percent(sample.get("hit_ratio"))),
        tile("in", f"{figures.size(sample.get('in'))}/s"),
        tile("errors/s", figures.count(sample.get("errors"))),
        tile("p99.9", figures.micros(state.percentiles.get("p999"))),
        tile("expired/s", figures.count(sample.get("expired"))),
        tile("out", f"{figures.size(sample.get('out'))}/s"),
    ]
    for place in range(0, len(cells), 4):
        grid.add_row(*cells[place : place + 4])
    chart = Text(" " + figures.sparkline(list(state.ops), max(8, width - 2)), "blue", no_wrap=True)
    return Group(grid, chart)


def tile(name: str, value: str) -> Text:
    return Text.assemble((f" {name} ", SOFT), (value, "bold"))


def total_keys(state: State) -> int:
    facts = state.facts
    return 0 if facts is None else int(sum(db.get("keys", 0) for db in facts.dbs().values()))


def table(*columns: tuple[str, str]) -> Table:
    """A table whose columns are (title, "left" or "right")."""
    made = Table(box=SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1), header_style=SOFT, border_style=SOFT)
    made.show_edge = False
    for title, justify in columns:
        made.add_column(title, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    return made


def shards(state: State, width: int, most: int | None) -> RenderableType:
    """A line for each, as far as there is room."""
    assert state.facts is not None
    wide = width >= NARROW
    left, right = "left", "right"
    columns = [(" Shard", left), ("State", left), ("Cmds/s", right), ("CPU", right), ("Memory", right), ("Keys", right)]
    columns += [("", left)] if wide else []
    columns += [("Log", right), ("Rewrite", left)] if width >= TINY else []
    columns += [("Up", right), ("Process", right)] if wide else []
    made = table(*columns)
    known = state.facts.shards
    fullest = max((shard.get("keys", 0) for shard in known), default=0) or 1
    for shard, rates in zip(known[:most], state.sample["shards"][:most], strict=True):
        cells = shard_cells(shard, rates or {}, fullest, wide=wide)
        made.add_row(*cells[: len(columns)])
    if most is not None and most < len(known):
        made.add_row(Text(f" and {len(known) - most} more", SOFT))
    return made


def shard_cells(shard: dict[str, Any], rates: dict[str, Any], fullest: int, *, wide: bool) -> list[Text | str]:
    color = COLORS[shard["index"] % len(COLORS)]
    name = Text.assemble((" ■ ", color), str(shard["index"]))
    state = Text(shard["state"], STATES.get(shard["state"], "yellow"))
    if "keys" not in shard:
        return [name, state]
    cells: list[Text | str] = [
        name,
        state,
        figures.count(rates.get("ops")),
        figures.percent(rates.get("cpu")),
        figures.size(shard["memory_bytes"]),
        f"{shard['keys']:,}",
    ]
    if wide:
        cells.append(Text(figures.bar(shard["keys"] / fullest, BAR_WIDTH), color))
    cells += [figures.size(shard["log_bytes"]), Text("under way", "cyan") if shard["rewriting"] else Text("no", SOFT)]
    if wide:
        cells += [figures.duration(shard["uptime_s"]), str(shard["pid"])]
    return cells


def commands(state: State, width: int, most: int | None) -> RenderableType:
    """Those that ran, in the order that was chosen."""
    wide = width >= NARROW
    titles = {"name": " Command", "calls": "Calls/s", "mean": "Mean", "p99": "p99", "busy": "Load"}
    chosen = SORTS[state.sort]
    columns = [
        (f"{title} ▼" if column == chosen else title, "left" if column == "name" else "right")
        for column, title in titles.items()
    ]
    made = table(*columns, *([("", "left")] if wide else []))
    shown = state.sorted_commands()[:most]
    busy = max((one["busy"] for one in shown), default=0.0) or 1.0
    for one in shown:
        cells: list[Text | str] = [
            Text(f" {one['name'].upper().replace('|', ' ')}"),
            figures.count(one["calls"]),
            figures.micros(one["mean"]),
            figures.micros(one["p99"]) if one["p99"] else figures.NONE,
            figures.percent(one["busy"]),
        ]
        made.add_row(*cells, *([Text(figures.bar(one["busy"] / busy, 2 * BAR_WIDTH), "blue")] if wide else []))
    if not shown:
        made.add_row(Text(" nothing ran", SOFT))
    return made


def keys(state: State) -> RenderableType:
    """What can be done."""
    line = Text(no_wrap=True, overflow="ellipsis")
    every = f"{state.interval_s:g} s"
    for key, meaning in (("q", "quit"), ("s", f"sort: {state.sort}"), ("space", "go on" if state.paused else "pause")):
        line.append(f" {key} ", "bold")
        line.append(f"{meaning}  ", SOFT)
    line.append(" + - ", "bold")
    line.append(f"every {every}", SOFT)
    if state.paused:
        line.append("   paused", "bold yellow")
    return line

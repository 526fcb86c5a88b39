"""INFO: what the router knows and what the shards answer, put together and written as Redis writes it.

Rule 1: every figure is true of the whole server: summed over the processes, or the worst of them. What Redis has and
        this server has not is 0 where 0 is the truth; where it would be a lie the line is left out.
Rule 2: a shard's own counters are summed by their INFO names, so a counter added there is shown here by itself.
Rule 3: sections come in Redis's order, whatever the order in which the client names them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from common.command_stats import CommandStats
from router.info_sections import SECTIONS, Facts

if TYPE_CHECKING:
    from router.server import Router

HISTOGRAM_BITS_MIN = 10
"""The first bucket of LATENCY HISTOGRAM ends at 2^10 ns, about 1 µs."""
HISTOGRAM_STEPS = 128
"""Redis's histogram is exact to one in so many: its buckets end that much later."""

DEFAULT = {
    "server", "clients", "memory", "persistence", "stats", "replication", "cpu", "modules", "errorstats", "cluster",
    "shards", "keyspace",
}  # fmt: skip
ONLY_BY_NAME = {"debug"}
GROUPS = {
    "default": DEFAULT,
    "all": set(SECTIONS) - ONLY_BY_NAME,
    "everything": set(SECTIONS) - ONLY_BY_NAME,
}


def render(router: "Router", asked: list[int], answers: list[dict[str, Any]], names: Iterable[str]) -> str:
    """The text of the sections that `names` mean; `answers` are those of the shards `asked`."""
    wanted: set[str] = set()
    for name in names:
        wanted |= GROUPS.get(name, {name})
    facts = Facts(router, dict(zip(asked, answers, strict=True)), command_counts(router, answers))
    texts = []
    for name, (title, section) in SECTIONS.items():
        if name in wanted:
            fields = section(facts)
            lines = [f"{field}:{value}" for field, value in fields.items()]
            texts.append("".join(f"{line}\r\n" for line in [f"# {title}", *lines]))
    return "\r\n".join(texts)


def command_counts(router: "Router", answers: Iterable[dict[str, Any]]) -> dict[str, CommandStats]:
    """What router and shards together counted of each command that was called or refused."""
    counts: dict[str, CommandStats] = {}
    for command in router.table.each():
        if command.calls or command.rejected_calls or command.failed_calls:
            counts.setdefault(shown_name(router, command.name), CommandStats()).add(command)
    for answer in answers:
        for name, counted in answer["commands"].items():
            counts.setdefault(shown_name(router, name), CommandStats()).add(CommandStats(*counted))
    return counts


def shown_name(router: "Router", name: str) -> str:
    """DEBUG counts as one command, whatever its subcommand."""
    container = name.partition("|")[0]
    known = router.table.commands.get(container)
    return container if known is not None and known.opaque else name


def histogram_us(counts: CommandStats) -> dict[int, int]:
    """For each bucket of durations, by its end in µs, how many calls did not last longer; calls, not parts of calls."""
    samples = sum(counts.histogram)
    found: dict[int, int] = {}
    seen = 0
    for bits, count in enumerate(counts.histogram):
        seen += count
        if count:
            edge_ns = 1 << max(bits, HISTOGRAM_BITS_MIN)
            # A call on several shards has a sample of each.
            found[(edge_ns + edge_ns // HISTOGRAM_STEPS - 1) // 1000] = round(seen * counts.calls / samples)
    return found

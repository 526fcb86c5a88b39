"""LATENCY: what took too long, and how long commands take. See router/latency.py."""

from typing import TYPE_CHECKING, Any

from common.command import ADMIN, AGG_SUM, ALL_NODES, LOADING, NOSCRIPT, SPECIAL, STALE
from common.errors import RedisError, shown
from common.resp import Verbatim
from router.commands.config import shards_that_are_up
from router.commands.table import TABLE
from router.dispatch import AskShards
from router.info import command_counts, histogram_us
from router.latency import diagnosis
from router.latency import graph as drawn

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("server")

command.container(
    "LATENCY",
    "A container for latency diagnostics commands.",
    since="2.8.13",
    help_="""
DOCTOR
    Return a human readable latency analysis report.
GRAPH <event>
    Return an ASCII latency graph for the <event> class.
HISTORY <event>
    Return time-latency samples for the <event> class.
LATEST
    Return the latest latency samples for all events.
RESET [<event> ...]
    Reset latency data of one or more <event> classes.
    (default: reset all data for all event classes)
HISTOGRAM [COMMAND ...]
    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.
    If no commands are specified then all histograms are replied.
""",
)

USUAL = ADMIN | NOSCRIPT | LOADING | STALE


@command(
    "LATENCY DOCTOR",
    USUAL,
    since="2.8.13",
    complexity="O(1)",
    fan=ALL_NODES,
    merge=SPECIAL,
    tips="nondeterministic_output",
)
def doctor(session: "Session") -> Verbatim:
    """Returns a human-readable latency analysis report."""
    router = session.router
    config = router.config
    now_s = router.now_ms() // 1000
    threshold_ms, slower_than_us = config["latency-monitor-threshold"], config["slowlog-log-slower-than"]
    return Verbatim(diagnosis(router.latency, now_s, threshold_ms, slower_than_us))


@command(
    "LATENCY GRAPH event",
    USUAL,
    since="2.8.13",
    complexity="O(1)",
    fan=ALL_NODES,
    merge=SPECIAL,
    tips="nondeterministic_output",
)
def graph(session: "Session", event: bytes) -> Verbatim:
    """Returns a latency graph for an event."""
    name = shown(event)
    known = session.router.latency.events.get(name)
    if known is None:
        raise RedisError(f"ERR No samples available for event '{name}'")
    return Verbatim(drawn(name, known, session.router.now_ms() // 1000))


@command(
    "LATENCY HISTORY event",
    USUAL,
    since="2.8.13",
    complexity="O(1)",
    fan=ALL_NODES,
    merge=SPECIAL,
    tips="nondeterministic_output",
)
def history(session: "Session", event: bytes) -> list[Any]:
    """Returns timestamp-latency samples for an event."""
    known = session.router.latency.events.get(event.decode("utf-8", "surrogateescape"))
    return list(known.samples) if known else []


@command(
    "LATENCY LATEST",
    USUAL,
    since="2.8.13",
    complexity="O(1)",
    fan=ALL_NODES,
    merge=SPECIAL,
    tips="nondeterministic_output",
)
def latest(session: "Session") -> list[Any]:
    """Returns the latest latency samples for all events."""
    return [
        [name, *event.samples[-1], event.highest_ms, event.sum_ms, event.count]
        for name, event in session.router.latency.events.items()
    ]


@command(
    "LATENCY RESET [event [event ...]]",
    USUAL,
    since="2.8.13",
    complexity="O(1)",
    fan=ALL_NODES,
    merge=AGG_SUM,
)
def reset(session: "Session", *events: bytes) -> int:
    """Resets the latency data for one or more events."""
    return session.router.latency.reset([event.decode("utf-8", "surrogateescape") for event in events])


@command(
    "LATENCY HISTOGRAM [command [command ...]]",
    USUAL,
    since="7.0.0",
    complexity="O(N) where N is the number of commands with latency information being retrieved.",
    fan=ALL_NODES,
    merge=SPECIAL,
    tips="nondeterministic_output",
)
def histogram(session: "Session", *commands: bytes) -> AskShards:
    """Returns the cumulative distribution of latencies of a subset or all commands."""
    router = session.router
    wanted = [command.decode("utf-8", "surrogateescape").lower() for command in commands]

    def merge(answers: list[dict[str, Any]]) -> dict[str, Any]:
        counts = command_counts(router, answers)
        found = [name for word in wanted for name in _named(router.table.get(word))] if wanted else list(counts)
        return {
            name: {"calls": counts[name].calls, "histogram_usec": histogram_us(counts[name])}
            for name in found
            if name in counts and counts[name].calls
        }

    return AskShards(["info"], merge, shards_that_are_up(session))


def _named(entry: Any) -> list[str]:
    """A command's name; those of its subcommands, for a container."""
    if entry is None:
        return []
    return [subcommand.name for subcommand in entry.subcommands.values()] or [entry.name]

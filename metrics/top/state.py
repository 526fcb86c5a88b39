"""What `shardis top` shows, told looks and keys: no terminal and no socket here."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from metrics.durations import added, grown, percentile_us
from metrics.facts import Facts
from metrics.history import NEVER_CALLED, PERCENTILES, Sample, between, busiest

KEPT = 240
"""Looks whose rates the small chart has."""
SORTS = {"time": "busy", "calls": "calls", "mean": "mean", "p99": "p99", "name": "name"}
"""The orders of the commands, and the column that each goes by."""
INTERVALS_S = (0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(slots=True)
class State:
    """Everything on the screen."""

    name: str
    interval_s: float = 1.0
    sort: str = "time"
    paused: bool = False
    quitting: bool = False
    fault: str = ""
    """Why there is nothing new."""
    facts: Facts | None = None
    sample: Sample = field(default_factory=dict)
    commands: list[Sample] = field(default_factory=list)
    ops: deque[float | None] = field(default_factory=lambda: deque(maxlen=KEPT))
    percentiles: dict[str, float | None] = field(default_factory=dict)

    def look(self, facts: Facts) -> None:
        """Takes over how the server stands."""
        before = self.facts
        if before is not None and before.text("server", "run_id") != facts.text("server", "run_id"):
            before = None  # Another server by now: its counters are others.
        self.sample = between(facts, before)
        self.commands = busiest(facts, before, limit=None)
        self.percentiles = durations(facts, before)
        self.ops.append(self.sample.get("ops"))
        self.facts, self.fault = facts, ""

    def lose(self, why: str) -> None:
        """The server can't be reached: what was known stays on the screen, and there is a gap."""
        self.fault = why
        self.ops.append(None)

    def key(self, key: str) -> bool:
        """Does what a key means; whether that changes the screen."""
        if key in ("q", "Q", "\x03", "\x04"):
            self.quitting = True
        elif key == "s":
            names = list(SORTS)
            self.sort = names[(names.index(self.sort) + 1) % len(names)]
        elif key in KEYS:
            self.sort = KEYS[key]
        elif key in (" ", "\t"):
            self.paused = not self.paused
        elif key in ("+", "-", "="):
            place = INTERVALS_S.index(min(INTERVALS_S, key=lambda one: abs(one - self.interval_s)))
            place += 1 if key == "-" else -1
            self.interval_s = INTERVALS_S[min(max(place, 0), len(INTERVALS_S) - 1)]
        else:
            return False
        return True

    def sorted_commands(self) -> list[Sample]:
        column = SORTS[self.sort]
        return sorted(self.commands, key=lambda one: one[column], reverse=column != "name")

    def verdict(self) -> tuple[str, str]:
        """How it stands, in a word, and how good that is: "good", "warn" or "bad"."""
        if self.fault:
            return "bad", f"no connection: {self.fault}"
        if self.facts is None:
            return "warn", "connecting"
        shards = self.facts.shards
        down = [str(shard["index"]) for shard in shards if shard["state"] == "down"]
        loading = [str(shard["index"]) for shard in shards if shard["state"] not in ("down", "ready")]
        if down:
            return "bad", f"shard {', '.join(down)} is down" if len(down) == 1 else f"shards {', '.join(down)} are down"
        if loading or self.facts.text("persistence", "loading") == "1":
            return "warn", f"loading: shard {', '.join(loading)}" if loading else "loading"
        if self.facts.text("persistence", "aof_last_write_status") == "err":
            return "bad", "the log can't be written"
        return "good", f"all {len(shards)} shards ready" if len(shards) > 1 else "ready"


KEYS = {"t": "time", "c": "calls", "m": "mean", "p": "p99", "n": "name"}
"""Keys that choose an order at once."""


def durations(facts: Facts, before: Facts | None) -> dict[str, Any]:
    """Percentiles of what ran between two looks, in µs."""
    if before is None:
        return {}
    ran = added(
        [
            grown(counted.histogram, before.commands.get(name, NEVER_CALLED).histogram)
            for name, counted in facts.commands.items()
        ]
    )
    return {name: percentile_us(ran, percent) for name, percent in PERCENTILES.items()}

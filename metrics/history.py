"""The last ten minutes: looks at the facts, and what happened between two of them.

Told facts and the time, it keeps numbers that a chart can draw as they are. A look without facts, when the router is
gone, is a gap.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

from common.command_stats import CommandStats
from metrics.durations import added, grown, percentile_us
from metrics.facts import Facts

KEPT_S = 600.0
COMMANDS_SHOWN = 12
"""Commands in the table of those that take most time."""
APART_S = 0.5
"""Two looks that are closer are one: rates over so short a time jump."""

EVENTS_MAX = 20

Sample = dict[str, Any]


class History:
    """Samples, oldest first. `latest` are the facts of the last look; None if the router was gone."""

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self.samples: deque[Sample] = deque()
        self.latest: Facts | None = None
        self.commands: list[Sample] = []
        """What the commands did between the last two looks, those first that took most time."""
        self.events: deque[tuple[float, str]] = deque(maxlen=EVENTS_MAX)
        """When what changed, oldest first."""
        self._states: dict[str, str] = {}
        """By who it is, what was said of him last."""
        self._before: Facts | None = None

    def look(self, facts: Facts | None, now_s: float) -> None:
        """Keeps one more, and forgets those that are too old. What was before the router first answered is nothing."""
        if facts is None and not self.samples:
            return
        if self.samples and facts is not None and facts is self.latest:
            return
        if self.samples and now_s - self.samples[-1]["t"] < APART_S and (facts is None) == (self.latest is None):
            return
        self.latest = facts
        if facts is None:
            self.samples.append({"t": round(now_s, 2), "up": False, "shards": [None] * self.shards})
            self.commands = []
        else:
            self.samples.append({"t": round(now_s, 2), "up": True, **between(facts, self._before)})
            self.commands = busiest(facts, self._before)
        self._before = facts
        self._note_events(facts, now_s)
        while self.samples and self.samples[0]["t"] < now_s - KEPT_S:
            self.samples.popleft()

    def _note_events(self, facts: Facts | None, now_s: float) -> None:
        said = {"the router": "answers" if facts is not None else "is gone"}
        for shard in facts.shards if facts is not None else ():
            name = f"shard {shard['index']}"
            said[name] = STATES.get(shard["state"], shard["state"])
            if "keys" in shard:
                said[f"the process of {name}"] = f"is {shard['pid']}"
                said[f"the log of {name}"] = "is being rewritten" if shard["rewriting"] else "is rewritten"
                said[f"{name} and writes"] = "refuses writes" if shard["refusing"] else "takes writes"
        for who, what in said.items():
            before = self._states.get(who)
            # How it stood when the first look was taken is no event; nor which process it is, but that it is another.
            if before is not None and before != what:
                self.events.append((round(now_s, 2), _event(who, what)))
        self._states |= said

    def since(self, after_s: float) -> list[Sample]:
        """Those behind `after_s`."""
        found: list[Sample] = []
        for sample in reversed(self.samples):
            if sample["t"] <= after_s:
                break
            found.append(sample)
        return found[::-1]


STATES = {"down": "is down", "loading": "loads", "loaded": "has loaded", "ready": "is ready"}
"""Of a shard, in words."""


def _event(who: str, what: str) -> str:
    if who.startswith("the process of"):
        return f"{who.removeprefix('the process of ')} runs as a new process"
    return f"{who.removesuffix(' and writes')} {what}"


def rate(after: float, before: float, seconds: float, digits: int = 2) -> float | None:
    """By the second; None for a counter that is smaller than before: it began anew, or a part of the sum is gone."""
    return round((after - before) / seconds, digits) if after >= before else None


def between(facts: Facts, before: Facts | None) -> Sample:
    """What a sample says; without a look before it there are no rates yet."""
    persistence = facts.sections["persistence"]
    sample: Sample = {
        "clients": int(facts.number("clients", "connected_clients")),
        "blocked": int(facts.number("clients", "blocked_clients")),
        "memory": int(facts.number("memory", "used_memory")),
        "router_memory": facts.router["rss_bytes"],
        "keys": sum(shard.get("keys", 0) for shard in facts.shards),
        "log": sum(shard.get("log_bytes", 0) for shard in facts.shards),
        "rewriting": int(persistence.get("aof_rewrite_in_progress", 0)),
        "shards": [_levels(shard) for shard in facts.shards],
    }
    seconds = facts.now_s - before.now_s if before is not None else 0.0
    if before is None or seconds <= 0:
        return sample
    for name, field in RATES.items():
        sample[name] = rate(facts.number("stats", field), before.number("stats", field), seconds)
    sample["router_cpu"] = rate(_cpu_s(facts.router), _cpu_s(before.router), seconds)
    sample |= dict.fromkeys(SHARD_RATES, 0.0)
    durations = []
    for shard, entry in zip(facts.shards, sample["shards"], strict=True):
        past = _same(shard, before.shards)
        if entry is not None and past is not None and shard["fresh"]:
            durations.append(grown(shard.get("histogram", []), past.get("histogram", [])))
            entry["ops"] = rate(shard["commands"], past["commands"], seconds)
            entry["cpu"] = rate(_cpu_s(shard), _cpu_s(past), seconds)
            for name in SHARD_RATES:  # Shard by shard, for a sum loses what one had counted that died.
                sample[name] = round(sample[name] + (rate(shard[name], past[name], seconds) or 0.0), 2)
    reads = sample["hits"] + sample["misses"]
    sample["hit_ratio"] = round(sample["hits"] / reads, 4) if reads else None
    ran = added(durations)
    for name, percent in PERCENTILES.items():
        value = percentile_us(ran, percent)
        sample[name] = None if value is None else round(value, 2)
    return sample


RATES = {
    "ops": "total_commands_processed",
    "in": "total_net_input_bytes",
    "out": "total_net_output_bytes",
    "errors": "total_error_replies",
    "connections": "total_connections_received",
}
"""What is told by the second: the name in a sample, and the counter of INFO stats."""
SHARD_RATES = ("hits", "misses", "expired", "evicted")
"""What is told by the second of all shards together, and counted by each."""
PERCENTILES = {"p50": 50.0, "p99": 99.0, "p999": 99.9}


def _levels(shard: dict[str, Any]) -> Sample | None:
    """What one shard is; None while nothing is known of it."""
    if "keys" not in shard or shard["state"] == "down":
        return None
    return {"keys": shard["keys"], "memory": shard["memory_bytes"], "log": shard["log_bytes"]}


def _same(shard: dict[str, Any], before: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The shard as it was, if it was this process."""
    past = next((one for one in before if one["index"] == shard["index"]), None)
    return past if past is not None and "keys" in past and past["pid"] == shard["pid"] else None


def _cpu_s(process: dict[str, Any]) -> float:
    return float(process["cpu_user_s"] + process["cpu_system_s"])


NEVER_CALLED = CommandStats()


def busiest(facts: Facts, before: Facts | None, limit: int | None = COMMANDS_SHOWN) -> list[Sample]:
    """The commands that took most time between two looks, so many at most."""
    if before is None or facts.now_s <= before.now_s:
        return []
    seconds = facts.now_s - before.now_s
    found: list[Sample] = []
    for name, counted in facts.commands.items():
        past = before.commands.get(name, NEVER_CALLED)
        calls = rate(counted.calls, past.calls, seconds)
        busy = rate(counted.nanoseconds / 1e9, past.nanoseconds / 1e9, seconds, 6)
        if calls and busy is not None:
            mean_us = (counted.nanoseconds - past.nanoseconds) / (counted.calls - past.calls) / 1000
            p99_us = percentile_us(grown(counted.histogram, past.histogram), 99.0) or 0.0
            found.append(
                {"name": name, "calls": calls, "busy": busy, "mean": round(mean_us, 2), "p99": round(p99_us, 2)}
            )
    found.sort(key=lambda one: (-one["busy"], -one["calls"]))
    return found[:limit]

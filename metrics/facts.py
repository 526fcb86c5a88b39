"""What is known of a server at one moment, as the router tells it at its inner door: see router/metrics_door.py."""

from dataclasses import dataclass, field
from typing import Any

from common.command_stats import CommandStats


@dataclass(slots=True)
class Facts:
    """One answer of the router. `sections` are those of INFO: by section and field."""

    now_s: float
    sections: dict[str, dict[str, Any]]
    commands: dict[str, CommandStats]
    errors: dict[str, int] = field(default_factory=dict)
    shards: list[dict[str, Any]] = field(default_factory=list)
    """Those that have not answered yet have no more than `index`, `state`, `fresh` and `pid`."""
    slow: list[list[Any]] = field(default_factory=list)
    """Of the slow log the newest entries: id, unix time in s, µs, command."""
    slow_length: int = 0
    latency_events: dict[str, list[int]] = field(default_factory=dict)
    """Unix time in s, last ms, highest ms."""
    percentiles: list[float] = field(default_factory=list)
    router: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, said: dict[str, Any]) -> "Facts":
        return cls(
            said["now_ms"] / 1000,
            said["sections"],
            {name: CommandStats(*counted) for name, counted in said["commands"].items()},
            said["errors"],
            said["shards"],
            said["slow"],
            said["slow_length"],
            said["latency_events"],
            said["percentiles"],
            said["router"],
        )

    def number(self, section: str, name: str, default: float = 0.0) -> float:
        """A field that is a number."""
        return number(self.sections.get(section, {}).get(name), default)

    @property
    def counted_bytes(self) -> float:
        """What of the memory in use counts for `maxmemory`: not what the processes took when they were empty."""
        return max(0.0, self.number("memory", "used_memory") - self.number("memory", "mem_not_counted_for_evict"))

    def text(self, section: str, name: str) -> str:
        return str(self.sections.get(section, {}).get(name, ""))

    def dbs(self) -> dict[str, dict[str, float]]:
        """The lines of INFO keyspace: by db its keys, expires, avg_ttl in ms."""
        return {
            name: {key: number(value) for key, value in pairs(str(line)).items()}
            for name, line in self.sections.get("keyspace", {}).items()
        }


def number(value: Any, default: float = 0.0) -> float:
    """A figure of INFO, which may be text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def pairs(line: str) -> dict[str, str]:
    """ "keys=1,expires=0" by name."""
    return dict(pair.split("=", 1) for pair in line.split(",") if "=" in pair)

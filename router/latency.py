"""The latency monitor: for each kind of event the last times that it took too long (LATENCY).

The events of Redis that exist here: `command` and `fast-command` (in any process), `expire-cycle`, `aof-write` and
`aof-fsync-always` (in a shard, which tells the router).
"""

from collections import deque
from collections.abc import Sequence

SAMPLES_MAX = 160
"""Samples that are kept of an event, Redis's limit."""
GRAPH_COLUMNS = 80
GRAPH_ROWS = 4
GRAPH_CHARACTERS = "_o#"
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


class Event:
    """One kind of event: its last samples, one a second, [unix time in s, ms], and counts since the last reset."""

    __slots__ = ("samples", "highest_ms", "sum_ms", "count")

    def __init__(self) -> None:
        self.samples: deque[list[int]] = deque(maxlen=SAMPLES_MAX)
        self.highest_ms = 0
        self.sum_ms = 0
        self.count = 0

    def add(self, at_s: int, duration_ms: int, before_ms: int = 0) -> None:
        """Counts one more; `before_ms`, if it is one that was counted so before. In a second the longest is kept."""
        self.highest_ms = max(self.highest_ms, duration_ms)
        self.sum_ms += duration_ms - before_ms
        self.count += not before_ms
        if self.samples and self.samples[-1][0] == at_s:
            self.samples[-1][1] = max(self.samples[-1][1], duration_ms)
        else:
            self.samples.append([at_s, duration_ms])

    @property
    def average_ms(self) -> int:
        """Of the samples."""
        return sum(duration for _, duration in self.samples) // len(self.samples)

    @property
    def deviation_ms(self) -> int:
        """The mean distance from the average."""
        average_ms = self.average_ms
        return sum(abs(duration - average_ms) for _, duration in self.samples) // len(self.samples)

    def period_s(self, now_s: int) -> float:
        """Seconds between two samples, on average."""
        return max(1, now_s - self.samples[0][0]) / len(self.samples)


class LatencyMonitor:
    """All kinds of events."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}

    def add(self, name: str, at_s: int, duration_ms: int, before_ms: int = 0) -> None:
        """Counts an event, see Event.add."""
        self.events.setdefault(name, Event()).add(at_s, duration_ms, before_ms)

    def reset(self, names: Sequence[str]) -> int:
        """Forgets these kinds of events, all of them if none is named; how many there were."""
        found = [name for name in names or list(self.events) if self.events.pop(name, None)]
        return len(found)


def graph(name: str, event: Event, now_s: int) -> str:
    """The samples of an event as a drawing in characters, with their age below."""
    durations = [duration for _, duration in event.samples]
    head = f"{name} - high {max(durations)} ms, low {min(durations)} ms (all time high {event.highest_ms} ms)\n"
    labels = [age(now_s - at_s) for at_s, _ in event.samples]
    parts = [
        _rows(durations[at : at + GRAPH_COLUMNS], labels[at : at + GRAPH_COLUMNS], min(durations), max(durations))
        for at in range(0, len(durations), GRAPH_COLUMNS)
    ]
    return head + "-" * GRAPH_COLUMNS + "\n" + "\n".join(parts)


def _rows(durations: list[int], labels: list[str], lowest: int, highest: int) -> str:
    """One line of the drawing, which is several rows high."""
    steps = GRAPH_ROWS * len(GRAPH_CHARACTERS)
    heights = [min(steps - 1, (duration - lowest) * steps // ((highest - lowest) or 1)) for duration in durations]
    rows = []
    for row in reversed(range(GRAPH_ROWS)):
        marks = [height - row * len(GRAPH_CHARACTERS) for height in heights]
        rows.append("".join(_mark(mark) for mark in marks))
    rows.append(" " * len(durations))
    for place in range(max(map(len, labels))):
        rows.append("".join(label[place] if place < len(label) else " " for label in labels))
    return "".join(f"{row}\n" for row in rows)


def _mark(height: int) -> str:
    if height < 0:
        return " "
    return GRAPH_CHARACTERS[height] if height < len(GRAPH_CHARACTERS) else "|"


def age(seconds: int) -> str:
    """ "12s", "3m", "5h", "2d"."""
    for unit_s, letter in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "m")):
        if seconds >= unit_s:
            return f"{seconds // unit_s}{letter}"
    return f"{max(0, seconds)}s"


# The doctor

DISABLED = (
    "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Valkey instance. You may use"
    ' "CONFIG SET latency-monitor-threshold <milliseconds>." in order to enable it.\n'
)
HEALTHY = "No latency spike was observed during the lifetime of this Valkey instance, not in the slightest bit.\n"
HEAD = "Latency spikes are observed in this Valkey instance.\n\n"

ENABLE_SLOWLOG = (
    "- There are latency issues with potentially slow commands you are using. Try to enable the Slow Log Valkey feature"
    " using the command 'CONFIG SET slowlog-log-slower-than {threshold_us}'. If the Slow log is disabled Valkey is not"
    " able to log slow commands execution for you.\n"
)
TUNE_SLOWLOG = (
    "- Your current Slow Log configuration only logs events that are slower than your configured latency monitor"
    " threshold. Please use 'CONFIG SET slowlog-log-slower-than {threshold_us}'.\n"
)
INSPECT_SLOWLOG = (
    "- Check your Slow Log to understand what are the commands you are running which are too slow to execute. Please"
    " check https://valkey.io/commands/slowlog for more information.\n"
)
SCHEDULER = (
    "- The system is slow to execute Valkey code paths not containing system calls. This usually means the system does"
    " not provide Valkey CPU time to run for long periods. You should try to:\n"
    "  1) Lower the system load.\n"
    "  2) Use a computer / VM just for Valkey if you are running other software in the same system.\n"
    '  3) Check if you have a "noisy neighbour" problem.\n'
    "  4) Check with 'valkey-cli --intrinsic-latency 100' what is the intrinsic latency in your system.\n"
)
LOCAL_DISK = (
    "- It is strongly advised to use local disks for persistence, especially if you are using AOF. Remote disks"
    " provided by platform-as-a-service providers are known to be slow.\n"
)
DISK_CONTENTION = (
    "- Try to lower the disk contention. This is often caused by other disk intensive processes running in the same"
    " computer (including other Valkey instances).\n"
)
RELAX_FSYNC = (
    "- Your fsync policy is set to 'always'. It is very hard to get good performances with such a setup, if possible"
    " try to relax the fsync policy to 'onesec'.\n"
)
LARGE_OBJECTS = (
    "- Deleting, expiring or evicting (because of maxmemory policy) large objects is a blocking operation. If you have"
    " very large objects that are often deleted, expired, or evicted, try to fragment those objects into multiple"
    " smaller objects.\n"
)

ADVICE = {
    "command": (INSPECT_SLOWLOG, LARGE_OBJECTS),
    "fast-command": (SCHEDULER,),
    "expire-cycle": (LARGE_OBJECTS,),
    "aof-write": (LOCAL_DISK, DISK_CONTENTION),
    "aof-fsync-always": (RELAX_FSYNC, LOCAL_DISK, DISK_CONTENTION),
}


def diagnosis(monitor: LatencyMonitor, now_s: int, threshold_ms: int, slower_than_us: int) -> str:
    """LATENCY DOCTOR: what was seen, and what may help."""
    if not monitor.events:
        return HEALTHY if threshold_ms else DISABLED
    lines = [
        f"{number}. {name}: {len(event.samples)} latency spikes (average {event.average_ms}ms, mean deviation"
        f" {event.deviation_ms}ms, period {event.period_s(now_s):.2f} sec)."
        f" Worst all time event {event.highest_ms}ms.\n"
        for number, (name, event) in enumerate(monitor.events.items(), 1)
    ]
    advice: list[str] = []
    if "command" in monitor.events and slower_than_us < 0:
        advice.append(ENABLE_SLOWLOG)
    elif "command" in monitor.events and slower_than_us // 1000 > threshold_ms:
        advice.append(TUNE_SLOWLOG)
    advice += dict.fromkeys(one for name in monitor.events for one in ADVICE.get(name, ()))
    text = "".join(advice).replace("{threshold_us}", str(threshold_ms * 1000))
    return f"{HEAD}{''.join(lines)}\nHere is some advice for you:\n\n{text}"

"""What is counted of a command: INFO commandstats and latencystats, LATENCY HISTOGRAM."""

from dataclasses import dataclass, field

BUCKETS = 64
"""Durations are counted by their number of bits in ns: bucket b holds those from 2^(b-1) to 2^b - 1 ns."""


ERROR_KINDS_MAX = 128
"""Kinds of error that are counted, Redis's limit: a kind is the first word of a text, which a script could choose."""


@dataclass(slots=True)
class CommandStats:
    """Counts of one command, in one process or summed over several."""

    calls: int = 0
    nanoseconds: int = 0
    rejected_calls: int = 0
    """Refused before it ran: arity, authentication, loading."""
    failed_calls: int = 0
    """Ran, and answered an error."""
    histogram: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def count(self, duration_ns: int) -> None:
        """Counts a call."""
        self.calls += 1
        self.nanoseconds += duration_ns
        self.histogram[duration_ns.bit_length()] += 1

    def reset(self) -> None:
        """Forgets all counts."""
        self.calls = self.nanoseconds = self.rejected_calls = self.failed_calls = 0
        self.histogram = [0] * BUCKETS

    def add(self, other: "CommandStats") -> None:
        """Adds what another process counted."""
        self.calls += other.calls
        self.nanoseconds += other.nanoseconds
        self.rejected_calls += other.rejected_calls
        self.failed_calls += other.failed_calls
        self.histogram = [one + more for one, more in zip(self.histogram, other.histogram, strict=True)]

    def percentile_us(self, percent: float) -> float:
        """The duration that `percent` of the calls did not exceed, in µs, as exactly as the buckets tell; 0 if none."""
        wanted = sum(self.histogram) * percent / 100
        seen = 0
        for bits, count in enumerate(self.histogram):
            seen += count
            if count and seen >= wanted:
                return ((1 << bits) - 1) / 1000
        return 0.0

    def to_wire(self) -> list[object]:
        return [self.calls, self.nanoseconds, self.rejected_calls, self.failed_calls, self.histogram]


def count_kind(errors: dict[str, int], text: str) -> None:
    """Counts an error reply by the first word of its text, while there are not too many kinds."""
    kind = text.partition(" ")[0]
    if kind in errors or len(errors) < ERROR_KINDS_MAX:
        errors[kind] = errors.get(kind, 0) + 1

"""INFO's instantaneous_* figures: counters looked at now and then, and how fast they grew of late.

Told the time, it says when it wants to be told again: ten times a second under traffic, as Redis does, once a second
while nothing grows, not at all while there are no clients. It never takes more than a two-hundredth of the time.
"""

from collections import deque

SAMPLES = 16
"""Looks that count: 1.6 s of traffic, as in Redis."""
PERIOD_S = 0.1
WINDOW_S = 2 * SAMPLES * PERIOD_S
"""Older looks, of an idle time, don't count."""
IDLE_PERIOD_S = 1.0
REST = 200
"""After a look that took t seconds there is none for REST * t: gathering the counts of 10,000 clients takes 5 ms."""
FIGURES = ("instantaneous_ops_per_sec", "input_bytes_per_second", "output_bytes_per_second")


class Sampler:
    """Counters over time. A look is (seconds, counter, counter, counter), the counters in the order of FIGURES."""

    def __init__(self) -> None:
        self.looks: deque[tuple[float, int, int, int]] = deque(maxlen=SAMPLES + 1)
        self.running = False
        """Whether somebody will call `look` again."""

    def look(self, now_s: float, commands: int, input_bytes: int, output_bytes: int) -> None:
        """Takes note of the counters."""
        self.looks.append((now_s, commands, input_bytes, output_bytes))

    def next_look_s(self, clients: int, took_s: float) -> float | None:
        """In how many seconds it wants to look again; None if not before there is a client."""
        self.running = bool(clients) or self.growing
        if not self.running:
            self.looks.clear()
            return None
        return max(PERIOD_S if self.growing else IDLE_PERIOD_S, took_s * REST)

    @property
    def growing(self) -> bool:
        """Whether anything happened between the last two looks."""
        return len(self.looks) > 1 and self.looks[-1][1:] != self.looks[-2][1:]

    def rates(self) -> dict[str, float]:
        """How much each counter grew in a second, by the names of FIGURES."""
        if len(self.looks) < 2:
            return dict.fromkeys(FIGURES, 0.0)
        last = self.looks[-1]
        first = next(look for look in self.looks if last[0] - look[0] <= WINDOW_S or look is self.looks[-2])
        duration_s = max(last[0] - first[0], 1e-9)
        # CONFIG RESETSTAT can take a counter back.
        return {
            name: max(0, after - before) / duration_s
            for name, before, after in zip(FIGURES, first[1:], last[1:], strict=True)
        }

    def forget(self) -> None:
        """Begins anew (CONFIG RESETSTAT)."""
        self.looks.clear()

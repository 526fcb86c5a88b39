"""How far a transfer is: a bar on a terminal, a line now and then where standard error is none.

with progress_on(sys.stderr) as progress:
    progress.begin("importing", total=1 << 20, unit="bytes")
    progress.advance(4096, keys=12)
    progress.say("db 0: a line of its own")
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

LINE_EVERY_S = 5.0
"""Between two lines: a log of an hour stays readable."""


class Progress:
    """Says nothing: for tests, and what the others have in common."""

    def __init__(self) -> None:
        self.what = ""
        self.total = 0
        self.done = 0
        self.keys = 0

    def begin(self, what: str, total: int, unit: str, done: int = 0) -> None:
        """Starts anew, with something else to count."""
        self.what, self.total, self.done, self.keys = what, total, done, 0

    def advance(self, done: int, keys: int) -> None:
        """So much more of the total, and so many keys or commands in it."""
        self.done += done
        self.keys += keys

    def say(self, line: str) -> None:
        """Shows a line that stays."""

    def end(self) -> None:
        """Nothing more comes."""


class Lines(Progress):
    """Plain lines."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._began_s = self._said_s = time.monotonic()

    def begin(self, what: str, total: int, unit: str, done: int = 0) -> None:
        super().begin(what, total, unit, done)
        self._began_s = self._said_s = time.monotonic()

    def advance(self, done: int, keys: int) -> None:
        super().advance(done, keys)
        now_s = time.monotonic()
        if now_s - self._said_s >= LINE_EVERY_S:
            self._said_s = now_s
            share = f"{min(100, 100 * self.done // self.total)} %, " if self.total else ""
            self.say(f"{self.what}: {share}{self.keys:,} keys, {self.keys / (now_s - self._began_s):,.0f}/s")

    def say(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class Bars(Progress):
    """A bar that moves, by rich."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        from rich.console import Console  # 60 ms that nobody needs without a terminal.
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._bars: RichProgress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[keys]:,} keys, {task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._task = None if not self._bars.tasks else self._bars.tasks[0].id
        self._began_s = time.monotonic()
        self._bars.start()

    def begin(self, what: str, total: int, unit: str, done: int = 0) -> None:
        super().begin(what, total, unit, done)
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._began_s = time.monotonic()
        self._task = self._bars.add_task(what, total=total or None, completed=done, keys=0, rate=0.0)

    def advance(self, done: int, keys: int) -> None:
        super().advance(done, keys)
        if self._task is not None:
            rate = self.keys / max(time.monotonic() - self._began_s, 0.001)
            self._bars.update(self._task, completed=self.done, keys=self.keys, rate=rate)

    def say(self, line: str) -> None:
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        self._bars.stop()


@contextmanager
def progress_on(stream: TextIO = sys.stderr) -> Iterator[Progress]:
    """Bars on a terminal, else lines."""
    progress = Bars(stream) if stream.isatty() else Lines(stream)
    try:
        yield progress
    finally:
        progress.end()

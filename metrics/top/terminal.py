"""The terminal of `shardis top`: keys as they are pressed, the size as it changes, and everything as it was at the end.

Rule: what waits, waits in one place, for a key, a signal or the time, whichever comes first.
"""

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from types import FrameType, TracebackType
from typing import Any, Self

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
KEY_BYTES = 64


class Terminal:
    """Standard input without echo, read key by key."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.stopped = False
        """Whether a signal has ended it."""
        self._before: list[Any] = []
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self.fd)
        tty.setcbreak(self.fd)
        # A signal that comes just before select() does not interrupt it: the byte in this pipe does.
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._wake, False)
        self._before_wakeup = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (*STOPS, signal.SIGWINCH):
            self._handlers[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._before_wakeup)
        os.close(self._wake)
        os.close(self._waker)
        with contextlib.suppress(termios.error):  # The terminal may be gone.
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self._before)

    def wait(self, until_s: float) -> str:
        """Waits for keys, a signal, or time.monotonic() to be `until_s`; the keys."""
        ready, _, _ = select.select([self.fd, self._wake], [], [], max(0.0, until_s - time.monotonic()))
        if self._wake in ready:
            os.read(self._wake, KEY_BYTES)
        if self.fd not in ready:
            return ""
        try:
            data = os.read(self.fd, KEY_BYTES)
        except OSError:
            data = b""
        self.stopped = self.stopped or not data  # The terminal is gone.
        return data.decode("utf-8", "ignore")

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGWINCH:  # Of that the byte in the pipe is enough: the screen is drawn anew.
            self.stopped = True


def is_one() -> bool:
    """Whether somebody sits there."""
    return sys.stdin.isatty() and sys.stdout.isatty()

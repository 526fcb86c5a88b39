"""Strings of many megabytes that nobody needs any more, given back to the system a piece at a time.

To free 512 MB at once takes the kernel 40 to 60 ms, in which the process does nothing else: it looks at each of 131,072
pages. Here the pages go first, some in each turn, and then the string, which has none by then.

A large string is in many hands on its way: a request, a frame, the freight, a transport, a snapshot. So who knows that
one has come, or is given up, adds it here, and it is looked at now and then: once nobody else has it, it goes.

Rule: a string is touched only when nothing but what holds it leads to it: what was in it is gone then.
"""

import ctypes
import mmap
import sys
from collections.abc import Callable
from typing import Any

LARGE_BYTES = 1 << 22
"""What is smaller is freed at once, in some 0.3 ms."""
PIECE_BYTES = 1 << 18
"""What is given back at a time: some 20 µs."""
PIECES_MAX = 32
"""In a turn: some 0.6 ms."""
PAUSE_S = 0.001
"""Between two such turns."""
LOOK_S = 0.02
"""How often is looked who has them, while there are some."""
BYTES_HEAD_SIZE = bytes.__basicsize__ - 1
"""Where in a bytes object of CPython its content begins."""
_lonely: list[Any] = [bytearray(1)]
ALONE = sys.getrefcount(_lonely[0])
"""What it says of what stands in a list and nowhere else: 2, or what another Python makes of the same question."""

_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def is_large(value: object) -> bool:
    """Whether it is a string that is not to be freed at once."""
    return (type(value) is bytes or type(value) is bytearray) and len(value) >= LARGE_BYTES


def is_alone(holder: list[Any], place: int) -> bool:
    """Whether nothing else leads to what a list has at this place."""
    return sys.getrefcount(holder[place]) == ALONE


class Leftover:
    """One such string: it is not to be looked at any more."""

    __slots__ = ("_text", "_at", "_end")

    def __init__(self, text: bytes | bytearray) -> None:
        self._text = text
        if type(text) is bytes:
            address = id(text) + BYTES_HEAD_SIZE
        else:
            address = ctypes.addressof(ctypes.c_char.from_buffer(text))
        # Whole pages only: the string shares the first and the last with others.
        self._at = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        self._end = (address + len(text)) // mmap.PAGESIZE * mmap.PAGESIZE

    def free_some(self) -> bool:
        """Gives the next piece back; whether there is more."""
        size_bytes = min(PIECE_BYTES, self._end - self._at)
        if size_bytes <= 0 or _madvise(self._at, size_bytes, mmap.MADV_DONTNEED) != 0:
            return False  # What the kernel refuses goes with the string.
        self._at += size_bytes
        return self._at < self._end


class Leftovers:
    """All that one process looks after."""

    def __init__(self, call_later: Callable[..., object]) -> None:
        self._call_later = call_later
        self._held: list[Any] = []
        self._free: list[Leftover] = []
        self._waiting = False
        """Whether `_look` comes."""

    @property
    def busy(self) -> bool:
        """Whether something is on its way back to the system."""
        return bool(self._free)

    def add(self, text: bytes | bytearray) -> None:
        """Takes note of a string, if it is large."""
        if len(text) >= LARGE_BYTES:
            self._held.append(text)
            self._wait(LOOK_S)

    def _wait(self, pause_s: float) -> None:
        if not self._waiting:
            self._waiting = True
            self._call_later(pause_s, self._look)

    def _look(self) -> None:
        self._waiting = False
        for place in reversed(range(len(self._held))):
            if is_alone(self._held, place):
                self._free.append(Leftover(self._held.pop(place)))
        for _ in range(PIECES_MAX):
            if self._free and not self._free[-1].free_some():
                self._free.pop()
        if self._free:
            self._wait(PAUSE_S)
        elif self._held:
            self._wait(LOOK_S)

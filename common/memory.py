"""What this process takes of memory: what the system gave it, and how much of that is in use.

The resident set hardly falls when something is freed, so it can't tell whether there is room: what tells is what the
allocators have given out and not got back. Python has two of them: its own for objects of up to 512 bytes, in arenas,
and the C library's for all else and for larger ones.

Rule: a look (`look_bytes`) takes as long as there are arenas and pieces of free memory, about 1.2 ms for a GB of small
      objects, and 5 ms for 100,000 pieces of free memory. So `look_at_ns` says when to look again.
"""

import ctypes
import logging
import resource
import time

from common import collector

logger = logging.getLogger("shardis")

SHARE = 0.02
"""Of a process's time that looks may take."""
PAUSE_NS_MIN = 2_000_000
WORKED_BYTES_MAX = 2 << 20
"""What a process takes more once it has worked, and is no data: tables and buffers that are made when they are first
needed. Not more than that, for something large may be on its way just then."""
GIVEN_BACK_BYTES_MIN = 8 << 20
GIVEN_BACK_PART = 8
"""What is free is given back if it is so much, and this part of the resident set."""
MARK = b"# bytes in allocated blocks"
"""The line in which CPython's report has what is in use of its arenas."""


class MallInfo2(ctypes.Structure):
    """What mallinfo(3) tells of all arenas of the C library."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")),
    ]


class Allocators:
    """The two allocators of this process.  Making one raises AttributeError where one of them can't be asked."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._mallinfo = library.mallinfo2
        self._mallinfo.restype = MallInfo2
        self._trim = library.malloc_trim
        self._trim.argtypes = [ctypes.c_size_t]
        self._open = library.open_memstream
        self._open.restype = ctypes.c_void_p
        self._open.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._close = library.fclose
        self._free = library.free
        self._close.argtypes = self._free.argtypes = [ctypes.c_void_p]
        # Of pythonapi, so that no other thread runs Python meanwhile: it walks what they would change.
        self._report = ctypes.pythonapi._PyObject_DebugMallocStats
        self._report.argtypes = [ctypes.c_void_p]

    def allocated_bytes(self) -> int:
        """What was given out by both and not got back."""
        found = self._mallinfo()
        return int(found.uordblks + found.hblkhd) + self._objects_bytes()

    def trim(self) -> None:
        """Gives the system back what the C library keeps for later; Python's arenas go by themselves."""
        self._trim(0)

    def _objects_bytes(self) -> int:
        text, size = ctypes.c_void_p(), ctypes.c_size_t()
        stream = self._open(ctypes.byref(text), ctypes.byref(size))
        if not stream:
            raise MemoryError
        try:
            self._report(stream)
        finally:
            self._close(stream)
        try:
            report = ctypes.string_at(text.value or 0, size.value)
        finally:
            self._free(text)
        _, found, rest = report.partition(MARK)
        # With PYTHONMALLOC=malloc there is no such line, and nothing in arenas.
        return int(rest.partition(b"\n")[0].strip(b" =").replace(b",", b"")) if found else 0


class Gauge:
    """What this process takes, and what it took when this was made: that is no data."""

    def __init__(self) -> None:
        self._allocators: Allocators | None = None
        try:
            self._allocators = Allocators()
        except AttributeError:
            logger.warning("the allocators can't be asked what is in use: what was freed counts until it is given back")
        self.look_at_ns = 0
        """When the next look may be, by `time.perf_counter_ns`."""
        self._grown_bytes = 0
        self._worked_bytes = 0
        self._kept_bytes = 0
        """What was free and could not be given back: pages that something in use shares."""
        self.begin()

    def begin(self) -> None:
        """Counts from here: what is taken by now is the program."""
        self.start_rss_bytes = self.rss_bytes()
        self._start_allocated_bytes = 0 if self._allocators is None else self._allocators.allocated_bytes()
        self._worked_bytes = self._grown_bytes = 0

    def note_empty(self) -> None:
        """Says that at the last look there was no data: what was in use then is the program, too."""
        self._worked_bytes = min(WORKED_BYTES_MAX, self._worked_bytes + self._grown_bytes)
        self._grown_bytes = 0

    @staticmethod
    def rss_bytes() -> int:
        """The resident set."""
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def grown_bytes(self) -> int:
        """By how much the resident set has grown: more than that is hardly in use."""
        return max(0, self.rss_bytes() - self.start_rss_bytes)

    def look_bytes(self) -> int:
        """How much more is in use than at the beginning."""
        # The time of this thread: on a busy machine others' would count too, and there would be hardly any looks.
        started_ns = time.thread_time_ns()
        if self._allocators is None:
            grown_bytes = self.grown_bytes()
        else:
            grown_bytes = self._allocators.allocated_bytes() - self._start_allocated_bytes
        grown_bytes = max(0, grown_bytes - self._worked_bytes)
        took_ns = time.thread_time_ns() - started_ns
        self.look_at_ns = time.perf_counter_ns() + max(PAUSE_NS_MIN, int(took_ns / SHARE))
        self._grown_bytes = grown_bytes
        return grown_bytes

    def recent_bytes(self) -> int:
        """The same, or what the last look said if that was just now."""
        return self.look_bytes() if time.perf_counter_ns() >= self.look_at_ns else self._grown_bytes

    def purge(self) -> None:
        """Gives back what is free. Takes about 0.1 s for each GB that is."""
        collector.release()
        if self._allocators is not None:
            self._allocators.trim()

    def may_give_back(self) -> bool:
        """Whether so much may be free that it is worth a look. Takes 10 us."""
        return self.grown_bytes() >= GIVEN_BACK_BYTES_MIN + self._kept_bytes

    def give_back(self) -> bool:
        """Looks, and gives back what is free if that is much, as after FLUSHALL; whether it did."""
        self.look_bytes()
        rss_bytes, free_bytes = self._free_bytes()
        self._kept_bytes = min(self._kept_bytes, free_bytes)
        if free_bytes - self._kept_bytes < max(GIVEN_BACK_BYTES_MIN, rss_bytes // GIVEN_BACK_PART):
            return False
        self.purge()
        self._kept_bytes = self._free_bytes()[1]
        return True

    def _free_bytes(self) -> tuple[int, int]:
        """The resident set, and what of it was not in use at the last look."""
        rss_bytes = self.rss_bytes()
        return rss_bytes, max(0, rss_bytes - self.start_rss_bytes - self._worked_bytes - self._grown_bytes)

    def info(self) -> dict[str, int]:
        """What INFO and MEMORY say of this process: `used_bytes` is all that is in use, the program itself included."""
        rss_bytes, recent_bytes = self.rss_bytes(), self.recent_bytes()
        start_bytes = self.start_rss_bytes + self._worked_bytes
        return {
            "rss_bytes": rss_bytes,
            "rss_peak_bytes": max(rss_bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024),
            "rss_start_bytes": start_bytes,
            "used_bytes": start_bytes + recent_bytes,
        }

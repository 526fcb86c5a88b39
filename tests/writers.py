"""Writers: threads that write in pipelines, and know afterwards what every key must be.

Each has keys of its own, so each key has one history: what was answered happened, what was refused did not, and of what
was cut off in between either may be. `faults` compares what a server has with these histories.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from tests.resp_client import Client, Error, Status
from tests.servers import Server

KEYS = 40
"""Of each kind and writer: few, so that each is written to many times."""
PIPELINE_MAX = 60
WAIT_TIMEOUT_S = 60.0
NOT_DONE = (b"SHARDDOWN", b"LOADING", b"MISCONF")
UNKNOWN = b"the outcome of this command is unknown"
IN_PART = b"other shards have done their part of this command"


class History:
    """One key: what it must be."""

    __slots__ = ("done", "possible")

    def __init__(self) -> None:
        self.done = 0
        """What it is at least: the number of writes that were answered, for a counter; else the last number set."""
        self.possible = {0}
        """The numbers it may have, if it is one that is set; of a counter, the most it may be."""


class Counter(History):
    """A key that INCR, or APPEND of one byte, makes one more."""

    def sent(self, number: int) -> None:
        self.possible = {max(self.possible) + 1}

    def answered(self, number: int) -> None:
        self.done += 1

    def refused(self, number: int) -> None:
        self.possible = {max(self.possible) - 1}

    def allows(self, number: int) -> bool:
        return self.done <= number <= max(self.possible)


class Register(History):
    """A key that is set to ever higher numbers."""

    def sent(self, number: int) -> None:
        self.possible.add(number)

    def answered(self, number: int) -> None:
        self.done = number
        self.possible = {other for other in self.possible if other >= number}

    def refused(self, number: int) -> None:
        self.possible.discard(number)

    def allows(self, number: int) -> bool:
        return number in self.possible


Write = tuple[list[bytes], list[tuple[bytes, int]]]
"""A command, and the numbers that it gives to keys."""


class Writer(threading.Thread):
    """One client that writes until it is told to stop; it connects again whenever it is cut off."""

    def __init__(self, server: Server, name: str, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.server = server
        self.random = Random(seed)
        self.histories: dict[bytes, Counter | Register] = {}
        for number in range(KEYS):
            for kind, history in ((b"incr", Counter), (b"append", Counter), (b"set", Register)):
                self.histories[b"%s:%b:%d" % (name.encode(), kind, number)] = history()
        self.number = 0
        self.answered = 0
        """Writes answered so far, for whoever waits for progress."""
        self.refused: dict[bytes, int] = {}
        """Refusals, by their first word."""
        self.surprises: list[str] = []
        """Answers that no writer should get."""
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                with Client(self.server.address) as client:
                    while not self.stopping.is_set():
                        self._pipeline(client)
            except OSError:
                self.stopping.wait(0.01)

    def _pipeline(self, client: Client) -> None:
        writes = [self._write() for _ in range(self.random.randrange(1, PIPELINE_MAX))]
        for _, numbers in writes:
            for key, number in numbers:
                self.histories[key].sent(number)
        client.send_bytes(b"".join(encoded(argv) for argv, _ in writes))
        for argv, numbers in writes:
            self._take(argv, numbers, client.read().value)

    def _write(self) -> Write:
        self.number += 1
        kind = self.random.randrange(4)
        key = self._key((b"incr", b"append", b"set", b"set")[kind])
        if kind == 0:
            return [b"INCR", key], [(key, 1)]
        if kind == 1:
            return [b"APPEND", key, b"."], [(key, 1)]
        if kind == 2:
            return [b"SET", key, b"%d" % self.number], [(key, self.number)]
        keys = sorted({self._key(b"set") for _ in range(5)})
        words = [word for key in keys for word in (key, b"%d" % self.number)]
        return [b"MSET", *words], [(key, self.number) for key in keys]

    def _key(self, kind: bytes) -> bytes:
        return b"%b:%b:%d" % (self.name.encode(), kind, self.random.randrange(KEYS))

    def _take(self, argv: list[bytes], numbers: list[tuple[bytes, int]], reply: Any) -> None:
        if type(reply) is Error:
            word = reply.split(b" ")[0]
            self.refused[word] = self.refused.get(word, 0) + 1
            if not reply.startswith(NOT_DONE):
                self.surprises.append(f"{argv!r}: {reply!r}")
            elif not reply.endswith((UNKNOWN, IN_PART)) and word != b"MISCONF":
                for key, number in numbers:
                    self.histories[key].refused(number)
            return
        if reply != Status(b"OK") and type(reply) is not int:
            self.surprises.append(f"{argv!r}: {reply!r}")
        self.answered += 1
        for key, number in numbers:
            self.histories[key].answered(number)


@contextmanager
def writing(server: Server, seed: int, count: int = 4) -> Iterator[list[Writer]]:
    """Writers that write while the block runs, and have stopped behind it."""
    writers = [Writer(server, f"writer{number}", seed * 1000 + number) for number in range(count)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.stopping.set()
        for writer in writers:
            writer.join(WAIT_TIMEOUT_S)
            assert not writer.is_alive(), "a writer hangs"


def wait_for_progress(writers: list[Writer], more: int) -> None:
    """Returns when each writer was answered that many more times."""
    wanted = [(writer, writer.answered + more) for writer in writers]
    deadline_s = time.monotonic() + WAIT_TIMEOUT_S
    while any(writer.answered < goal for writer, goal in wanted):
        assert time.monotonic() < deadline_s, f"no progress: {[writer.answered for writer in writers]}"
        time.sleep(0.002)


def faults(server: Server, writers: list[Writer]) -> list[str]:
    """Every key that is not what it must be, and every answer that should not have been."""
    found = [surprise for writer in writers for surprise in writer.surprises]
    with server.connect() as client:
        for writer in writers:
            keys = list(writer.histories)
            client.send_bytes(b"".join(encoded([b"GET", key]) for key in keys))
            for key, history in writer.histories.items():
                value = client.read().value
                number = len(value or b"") if b":append:" in key else int(value or 0)
                if not history.allows(number):
                    found.append(f"{key!r} is {number}, not within {history.done} and {sorted(history.possible)}")
    return found


def encoded(argv: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in argv)

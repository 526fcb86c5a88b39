"""Memory for clients: when all of them together take more than `maxmemory-clients`, the largest are closed.

Counted are a client's unfinished and waiting requests, its transaction, and what it was sent and has not read (tot-mem
in CLIENT LIST). CLIENT NO-EVICT ON keeps a client from being closed; what it takes counts all the same.

Rule 1: without the directive this costs nothing: no timer, no look at anybody.
Rule 2: clients are looked at from time to time and not at each command, so that a command costs what it always does.
        They may be over the limit by what comes between two looks. A client alone that is over it with what it does
        not read is closed at the write.
Rule 3: a look takes as long as there are clients. The time between two is so much longer that it takes SHARE at most.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router.server import Router
    from router.session import Session

logger = logging.getLogger("shardis")

LOOK_S = 0.05
SHARE = 0.02
"""Of the loop's time that looks may take: 10,000 clients are counted in about 20 ms, so once a second."""
LIMIT_BYTES_MIN = 128 * 1024
"""The least limit that holds, as in Valkey: below it hardly any client could stay."""


class Eviction:
    """The limit, and the timer that looks whether it is kept."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.limit_bytes = 0
        """0: none."""
        self.looking = False
        """Whether a timer is set."""

    def configure(self, values: dict[str, Any]) -> None:
        """Takes over the directives."""
        self.limit_bytes = limit_bytes(values["maxmemory-clients"], values["maxmemory"])
        if self.limit_bytes and not self.looking:
            self.looking = True
            self.router.loop.call_soon(self._look)

    def is_too_large(self, size_bytes: int) -> bool:
        """Whether one client's bytes alone are more than all may take."""
        return 0 < self.limit_bytes < size_bytes

    def _look(self) -> None:
        self.looking = bool(self.limit_bytes)
        if self.looking:
            loop = self.router.loop
            started_s = loop.time()
            self.evict()
            loop.call_later(max(LOOK_S, (loop.time() - started_s) / SHARE), self._look)

    def evict(self) -> None:
        """Closes the largest clients until all others take no more than the limit. O(clients)."""
        size_bytes = import_module("router.commands.client_fields").size_bytes  # The commands import this file.
        sizes = [(size_bytes(session), session) for session in self.router.sessions.values()]
        total = sum(size for size, _ in sizes)
        if total <= self.limit_bytes:
            return
        for size, session in sorted(sizes, key=lambda pair: -pair[0]):
            if total <= self.limit_bytes:
                break
            if not session.no_evict:
                total -= size
                self.close(session)

    def close(self, session: "Session") -> None:
        """Closes a client for what it takes."""
        logger.info("Evicting client: %s", self.router.output.described(session))
        self.router.stats.evicted_clients += 1
        session.drop()


def limit_bytes(clients: int, maxmemory: int) -> int:
    """The limit that `maxmemory-clients` gives; a negative number is percents of `maxmemory`, and 0 is no limit."""
    if clients < 0:
        clients = maxmemory * -clients // 100
    return max(clients, LIMIT_BYTES_MIN) if clients else 0

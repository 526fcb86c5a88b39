"""The door for `shardis: metrics`: a Unix socket in the run directory where one may ask how all stands.

A question is any msgpack value, the answer is one map: see `report`. Nobody in there is a client: he needs no password,
because the socket is for this user only, in a folder for this user only, and the kernel says who he is. He is in no
connected_clients, MONITOR or commandstats.

Rule 1: nothing is looked at unless somebody asks, and all who ask while an answer is on its way get that one.
Rule 2: an answer takes ANSWER_S at most, whatever a shard does. One that is busy with a long command has its last
        figures in it, marked as old: a sum without them would look as if the counters had begun anew. It is not asked
        again before it has answered, so that nothing piles up.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgpack

from common.command_stats import CommandStats
from common.errors import RedisError
from common.frame import packer
from common.peer import stranger
from router.link import Link, LinkState
from router.listening import unix_socket

if TYPE_CHECKING:
    from router.info_sections import Facts
    from router.server import Router

logger = logging.getLogger("shardis")

SOCKET = "metrics.sock"
BACKLOG = 16
VISITORS_MAX = 8
"""Who may be inside at once. There is one metrics process; while it is started again there may be two."""
QUESTION_BYTES_MAX = 256
ANSWER_S = 0.5
"""How long an answer waits for shards."""
SLOW_SHOWN = 16
"""Entries of the slow log that are told, the newest."""
SECTIONS = ("server", "clients", "memory", "persistence", "stats", "replication", "cpu", "cluster", "keyspace")
"""Of INFO, those whose figures are told as they are."""
WALKS = ("clients", "memory")
"""Those that look at each client, 12 ms for 10,000 of them."""
REST = 100
"""After such a walk that took t seconds its figures are told again for REST * t, at once for some hundred clients."""


@asynccontextmanager
async def listen(router: "Router") -> AsyncIterator[None]:
    """Keeps the door open, if the configuration wants metrics.  Raises OSError."""
    if not router.config["metrics-port"]:
        yield
        return
    office = Office(router)
    sock = unix_socket(f"{router.config['rundir']}/{SOCKET}", 0o600, "", BACKLOG)
    server = await router.loop.create_unix_server(partial(Visitor, office), sock=sock, backlog=BACKLOG)
    try:
        yield
    finally:
        server.close()
        for visitor in list(office.visitors):
            visitor.drop()


class Visitor(asyncio.Protocol):
    """One who asks."""

    def __init__(self, office: "Office") -> None:
        self.office = office
        self.transport: asyncio.Transport | None = None
        self.questions = msgpack.Unpacker(max_buffer_size=QUESTION_BYTES_MAX)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        who = stranger(transport)
        if who:
            logger.warning("%s asks for metrics at the inner door: turned away", who)
        if who or len(self.office.visitors) >= VISITORS_MAX:
            self.transport.abort()
            return
        self.office.visitors.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self.questions.feed(data)
            asked = sum(1 for _ in self.questions)
        except (msgpack.UnpackException, ValueError):
            self.drop()
            return
        if asked:
            self.office.ask(self)

    def pause_writing(self) -> None:
        """Who asks and does not read gets no more answers."""
        self.drop()

    def connection_lost(self, error: Exception | None) -> None:
        self.office.leave(self)

    def drop(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        self.office.leave(self)


class Office:
    """What is known of the shards, and who wants to know."""

    def __init__(self, router: "Router") -> None:
        self.router = router
        self.visitors: set[Visitor] = set()
        self.waiting: list[Visitor] = []
        """Who gets the answer that is on its way."""
        self.owing: set[int] = set()
        """The shards that were asked and have not answered."""
        self.last: dict[int, dict[str, Any]] = {}
        """What each said last."""
        self.fresh: set[int] = set()
        """Who has answered since the question."""
        self.timer: asyncio.TimerHandle | None = None
        self.walked: dict[str, dict[str, Any]] = {}
        self.rests_until_s = 0.0
        self.pack = packer().pack

    def ask(self, visitor: Visitor) -> None:
        """Sends him the next answer."""
        if visitor not in self.waiting:
            self.waiting.append(visitor)
        if self.timer is not None:
            return
        self.fresh.clear()
        self.timer = self.router.loop.call_later(ANSWER_S, self._answer)
        for link in self.router.links:
            if link.state is LinkState.DOWN:
                self.last.pop(link.index, None)
            elif link.index not in self.owing:
                self.owing.add(link.index)
                link.tell(["info"], partial(self._hear, link.index))
        self._answer_if_all_have()

    def leave(self, visitor: Visitor) -> None:
        self.visitors.discard(visitor)
        if visitor in self.waiting:
            self.waiting.remove(visitor)

    def _hear(self, index: int, said: dict[str, Any] | RedisError) -> None:
        self.owing.discard(index)
        if isinstance(said, RedisError):  # It went down.
            self.last.pop(index, None)
        else:
            self.last[index] = said
            self.fresh.add(index)
        self._answer_if_all_have()

    def _answer_if_all_have(self) -> None:
        if self.timer is not None and not self.owing:
            self._answer()

    def _answer(self) -> None:
        assert self.timer is not None
        self.timer.cancel()
        self.timer = None
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        answer = self.pack(report(self.router, self.last, self.fresh, self.sections))
        for visitor in waiting:
            if visitor.transport is not None:
                visitor.transport.write(answer)

    def sections(self, facts: "Facts") -> dict[str, dict[str, Any]]:
        """Those of INFO; the figures of a walk over all clients may be of some seconds ago, but for their number."""
        from router.info_sections import SECTIONS as ALL  # Not at the head: the commands import it, the server them.

        clock = self.router.loop.time
        if clock() >= self.rests_until_s:
            began_s = clock()
            self.walked = {name: ALL[name][1](facts) for name in WALKS}
            self.rests_until_s = clock() + (clock() - began_s) * REST
        self.walked["clients"]["connected_clients"] = len(self.router.sessions)
        return {name: self.walked[name] if name in WALKS else ALL[name][1](facts) for name in SECTIONS}


# What is told


def report(
    router: "Router",
    answers: dict[int, dict[str, Any]],
    fresh: set[int],
    sections: Callable[["Facts"], dict[str, dict[str, Any]]],
) -> dict[str, Any]:
    """All of it. `answers` are those of the shards' `info`; the figures of a shard that is not `fresh` are old."""
    from router import info_sections  # As above.
    from router.info import command_counts

    facts = info_sections.Facts(router, answers, command_counts(router, answers.values()))
    logs = router.logs.slow
    config = router.config
    return {
        "now_ms": router.now_ms(),
        "sections": sections(facts),
        "commands": {name: counted.to_wire() for name, counted in facts.commands.items()},
        "percentiles": list(config["latency-tracking-info-percentiles"]) if config["latency-tracking"] else [],
        "errors": info_sections.errors(facts),
        "shards": [_shard(link, answers.get(link.index), link.index in fresh) for link in router.links],
        "slow_length": len(logs.entries),
        "slow": [
            [entry.id, entry.at_s, entry.amount, _command_name(router, entry.argv)]
            for entry, _ in zip(logs.entries, range(SLOW_SHOWN), strict=False)
        ],
        "latency_events": {
            name: [*event.samples[-1], event.highest_ms] for name, event in router.latency.events.items()
        },
        "router": router.process_info(),
    }


def _command_name(router: "Router", argv: list[bytes]) -> str:
    """Only the name of the command: keys and values are nobody's business here."""
    command = router.table.resolve(argv)
    return command.name if command is not None else "?"


def _shard(link: Link, answer: dict[str, Any] | None, fresh: bool) -> dict[str, Any]:
    """What is told of one shard; only its state, if it has not answered yet."""
    told: dict[str, Any] = {
        "index": link.index,
        "state": link.state.value,
        "fresh": fresh,
        "pid": link.hello.get("pid", 0),
    }
    if answer is None:
        return told
    process, aof, stats = answer["process"], answer["aof"], answer["stats"]
    counts = [CommandStats(*counted) for counted in answer["commands"].values()]
    histogram = [sum(column) for column in zip(*(counted.histogram for counted in counts), strict=True)]
    return told | {
        "pid": process["pid"],
        "uptime_s": process["uptime_s"],
        "memory_bytes": process["rss_bytes"],
        "cpu_user_s": process["cpu_user_s"],
        "cpu_system_s": process["cpu_system_s"],
        "keys": sum(db["keys"] for db in answer["dbs"].values()),
        "expires": sum(db["expires"] for db in answer["dbs"].values()),
        "commands": sum(histogram),
        "histogram": histogram,
        "nanoseconds": sum(counted.nanoseconds for counted in counts),
        "loading": answer["loading"],
        "loaded_bytes": answer["loaded_bytes"],
        "total_bytes": answer["total_bytes"],
        "refusing": answer["refusing"],
        "internal_errors": answer["internal_errors"],
        "hits": stats["keyspace_hits"],
        "misses": stats["keyspace_misses"],
        "expired": stats["expired_keys"],
        "evicted": stats.get("evicted_keys", 0),
        "log_bytes": aof["aof_current_size"],
        "log_base_bytes": aof["aof_base_size"],
        "log_buffer_bytes": aof["aof_buffer_length"],
        "log_ok": aof["aof_last_write_status"] == "ok" and aof["aof_last_bgrewrite_status"] == "ok",
        "rewriting": aof["aof_rewrite_in_progress"],
        "rewrites": aof["aof_rewrites"],
        "delayed_fsyncs": aof["aof_delayed_fsync"],
    }

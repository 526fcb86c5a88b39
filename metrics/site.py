"""What is to be found where: /metrics for Prometheus, / for people, and the samples that the page draws."""

import asyncio
import json
import logging
import math
import time
from importlib.resources import files
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from metrics.collector import Snapshot, with_types
from metrics.door import Door
from metrics.facts import Facts
from metrics.history import History
from metrics.http import Request, Response

logger = logging.getLogger("shardis")

WATCHED_S = 5.0
"""A page that has not asked for so long is closed."""
LOOK_S = 1.0
IDLE_LOOK_S = 10.0
"""How often the router is asked while nobody looks, so that a page finds ten minutes when it is opened."""
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
}


class Site:
    """Answers requests, and looks at the server now and then."""

    def __init__(self, door: Door, shards: int) -> None:
        self.door = door
        self.shards = shards
        self.history = History(shards)
        self.files = {
            path: (files("metrics").joinpath("page", name).read_bytes(), kind) for path, (name, kind) in FILES.items()
        }
        self.written: dict[str, tuple[Facts | None, bytes]] = {}
        """By format, the facts that were written last, and how: who asks again and again costs no more."""
        self.watched_s = float("-inf")
        """When a page last asked."""
        self.wanted = asyncio.Event()

    async def answer(self, request: Request) -> Response:
        """What is there, or 404."""
        if request.path == "/metrics":
            return await self._metrics(request)
        if request.path == "/samples.json":
            return await self._samples(request)
        if request.path in self.files:
            body, kind = self.files[request.path]
            return Response(200, body, kind)
        return Response(404, b"see / and /metrics\n")

    async def look(self) -> None:
        """Looks once, if the last look is old enough."""
        facts = await self.door.facts()
        self.history.look(facts, facts.now_s if facts is not None else time.time())

    async def run(self) -> None:
        """Looks for as long as the process runs: each second while a page is open."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self.look()
            except Exception:  # A bug of ours, which must not be the end of the history.
                logger.exception("internal error behind a look at the server")
            watched = loop.time() - self.watched_s < WATCHED_S or self.history.latest is None
            self.wanted.clear()
            try:
                async with asyncio.timeout(LOOK_S if watched else IDLE_LOOK_S):
                    await self.wanted.wait()
            except TimeoutError:
                continue

    async def _metrics(self, request: Request) -> Response:
        facts = await self.door.facts()
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        known, body = self.written.get(kind, (None, b""))
        if facts is None or known is not facts:
            registry = CollectorRegistry()
            openmetrics = kind.startswith("application/openmetrics")
            registry.register(Snapshot(facts, self.shards, openmetrics=openmetrics))
            body = encode(registry) if openmetrics else with_types(encode(registry))
            self.written[kind] = facts, body
        return Response(200, body, kind)

    async def _samples(self, request: Request) -> Response:
        try:
            after_s = float(request.query.get("after", "0"))
        except ValueError:
            after_s = math.nan
        if not math.isfinite(after_s):
            return Response(400, b"after is a time\n")
        loop = asyncio.get_running_loop()
        if loop.time() - self.watched_s >= WATCHED_S:
            self.wanted.set()  # The first page after a while: from here on it is looked at each second.
        self.watched_s = loop.time()
        await self.look()
        body = {"samples": self.history.since(after_s), "events": list(self.history.events), **self._status()}
        return Response(200, json.dumps(body, separators=(",", ":")).encode(), "application/json")

    def _status(self) -> dict[str, Any]:
        """How it is at this moment, beside the charts."""
        facts = self.history.latest
        if facts is None:
            return {"up": False, "fault": self.door.fault, "now": time.time()}
        return {
            "up": True,
            "now": facts.now_s,
            "version": facts.text("server", "valkey_version"),
            "speed": facts.text("server", "shardis_speed"),
            "port": facts.text("server", "tcp_port"),
            "uptime": facts.number("server", "uptime_in_seconds"),
            "maxmemory": facts.number("memory", "maxmemory"),
            "counted": facts.counted_bytes,
            "system_memory": facts.number("memory", "total_system_memory"),
            "maxclients": facts.number("clients", "maxclients"),
            "log_enabled": bool(facts.number("persistence", "aof_enabled")),
            "saving": bool(facts.number("persistence", "rdb_bgsave_in_progress")),
            "last_save": facts.number("persistence", "rdb_last_save_time"),
            "shards": [{key: value for key, value in shard.items() if key != "histogram"} for shard in facts.shards],
            "slow": facts.slow,
            "slow_length": facts.slow_length,
            "commands": self.history.commands,
        }

"""The router's process: its listener, its loop and its clock around sessions and links.

`Router` is what all sessions share: the links and the owner of each slot, the table learned from the shards, the
clients, the configuration, the pause, and the counters of INFO.
"""

import asyncio
import logging
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

from common.command import Command, Flag, Plan, Table
from common.config import Config
from common.errors import RedisError
from common.log import follow, note
from common.slot import Owners
from common.systemd import systemd
from router import budget, config_reload, monitor, rewrites, saving, shutdown, tracking
from router.acl import Users
from router.admission import refusal
from router.batch import Route, Run
from router.blocking import GONE, AskToWait
from router.commands.table import TABLE
from router.departures import Departures
from router.eviction import Eviction
from router.holding import Holding
from router.keyspace_events import notify
from router.latency import LatencyMonitor
from router.link import Link, LinkState
from router.listeners import Listeners
from router.log_sync import LogSync, synced
from router.long_execution import LongExecution
from router.newcomers import Newcomers
from router.output import Output
from router.pause import Pause
from router.pubsub import PubSub
from router.records import Records
from router.recovery import Recovery
from router.renames import BadRename, Renames
from router.rewrites import Rewrites
from router.sampler import Sampler
from router.service import FAILED, Service
from router.session import Session
from router.slowlog import NEVER, Call, CommandLogs, Part, is_logged
from router.stats import Stats
from router.timeout import Timeout
from router.transaction import shed
from router.watching import Watching

logger = logging.getLogger("shardis")

FIRST_HELLO_S = 2.0
"""How long clients wait for a shard that is not there at the start, before they are told that it is down."""
DRAIN_S = 1.0
"""How long a stop waits for the answers of what is under way."""


def _touched(router: "Router", link: Link, number: int) -> None:
    """A key that a client watches was changed."""
    if watching := router.watched.get(number):
        watching.touched = True


EVENTS: dict[str, Callable[..., None]] = {
    **{"touched": _touched, "synced": synced, "notify": notify},
    **tracking.EVENTS,
    **rewrites.EVENTS,
    **saving.EVENTS,
    **budget.EVENTS,
}
"""Who hears of what shards tell behind their replies, by the kind: called with the router, the link, and the rest."""


class Router:
    """What the sessions of one server share."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.loop = asyncio.get_running_loop()
        self.clock_ns = time.perf_counter_ns
        self.random_bytes = os.urandom
        self.shards: int = config["shards"]
        self.owners = Owners(self.shards, config["hash-tags"])
        self.shard_of = self.owners.of
        paths = [f"{config['rundir']}/shard-{index}.sock" for index in range(self.shards)]
        self.links = [Link(index, path, self, self.turn_ms) for index, path in enumerate(paths)]
        self.table = Table()
        self.table.merge(TABLE)
        self.routes: dict[bytes, Route] = {}
        """By name, the commands that a session in its usual state may forward without a question."""
        self.users = Users(self)
        self.known = False
        """Whether the shards have said which commands there are; until then, some ms after a start, clients wait. And
        they wait once the router is told to stop: nothing more is begun, so that what is under way can be answered."""
        self.opening = False
        """Whether the first shard that answers is enough: the others had their time."""
        self.sessions: dict[int, Session] = {}
        self.congested: set[int] = set()
        """Shards that do not read as fast as their clients feed them."""
        self.borrow_ids = count(1)
        self.records = Records(self)
        self.recording = False
        """Whether writes over shards are recorded: where there are no logs there is nothing to agree with."""
        self.recovery = Recovery(self)
        self.rewrites = Rewrites(self)
        self.holdings: set[Holding] = set()  # Those that are not over.
        self.long_executions: deque[LongExecution] = deque()  # The same; the first has its turn.
        self.pause = Pause(self)
        self.output = Output(self)
        self.eviction = Eviction(self)
        self.pubsub = PubSub(self.output.soon)
        self.trackers = tracking.Trackers(self)
        self.steady = False
        """Whether all shards would do what they are asked: then nobody has to look at each."""
        self.feed = monitor.Feed(self)
        self.monitors = self.feed.monitors
        self.log_syncs: dict[int, LogSync] = {}  # Who waits for the logs of shards.
        self.watched: dict[int, Watching] = {}  # By the number that the shards know it by.
        self.stats, self.latency = Stats(), LatencyMonitor()
        self.sampler, self.logs = Sampler(), CommandLogs()
        self.slow_us = NEVER
        """From which duration on a command is slow, for its log or for LATENCY."""
        self.started_ms, self.run_id = self.now_ms(), self.random_bytes(20).hex()
        self.machine = machine()
        self.budget = budget.Budget(self)
        self.renames: Renames | None = None
        self.fault = ""  # Why it has to stop: what is wrong with the configuration.
        self.service = Service(self, systemd())
        self.listeners = Listeners(self, self.service.systemd.fds)
        self.stopping, self.stopped = False, asyncio.Event()
        self.saving = saving.Saving(self)
        self.timeout, self.newcomers, self.departures = Timeout(self), Newcomers(self), Departures(self)
        self.configure()
        self._last_client_id = 0
        self._turn_ms = 0
        """Unix time in ms once somebody asked in this turn, 0 until then."""

    # The clock

    @staticmethod
    def now_ms() -> int:
        """Unix time in ms."""
        return time.time_ns() // 1_000_000

    @staticmethod
    def now_us() -> int:
        """Unix time in µs."""
        return time.time_ns() // 1000

    def turn_ms(self) -> int:
        """The time of this turn of the loop: parts of a command on several shards run at one and the same."""
        if not self._turn_ms:
            self._turn_ms = self.now_ms()
            self.loop.call_soon(self._end_turn)
        return self._turn_ms

    def _end_turn(self) -> None:
        self._turn_ms = 0

    # Links

    def link_hello(self, link: Link, hello: dict[str, Any]) -> None:
        """Learns which commands there are, and tells the shard what was changed since it was configured."""
        if hello.get("shards", self.shards) != self.shards:
            self.fail(f"shard {link.index} is one of {hello['shards']}, and this router knows {self.shards}")
            return
        self.trackers.made(link)
        if not self.routes:
            self.table.merge(Table.from_wire(hello["table"]))
            self._rename_commands()
            self.choose_routes()
            self.users.load()
        if self.opening or all(other.hello for other in self.links):
            self.open()
        if hello["appendonly"] != self.config["appendonly"] and "appendonly" not in self.config.changed:
            self.config.update({"appendonly": hello["appendonly"]})  # As a router before this one was told.
            self.configure()
        changed = self.config.changed_at_run_time()
        if changed:
            link.tell(["config", changed])
        link.tell(["pause_expiry", self.pause.active])
        for log_sync in list(self.log_syncs.values()):
            log_sync.ask(link)

    def open(self) -> None:
        """Begins to serve: every shard has answered, or had its time to."""
        self.opening = True
        if self.routes and not self.known and not self.stopping:
            self.known = True
            for session in list(self.sessions.values()):
                session.pump()

    def choose_routes(self) -> None:
        """Chooses what is forwarded without a question: while some are refused, nothing that may be."""
        gated = self.budget.gated
        asked = Flag.WRITE * (gated or self.saving.refusal is not None) | Flag.DENYOOM * gated
        self.routes = {
            name: Route(command)
            for name, command in self.table.lookup.items()
            if command.first_key == 1 and (_one_key(command) or command.plan is Plan.SPLIT)
            if not command.flags & asked and not (self.renames and name.lower() in self.renames.gone)
        }
        self.users.choose_routes()

    def _rename_commands(self) -> None:
        """Does what rename-command says, once it is known which commands there are."""
        if self.config.renames:
            try:
                self.renames = Renames(self.config.renames, self.table.commands)
            except BadRename as error:
                self.fault = str(error)
                self.stop()

    def link_changed(self, link: Link) -> None:
        logger.log(
            logging.WARNING if link.state is LinkState.DOWN and not self.stopping else logging.INFO,
            "shard %d is %s",
            link.index,
            link.state.value,
        )
        self.link_refuses(link)
        if link.state is LinkState.DOWN:
            self.trackers.lost(link)
            self.rewrites.lost(link.index)
            self.saving.lost(link)
        self.recovery.look()
        self.service.look()
        self.budget.met(link)
        if all(other.state is LinkState.READY for other in self.links):
            logger.info("all %d shards are ready", self.shards)

    def link_refuses(self, link: Link) -> None:
        """Sees whether all shards would do what they are asked."""
        self.steady = all(other.state is LinkState.READY and not other.refusal for other in self.links)

    def link_congested(self, link: Link, congested: bool) -> None:
        """Stops beginning commands while a shard has too much unread, and goes on when it has caught up."""
        if congested:
            self.congested.add(link.index)
        elif link.index in self.congested:
            self.congested.discard(link.index)
            for session in list(self.sessions.values()):
                session.resume()

    # What took long

    def link_slow(self, run: Run, place: int, duration_us: int) -> None:
        session, request = run.batch.session, run.request_of(place)
        join = run.join_of(request)
        if join is not None:
            join.slow = join.slow or Call(join.argv)
            self.note_slow(session, join.argv, duration_us, join.slow)
        elif isinstance(request, Part):
            self.note_slow(session, request.call.argv, duration_us, request.call)
        else:
            self.note_slow(session, request, duration_us)

    def link_blocked(self, session: Session, number: int, until_ms: int) -> None:
        if session.blocking is not None:
            session.blocking.waits(number, until_ms)

    def link_ready(self, run: Run) -> None:
        """A call on several shards has its turn at the one where `run` waits for it."""
        assert isinstance(run, AskToWait)
        run.blocking.ready()

    def link_events(self, link: Link, events: list[list[Any]]) -> None:
        """Hands on what happened on a shard, each to who listens to its kind."""
        for kind, *words in events:
            EVENTS[kind](self, link, *words)

    def link_latency(self, event: str, duration_ms: int) -> None:
        self.latency.add(event, self.now_ms() // 1000, duration_ms)

    def note_slow(self, session: Session, argv: list[bytes], duration_us: int, call: Call | None = None) -> None:
        """Takes note of a command that took `slow_us` or more: its slowest part, if several shards have one."""
        command = self.table.resolve(argv)
        before_us = call.duration_us if call else -1
        if command is None or duration_us <= before_us:
            return
        threshold_ms = self.config["latency-monitor-threshold"]
        if duration_us >= threshold_ms * 1000 > 0:
            event = "fast-command" if command.flags & Flag.FAST else "command"
            before_ms = before_us // 1000 if before_us >= threshold_ms * 1000 else 0
            self.latency.add(event, self.now_ms() // 1000, duration_us // 1000, before_ms)
        entry = call.entry if call else None
        if entry is not None:
            entry.amount = duration_us
        elif self.logs.slow.wants(duration_us) and is_logged(command, argv):
            entry = self.logs.note(self.logs.slow, session, command, argv, duration_us)
        if call:
            call.duration_us, call.entry = duration_us, entry

    # Sessions

    def next_client_id(self) -> int:
        self._last_client_id += 1
        return self._last_client_id

    def session_made(self, session: Session) -> None:
        """Registers a client, or turns it away: see router/admission.py."""
        if refused := refusal(session):
            self.stats.rejected_connections += 1
            session.write(refused)
            session.end()
            session.close()
            return
        self.stats.total_connections_received += 1
        self.sessions[session.id] = session
        session.changed()  # A pause may have begun since its connection was accepted.
        if not self.sampler.running:
            self._sample()

    def session_lost(self, session: Session) -> None:
        if self.sessions.pop(session.id, None) is session and session.blocking is not None:
            session.blocking.end(GONE)
        if session.watching is not None:
            session.watching.end()
        if session.transaction is not None and not session.transaction.executing:
            shed(self.loop.call_soon, session.transaction.queued)
        if session.staging is not None:
            session.staging.drop()
            session.staging = None
        monitor.end(session)
        self.stats.gather(session)
        self.pause.forget(session)
        self.budget.recount.forget(session)
        self.pubsub.forget(session)
        self.trackers.forget(session)

    def traffic(self) -> Stats:
        """The counters, with what the living sessions have counted so far."""
        for session in self.sessions.values():
            self.stats.gather(session)
        return self.stats

    def count_transaction(self, duration_ns: int) -> None:
        """Counts a MULTI and an EXEC that came at once."""
        commands = self.table.commands
        commands["multi"].count(0)
        commands["exec"].count(duration_ns)

    def count_error(self, error: RedisError) -> None:
        """Counts an error reply that was made here, by its first word."""
        self.stats.count_error(str(error))

    def reset_stats(self) -> None:
        """Forgets all counts (CONFIG RESETSTAT)."""
        self.traffic()
        self.stats = Stats()
        self.saving.begun = 0
        self.budget.reset_stats()
        self.sampler.forget()
        for command in self.table.each():
            command.reset()

    def _sample(self) -> None:
        """Takes a look at the traffic, and comes again when the sampler wants it."""
        started_s = self.loop.time()
        stats = self.traffic()
        self.sampler.look(
            started_s, stats.total_commands_processed, stats.total_net_input_bytes, stats.total_net_output_bytes
        )
        again_s = self.sampler.next_look_s(len(self.sessions), self.loop.time() - started_s)
        if again_s is not None:
            self.loop.call_later(again_s, self._sample)

    # Configuration

    def configure(self) -> None:
        """Takes over the directives, at start and when CONFIG SET changed some."""
        values = self.config.values
        self.recording = values["appendonly"] and self.shards > 1
        follow(values)
        if values["supervisor-fd"] >= 0:
            note(self.config)
        self.logs.configure(values)
        self.output.configure(values)
        self.eviction.configure(values)
        self.budget.configure()
        threshold_ms = values["latency-monitor-threshold"]
        slow = self.logs.slow
        self.slow_us = min(slow.threshold if slow.wants(NEVER) else NEVER, threshold_ms * 1000 or NEVER)
        self.request_limits = (values["proto-max-bulk-len"], values["client-query-buffer-limit"])
        for session in self.sessions.values():
            session.requests.bulk_size_bytes_max, session.requests.query_size_bytes_max = self.request_limits
            session.changed()
        self.trackers.limit()
        self.saving.configure()
        self.timeout.configure()
        self.listeners.doors.keep_alive()

    # What only a process knows

    def process_info(self) -> dict[str, Any]:
        """Memory (bytes) and CPU (seconds) of this process, from the OS."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        loop = resource.getrusage(resource.RUSAGE_THREAD)
        return {
            "pid": os.getpid(),
            **self.budget.gauge.info(),
            "cpu_user_s": usage.ru_utime,
            "cpu_system_s": usage.ru_stime,
            "loop_user_s": loop.ru_utime,
            "loop_system_s": loop.ru_stime,
        }

    # Start and stop

    async def serve(self) -> None:
        """Listens, connects to the shards, and runs until told to stop.  Raises CannotListen."""
        await self.listeners.open()
        self.service.begin()
        for link in self.links:
            self.loop.create_task(link.connect())
        self.loop.call_later(FIRST_HELLO_S, self.open)
        logger.info("ready to accept connections on %s", self.listeners.doors.where())
        await self.stopped.wait()
        self.listeners.close()
        await self._drain()
        for link in self.links:
            link.close()
        for session in list(self.monitors):
            self.feed.leave(session)
        for session in list(self.sessions.values()):
            session.close()

    async def _drain(self) -> None:
        """Waits for the answers of what is under way, and for the clients to get them."""
        deadline = self.loop.time() + DRAIN_S
        while any(map(_is_owed, self.sessions.values())) and self.loop.time() < deadline:
            await asyncio.sleep(0.01)

    def fail(self, reason: str) -> None:
        """Stops because it can't go on: whoever started it decides what then."""
        logger.error("%s: start them all anew", reason)
        self.service.exit_status = FAILED
        self.stop()

    def stop(self) -> None:
        """Ends `serve` in order: no more commands are begun, and those under way are answered."""
        self.stopping = True
        self.known = False
        self.service.stopping()
        self.stopped.set()

    def stop_on_signals(self, supervisor_fd: int) -> None:
        """SIGTERM and SIGINT stop the router in order, and so does the end of the supervisor."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, shutdown.signalled, self, number.name.lower())
        if supervisor_fd >= 0:
            self.loop.add_reader(supervisor_fd, self.stop)

    def reload_on_signal(self, argv: list[str]) -> None:
        """SIGHUP has the configuration read again, from where `argv` says. One that came before waits till here."""
        self.loop.add_signal_handler(signal.SIGHUP, config_reload.reload, self, argv, os.environ)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def _is_owed(session: Session) -> bool:
    """Whether a client has replies to come, or not all of those that were sent."""
    transport = session.transport
    waits = session.blocking is not None and session.blocking.number >= 0
    return (bool(session.batches) and not waits) or (transport is not None and transport.get_write_buffer_size() > 0)


def _one_key(command: Command) -> bool:
    """Whether every call within `shortest` and `longest` has exactly the one key argv[1], and is answered at once."""
    blocking = bool(command.flags & Flag.BLOCKING)
    return command.plan is Plan.ONE and command.last_key == 1 and not command.subcommands and not blocking


def machine() -> dict[str, Any]:
    """What does not change: the system, and how much memory it has."""
    system = os.uname()
    return {
        "os": f"{system.sysname} {system.release} {system.machine}",
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "executable": sys.executable,
    }

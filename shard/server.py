"""A shard's process: its socket, its loop and its clock around the executor and the log.

Rule 1: what clients ask is done turn by turn, see link.py.
Rule 2: what takes long is done in slices between turns: loading the log, removing expired keys, freeing large values.
"""

import asyncio
import logging
import os
import resource
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import shard.reload
import shard.transaction  # noqa: F401  The messages there answer to their names, as those of shard.reload.
from common.config import Config
from common.errors import RedisError
from common.leftovers import Leftovers
from common.log import follow
from common.slot import Owners, slot_function, slots_of_shard
from common.systemd import systemd
from shard import listeners, loan, log_switch, rdb_start
from shard.aof import Aof, Fsync
from shard.budget import Budget
from shard.commands.table import TABLE
from shard.control import CONTROLS, WHOLES
from shard.execute import Executor
from shard.first_logs import FirstLogs
from shard.garbage import free_some
from shard.keyspace import Store
from shard.late import Room
from shard.layout import Layout, OtherLayout
from shard.link import Link
from shard.log_files import Disk, read_layout, write_layout
from shard.redo import Book
from shard.rewriter import Rewriter
from shard.save import Saves
from shard.service import Service
from shard.snapshot_file import SnapshotFiles
from shard.states import fill
from shard.sync_waits import SyncWaits

logger = logging.getLogger("shardis")

SLICE_S = 0.001
"""How long a slice of background work may hold the loop."""
PULSE_S = 0.04
"""How often background work looks whether there is some. Together with the width of a bucket and EXPIRY_LAG_MS this
keeps an unread key for at most about 80 ms past its time."""
EXPIRY_LAG_MS = 5
"""Unread keys are removed only this long after their time by this shard's clock: frames carry the router's, which may
be read a moment earlier, and a key must not be gone for a command whose time is before its expiry."""


LATE_EVENTS_MAX = 1000
"""Events of LATENCY that wait for the router: more say no more."""


class Shard:
    """One shard: keyspace, log, executor, and the links to whoever sends it frames."""

    def __init__(self, config: Config, index: int) -> None:
        log_switch.recall(config, index)
        self.config = config
        self.index = index
        self.loop = asyncio.get_running_loop()
        slot_of = slot_function(config["hash-tags"])
        self.store = Store(
            databases=config["databases"],
            slot_of=slot_of,
            slots_owned=slots_of_shard(index, config["shards"]),
            config=config.values,
        )
        self.aof = Aof.of_shard(config, index)
        self.store.logging = config["appendonly"]
        self.executor = Executor(self.store, TABLE, self.aof.append, self.aof.append_group, time.perf_counter_ns)
        self.room = Room(self.executor, self.control, WHOLES)
        self.owners = Owners(config["shards"], config["hash-tags"])
        self.leftovers = Leftovers(self.loop.call_later)
        self.book = Book()
        """The records of writes over several shards, see redo.py."""
        self.executor.heard_record = self.book.read
        self.loaded = False
        """Whether all that the log says was done. Then the shard may still lack what others have."""
        self.failed = False
        """Whether it stops because it can't go on, and is to be started again."""
        self.sync_waits = SyncWaits(self)
        self.snapshots = SnapshotFiles(self.store, self.loop, lambda job: self.aof.do(job), Disk())
        self.snapshots.turns = lambda: sum(link.runs for link in self.links)
        self.snapshots.changed = self._choose_syncs
        self.rewriter = Rewriter(self)
        self.saves = Saves(self)
        self.first_logs = FirstLogs(config.values, index)
        self.links: set[Link] = set()
        self.service = Service(self, systemd())
        self.started_s = time.time()
        self.commands_loaded = 0
        self.loading_since_s = 0
        """Unix time at which the last load of the log began."""
        self.budget = Budget(self)
        self.latency_threshold_ms = 0
        """From which duration on background work and writes to the log are told to the router; 0 for never."""
        self.late_events: list[tuple[str, int]] = []
        """What took so long, and how many ms, until the router is told."""
        self.stopped = asyncio.Event()
        self.active_expiry = True
        self.expiry_paused = False
        """Whether a CLIENT PAUSE is on: keys must not vanish meanwhile."""
        self.tracked = False
        """Whether clients cache what they read."""
        self.cycle_running = False
        self.pulsing = False
        """Whether `pulse` comes again by itself."""
        self.turned = False
        """Whether there was a turn since it came last."""
        self.configure({})

    # Start

    async def serve(self) -> None:
        """Listens, loads the log, and runs until told to stop.  Raises LogDamaged."""
        path = f"{self.config['rundir']}/shard-{self.index}.sock"
        os.makedirs(self.config["rundir"], mode=0o700, exist_ok=True)
        if os.path.exists(path):
            os.unlink(path)
        server = await self.loop.create_unix_server(lambda: cast(asyncio.Protocol, Link(self)), path)
        os.chmod(path, 0o600)
        self.check_layout()
        self.service.begin()
        self.saves.remove_left_overs()
        if rdb_start.is_due(self):
            await self.load_file()
        elif self.config["appendonly"]:
            await self.load()
        if not self.stopped.is_set():
            self._open()
        await self.stopped.wait()
        server.close()
        for link in list(self.links):
            link.close()
        self.saves.end()
        await self.rewriter.finish()
        self.aof.close()

    def check_layout(self) -> None:
        """Sees that the data is spread over as many shards as there are now.  Raises LogDamaged.

        The supervisor has seen to that, see resharding.py; who starts a shard alone has to.
        """
        folder = Path(self.config["dir"])
        wanted = Layout(self.config["shards"], self.config["hash-tags"])
        found = read_layout(folder)
        if found is None:
            write_layout(folder, wanted)
        elif not found.serves(wanted):
            raise OtherLayout(found, wanted, str(folder))

    async def load(self) -> None:
        """Replays the log, a slice at a time, so that clients get -LOADING instead of silence. A stop ends it."""
        self.executor.state(loading=True, refusal=None)
        self.store.begin_replay(time.time_ns() // 1_000_000)
        self.loading_since_s = int(time.time())
        started = last = time.monotonic()
        for commands in self.aof.load(self.executor.replay, partial(fill, self.store), self.config.values):
            self.commands_loaded = commands
            await asyncio.sleep(0)
            if self.stopped.is_set():
                return
            if time.monotonic() - last > 1:
                last = time.monotonic()
                logger.info("loading the log: %d commands so far", self.commands_loaded)
        self._loaded()
        keys = sum(db.size for db in self.store.dbs)
        logger.info(
            "loaded %d commands in %.3f seconds: %d keys", self.commands_loaded, time.monotonic() - started, keys
        )

    async def load_file(self) -> None:
        """Loads the keys from an RDB file, as `load` does from the log. A stop ends it."""
        self.executor.state(loading=True, refusal=None)
        self.store.begin_replay(time.time_ns() // 1_000_000)
        self.loading_since_s = int(time.time())
        for pause_s in rdb_start.load(self):
            await asyncio.sleep(pause_s)
            if self.stopped.is_set():
                return
        self._loaded()

    def _open(self) -> None:
        """Has all that it kept. If others may have more of it, the router says when to serve, see redo.py."""
        self.loaded = True
        log_switch.turn_or_say(self)
        self.sync_waits.tell()
        self.service.look()
        if not self.may_lack:
            self.admit()
        for link in self.links if self.may_lack else ():
            link.send({"state": "loaded"})

    @property
    def may_lack(self) -> bool:
        """Whether other shards may have parts of writes that this one has not."""
        return self.aof.enabled and self.config["shards"] > 1

    def state_for_router(self) -> str:
        """How this shard is for a router whose link is new: "loaded" means that it serves when the router admits it."""
        if self.loaded and self.may_lack:
            return "loaded"
        return "ready" if not self.executor.loading else "loaded" if self.loaded else "loading"

    def met_router(self) -> None:
        """A router that is new has begun to speak: it knows what others may have, and says when to serve again."""
        self.budget.begin()
        if self.loaded and self.may_lack:
            self.executor.state(loading=True, refusal=self.executor.refusal)

    def admit(self) -> None:
        """Begins to serve, or goes on."""
        self.executor.state(loading=False, refusal=self.executor.refusal)
        self.note_turn()
        self.service.look()
        for link in self.links:
            link.send({"state": "ready"})

    def _loaded(self) -> None:
        """Goes on after the last command of the log: what a replay left in the books is no change of its own."""
        store = self.store
        store.changes = 0
        store.effects.clear()
        store.explicit = False
        store.expiring = True
        listeners.track(store, tracked=self.tracked)

    def reload(self) -> None:
        """Drops all data and does again what the log says, in one turn (DEBUG LOADAOF).  Raises RedisError."""
        if not self.aof.enabled or self.aof.provisional or not self.aof.flush():
            raise RedisError("ERR Error trying to load the AOF files, check server logs.")
        self.rewriter.stop()
        self.aof.close()
        self.use_log(Aof.of_shard(self.config, self.index))
        executor, store = self.executor, self.store
        listeners.track(store, tracked=False)
        for db in store.dbs:
            db.clear(later=True)
        store.expiring = False
        for commands in self.aof.load(executor.replay, partial(fill, store), self.config.values):
            self.commands_loaded = commands
        self._loaded()
        listeners.flushed(store)

    def use_log(self, aof: Aof) -> None:
        """Has all that comes go into another log, or into none."""
        self.aof = aof
        self.executor.log, self.executor.log_group = aof.append, aof.append_group
        self.store.logging = aof.enabled
        self._choose_syncs()
        if self.loaded and self.executor.refusal is not None:
            self._refuse(None)

    def sleep(self, seconds: float) -> None:
        """Does nothing at all for a while, and has everybody wait for it (DEBUG SLEEP)."""
        time.sleep(seconds)

    def stop(self, *, failed: bool = False) -> None:
        """Ends `serve` once what was begun is on disk; if it `failed`, so that the shard is started again."""
        self.failed = self.failed or failed
        self.stopped.set()
        self.service.stopping()

    def stop_on_signals(self, supervisor_fd: int) -> None:
        """SIGTERM and SIGINT stop the shard in order, and so does the end of the supervisor."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self.stop)
        if supervisor_fd >= 0:
            self.loop.add_reader(supervisor_fd, self.stop)

    def configure(self, values: dict[str, Any]) -> None:
        """Takes over directives, at start and when CONFIG SET changed them."""
        if values:
            self.config.update(values)
        follow(self.config.values)
        self.latency_threshold_ms = self.config["latency-monitor-threshold"]
        self.executor.slow_ns = slow_ns(self.config)
        self.executor.notify(self.config["notify-keyspace-events"])
        self.store.counts_uses = "lfu" in self.config["maxmemory-policy"]
        self.budget.configure(self.config.values)
        self.aof.set_fsync(self.config["appendfsync"])
        self._choose_syncs()
        if self.loaded:
            log_switch.turn(self)

    def _choose_syncs(self) -> None:
        """Puts off the syncs of the log while a snapshot is written, if that is wanted; what was put off comes then."""
        before = self.aof.put_off
        self.aof.put_off = self.config["no-appendfsync-on-rewrite"] and self.snapshots.current is not None
        if before and not self.aof.put_off:
            self.loop.call_soon(self.flush)

    # A turn

    def control(self, message: list[Any], place: int) -> Any:
        """Does what the router asks of this shard itself; `place` is that of the message in its run."""
        executor = self.executor
        started = executor.clock_ns()
        try:
            return CONTROLS[message[0]](self, *message[1:])
        except RedisError as error:
            return error
        finally:
            duration = executor.clock_ns() - started
            if duration >= executor.slow_ns >= 0:
                executor.slow.append((executor.number, place, duration // 1000))

    def transact(self, header: int, requests: list[list[bytes]]) -> Any:
        """Runs a transaction whose keys are all here; None if it has to wait for some."""
        return shard.transaction.run_as_one(self, header, requests)

    def flush(self) -> bool:
        """Writes the log of this turn, and whether that is done. If not, writes are refused until it is."""
        if not self.aof.enabled or not self.loaded:
            return True
        done = self._flush_timed() if self.latency_threshold_ms else self.aof.flush()
        failing = self.aof.last_write_error is not None
        if failing != (self.executor.refusal is not None):
            self._refuse(self.misconf() if failing else None)
        return done

    def misconf(self) -> RedisError:
        """What a write is told while the log cannot be written."""
        error = self.aof.last_write_error
        return RedisError(f"MISCONF Errors writing to the AOF file: {error.strerror if error else 'unknown'}")

    def send_late(self, refused: RedisError | None) -> None:
        """Sends what was answered late in this turn; `refused` is why the log of it could not be written."""
        for link, answers in self.room.take(refused).items():
            link.send_late(answers)
        self.send_blocked()
        if self.store.events:
            for link in self.links:
                link.send({"events": self.store.events})
            self.store.events = []

    def send_blocked(self) -> None:
        """Tells the routers which calls wait for a key from now on, and which of several shards to try again."""
        for link, blocked in self.room.waiters.take_new().items():
            link.send({"blocked": blocked})
        for link, ready in self.room.waiters.take_ready().items():
            link.send({"ready": ready})

    def forget(self, link: Link) -> None:
        """A link is gone, and with it what its router held."""
        self.links.discard(link)
        self.sync_waits.forget(link)
        self.saves.forget(link)
        self.rewriter.wanted = False
        if self.aof.enabled:
            loan.orphaned(self, self.room.held_by(link))
        if self.may_lack:
            self.room.drop(link)
        if not self.stopped.is_set():
            self.room.forget(link)
            self.store.watches.forget(link)
            self.executor.slow = []  # They name runs of the stream that is gone.
            self.send_late(None if self.flush() else self.misconf())

    def _refuse(self, refusal: RedisError | None) -> None:
        """Begins or ends to refuse writes; tells the router, so that no command on several shards is done in part."""
        self.executor.state(loading=self.executor.loading, refusal=refusal)
        self.sync_waits.tell()
        for link in self.links:
            link.send({"refusal": str(refusal or "")})

    def _flush_timed(self) -> bool:
        started = time.perf_counter()
        done = self.aof.flush()
        syncing = self.aof.fsync is Fsync.ALWAYS
        self.note_latency("aof-fsync-always" if syncing else "aof-write", time.perf_counter() - started)
        return done

    def note_latency(self, event: str, duration_s: float) -> None:
        """Has the router told of work that took `latency-monitor-threshold` or more."""
        if duration_s * 1000 >= self.latency_threshold_ms > 0 and len(self.late_events) < LATE_EVENTS_MAX:
            self.late_events.append((event, int(duration_s * 1000)))

    # Between turns

    def pulse(self) -> None:
        """Looks after what must be done though nobody asks."""
        self.rewriter.pulse(self.loop.time())
        if self.budget.limited:
            self.budget.pulse()
        if self.executor.refusal is not None:
            self.flush()  # There may be room again.
        if not self.cycle_running and not self.executor.loading and (self.store.garbage or self._volatile()):
            self.cycle()
        waits = self.rewriter.scheduled or self.executor.refusal is not None
        busy = self.turned or waits or self.store.garbage
        if busy or not self.budget.rest() or self._volatile():
            self.turned = False
            self.loop.call_later(PULSE_S, self.pulse)
        else:
            self.pulsing = False

    def note_turn(self) -> None:
        """Says that there was a turn: what it left may need looking after. Without turns a shard sleeps for good."""
        self.turned = True
        if not self.pulsing and not self.executor.loading:
            self.pulsing = True
            self.loop.call_later(PULSE_S, self.pulse)

    def _volatile(self) -> bool:
        return self.active_expiry and not self.expiry_paused and any(db.is_volatile() for db in self.store.dbs)

    def cycle(self) -> None:
        """One slice of background work; if there is more the next follows behind what has come meanwhile."""
        self.cycle_running = True
        started = time.perf_counter()
        self.executor.turn(time.time_ns() // 1_000_000)
        self.store.number = -1
        more = self._expire_some(started + SLICE_S)
        while not more and free_some(self.store.garbage, self.leftovers):
            more = time.perf_counter() > started + SLICE_S
        duration_s = time.perf_counter() - started
        self.note_latency("expire-cycle", duration_s)
        self.store.stats.expire_cycle_cpu_milliseconds += duration_s * 1000
        self.cycle_running = more
        if more:
            self.loop.call_soon(self.cycle)

    def _expire_some(self, until_s: float) -> bool:
        """Removes due keys until there is none or the time is over; whether it was over."""
        over = False
        if self.active_expiry and not self.expiry_paused and not self.executor.refusal and not self.room.holds.wholes:
            now_ms = self.store.now_ms - EXPIRY_LAG_MS
            for db in self.store.dbs:
                for _ in db.expire_due(now_ms) if db.is_volatile() else ():
                    if time.perf_counter() > until_s:
                        over = True
                        self.store.stats.expired_time_cap_reached_count += 1
                        break
        if self.store.expired:
            self.store.changes = 0
            self.executor.log_expired()
            self.room.waiters.wake()
            self.settle()
        return over

    def between_turns(self, act: Callable[[], None]) -> None:
        """Does what no turn asks for, at this moment's time."""
        self.executor.turn(time.time_ns() // 1_000_000)
        act()
        self.settle()

    def settle(self) -> None:
        """Logs and tells what was done that is no part of a turn."""
        self.send_late(None if self.flush() else self.misconf())

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
            "uptime_s": int(time.time() - self.started_s),
        }


def slow_ns(config: Config) -> int:
    """From which duration on the router is told of a command, for the slow log or for LATENCY; -1 for never."""
    slower_than_us, threshold_ms = config["slowlog-log-slower-than"], config["latency-monitor-threshold"]
    marks = [slower_than_us * 1000] if slower_than_us >= 0 else []
    return min(marks + ([threshold_ms * 1_000_000] if threshold_ms else []), default=-1)

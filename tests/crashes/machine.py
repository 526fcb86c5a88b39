"""The crash machine: one crash after the other, and what is wrong after each.

What is promised, and judged here, whatever is killed when:

- What was answered is there. A kill of processes takes none of it, a power cut none with `appendfsync always`. With
  `everysec` a power cut takes, of each shard, what was answered after the last sync that succeeded had begun: about a
  second's worth, and no earlier write while a later one of the same client and shard is there.
- What was refused, or was never sent, is not there.
- What was not answered is there or not, but whole: a command or a MULTI .. EXEC on several shards, FLUSHALL, FLUSHDB
  and SWAPDB have happened on all shards or on none, and never twice.
- What moves from key to key is at one of them.
- It starts again by itself, also if it is killed while it starts.
- What it shows after a crash its log says as well: killed once more, it shows the same.

A seed decides what is done. When exactly which process has come how far is up to the kernel, so a seed that found
something finds it again most of the time and not always.
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.audit import Audit, audit, differences
from tests.crashes import lanes as kinds
from tests.crashes.acts import Promise
from tests.crashes.clients import CrashClient, LaneClient, RandomClient, wait_for_acts, working
from tests.crashes.disk import Disk, Losses
from tests.crashes.kills import freeze_some, kill_all, kill_some, kill_supervisor
from tests.crashes.lanes import Journal, Lane
from tests.resp_client import Client, Error
from tests.servers import ServerFailed, Shardis
from tests.writers import encoded

CLIENTS = 4
ACTS_MAX = 150
"""Done by all clients together before a crash, at most."""
FRESH_EVERY = 25
"""Crashes with one folder: logs that only grow would be loaded ever longer."""
SYNC_TIMEOUT_MS = 20_000
RECOVERY_MAX_S = 0.8
"""A server of some shards has started after about this time: until then it is killed once more."""
AUDITED = 0.1
SOON_S = 600
"""Keys that expire so soon are not compared between two audits."""
PERIOD_S = 1.0
LATE_S = 2.0
"""By how much a busy machine may delay a sync that is due every second."""

LANES = (
    kinds.Mset,
    kinds.Transactions,
    kinds.Sets,
    kinds.Counters,
    kinds.Rows,
    kinds.Transfers,
    kinds.Ring,
    kinds.WideRing,
    kinds.Elements,
    kinds.Members,
    kinds.Swapped,
)
ADMIN = (("BGREWRITEAOF",), ("BGSAVE",), ("SAVE",))
MARKS = 12


class CrashServer(Shardis):
    """A Shardis on a disk that can forget."""

    def __init__(self, disk: Disk, shards: int, **options: str | int) -> None:
        super().__init__(shards, disk.data, **options)
        self.disk = disk

    def environment(self) -> dict[str, str]:
        return super().environment() | self.disk.environment()

    @property
    def log_path(self) -> Path:
        return self.disk.data.parent / "server.log"


@dataclass(slots=True)
class Report:
    """What came of it."""

    crashes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """Each with its crash."""
    acts: int = 0
    lost_bytes: int = 0
    oldest_loss_s: float = 0.0
    """With `everysec`: how long before the crash the oldest moment was from which something could get lost."""
    admin: Counter[str] = field(default_factory=Counter)
    """What the server said to a BGREWRITEAOF and the like just before a crash."""


class Machine:
    """`with Machine(seed=1) as machine: machine.crash(7)`."""

    def __init__(
        self,
        seed: int,
        fsync: str = "always",
        shards: int = 3,
        *,
        power: bool = False,
        only: Sequence[str] = (),
        keep: Path | None = None,
        timed: bool = False,
        **options: str | int,
    ) -> None:
        """`power` has every crash of all processes be a power cut; `only` names the deeds to choose from; `timed` has
        the clock judge how old what `everysec` lost may be."""
        self.seed, self.fsync, self.shards, self.power, self.keep = seed, fsync, shards, power, keep
        self.timed = timed
        self.options = options
        self.killed_s = 0.0
        self.late: list[str] = []
        """Of this crash: shards whose last sync was longer ago than `everysec` says."""
        self.deeds = {name: deed for name, deed in DEEDS.items() if not only or name in only}
        self.report = Report()
        self.folder = Path()
        self.server: CrashServer | None = None
        self.lanes: list[Lane] = []

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    # The server

    def fresh(self) -> CrashServer:
        """A server with an empty folder."""
        self.discard()
        self.folder = Path(tempfile.mkdtemp(prefix="test-"))
        disk = Disk(self.folder)
        self.server = CrashServer(disk, self.shards, appendfsync=self.fsync, **self.options)
        self.server.start()
        self.lanes = [kind(0) for kind in LANES]
        self.lanes += [Journal(number, f"journal{number}") for number in range(CLIENTS)]
        self.lanes.append(kinds.Flushed(0))
        return self.server

    def discard(self) -> None:
        if self.server is not None:
            kill_all(self.server)
            self.server.clear()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.server = None

    def restart(self, random: Random, promise: Promise, *, again: bool = False) -> None:
        """After all processes were killed: forgets if the power was cut, and starts the server."""
        server = self.running()
        if again:
            self.launch(random, promise)
            time.sleep(random.uniform(0, RECOVERY_MAX_S))
            kill_all(server)
            self.killed_s = time.monotonic()
        self.launch(random, promise)
        server.wait_ready()

    def launch(self, random: Random, promise: Promise) -> None:
        """Starts what was killed, and forgets before if the power was cut."""
        server = self.running()
        if self.power:
            self.note_losses(server.disk.crash(random), promise)
        if self.keep:
            shutil.rmtree(self.folder / "before", ignore_errors=True)
            shutil.copytree(server.disk.data, self.folder / "before")
        server.launch()

    def note_losses(self, losses: Losses, promise: Promise) -> None:
        self.report.lost_bytes += losses.lost_bytes
        if self.fsync == "always":
            return
        for shard, until_s in losses.synced_until_s.items():
            number = int(shard.removeprefix("shard-"))
            promise.until_s[number] = min(promise.until_s.get(number, until_s), until_s)
            age_s = self.killed_s - until_s
            self.report.oldest_loss_s = max(self.report.oldest_loss_s, age_s)
            if self.timed and age_s > PERIOD_S + losses.longest_sync_s + LATE_S:
                self.late.append(
                    f"{shard} lost what was written {age_s:.2f} s before; syncs took {losses.longest_sync_s:.2f} s"
                )

    def running(self) -> CrashServer:
        return self.server or self.fresh()

    # A crash

    def crash(self, number: int) -> list[str]:
        """What is wrong after it; also in the report."""
        random = Random(f"{self.seed} {number}")
        if self.server is None or number % FRESH_EVERY == 0:
            self.fresh()
        name = random.choices(list(self.deeds), [weight for weight, _ in self.deeds.values()])[0]
        promise = Promise(self.shards)
        self.late = []
        logged_bytes = self.running().log_size_bytes()
        try:
            faults = self.begin()
            faults += self.deeds[name][1](self, random, promise)
            faults += self.judge(promise) + self.late
            if random.random() < AUDITED:
                faults += self.compare_after_restart(random)
        except (ServerFailed, AssertionError, OSError) as error:
            faults = [f"{type(error).__name__}: {error}"]
        faults += self.errors_logged(logged_bytes)
        self.report.crashes[name] += 1
        self.report.acts += sum(len(lane.acts) for lane in self.lanes)
        for lane in self.lanes:
            lane.done()
        if faults:
            told = f"crash {number} of seed {self.seed} ({name})"
            self.report.faults += [f"{told}: {fault}" for fault in faults]
            self.keep_folder(number)
            self.discard()
        return faults

    def errors_logged(self, since_byte: int) -> list[str]:
        """What the server logged with a traceback: the end of a process or a link is no reason for one."""
        text = self.running().log_path.read_bytes()[since_byte:].decode(errors="backslashreplace")
        return [f"an internal error: {end}" for end in dict.fromkeys(tracebacks(text))]

    def keep_folder(self, number: int) -> None:
        if self.keep:
            target = self.keep / f"crash-{self.seed}-{number}"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(self.folder, target)

    def begin(self) -> list[str]:
        """Has the lanes begin anew, on disk."""
        with self.running().connect() as client:
            faults = []
            for lane in self.lanes:
                for pipeline in lane.begin():
                    if lane.db:
                        pipeline = [(b"SELECT", b"%d" % lane.db), *pipeline, (b"SELECT", b"0")]
                    client.send_bytes(b"".join(encoded(list(argv)) for argv in pipeline))
                    replies = [reply.value for reply in client.read_many(len(pipeline))]
                    faults += [f"{pipeline}: {reply!r}" for reply in replies if isinstance(reply, Error)]
            if self.fsync == "everysec":
                client.call("SETRANGE", "synced", 0, "x")
                reply = client.call("WAITAOF", 1, 0, SYNC_TIMEOUT_MS)
                if reply != [1, 0]:
                    faults.append(f"WAITAOF: {reply!r}")
            return faults

    def clients(self, random: Random) -> list[CrashClient]:
        server = self.running()
        made: list[CrashClient] = []
        shared = [lane for lane in self.lanes if not isinstance(lane, Journal) and not lane.db]
        journals = [lane for lane in self.lanes if isinstance(lane, Journal)]
        for number, journal in enumerate(journals):
            few = random.sample(shared, random.randrange(1, len(shared) + 1))
            made.append(LaneClient(server, f"c{number}", Random(random.random()), [*few, journal]))
        flushed = [lane for lane in self.lanes if lane.db]
        made.append(LaneClient(server, "f", Random(random.random()), flushed))
        made.append(RandomClient(server, "r", Random(random.random())))
        return made

    def judge(self, promise: Promise) -> list[str]:
        """What all lanes say of the server, which is quiet."""
        found: list[str] = []
        with self.running().connect() as client:
            for lane in self.lanes:
                if lane.db:
                    client.call("SELECT", lane.db)
                found += lane.faults(reading(client), promise)
                if lane.db:
                    client.call("SELECT", 0)
        return found

    def compare_after_restart(self, random: Random) -> list[str]:
        """Whether the log says what the server shows; with `always` also through a power cut."""
        before = self.audit()
        kill_all(self.running())
        power, self.power = self.power, self.power and self.fsync == "always"
        try:
            self.restart(random, Promise(self.shards))
        finally:
            self.power = power
        return [f"after one more restart: {line}" for line in differences(before, self.audit())]

    def audit(self) -> Audit:
        with self.running().connect() as client:
            found = audit(reading(client))
        soon_ms = int(time.time() + SOON_S) * 1000
        # Not the encoding: what a shard is lent, or a rewrite writes, is made anew, and then as small as it can be.
        return {place: (*item[:3], None) for place, item in found.items() if item[2] is None or item[2] > soon_ms}

    def ask_admin(self, random: Random) -> None:
        """Has the server rewrite its log, or write a file, or not."""
        if random.random() < 0.5:
            with self.running().connect() as client:
                argv = random.choice(ADMIN)
                reply = client.call(*argv)
                self.report.admin[f"{argv[0]}: {reply!r}"] += 1
            time.sleep(random.uniform(0, 0.05))


def tracebacks(log: str) -> Iterator[str]:
    """The last place and the error of each."""
    place, indent = "", -1
    for line in log.splitlines():
        words = line.strip()
        if words.startswith("Traceback (most recent call last)"):
            indent = len(line) - len(line.lstrip())
        elif indent >= 0 and words.startswith("File "):
            place = words
        elif indent >= 0 and len(line) - len(line.lstrip()) <= indent:
            yield f"{place}: {words}"
            indent = -1


def reading(client: Client) -> Callable[..., Any]:
    """Calls that must not fail: the server is up and quiet."""

    def read(*argv: bytes | str | int) -> Any:
        reply = client.call(*argv)
        assert not isinstance(reply, Error), f"{argv}: {reply!r}"
        return reply

    return read


# What is done


def _partial(machine: Machine, random: Random, roles: Callable[[list[str]], list[str]]) -> list[str]:
    """Some processes are killed, under load, which goes on until they have come back."""
    server = machine.running()
    clients = machine.clients(random)
    with working(clients):
        wait_for_acts(clients, random.randrange(ACTS_MAX))
        machine.ask_admin(random)
        with freeze_some(server, random):
            kill_some(server, roles)
        server.wait_ready()
        wait_for_acts(clients, random.randrange(ACTS_MAX // 3), each=1)
    return [surprise for client in clients for surprise in client.surprises]


def a_shard(machine: Machine, random: Random, promise: Promise) -> list[str]:
    return _partial(machine, random, lambda roles: [random.choice([role for role in roles if "shard" in role])])


def shards(machine: Machine, random: Random, promise: Promise) -> list[str]:
    def some(roles: list[str]) -> list[str]:
        own = [role for role in roles if "shard" in role]
        return random.sample(own, random.randint(1, len(own)))

    return _partial(machine, random, some)


def router(machine: Machine, random: Random, promise: Promise) -> list[str]:
    return _partial(machine, random, lambda roles: ["router"])


def _total(
    machine: Machine, random: Random, promise: Promise, kill: Callable[[CrashServer], None], *, again: bool = False
) -> list[str]:
    """All processes end, under load."""
    server = machine.running()
    clients = machine.clients(random)
    with working(clients):
        wait_for_acts(clients, random.randrange(ACTS_MAX))
        machine.ask_admin(random)
        with freeze_some(server, random):
            kill(server)
            machine.killed_s = time.monotonic()
    machine.restart(random, promise, again=again)
    return [surprise for client in clients for surprise in client.surprises]


def everything(machine: Machine, random: Random, promise: Promise) -> list[str]:
    return _total(machine, random, promise, lambda server: kill_all(server, random))


def twice(machine: Machine, random: Random, promise: Promise) -> list[str]:
    return _total(machine, random, promise, lambda server: kill_all(server, random), again=True)


def supervisor(machine: Machine, random: Random, promise: Promise) -> list[str]:
    """Its children notice, and stop by themselves."""
    return _total(machine, random, promise, kill_supervisor)


def flushall(machine: Machine, random: Random, promise: Promise) -> list[str]:
    """Between two MSETs: all of what was there before is there or nothing is."""
    server = machine.running()
    marks = [b"mark:%d" % number for number in range(MARKS)]
    setup = [b"MSET", *[word for mark in marks for word in (mark, b"1")]]
    with server.connect() as client:
        assert not isinstance(client.call(*setup), Error)
        if machine.fsync != "always":
            client.call("WAITAOF", 1, 0, SYNC_TIMEOUT_MS)
        keys = client.call("DBSIZE")
        client.send_bytes(encoded([b"FLUSHALL"]) + encoded([b"MSET", b"after:1", b"2", b"after:2", b"2", b"c", b"2"]))
        time.sleep(random.choice([0.0, random.uniform(0, 0.01)]))
        with freeze_some(server, random):
            kill_all(server, random)
        machine.killed_s = time.monotonic()
        answered = 0
        try:
            while client.read(0.0).value is not None:
                answered += 1
        except OSError:
            pass
    machine.restart(random, promise)
    with server.connect() as client:
        found = [mark for mark in marks if client.call("GET", mark) is not None]
        after = [key for key in (b"after:1", b"after:2", b"c") if client.call("GET", key) == b"2"]
        left = client.call("DBSIZE")
        client.call("DEL", *marks, "after:1", "after:2", "c")
        said = (
            f"{len(found)} of {MARKS} marks, {left} of {keys} keys, {len(after)} of 3 keys after it, {answered} answers"
        )
        gone = not found and left == len(after)
        whole = (len(found) == MARKS and left == keys and not after) or gone
        if not whole or len(after) not in (0, 3) or (not gone and answered and not promise.until_s):
            return [f"FLUSHALL: torn: {said}"]
        for lane in machine.lanes if gone else ():
            for pipeline in lane.begin():
                client.send_bytes(b"".join(encoded(list(argv)) for argv in pipeline))
                client.read_many(len(pipeline))
    for lane in machine.lanes:
        if gone and isinstance(lane, kinds.Counters):
            lane.before = 0
    return []


def log_off_and_on(machine: Machine, random: Random, promise: Promise) -> list[str]:
    """While nobody writes: the log is turned off and on again, and the crash is in the middle of that."""
    server = machine.running()
    with server.connect() as client:
        for value in ("no", "yes"):
            reply = client.call("CONFIG", "SET", "appendonly", value)
            machine.report.admin[f"CONFIG SET appendonly {value}: {reply!r}"] += 1
            time.sleep(random.choice([0.0, random.uniform(0, 0.05)]))
    with freeze_some(server, random):
        kill_all(server, random)
    machine.killed_s = time.monotonic()
    machine.restart(random, promise)
    return []


DEEDS: dict[str, tuple[float, Callable[[Machine, Random, Promise], list[str]]]] = {
    "a shard": (3.0, a_shard),
    "shards": (2.0, shards),
    "router": (2.0, router),
    "supervisor": (1.0, supervisor),
    "everything": (4.0, everything),
    "twice": (1.0, twice),
    "flushall": (1.0, flushall),
    "log off and on": (0.5, log_off_and_on),
}
"""How often each is done, and what it is."""

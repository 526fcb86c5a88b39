"""A run: every workload in a lane of its own, all at once, scene after scene until the time is over.

The lanes share one event loop and the server, not their keys. What one lane does is load for the others.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import uvloop

from tests.bench.processes import roles
from tests.histories.callers import Caller, Hang, Meter, Refused
from tests.histories.invariants import Lists, OneValue, Pairs, PlainTransfers, Ring, Seats, Sets, WatchedTransfers
from tests.histories.objects import ManyLists, ManyStrings, OneList, OneString
from tests.histories.queues import Queues, SingleQueues
from tests.histories.scene import Scene, Workload, spread_keys, tried
from tests.linearizability import Undecided, shown
from tests.resp_client import Client, Error, encode_command
from tests.servers import Shardis

WORKLOADS: tuple[Workload, ...] = (
    OneString(),
    OneList(),
    SingleQueues(),
    OneValue(),
    ManyStrings(),
    ManyLists(),
    WatchedTransfers(),
    PlainTransfers(),
    Ring(),
    Seats(),
    Lists(),
    Sets(),
    Pairs(),
    Queues(),
)

FAULTS_MAX = 20
"""Enough to see what is wrong."""
HISTORY_SHOWN = 400
OVERRUN_S = 60.0
"""A scene is played to its end, and no call takes HANG_S."""
KILL_PAUSES_S = (0.5, 3.0)
WAITS = 0.98
"""The chance, each time, that the next kill waits on for a shard that is not back: some must die while they load."""


@dataclass(slots=True)
class Report:
    """What a run did and found."""

    faults: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Workloads whose commands the server lacks, and what it said."""
    scenes: Counter[str] = field(default_factory=Counter)
    """By workload; those that were checked are in `checked` as well."""
    checked: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    effects: dict[str, Counter[str]] = field(default_factory=dict)
    """Calls by workload and command, those answered by an error or by nothing at all not counted."""
    refused: int = 0
    unknown: int = 0
    kills: int = 0
    calls: int = 0
    overlap: float = 0.0
    seconds: float = 0.0

    def add(self, workload: Workload, scene: Scene, *, strict: bool) -> None:
        self.scenes[workload.name] += 1
        history = scene.history
        effects = self.effects.setdefault(workload.name, Counter())
        effects.update(each.call[0].decode() for each in history if each.known and _has_effect(each.reply))
        found = workload.surprises(history)
        if not found and (strict or not workload.whole_keyspace):
            self.checked[workload.name] += 1
            try:
                found += workload.faults(history, scene.keys)
            except Undecided as reason:
                self.undecided[workload.name] += 1
                print(f"{workload.name}: undecided: {reason}")
        if found and len(self.faults) < FAULTS_MAX:
            calls = sorted(history, key=lambda operation: operation.invoked_s)[:HISTORY_SHOWN]
            text = "\n".join(f"  {shown(each)}" for each in calls)
            self.faults.append(f"{workload.name}, {scene.prefix}: " + "\n".join(found) + f"\nall of it:\n{text}")

    def text(self) -> str:
        lines = [f"{'workload':<20} {'scenes':>7} {'checked':>8}  calls that did something"]
        for name, scenes in self.scenes.items():
            effects = ", ".join(f"{command} {count}" for command, count in self.effects[name].most_common())
            lines.append(f"{name:<20} {scenes:>7} {self.checked[name]:>8}  {effects}")
        lines += [f"{name:<20} left out: {reason}" for name, reason in self.left_out.items()]
        lines.append(
            f"{self.calls} calls in {self.seconds:.1f} s ({self.calls / (self.seconds or 1):.0f}/s), each with"
            f" {self.overlap:.1f} others open; {self.kills} kills, {self.refused} calls refused,"
            f" {self.unknown} of unknown outcome, {self.undecided.total()} scenes undecided"
        )
        return "\n".join([*self.faults, *lines])


def _has_effect(reply: Any) -> bool:
    return not (isinstance(reply, Error) or reply is None or reply == 0)


def run(
    address: tuple[str, int],
    seconds: float,
    seed: int,
    *,
    server: Shardis | None = None,
    strict: bool | None = None,
    workloads: Sequence[Workload] = WORKLOADS,
) -> Report:
    """Plays on the server there. Shards of `server` are killed meanwhile, if it is given.

    `strict` checks also what is promised only while no shard dies; by default it is on where none is killed.
    """
    report = Report()
    strict = server is None if strict is None else strict
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(report, address, seconds, seed, server, strict, _able(address, workloads, report)))
    return report


def _able(address: tuple[str, int], workloads: Sequence[Workload], report: Report) -> list[Workload]:
    """Those of whose commands the server has all, also with keys on several shards."""
    able = []
    for workload in workloads:
        reason = ""
        for argvs in workload.needs:
            keys = list(spread_keys("needed", 3))
            with Client(address) as client:
                client.call("DEL", *keys)
                words = [[_key(word, keys) for word in argv] for argv in argvs]
                client.send_bytes(b"".join(map(encode_command, words)))
                replies = [reply.value for reply in client.read_many(len(argvs))]
                client.call("DEL", *keys)
            errors = [reply for reply in replies for reply in _flat(reply) if isinstance(reply, Error)]
            errors = [error for error in errors if error != Error(b"ERR no such key")]
            if errors:
                reason = reason or f"{b' '.join(argvs[0]).decode()} ...: {bytes(errors[0]).decode()}"
        if reason:
            report.left_out[workload.name] = reason
        else:
            able.append(workload)
    return able


def _key(word: bytes, keys: Sequence[bytes]) -> bytes:
    return keys[int(word[1:])] if word.startswith(b"%") else word


def _flat(reply: Any) -> list[Any]:
    return reply if isinstance(reply, list) else [reply]


async def _run(
    report: Report,
    address: tuple[str, int],
    seconds: float,
    seed: int,
    server: Shardis | None,
    strict: bool,
    workloads: Sequence[Workload],
) -> None:
    loop = asyncio.get_running_loop()
    meter = Meter()
    started_s = loop.time()
    ends_s = started_s + seconds
    lanes = [_lane(report, workload, address, meter, ends_s, seed, strict) for workload in workloads]
    if server is not None:
        lanes.append(_killer(report, server, ends_s, Random(seed)))
    try:
        async with asyncio.timeout(seconds + OVERRUN_S), asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(lane)
    except* Hang as hangs:
        report.faults += list(map(str, _leaves(hangs)))
    except* TimeoutError:
        report.faults.append(f"not over {OVERRUN_S} s after its end: something is refused all the time")
    report.calls, report.overlap, report.seconds = meter.calls, meter.overlap, loop.time() - started_s
    if server is None and (report.refused or report.unknown):
        report.faults.append(f"no shard was killed, and {report.refused} calls were refused, {report.unknown} unknown")


def _leaves(failure: BaseException) -> list[BaseException]:
    """The exceptions of a group within groups."""
    if not isinstance(failure, BaseExceptionGroup):
        return [failure]
    return [leaf for each in failure.exceptions for leaf in _leaves(each)]


async def _lane(
    report: Report,
    workload: Workload,
    address: tuple[str, int],
    meter: Meter,
    ends_s: float,
    seed: int,
    strict: bool,
) -> None:
    loop = asyncio.get_running_loop()
    random = Random(f"{seed} {workload.name}")
    number = 0
    with _callers(address, workload, meter) as callers:
        while loop.time() < ends_s and len(report.faults) < FAULTS_MAX:
            number += 1
            scene = Scene(callers, random, f"{workload.name.replace(' ', '-')}:{seed}:{number}", workload.rounds)
            with suppress(Refused):
                await workload.play(scene)
            report.add(workload, scene, strict=strict)
            with suppress(Refused):
                await callers[0].call(b"DEL", *scene.keys)
            for caller in callers:
                report.refused += caller.refused
                report.unknown += caller.unknown
                caller.refused = caller.unknown = 0
                caller.history.clear()


@contextmanager
def _callers(address: tuple[str, int], workload: Workload, meter: Meter) -> Iterator[list[Caller]]:
    callers = [Caller(address, number, meter, workload.setup) for number in range(workload.clients)]
    try:
        yield callers
    finally:
        for caller in callers:
            caller.close()


async def _killer(report: Report, server: Shardis, ends_s: float, random: Random) -> None:
    """Kills one shard after the other, mostly when all of them serve."""
    loop = asyncio.get_running_loop()
    with _callers(server.address, Pairs(), Meter()) as (caller, *_):
        while True:
            await asyncio.sleep(random.uniform(*KILL_PAUSES_S))
            while random.random() < WAITS and await tried(caller.call(b"DBSIZE")) is None:
                pass
            if loop.time() >= ends_s:
                return
            victim = roles(server).get(f"shard {random.randrange(server.shards)}")
            if victim is not None:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    report.kills += 1

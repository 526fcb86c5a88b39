"""Workloads of queues: producers push numbered jobs, consumers wait for them, each job is taken exactly once.

Of one producer and one queue the jobs come in their order: nobody who asked after a job was taken may be given one that
was pushed before it.
"""

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tests.histories.callers import Argv, Caller, Refused
from tests.histories.scene import REFUSED_PAUSE_S, Scene, Workload, tried
from tests.linearizability import Operation
from tests.resp_client import Error

WAIT_S = b"0.1"
JOBS_AT_ONCE = 3
UNBLOCKED = b"UNBLOCKED client unblocked via CLIENT UNBLOCK"

Job = tuple[bytes, bytes]
"""Queue and name."""


class Queues(Workload):
    """Two producers; consumers that wait for several queues at once, or take from several; one who unblocks them."""

    name = "queues"
    count = 4
    clients = 7
    producers = 2
    needs: Sequence[Sequence[Argv]] = (
        [(b"BLPOP", b"%0", b"%1", b"%2", b"0.01")],
        [(b"BLMPOP", b"0.01", b"2", b"%0", b"%1", b"LEFT", b"COUNT", b"2")],
        [(b"MULTI",), (b"RPUSH", b"%0", b"1"), (b"RPUSH", b"%1", b"1"), (b"EXEC",)],
    )
    errors = (UNBLOCKED,)

    async def play(self, scene: Scene) -> None:
        scene.keys = scene.spread(self.count)
        producing = self.producers
        consuming = [await self.client_id(caller) for caller in scene.callers[self.producers :]]

        async def produce(caller: Caller) -> None:
            nonlocal producing
            for number in range(self.rounds):
                await tried(self.push(scene, caller, number))
                if consuming and scene.random.random() < 0.2:
                    await tried(self.unblock(scene, caller, consuming))
            producing -= 1

        async def consume(caller: Caller) -> None:
            """Until a call that began after the last push finds nothing."""
            ending = False
            while not ending:
                ending = not producing
                try:
                    reply = await self.pop(scene, caller)
                    ending = ending and reply is None
                except Refused:
                    ending = False
                    await asyncio.sleep(REFUSED_PAUSE_S)

        scene.rounds = 1  # Of these two, which know their own end.
        await scene.play(*[produce] * self.producers, consume)

    async def client_id(self, caller: Caller) -> bytes:
        reply = await caller.call(b"CLIENT", b"ID")
        return b"%d" % reply

    async def unblock(self, scene: Scene, caller: Caller, ids: Sequence[bytes]) -> None:
        await caller.call(b"CLIENT", b"UNBLOCK", scene.random.choice(ids), scene.random.choice([b"TIMEOUT", b"ERROR"]))

    async def push(self, scene: Scene, caller: Caller, number: int) -> None:
        jobs = [b"%d:%d" % (caller.number, JOBS_AT_ONCE * number + more) for more in range(JOBS_AT_ONCE)]
        one, other = scene.some(2)
        chance = scene.random.random()
        if chance < 0.4:
            await caller.exec((b"RPUSH", one, jobs[0]), (b"RPUSH", other, jobs[1], jobs[2]))
        else:
            await caller.call(b"RPUSH", one, *jobs[: scene.random.randrange(1, JOBS_AT_ONCE + 1)])

    async def pop(self, scene: Scene, caller: Caller) -> Any:
        """Of several queues at once: where it finds nothing, there was nothing."""
        keys = scene.some(self.count)
        calls: list[tuple[bytes, ...]] = [(b"BLPOP", *keys, WAIT_S)] * 3
        calls += [(b"BLMPOP", WAIT_S, b"%d" % self.count, *keys, b"LEFT", b"COUNT", b"2")] * 2
        calls += [(b"LMPOP", b"%d" % self.count, *keys, b"LEFT")]
        reply = await caller.call(*scene.random.choice(calls))
        # A call that somebody unblocked says nothing about the queues.
        return b"" if isinstance(reply, Error) else reply

    def faults(self, history: list[Operation], keys: Sequence[bytes]) -> list[str]:
        return [*_wrong_numbers(history), *_out_of_order(history)]


class SingleQueues(Queues):
    """Each call is about one queue, on one shard: this holds also when shards die."""

    name = "queues, one each"
    whole_keyspace = False
    needs = ()

    async def push(self, scene: Scene, caller: Caller, number: int) -> None:
        await caller.call(b"RPUSH", scene.random.choice(scene.keys), b"%d:%d" % (caller.number, number))

    async def pop(self, scene: Scene, caller: Caller) -> Any:
        """Each consumer looks after one queue."""
        key = scene.keys[caller.number % self.count]
        calls = [
            (b"BLPOP", key, WAIT_S),
            (b"BLMPOP", WAIT_S, b"1", key, b"LEFT", b"COUNT", b"2"),
            (b"BLPOP", key, WAIT_S),
        ]
        reply = await caller.call(*scene.random.choice(calls))
        return b"" if isinstance(reply, Error) else reply


def pushed_jobs(operation: Operation) -> Iterator[Job]:
    calls = operation.call[1:] if operation.call[0] == b"EXEC" else [operation.call]
    for call in calls:
        if call[0] == b"RPUSH":
            yield from ((call[1], name) for name in call[2:])


def popped_jobs(operation: Operation) -> Iterator[Job]:
    if operation.known and operation.call[0] in (b"BLPOP", b"BLMPOP", b"LMPOP") and isinstance(operation.reply, list):
        key, names = operation.reply
        yield from ((key, name) for name in (names if isinstance(names, list) else [names]))


def _wrong_numbers(history: list[Operation]) -> Iterator[str]:
    """Jobs taken twice, or by nobody. What a call of unknown outcome took is nobody's."""
    pushed = {job: operation for operation in history for job in pushed_jobs(operation)}
    popped = Counter(job for operation in history for job in popped_jobs(operation))
    for job, times in popped.items():
        if times > 1:
            yield f"{job!r} was taken {times} times"
        if job not in pushed:
            yield f"{job!r} was taken and never pushed"
    lost = [job for job, operation in pushed.items() if operation.known and not popped[job]]
    unknown_pops = [call for call in history if not call.known and call.call[0] in (b"BLPOP", b"BLMPOP", b"LMPOP")]
    if len(lost) > 2 * len(unknown_pops):
        yield f"taken by nobody: {lost!r}, with {len(unknown_pops)} calls of unknown outcome"


def _out_of_order(history: list[Operation]) -> Iterator[str]:
    """Of one queue and producer: a job taken by a call that began when a later one had been taken."""
    pops: dict[tuple[bytes, bytes], list[tuple[float, float, int]]] = {}
    for operation in history:
        numbers: dict[tuple[bytes, bytes], list[int]] = {}
        for key, name in popped_jobs(operation):
            producer, _, text = name.partition(b":")
            numbers.setdefault((key, producer), []).append(int(text))
        for line, found in numbers.items():
            if found != sorted(found):
                yield f"out of order in one reply: {operation.call!r} -> {operation.reply!r}"
            pops.setdefault(line, []).extend((operation.responded_s, operation.invoked_s, each) for each in found)
    for line, taken in pops.items():
        taken.sort()
        highest: list[int] = []
        for _, invoked_s, number in taken:
            before = bisect_left(taken, (invoked_s, 0.0, 0))
            if before and highest[before - 1] > number:
                yield f"{line!r}: {number} was taken by a call that began at {invoked_s}, after {highest[before - 1]}"
            highest.append(max(number, highest[-1] if highest else number))

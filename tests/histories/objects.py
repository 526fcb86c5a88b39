"""Workloads whose whole history must be linearizable: some keys are one object, and a model says what it answers.

On one key, whatever happens to a shard; on keys of several shards, where what touches several is atomic. A model
refuses more than any invariant does: a stale read, a lost update, an element popped twice, a reply out of its order.
"""

from collections.abc import Sequence
from typing import Any

from tests.histories.callers import Argv, Caller
from tests.histories.model import Model
from tests.histories.scene import Scene, Workload
from tests.linearizability import NotLinearizable, Operation, check

BLOCKED_S = b"0.02"


class LinearizableWorkload(Workload):
    """Steps at random, one object."""

    count = 1
    """Of keys."""

    async def play(self, scene: Scene) -> None:
        scene.keys = scene.spread(self.count)

        async def step(caller: Caller) -> None:
            await self.step(scene, caller)

        await scene.play(step)

    async def step(self, scene: Scene, caller: Caller) -> None:
        raise NotImplementedError

    def faults(self, history: list[Operation], keys: Sequence[bytes]) -> list[str]:
        model = Model(keys)
        # What failed because of a WATCH had no effect, and may fail for no reason that a model knows.
        history = [each for each in history if not (each.call[0] == b"WATCHED" and each.known and each.reply is None)]
        try:
            check(history, model.step, model.empty)
        except NotLinearizable as refusal:
            return [str(refusal)]
        return []


class OneString(LinearizableWorkload):
    name = "one string"
    whole_keyspace = False
    rounds = 15
    clients = 6
    needs = ([(b"MULTI",), (b"INCRBY", b"%0", b"1"), (b"EXEC",)],)

    async def step(self, scene: Scene, caller: Caller) -> None:
        (key,) = scene.keys
        random = scene.random
        value = scene.unique()
        if random.random() < 0.1:
            await caller.exec((b"GET", key), (b"INCRBY", key, b"1"), (b"GET", key))
            return
        calls: list[tuple[bytes, ...]] = [(b"GET", key)] * 4
        calls += [(b"SET", key, value)] * 2 + [(b"INCRBY", key, value), (b"DECRBY", key, value), (b"DEL", key)]
        calls += [(b"SET", key, value, b"GET"), (b"SET", key, value, b"NX"), (b"GETDEL", key), (b"GETSET", key, value)]
        await caller.call(*random.choice(calls))


class OneList(LinearizableWorkload):
    name = "one list"
    whole_keyspace = False
    rounds = 15
    clients = 6

    async def step(self, scene: Scene, caller: Caller) -> None:
        (key,) = scene.keys
        value, other = scene.unique(), scene.unique()
        pushes = [(b"RPUSH", key, value), (b"LPUSH", key, value), (b"RPUSH", key, value, other)]
        pops = [(b"LPOP", key), (b"RPOP", key), (b"BLPOP", key, BLOCKED_S), (b"LMOVE", key, key, b"LEFT", b"RIGHT")]
        reads: list[tuple[bytes, ...]] = [(b"LLEN", key), (b"LRANGE", key, b"0", b"-1"), (b"EXISTS", key)]
        await caller.call(*scene.random.choice(scene.random.choice([pushes, pops, reads])))


class ManyStrings(LinearizableWorkload):
    """MSET, RENAME, COPY, EXEC and the like over three keys."""

    name = "several strings"
    count = 3
    needs: Sequence[Sequence[Argv]] = (
        [(b"MULTI",), (b"INCRBY", b"%0", b"1"), (b"RENAME", b"%0", b"%1"), (b"EXEC",)],
        [(b"WATCH", b"%0", b"%1"), (b"UNWATCH",)],
    )
    errors = (b"ERR no such key",)

    async def step(self, scene: Scene, caller: Caller) -> None:
        random = scene.random
        if random.random() < 0.3:
            await caller.exec(*[self.call(scene) for _ in range(random.randrange(1, 4))])
        elif random.random() < 0.15:
            await self.compare_and_set(scene, caller)
        else:
            await caller.call(*self.call(scene))

    def call(self, scene: Scene, *, may_block: bool = False) -> tuple[bytes, ...]:
        one, other, third = scene.some(3)
        value = scene.unique()
        reads: list[tuple[bytes, ...]] = [
            (b"MGET", one, other, third),
            (b"MGET", *scene.keys),
            (b"GET", one),
            (b"EXISTS", one, other),
        ]
        writes: list[tuple[bytes, ...]] = [
            (b"MSET", one, value, other, value),
            (b"SET", one, value),
            (b"INCRBY", one, b"1"),
            (b"DEL", one),
        ]
        writes += [(b"MSET", *[word for key in scene.keys for word in (key, value)]), (b"DEL", *scene.keys)]
        writes += [(b"MSETNX", one, value, other, value)]
        moves: list[tuple[bytes, ...]] = [(b"RENAME", one, other), (b"RENAMENX", one, other)]
        moves += [(b"COPY", one, other), (b"COPY", one, other, b"REPLACE")]
        return scene.random.choice(scene.random.choice([reads, reads, writes, moves]))

    async def compare_and_set(self, scene: Scene, caller: Caller) -> None:
        one, other = scene.some(2)
        await caller.watch(one, other)
        values: list[Any] = await caller.call(b"MGET", one, other)
        value = scene.unique()
        await caller.exec((b"SET", other, value), (b"GET", one), watched=[(one, values[0]), (other, values[1])])


class ManyLists(LinearizableWorkload):
    """Pops that block on several keys, moves and pushes, over three lists."""

    name = "several lists"
    count = 3
    rounds = 15
    needs = (
        [(b"MULTI",), (b"RPUSH", b"%0", b"1"), (b"LMOVE", b"%0", b"%1", b"LEFT", b"LEFT"), (b"EXEC",)],
        [(b"BLPOP", b"%0", b"%1", b"%2", b"0.01")],
        [(b"BLMPOP", b"0.01", b"2", b"%0", b"%1", b"LEFT")],
        [(b"BLMOVE", b"%0", b"%1", b"LEFT", b"LEFT", b"0.01")],
    )

    async def step(self, scene: Scene, caller: Caller) -> None:
        if scene.random.random() < 0.3:
            await caller.exec(*[self.call(scene, may_block=False) for _ in range(scene.random.randrange(1, 4))])
        else:
            await caller.call(*self.call(scene, may_block=caller.number % 2 == 0))

    def call(self, scene: Scene, *, may_block: bool) -> tuple[bytes, ...]:
        """`may_block` is false in a transaction, where nothing waits, and for those who keep the others going."""
        one, other, third = scene.some(3)
        value = scene.unique()
        reads = [(b"LRANGE", one, b"0", b"-1"), (b"LLEN", one), (b"EXISTS", one, other, third)]
        pushes = [(b"RPUSH", one, value), (b"LPUSH", one, value), (b"RPUSH", one, value, scene.unique())]
        moves = [(b"LMOVE", one, other, b"LEFT", b"RIGHT"), (b"RPOPLPUSH", one, other)]
        moves += [(b"LPOP", one), (b"RPOP", one), (b"LMPOP", b"3", one, other, third, b"RIGHT", b"COUNT", b"2")]
        blocking = [(b"BLPOP", one, other, third, BLOCKED_S), (b"BRPOP", one, other, BLOCKED_S)]
        blocking += [(b"BLMPOP", BLOCKED_S, b"3", one, other, third, b"LEFT"), (b"BLPOP", one, BLOCKED_S)]
        blocking += [(b"BLMOVE", one, other, b"RIGHT", b"LEFT", BLOCKED_S)]
        return scene.random.choice(
            scene.random.choice([reads, pushes, pushes, moves, blocking if may_block else reads])
        )

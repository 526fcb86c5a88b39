"""Workloads that keep something the same, whatever the order of their calls: every read ever made must show it."""

from collections.abc import Sequence
from typing import Any

from tests.histories.callers import Caller
from tests.histories.objects import LinearizableWorkload
from tests.histories.scene import Scene, Workload, replies
from tests.linearizability import Operation

OK_OR_NOTHING = (b"ERR no such key",)
BALANCE = 100


def numbers(values: Sequence[Any]) -> list[int]:
    return [int(value or 0) for value in values]


def pairs(keys: Sequence[bytes], value: bytes) -> list[bytes]:
    return [word for key in keys for word in (key, value)]


class OneValue(LinearizableWorkload):
    """Each MSET writes one value to all keys: each MGET finds one value in all of them, and not an old one."""

    name = "MSET and MGET"
    count = 6
    clients = 6

    async def step(self, scene: Scene, caller: Caller) -> None:
        keys = scene.some(self.count)
        if scene.random.random() < 0.5:
            await caller.call(b"MSET", *pairs(keys, scene.unique()))
        else:
            await caller.call(b"MGET", *keys)

    def faults(self, history: list[Operation], keys: Sequence[bytes]) -> list[str]:
        torn = [f"torn: {call!r} -> {reply!r}" for call, reply in replies(history, b"MGET") if len(set(reply)) != 1]
        return torn or super().faults(history, keys)


class Transfers(Workload):
    """Money goes from one account to another: the sum is always the same."""

    count = 5
    plain_reads = True

    async def play(self, scene: Scene) -> None:
        scene.keys = scene.spread(self.count)
        await scene.setup((b"MSET", *pairs(scene.keys, b"%d" % BALANCE)))

        async def step(caller: Caller) -> None:
            if scene.random.random() < 0.3:
                await self.read(scene, caller)
            else:
                await self.transfer(scene, caller)

        await scene.play(step)
        await scene.callers[0].call(b"MGET", *scene.keys)

    async def read(self, scene: Scene, caller: Caller) -> None:
        if scene.random.random() < 0.5:
            await caller.call(b"MGET", *scene.some(self.count))
        else:
            await caller.exec(*[(b"GET", key) for key in scene.some(self.count)])

    async def transfer(self, scene: Scene, caller: Caller) -> None:
        raise NotImplementedError

    def faults(self, history: list[Operation], keys: Sequence[bytes]) -> list[str]:
        sums = [
            (call, reply, sum(numbers(reply)))
            for call, reply in replies(history, b"MGET", b"EXEC")
            if sorted(call[1:] if call[0] == b"MGET" else [each[1] for each in call[1:]]) == sorted(keys)
        ]
        wanted = BALANCE * len(keys)
        found = [f"sum {total}, not {wanted}: {call!r} -> {reply!r}" for call, reply, total in sums if total != wanted]
        return found if sums else ["nobody read"]


class WatchedTransfers(Transfers):
    """What is written was computed from what was read: an update that WATCH let through would be lost."""

    name = "transfers by WATCH"
    needs = (
        [(b"MULTI",), (b"SET", b"%0", b"1"), (b"SET", b"%1", b"1"), (b"EXEC",)],
        [(b"WATCH", b"%0", b"%1"), (b"UNWATCH",)],
    )

    async def transfer(self, scene: Scene, caller: Caller) -> None:
        source, target = scene.some(2)
        await caller.watch(source, target)
        values = await caller.call(b"MGET", source, target)
        amount = scene.random.randrange(1, 50)
        one, other = numbers(values)
        await caller.exec(
            (b"SET", source, b"%d" % (one - amount)),
            (b"SET", target, b"%d" % (other + amount)),
            watched=[(source, values[0]), (target, values[1])],
        )


class PlainTransfers(Transfers):
    name = "transfers by EXEC"
    needs = ([(b"MULTI",), (b"DECRBY", b"%0", b"1"), (b"INCRBY", b"%1", b"1"), (b"EXEC",)],)

    async def transfer(self, scene: Scene, caller: Caller) -> None:
        source, target = scene.some(2)
        amount = b"%d" % scene.random.randrange(1, 50)
        await caller.exec((b"DECRBY", source, amount), (b"INCRBY", target, amount))


class Places(Workload):
    """Things that are moved between places: each is always at exactly one."""

    count = 5
    things = 1

    def content(self) -> list[bytes]:
        return [b"thing%d" % number for number in range(self.things)]

    async def play(self, scene: Scene) -> None:
        scene.keys = scene.spread(self.count)
        await self.place(scene)

        async def step(caller: Caller) -> None:
            if scene.random.random() < 0.4:
                await self.read(scene, caller)
            else:
                await self.move(scene, caller)

        await scene.play(step)
        await self.read(scene, scene.callers[0])

    async def place(self, scene: Scene) -> None:
        raise NotImplementedError

    async def move(self, scene: Scene, caller: Caller) -> None:
        raise NotImplementedError

    async def read(self, scene: Scene, caller: Caller) -> None:
        raise NotImplementedError

    def faults(self, history: list[Operation], keys: Sequence[bytes]) -> list[str]:
        seen = [(call, self.seen(call, reply)) for call, reply in replies(history, b"MGET", b"EXEC", b"SUNION")]
        reads = [(call, sorted(things)) for call, things in seen if things is not None]
        wanted = sorted(self.content())
        found = [f"not each once: {call!r} -> {things!r}" for call, things in reads if things != wanted]
        return found + self.more_faults(history) if reads else ["nobody read"]

    def seen(self, call: Any, reply: Any) -> list[bytes] | None:
        """What a read found in all places; None for a call that is no read."""
        if call[0] == b"MGET":
            return [value for value in reply if value is not None]
        if call[1][0] in (b"GET", b"LRANGE", b"SMEMBERS"):
            return [thing for things in reply if things for thing in (things if isinstance(things, list) else [things])]
        return None

    def more_faults(self, history: list[Operation]) -> list[str]:
        return []


class Ring(Places):
    """One value, renamed without end: also by a COPY and a DEL in one transaction."""

    name = "RENAME"
    needs = ([(b"MULTI",), (b"COPY", b"%0", b"%1"), (b"DEL", b"%0"), (b"EXEC",)],)
    errors = OK_OR_NOTHING

    async def place(self, scene: Scene) -> None:
        await scene.setup((b"SET", scene.keys[0], self.content()[0]))

    async def move(self, scene: Scene, caller: Caller) -> None:
        source, target = scene.some(2)
        if scene.random.random() < 0.7:
            await caller.call(scene.random.choice([b"RENAME", b"RENAMENX"]), source, target)
        else:
            await caller.exec((b"COPY", source, target), (b"DEL", source))

    async def read(self, scene: Scene, caller: Caller) -> None:
        chance = scene.random.random()
        if chance < 0.6:
            await caller.call(b"MGET", *scene.some(self.count))
        elif chance < 0.8:
            await caller.call(b"EXISTS", *scene.some(self.count))
        else:
            await caller.exec(*[(b"GET", key) for key in scene.some(self.count)])

    def more_faults(self, history: list[Operation]) -> list[str]:
        counted = replies(history, b"EXISTS")
        return [f"{count} are there: {call!r}" for call, count in counted if count != self.things]


class Seats(Ring):
    """Several values and more keys than values: RENAMENX never goes where one is."""

    name = "RENAMENX"
    count = 8
    things = 4

    async def place(self, scene: Scene) -> None:
        await scene.setup((b"MSET", *[word for pair in zip(scene.keys, self.content(), strict=False) for word in pair]))

    async def move(self, scene: Scene, caller: Caller) -> None:
        await caller.call(b"RENAMENX", *scene.some(2))


class Lists(Places):
    """Elements that LMOVE takes from list to list."""

    name = "LMOVE"
    things = 12
    needs = (
        [(b"MULTI",), (b"LRANGE", b"%0", b"0", b"-1"), (b"LRANGE", b"%1", b"0", b"-1"), (b"EXEC",)],
        [(b"BLMOVE", b"%0", b"%1", b"LEFT", b"LEFT", b"0.01")],
    )

    async def place(self, scene: Scene) -> None:
        await scene.setup((b"DEL", *scene.keys), (b"RPUSH", scene.keys[0], *self.content()))

    async def move(self, scene: Scene, caller: Caller) -> None:
        source, target = scene.some(2)
        sides = scene.random.choice([b"LEFT", b"RIGHT"]), scene.random.choice([b"LEFT", b"RIGHT"])
        calls = [(b"LMOVE", source, target, *sides)] * 3
        await caller.call(
            *scene.random.choice([*calls, (b"RPOPLPUSH", source, target), (b"BLMOVE", source, target, *sides, b"0.01")])
        )

    async def read(self, scene: Scene, caller: Caller) -> None:
        await caller.exec(*[(b"LRANGE", key, b"0", b"-1") for key in scene.some(self.count)])


class Sets(Places):
    """Members that SMOVE takes from set to set: no two sets share one, and all of them together have them all."""

    name = "SMOVE"
    count = 4
    things = 8
    needs = ([(b"MULTI",), (b"SMEMBERS", b"%0"), (b"SMEMBERS", b"%1"), (b"EXEC",)],)

    async def place(self, scene: Scene) -> None:
        await scene.setup((b"DEL", *scene.keys), (b"SADD", scene.keys[0], *self.content()))

    async def move(self, scene: Scene, caller: Caller) -> None:
        await caller.call(b"SMOVE", *scene.some(2), scene.random.choice(self.content()))

    async def read(self, scene: Scene, caller: Caller) -> None:
        keys = scene.some(self.count)
        (stored,) = scene.spread(1, "stored")
        calls: list[tuple[bytes, ...]] = [(b"SUNION", *keys), (b"SUNIONSTORE", stored, *keys)]
        calls += [(b"SINTER", *keys[:2]), (b"SINTERSTORE", stored, *keys[1:3]), (b"SINTERCARD", b"2", *keys[2:])]
        if scene.random.random() < 0.3:
            await caller.exec(*[(b"SMEMBERS", key) for key in keys])
        else:
            await caller.call(*scene.random.choice(calls))

    async def play(self, scene: Scene) -> None:
        await super().play(scene)
        await scene.callers[0].call(b"SUNION", *scene.keys)

    def seen(self, call: Any, reply: Any) -> list[bytes] | None:
        return list(reply) if call[0] == b"SUNION" else super().seen(call, reply)

    def more_faults(self, history: list[Operation]) -> list[str]:
        wanted = {b"SINTER": [], b"SINTERSTORE": 0, b"SINTERCARD": 0, b"SUNIONSTORE": self.things}
        found = replies(history, *wanted)
        return [f"{call!r} -> {reply!r}" for call, reply in found if reply != wanted[call[0]]]


class Pairs(Workload):
    """Keys that are made and removed two at a time, in a db of their own: their number is even."""

    name = "DBSIZE"
    count = 8
    setup = ((b"SELECT", b"9"),)

    async def play(self, scene: Scene) -> None:
        await scene.setup((b"FLUSHDB",))
        scene.keys = scene.spread(self.count)

        async def step(caller: Caller) -> None:
            one = scene.random.randrange(0, self.count, 2)
            pair = scene.keys[one : one + 2]
            made, gone = (b"MSET", *pairs(pair, b"v")), (b"DEL", *pair)
            calls = [made, made, gone, (b"UNLINK", *reversed(pair)), (b"FLUSHDB",)]
            calls += [(b"DBSIZE",), (b"DBSIZE",), (b"KEYS", b"*"), (b"EXISTS", *scene.keys)]
            await caller.call(*scene.random.choice(calls))

        await scene.play(step)
        await scene.callers[0].call(b"DBSIZE")

    def faults(self, history: list[Operation], keys: Sequence[bytes]) -> list[str]:
        counts = list(replies(history, b"DBSIZE", b"EXISTS", b"KEYS", b"DEL", b"UNLINK"))
        return [
            f"odd: {call!r} -> {reply!r}"
            for call, reply in counts
            if (len(reply) if isinstance(reply, list) else reply) % 2
        ]

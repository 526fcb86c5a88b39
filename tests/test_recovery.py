"""Crashes between the parts of a write over several shards, and what is made of it before anybody is served.

A router and its shards in this process: what each shard logs is kept, group by group. At a random moment some or all of
them, or the router, are gone, each log without a random end of its own; then they are begun anew from their logs.
"""

from random import Random
from typing import Any

import pytest

from common.frame import unpacker
from common.record import COMMAND
from router.recovery import lacking
from shard.loan import orphaned
from shard.sync_waits import event
from tests.bare_router import BareRouter, ShardEnd, on_a_loop
from tests.held_router import HeldEnd

SHARDS = 3
Groups = list[list[tuple[int, list[bytes]]]]


class Shard(HeldEnd):
    """A shard with a log, made again from what is left of it."""

    def __init__(self, link: Any, groups: Groups) -> None:
        super().__init__(link)
        self.deaf = False
        """Whether there is no router at the other end any more."""
        self.groups = groups
        held, executor = self.held, self.executor
        held.index = link.index
        held.links = {self}
        held.owners = self.link.listener.owners
        executor.heard_record = held.book.read
        for group in groups:
            for db, argv in group:
                executor.replay(db, argv)
        executor.log = lambda db, argv: groups.append([(db, argv)])
        executor.log_group = lambda effects: groups.append(list(effects))
        executor.state(loading=True, refusal=None)

    def send(self, frame: Any) -> None:
        if not self.deaf:
            super().send(frame)

    def answer(self, frames: int | None = None) -> None:
        for _ in range(len(self.frames) if frames is None else frames):
            if self.held.failed:  # It ended with the turn.
                self.frames.clear()
            super().answer(1)
        if not self.executor.loading and self.link.state.value == "loaded":
            self.send({"state": "ready"})


class Server(BareRouter):
    """A router over such shards."""

    def __init__(self, logs: list[Groups], *options: str) -> None:
        super().__init__(SHARDS, "--appendonly", "yes", *options, greet=False)
        self.logs = logs
        self.router.records._timed = True  # What is settled, and when, the test says.
        self.shards: list[ShardEnd] = [Shard(link, log) for link, log in zip(self.router.links, logs, strict=True)]
        for shard in self.shards:
            shard.greet("loaded")

    def restart(self, index: int, kept: int) -> None:
        """Shard `index` dies, and is back at once without the end of its log."""
        link = self.router.links[index]
        self.shards[index].die()
        link.closed = False
        del self.logs[index][kept:]
        self.shards[index] = Shard(link, self.logs[index])
        self.shards[index].greet("loaded")

    async def until_ready(self) -> None:
        for _ in range(1000):
            for index, shard in enumerate(self.shards):
                if isinstance(shard, Shard) and shard.held.failed:
                    self.restart(index, len(self.logs[index]))
            await self.settle()
            if all(link.state.value == "ready" for link in self.router.links):
                return
            self.router.recovery._again()  # As its timer would.
        raise AssertionError("the shards are not admitted")

    def value(self, key: bytes) -> Any:
        shard = self.shards[self.router.shard_of(key)]
        assert isinstance(shard, Shard)
        return shard.held.store.dbs[0].peek(key)


def keys(server: Server, number: int) -> list[bytes]:
    """One of each shard."""
    return [server.key_of(shard, number) for shard in range(SHARDS)]


def write(server: Server, client: Any, random: Random, number: int) -> None:
    """A write over shards of one of several kinds, or one that is none."""
    same, moved, counted, flushed = (keys(server, place) for place in range(4))
    kind = random.randrange(9)
    if kind == 0:
        client.send([b"MSET", *(word for key in same for word in (key, b"%d" % number))])
    elif kind == 1:
        one, other = random.sample(moved, 2)
        client.send([b"RENAME", one, other])
    elif kind == 2:
        client.send([b"MULTI"], *([b"INCR", key] for key in counted), [b"EXEC"])
    elif kind == 3:
        one, other = random.sample(moved, 2)
        client.send([b"MULTI"], *([b"INCR", key] for key in counted), [b"RENAME", one, other], [b"EXEC"])
    elif kind == 4:
        client.send([b"DEL", *same])
    elif kind == 8:
        # In many turns.
        calls = [[b"INCR", counted[0]]]
        for key, other in ((counted[1], counted[0]), (counted[2], counted[1])):
            calls += [[b"COPY", other, key + b" copy", b"REPLACE"], [b"INCR", key]]
        client.send([b"MULTI"], *calls, [b"EXEC"])
    elif kind == 5:
        client.send([b"MSET", *(word for key in same for word in (key, b"a"))], [b"SET", random.choice(flushed), b"x"])
        client.send([b"MSET", *(word for key in same for word in (key, b"b"))], [b"DEL", *flushed])
    elif kind == 6:
        # Under holds, and then what waits for them: it is redone behind it, too.
        held = [b"MSETNX", *(word for key in same for word in (key, b"c"))]
        client.send([b"DEL", *same], held, [b"MSET", *(word for key in same for word in (key, b"d"))])
    else:
        client.send([b"SET", random.choice(flushed), b"x"])


def check(server: Server) -> None:
    """What is whole whenever each write is."""
    same, moved, counted, _ = (keys(server, place) for place in range(4))
    assert len({server.value(key) for key in same}) == 1
    assert len([key for key in moved if server.value(key) is not None]) == 1
    assert len({bytes(server.value(key) or b"0") for key in counted}) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_at_any_moment(seed: int) -> None:
    async def scene() -> None:
        random = Random(seed)
        server = Server([[] for _ in range(SHARDS)])
        await server.until_ready()
        setup = server.connect()
        setup.send([b"SET", keys(server, 1)[0], b"token"])
        await server.settle()
        durable = [len(log) for log in server.logs]
        for crash in range(5):
            clients = [server.connect() for _ in range(3)]
            for number in range(random.randrange(1, 30)):
                write(server, random.choice(clients), random, 100 * crash + number)
                for _ in range(random.randrange(3)):
                    await server.sent()
                    random.choice(server.shards).answer(random.randrange(3))
            for _ in range(random.randrange(60)):
                await server.sent()
                random.choice(server.shards).answer(1)
            await server.sent()
            server = await crashed(server, random, durable)
            check(server)
            if random.random() < 0.5:  # All is synced, as when some seconds have gone by.
                durable = [len(log) for log in server.logs]
                server.router.records._settle()
                await server.settle()

    on_a_loop(scene)


async def crashed(server: Server, random: Random, durable: list[int]) -> Server:
    """The server after a crash of some kind, and with whole data again."""
    kind = random.choice(("shard", "router", "all", "machine"))
    if kind == "shard":
        for index in random.sample(range(SHARDS), random.randrange(1, SHARDS + 1)):
            server.restart(index, len(server.logs[index]))
        await server.until_ready()
        return server
    if kind == "router":
        for shard in server.shards:
            assert isinstance(shard, Shard)
            shard.deaf = True
            shard.answer(random.randrange(4))  # What is under way by the old links may reach a shard or not.
        following = Follower(server)
        await following.until_ready()
        return following
    for index, log in enumerate(server.logs):
        kept = random.randrange(durable[index], len(log) + 1) if kind == "machine" else len(log)
        del log[kept:]
    server = Server(server.logs)
    await server.until_ready()
    return server


class Follower(Server):
    """A new router over the shards of one that died."""

    def __init__(self, before: Server) -> None:
        BareRouter.__init__(self, SHARDS, "--appendonly", "yes", greet=False)
        self.logs = before.logs
        self.router.records._timed = True
        self.shards = []
        for link, shard in zip(self.router.links, before.shards, strict=True):
            assert isinstance(shard, Shard)
            orphan(shard)
            if shard.held.failed:
                shard = Shard(link, shard.groups)
            shard.link, shard.deaf = link, False
            shard.frames.clear()
            shard.stream = unpacker()
            shard.runs = 0
            shard.executor.state(loading=True, refusal=None)
            self.shards.append(shard)
            shard.greet("loaded")


def orphan(shard: Shard) -> None:
    """What a shard does when its router is gone."""
    held = shard.held
    orphaned(held, held.room.held_by(shard))  # type: ignore[arg-type]  # As far as it is one.
    held.room.drop(shard)
    held.room.forget(shard)
    held.store.watches.forget(shard)
    held.room.take(None)  # Its answers find nobody.


@pytest.mark.parametrize("logged", [True, False])
def test_a_shard_dies_in_the_middle_of_an_exec_in_many_turns(logged: bool) -> None:
    """Nothing of it is done, and the client hears so. Without a log what the others did stays: they would lose all."""

    async def scene() -> None:
        server = Server([[] for _ in range(SHARDS)], "--appendonly", "yes" if logged else "no")
        await server.until_ready()
        client, (a, b, c) = server.connect(), keys(server, 0)
        client.send([b"MSET", a, b"1", b, b"1", c, b"1"])
        await server.settle()
        assert client.take() == b"+OK\r\n"
        client.send([b"MULTI"], [b"INCR", a], [b"COPY", a, b, b"REPLACE"], [b"INCR", c], [b"EXEC"])
        while server.value(a) == b"1":
            await server.sent()
            for shard in server.shards:
                shard.answer(1)
        server.restart(2, len(server.logs[2]))
        await server.until_ready()
        told = client.take()
        assert told.startswith(b"+OK\r\n" + b"+QUEUED\r\n" * 3)
        assert (b"EXECABORT" in told) is logged
        if logged:
            assert [server.value(key) for key in (a, b, c)] == [b"1"] * 3
        else:
            assert (server.value(a), server.value(b)) == (b"2", b"2")

    on_a_loop(scene)


def test_a_part_that_waits_for_a_held_key_is_waited_for() -> None:
    """It is not in the log yet when a shard that has another part of the same write is back without it."""

    async def scene() -> None:
        server = Server([[] for _ in range(SHARDS)])
        await server.until_ready()
        mover, writer, (a, b, c) = server.connect(), server.connect(), keys(server, 0)
        mover.send([b"SET", a, b"1"])
        await server.settle()
        asked: list[tuple[Any, int]] = []
        for shard in server.shards[:2]:
            waits: Any = shard.held.sync_waits  # type: ignore[attr-defined]
            waits.tell_when_synced = lambda link, id_: asked.append((link, id_))
        mover.send([b"RENAME", a, b])
        await server.settle()
        assert len(asked) == 2, "the keys are held until the logs are synced"
        writer.send([b"MSET", a, b"2", c, b"2"])
        await server.sent()
        server.restart(2, len(server.logs[2]))
        for _ in range(5):
            await server.settle()
            server.router.recovery._again()
        assert server.router.links[2].state.value == "loaded"
        for link, id_ in asked:
            link.send(event(id_))
        await server.until_ready()
        assert [server.value(key) for key in (a, b, c)] == [b"2", b"1", b"2"]

    on_a_loop(scene)


def test_what_is_lacking() -> None:
    reports = [
        {"settled": 2, "has": {3: [0, 1], 5: [0, 1, 2], 4: []}},
        {"settled": 2, "has": {3: [], 6: [1, 2]}},
        {"settled": 6, "has": {4: [0, 2]}},
    ]
    assert lacking(reports) == [(5, 1, 0)]


def test_a_record_is_in_one_group_with_what_it_is_of() -> None:
    async def scene() -> None:
        server = Server([[] for _ in range(SHARDS)])
        await server.until_ready()
        client = server.connect()
        client.send([b"MSET", *(word for key in keys(server, 0) for word in (key, b"v"))])
        await server.settle()
        for log in server.logs:
            assert [argv[0] for _, argv in log[-1]] == [COMMAND, b"MSET"]

    on_a_loop(scene)

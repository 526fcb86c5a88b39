"""Calls that wait for keys of several shards: one outcome each, whoever goes at whatever moment.

The shards are in this process, and a test decides which of them answers when; see held_router.py.
BLOCKING_STEPS in the environment says how long the random part takes.
"""

import os
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from common.resp import encode
from router.blocking import TIMED_OUT
from tests.bare_router import ClientEnd, on_a_loop
from tests.held_router import HeldRouter
from tests.resp_client import parse_reply

STEPS = int(os.environ.get("BLOCKING_STEPS", "150"))
SHARDS = 3


def popped(key: bytes, element: bytes) -> bytes:
    return encode([key, element], 2)


class Scene:
    """A call that waits on two shards, and another client."""

    def __init__(self, bare: HeldRouter | None = None) -> None:
        self.bare = bare or HeldRouter(shards=2)
        self.near, self.far = self.bare.key_of(0), self.bare.key_of(1)
        self.waiting = self.bare.connect()
        self.other = self.bare.connect()

    def elements(self) -> list[bytes]:
        return [text for shard in self.bare.shards for value in shard.contents().values() for text in value]

    async def turn(self) -> bool:
        """One frame of one shard is answered; False if nothing was under way."""
        await self.bare.sent()
        for shard in self.bare.shards:
            if shard.frames:
                shard.answer(1)
                return True
        return False

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await self.turn()

    def idle(self) -> bool:
        return all(shard.is_idle() for shard in self.bare.shards)


def lose(client: ClientEnd) -> None:
    client.closed = True
    client.session.connection_lost(None)


def test_it_waits_and_is_served() -> None:
    async def body() -> None:
        scene = Scene()
        scene.waiting.send([b"BLPOP", scene.near, scene.far, b"0"], [b"PING"])
        await scene.bare.settle()
        blocking = scene.waiting.session.blocking
        assert blocking is not None and blocking.waiting and not scene.waiting.take()
        assert all(len(shard.held.room.waiters.named) == 1 for shard in scene.bare.shards)
        scene.other.send([b"RPUSH", scene.far, b"x", b"y"])
        await scene.bare.settle()
        assert scene.waiting.take() == popped(scene.far, b"x") + b"+PONG\r\n"
        assert scene.elements() == [b"y"] and scene.idle() and scene.waiting.session.blocking is None

    on_a_loop(body)


def test_whoever_asks_after_the_push_finds_it_served() -> None:
    """The attempt is on its way to the shards before the client that pushed has its reply."""

    async def body() -> None:
        scene = Scene()
        scene.waiting.send([b"BLPOP", scene.near, scene.far, b"0"])
        await scene.bare.settle()
        scene.other.send([b"RPUSH", scene.far, b"x"])
        while not (reply := scene.other.take()):
            await scene.turn()
        assert reply == b":1\r\n"
        scene.other.send([b"LLEN", scene.far])
        await scene.bare.settle()
        assert scene.other.take() == b":0\r\n" and scene.waiting.take() == popped(scene.far, b"x")

    on_a_loop(body)


MOMENTS = [(before, after) for before in range(8) for after in range(-1, 9)]
"""Turns since the call came before something is pushed, and turns since then before something happens; -1: before it
is pushed."""


def at_any_moment(act: Callable[[Scene], None]) -> set[bytes]:
    """Does something at each of these moments: all replies that the call got then.

    Whatever the moment, the element went to the client or is still there, and nobody waits any more.
    """
    found = set()

    async def body() -> None:
        bare = HeldRouter(shards=2)
        for before, after in MOMENTS:
            scene = Scene(bare)
            scene.waiting.send([b"BLPOP", scene.near, scene.far, b"0"])
            await scene.turns(before)
            if after < 0:
                act(scene)
            scene.other.send([b"RPUSH", scene.far, b"x"])
            await scene.turns(after)
            if after >= 0:
                act(scene)
            await scene.bare.settle()
            found.add(reply := scene.waiting.take())
            assert scene.elements() == ([] if reply == popped(scene.far, b"x") else [b"x"]), (before, after, reply)
            assert scene.idle(), (before, after)
            scene.other.send([b"FLUSHALL"])
            await scene.bare.settle()

    on_a_loop(body)
    return found


def test_a_deadline_at_any_moment() -> None:
    def act(scene: Scene) -> None:
        if scene.waiting.session.blocking is not None:
            scene.waiting.session.blocking.end(TIMED_OUT)

    served, timed_out = sorted(at_any_moment(act), reverse=True)
    assert timed_out == b"*-1\r\n" and served.endswith(b"x\r\n")


def test_unblocked_at_any_moment() -> None:
    """Who asked for it is told the truth."""
    asking: list[tuple[ClientEnd, ClientEnd]] = []

    def act(scene: Scene) -> None:
        client = scene.bare.connect()
        client.send([b"CLIENT", b"UNBLOCK", b"%d" % scene.waiting.session.id, b"ERROR"])
        asking.append((client, scene.waiting))
        scene.waiting.take = lambda: scene.waiting.received  # type: ignore[method-assign]

    at_any_moment(act)
    outcomes = {
        (asker.take(), waiting.received.startswith(b"-UNBLOCKED client unblocked via")) for asker, waiting in asking
    }
    assert outcomes == {(b":1\r\n", True), (b":0\r\n", False)}


def test_a_client_that_goes_at_any_moment() -> None:
    """Nothing is popped for it, but if it goes while the shard is doing so."""
    lost = 0

    async def body() -> None:
        nonlocal lost
        bare = HeldRouter(shards=2)
        for before, after in MOMENTS:
            scene = Scene(bare)
            scene.waiting.send([b"BLPOP", scene.near, scene.far, b"0"])
            await scene.turns(before)
            scene.other.send([b"RPUSH", scene.far, b"x"])
            await scene.turns(after)
            received = scene.waiting.take()
            lose(scene.waiting)
            behind = scene.bare.connect()
            behind.send([b"BLPOP", scene.far, scene.near, b"0"])
            await scene.bare.settle()
            got = behind.take()
            assert got == b"" if received else got in (b"", popped(scene.far, b"x"))
            assert scene.elements() == []
            lost += not received and not got
            lose(behind)
            await scene.bare.settle()
            assert scene.idle(), (before, after)

    on_a_loop(body)
    assert lost < len(MOMENTS) / 4


def test_a_client_that_closes_its_side() -> None:
    async def body() -> None:
        scene = Scene()
        scene.waiting.send([b"BLPOP", scene.near, scene.far, b"0"], [b"SET", scene.near, b"behind"])
        await scene.bare.settle()
        assert scene.waiting.session.eof_received() in (True, False)
        await scene.bare.settle()
        assert scene.idle() and scene.waiting.closed and not scene.waiting.take()
        late = scene.bare.connect()
        scene.other.send([b"RPUSH", scene.far, b"x"])
        late.send([b"BLPOP", scene.near, scene.far, b"0"])
        late.session.eof_received()
        await scene.bare.settle()
        assert late.take() == popped(scene.far, b"x") and not any(shard.contents() for shard in scene.bare.shards)

    on_a_loop(body)


def test_a_shard_that_dies_at_any_moment() -> None:
    """The client is told, once, and the other shard is rid of it."""

    def scene_at(dead: int, before: int, after: int) -> None:
        async def body() -> None:
            scene = Scene()
            scene.waiting.send([b"BLPOP", scene.near, scene.far, b"0"])
            await scene.turns(before)
            scene.other.send([b"RPUSH", scene.far, b"x"])
            await scene.turns(after)
            scene.bare.shards[dead].die()
            left = scene.bare.shards[1 - dead]
            for _ in range(20):
                await scene.bare.sent()
                left.answer()
            reply = scene.waiting.take()
            assert reply == popped(scene.far, b"x") or reply.startswith(b"-SHARDDOWN shard %d " % dead), reply
            assert reply.count(b"\r\n") in (1, 5) and left.is_idle() and scene.waiting.session.blocking is None

        on_a_loop(body)

    for dead in range(2):
        for before, after in [(before, 0) for before in range(7)] + [(7, after) for after in range(1, 8)]:
            scene_at(dead, before, after)


def test_order_among_calls_of_one_shard_and_of_several() -> None:
    async def body() -> None:
        scene = Scene()
        clients = [scene.bare.connect() for _ in range(6)]
        for number, client in enumerate(clients):
            keys = [scene.far] if number % 2 else [scene.near, scene.far]
            client.send([b"BLPOP", *keys, b"0"])
            await scene.bare.settle()
        scene.other.send([b"RPUSH", scene.far, *[b"%d" % number for number in range(5)]])
        await scene.bare.settle()
        for number, client in enumerate(clients[:5]):
            assert client.take() == popped(scene.far, b"%d" % number)
        assert not clients[5].take()

    on_a_loop(body)


def test_who_waits_behind_one_that_is_served_elsewhere() -> None:
    """It had its turn at a key, and took what there is at another."""

    async def body() -> None:
        scene = Scene()
        behind = scene.bare.connect()
        scene.waiting.send([b"BLPOP", scene.near, scene.far, b"0"])
        await scene.bare.settle()
        behind.send([b"BLPOP", scene.far, b"0"])
        await scene.bare.settle()
        scene.other.send([b"RPUSH", scene.far, b"x"], [b"RPUSH", scene.near, b"y"])
        await scene.bare.settle()
        assert scene.waiting.take() == popped(scene.near, b"y")
        assert behind.take() == popped(scene.far, b"x") and scene.idle()

    on_a_loop(body)


def test_who_waits_behind_one_that_ends_when_it_has_its_turn() -> None:
    async def body() -> None:
        scene = Scene()
        behind = scene.bare.connect()
        scene.waiting.send([b"BLPOP", scene.near, scene.far, b"0"])
        await scene.bare.settle()
        behind.send([b"BLPOP", scene.far, b"0"])
        await scene.bare.settle()
        scene.other.send([b"RPUSH", scene.far, b"x"])
        lose(scene.waiting)
        await scene.bare.settle()
        assert behind.take() == popped(scene.far, b"x") and scene.idle()

    on_a_loop(body)


def test_an_attempt_in_vain_is_one() -> None:
    """There is a stream, with nothing that is new: it is not tried again and again."""

    async def body() -> None:
        scene = Scene()
        scene.waiting.send([b"XREAD", b"BLOCK", b"0", b"STREAMS", scene.near, scene.far, b"9-9", b"9-9"])
        await scene.bare.settle()
        for number in range(1, 4):
            scene.other.send([b"XADD", scene.far, b"%d-1" % number, b"f", b"v"])
            for _ in range(20):
                await scene.turn()
            assert not await scene.turn()
        assert not scene.waiting.take()
        scene.other.send([b"XADD", scene.far, b"10-1", b"f", b"v"])
        await scene.bare.settle()
        assert b"10-1" in scene.waiting.take() and scene.idle()

    on_a_loop(body)


def test_a_client_that_is_killed_when_its_call_has_just_come() -> None:
    async def body() -> None:
        scene = Scene()
        scene.other.send([b"RPUSH", scene.far, b"x"])
        await scene.bare.settle()
        scene.waiting.send([b"BLPOP", scene.near, scene.far, b"0"])
        scene.waiting.session.kill()
        await scene.bare.settle()
        assert scene.elements() == [b"x"] and scene.idle()

    on_a_loop(body)


def test_one_that_comes_in_vain_lets_the_next_go_first() -> None:
    """Somebody took the element before the attempt; then it waits at the end, as after any attempt in vain."""

    async def body() -> None:
        scene = Scene()
        first, second = scene.bare.connect(), scene.bare.connect()
        first.send([b"BLPOP", scene.near, scene.far, b"0"])
        await scene.bare.settle()
        second.send([b"BLPOP", scene.far, b"0"])
        await scene.bare.settle()
        scene.other.send([b"RPUSH", scene.far, b"x"], [b"LPOP", scene.far])
        await scene.bare.settle()
        assert scene.other.take() == b":1\r\n$1\r\nx\r\n"
        scene.other.send([b"RPUSH", scene.far, b"y"])
        await scene.bare.settle()
        assert second.take() == popped(scene.far, b"y") and not first.take()
        scene.other.send([b"RPUSH", scene.near, b"z"])
        await scene.bare.settle()
        assert first.take() == popped(scene.near, b"z") and scene.idle()

    on_a_loop(body)


# --- At random -------------------------------------------------------------------------------------------------------


class Storm:
    """Clients that push, pop, wait, move and go, on shards that answer when they like."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.bare = HeldRouter(shards=SHARDS)
        self.keys = [self.bare.key_of(shard, number) for shard in range(SHARDS) for number in range(2)]
        self.clients = [self.bare.connect() for _ in range(8)]
        self.calls: dict[ClientEnd, list[bytes]] = {}
        self.pushed: set[bytes] = set()
        self.taken: list[bytes] = []
        self.in_doubt: set[bytes] = set()
        """What may have been taken for a client that went meanwhile."""
        self.number = 0

    def call(self) -> list[bytes]:
        random = self.random
        keys = random.sample(self.keys, 3)
        self.number += 1
        element = b"%d" % self.number
        call = random.choice(
            [
                [b"RPUSH", keys[0], element],
                [b"RPUSH", keys[0], element],
                [b"BLPOP", *keys, b"0"],
                [b"BRPOP", *keys[:2], b"0"],
                [b"BLPOP", keys[0], b"0"],
                [b"BLMOVE", *keys[:2], b"LEFT", b"RIGHT", b"0"],
                [b"BLMOVE", *keys[:2], b"LEFT", b"RIGHT", b"0"],
                [b"BLMPOP", b"0", b"3", *keys, b"LEFT", b"COUNT", b"2"],
                [b"LMPOP", b"3", *keys, b"RIGHT", b"COUNT", b"5"],
                [b"RENAMENX", *keys[:2]],
                [b"LPOP", keys[0]],
            ]
        )
        if call[0] == b"RPUSH":
            self.pushed.add(element)
        return call

    def step(self) -> None:
        random = self.random
        client = random.choice(self.clients)
        chance = random.random()
        if chance < 0.02:
            self._lose(client)
        elif chance < 0.4 and client not in self.calls:
            self.calls[client] = call = self.call()
            client.send(call)
        elif chance < 0.42 and client.session.blocking is not None:
            client.session.blocking.end(TIMED_OUT)
        else:
            random.choice(self.bare.shards).answer(random.randrange(1, 3))
        self.read()

    def _lose(self, client: ClientEnd) -> None:
        if client in self.calls and self.calls[client][0] not in (b"RPUSH", b"RENAMENX"):
            self.in_doubt.add(b"some")
        self.calls.pop(client, None)
        self.clients.remove(client)
        lose(client)
        self.clients.append(self.bare.connect())

    def read(self) -> None:
        for client in list(self.calls):
            if reply := client.take():
                value = parse_reply(reply)[0]
                name = self.calls.pop(client)[0]
                if name in (b"BLPOP", b"BRPOP") and isinstance(value, list):
                    self.taken.append(value[1])
                elif name in (b"BLMPOP", b"LMPOP") and isinstance(value, list):
                    self.taken += value[1]
                elif name == b"LPOP" and isinstance(value, bytes):
                    self.taken.append(value)

    def left(self) -> list[bytes]:
        return [text for shard in self.bare.shards for value in shard.contents().values() for text in value]

    def check(self) -> None:
        """Nothing is doubled, nothing lost but what was on its way to a client that went, and nobody is forgotten."""
        there = self.taken + self.left()
        assert len(there) == len(set(there)) and set(there) <= self.pushed
        if not self.in_doubt:
            assert set(there) == self.pushed
        full: set[Any] = {key for shard in self.bare.shards for key in shard.contents()}
        for client, call in self.calls.items():
            assert client.session.blocking is not None and client.session.blocking.waiting, call
            waits_for = call[1:2] if call[0] == b"BLMOVE" else call[1:]
            assert full.isdisjoint(waits_for), call
        waiting = sum(len(shard.held.room.waiters.named) for shard in self.bare.shards)
        assert bool(waiting) == bool(self.calls)
        for shard in self.bare.shards:
            assert not shard.held.room.holds.line and not shard.held.store.blocked


@pytest.mark.parametrize("losing", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_or_doubled(seed: int, losing: bool) -> None:
    async def body() -> None:
        storm = Storm(seed)
        if not losing:
            storm._lose = lambda client: None  # type: ignore[method-assign]
        for _ in range(4):
            for _ in range(STEPS):
                storm.step()
                if storm.random.random() < 0.3:
                    await storm.bare.sent()
            await storm.bare.settle()
            storm.read()
            storm.check()

    on_a_loop(body)

"""Holds of one call on several shards: granted by all or by none, and released whatever happens."""

from typing import Any

import pytest

from common.errors import RedisError
from common.frame import JOINED
from router.batch import Batch, Later
from router.holding import NAMES, STATES, Holding, Keys, Stage
from router.slowlog import Call
from tests.bare_router import ClientEnd, on_a_loop
from tests.held_router import HeldRouter


class Scene:
    """A router with two shards, and what a holding told."""

    def __init__(self) -> None:
        self.bare = HeldRouter(shards=2)
        self.client: ClientEnd = self.bare.connect()
        self.near, self.far = self.bare.key_of(0), self.bare.key_of(1)
        self.heard: list[Any] = []
        self.batch = Batch(self.client.session, 2, 0)
        self.step: Later

    def hold(self, keys: dict[int, Keys] | None = None, **options: Any) -> Holding:
        """As the only thing in a batch that is sent, unless it was sent before."""
        holding = Holding(
            self.client.session,
            self.batch,
            Call([b"CALL"]),
            keys or {0: [self.near], 1: [self.far]},
            [0],
            writes=True,
            granted=self.heard.append,
            given_up=self.heard.append,
            **options,
        )
        if not self.batch.dispatched:
            self.step = Later(self.batch)
            self.batch.add_step(self.step)
            self.client.session.batches.append(self.batch)
            self.batch.dispatch(self.bare.router.links)
        return holding

    def idle(self) -> bool:
        return all(shard.is_idle() for shard in self.bare.shards)


def test_granted_by_all_and_released_with_what_became_of_the_keys() -> None:
    async def body() -> None:
        scene = Scene()
        bare, near, far = scene.bare, scene.near, scene.far
        scene.client.send([b"MSET", near, b"1", far, b"2"])
        await bare.settle()
        scene.client.take()
        holding = scene.hold(gives={0: STATES, 1: NAMES})
        await bare.sent()
        bare.shards[0].answer()
        assert not scene.heard
        bare.shards[1].answer()
        assert scene.heard == [{0: [[0, near, b"1", -1]], 1: [[0, far]]}]
        reader = bare.connect()
        reader.send([b"MGET", near, far])
        holding.ask(0, ["lend", holding.id, [[0, near]]], lambda shard, answer: scene.heard.append((shard, answer)))
        await bare.settle()
        assert scene.heard[1:] == [(0, [[0, near, b"1", -1]])] and not reader.take()
        change = [0, far, b"3", -1, True, True, []]
        holding.release({1: [change]}, {0: []}, lambda fault: scene.heard.append(("released", fault)))
        await bare.sent()
        bare.shards[0].answer()
        assert scene.heard[2:] == []
        bare.shards[1].answer()
        assert scene.heard[2:] == [("released", None)] and holding.stage is Stage.OVER
        assert reader.take() == b"*2\r\n$1\r\n1\r\n$1\r\n3\r\n"
        scene.step.finish(b"+DONE\r\n")
        assert scene.client.take() == b"+DONE\r\n" and scene.idle()

    on_a_loop(body)


def test_the_whole_of_a_shard() -> None:
    async def body() -> None:
        scene = Scene()
        holding = scene.hold({0: None, 1: [scene.far]})
        await scene.bare.settle()
        other = scene.bare.connect()
        other.send([b"SET", scene.bare.key_of(0, 5), b"1"])
        free = scene.bare.connect()
        free.send([b"SET", scene.bare.key_of(1, 5), b"1"])
        await scene.bare.settle()
        assert not other.take() and free.take() == b"+OK\r\n"
        holding.drop()
        await scene.bare.settle()
        assert other.take() == b"+OK\r\n" and scene.idle()

    on_a_loop(body)


def test_dropped_before_it_was_granted() -> None:
    async def body() -> None:
        scene = Scene()
        holding = scene.hold()
        holding.drop()
        holding.drop()
        await scene.bare.settle()
        assert not scene.heard and scene.idle()

    on_a_loop(body)


@pytest.mark.parametrize("answered", [False, True])
def test_a_shard_that_dies(answered: bool) -> None:
    """Before the other has granted its part, or before both have."""

    async def body() -> None:
        scene = Scene()
        scene.hold()
        await scene.bare.sent()
        if answered:
            scene.bare.shards[0].answer()
        scene.bare.shards[1].die()
        await scene.bare.sent()
        scene.bare.shards[0].answer()
        assert [str(error) for error in scene.heard] == ["SHARDDOWN shard 1 is down, it is being restarted"]
        assert scene.bare.shards[0].is_idle()

    on_a_loop(body)


def test_a_shard_that_dies_later_is_asked_nothing() -> None:
    async def body() -> None:
        scene = Scene()
        holding = scene.hold()
        await scene.bare.settle()
        scene.bare.shards[1].die()
        assert holding.alive(0) and not holding.alive(1)
        holding.ask(1, ["lend", holding.id, []], lambda shard, answer: scene.heard.append((shard, answer)))
        holding.tell(1, ["give_back", holding.id, []])
        holding.release({1: []}, {0: []}, scene.heard.append)
        await scene.bare.sent()
        scene.bare.shards[0].answer()
        assert scene.heard[1] == (1, None) and str(scene.heard[2]).startswith("SHARDDOWN shard 1 went down")
        assert scene.bare.shards[0].is_idle()

    on_a_loop(body)


def test_a_shard_that_refuses() -> None:
    async def body() -> None:
        scene = Scene()
        scene.bare.shards[1].executor.state(loading=False, refusal=RedisError("MISCONF no space"))
        scene.hold()
        await scene.bare.settle()
        assert [str(error) for error in scene.heard] == ["MISCONF no space"] and scene.idle()

    on_a_loop(body)


def test_begun_later_than_its_batch() -> None:
    """It is sent at once; what has come to a key before comes before it."""

    async def body() -> None:
        scene = Scene()
        scene.hold().drop()
        await scene.bare.settle()
        first = scene.bare.connect()
        first.send([b"SET", scene.near, b"1"])
        holding = scene.hold(gives={0: STATES})
        await scene.bare.settle()
        assert scene.heard == [{0: [[0, scene.near, b"1", -1]], 1: []}]
        holding.drop()
        await scene.bare.settle()
        assert scene.idle()

    on_a_loop(body)


def test_nobody_waits_for_two_in_a_circle() -> None:
    """Each has its holds in the streams before those of the next, whatever order the shards answer in."""

    async def body() -> None:
        scene = Scene()
        clients = [scene.bare.connect() for _ in range(20)]
        for number, client in enumerate(clients):
            pair = (scene.near, scene.far) if number % 2 else (scene.far, scene.near)
            client.send([b"RENAMENX", *pair], [b"MSETNX", scene.near, b"1", scene.far, b"2"])
        await scene.bare.settle()
        assert all(len(client.take().split(b"\r\n")) == 3 for client in clients) and scene.idle()
        held = scene.bare.shards[0].held
        assert held.send(JOINED, [[b"GET", scene.near]]) in held.replies

    on_a_loop(body)

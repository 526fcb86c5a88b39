"""CLIENT TRACKING: no client is left with a stale value in its cache, whatever comes in whatever order.

TRACKING_S in the environment says for how many seconds, and TRACKING_WALKS for how many random walks, so that the same
tests run for hours. What the commands answer is in tests/sessions/tracking*.session.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest

import shard.transaction  # noqa: F401  The messages there answer to their names.
from tests.bare_router import ClientEnd, on_a_loop
from tests.bench.processes import roles
from tests.caches import MODES, Cache, Wire, ignore, normal, some_write, storm
from tests.held_router import HeldRouter
from tests.servers import Server, Shardis

Start = Callable[[Server], Server]

SECONDS = float(os.environ.get("TRACKING_S", "2"))
WALKS = int(os.environ.get("TRACKING_WALKS", "4"))
STEPS = 100

TRACK = [b"CLIENT", b"TRACKING", b"ON"]


def invalidate(*keys: bytes) -> bytes:
    """The message that these keys were changed."""
    return b">2\r\n$10\r\ninvalidate\r\n*%d\r\n" % len(keys) + b"".join(b"$%d\r\n%b\r\n" % (len(k), k) for k in keys)


ALL = b">2\r\n$10\r\ninvalidate\r\n_\r\n"
GOT_1 = b"$1\r\n1\r\n"
OK = b"+OK\r\n"
NIL = b"_\r\n"


async def tracking(router: HeldRouter, *options: bytes) -> ClientEnd:
    """A client in RESP3 that tracks."""
    client = router.connect()
    client.send([b"HELLO", b"3"], [*TRACK, *options])
    await router.settle()
    assert client.take().endswith(OK)
    return client


# --- The order in which things come ----------------------------------------------------------------------------------


def test_a_read_is_entered_when_its_answer_comes() -> None:
    """A change that the shard does before the read is told before it, one behind it is told behind the reply."""

    async def scene() -> None:
        router = HeldRouter(2)
        client, writer = await tracking(router), router.connect()
        key = router.key_of(0)
        writer.send([b"SET", key, b"0"])
        client.send([b"GET", key])
        writer.send([b"SET", key, b"1"])
        await router.settle()
        assert client.take() == b"$1\r\n0\r\n" + invalidate(key)
        writer.send([b"SET", key, b"1"])
        client.send([b"GET", key])
        await router.settle()
        assert client.take() == GOT_1
        writer.send([b"SET", key, b"2"])
        await router.settle()
        assert client.take() == invalidate(key)

    on_a_loop(scene)


def test_an_invalidation_waits_for_the_reply_that_it_is_about() -> None:
    """A part of MGET is answered and changed while the other shard has not come to its part."""

    async def scene() -> None:
        router = HeldRouter(2)
        client, writer = await tracking(router), router.connect()
        key, other = router.key_of(0), router.key_of(1)
        client.send([b"MGET", key, other])
        await router.sent()
        router.shards[0].answer()
        writer.send([b"SET", key, b"1"])
        await router.sent()
        router.shards[0].answer()
        assert writer.take() == OK and client.take() == b""
        await router.settle()
        assert client.take() == b"*2\r\n" + NIL * 2 + invalidate(key)

    on_a_loop(scene)


def test_a_message_of_another_client_waits_for_the_reply_too() -> None:
    async def scene() -> None:
        router = HeldRouter(2)
        listener, writer = router.connect(), router.connect()
        listener.send([b"HELLO", b"3"])
        client = await tracking(router, b"REDIRECT", b"%d" % listener.session.id)
        listener.take()
        key, other = router.key_of(0), router.key_of(1)
        client.send([b"MGET", key, other])
        await router.sent()
        router.shards[0].answer()
        writer.send([b"SET", key, b"1"], [b"FLUSHALL"])
        await router.sent()
        router.shards[0].answer()
        await router.sent()
        assert listener.take() == b"" and client.take() == b""
        await router.settle()
        assert client.take() == b"*2\r\n" + NIL * 2
        assert listener.take() == invalidate(key) + ALL

    on_a_loop(scene)


def test_a_read_whose_answer_comes_late_is_entered_twice() -> None:
    """One key of the run is held and the other is read at once: a change of that before the answer is told."""

    async def scene() -> None:
        router = HeldRouter(2)
        client, writer, borrower = await tracking(router), router.connect(), router.connect()
        held, key, away = router.key_of(0), router.key_of(0, 1), router.key_of(1)
        writer.send([b"MSET", held, b"1", key, b"1"])
        await router.settle()
        borrower.send([b"RENAME", held, away])
        await router.sent()
        router.shards[0].answer()  # The hold; the other shard has not come to its one.
        client.send([b"MGET", held, key])
        await router.sent()
        router.shards[0].answer()
        writer.send([b"SET", key, b"2"])
        await router.sent()
        router.shards[0].answer()
        client.take()
        await router.settle()
        replies = client.take()
        assert invalidate(key) in replies and replies.index(invalidate(key)) > replies.index(b"*2\r\n")
        for changed in (held, key):
            writer.send([b"SET", changed, b"3"])
            await router.settle()
        told = client.take()
        assert told.count(invalidate(held)) == 1  # The other one may have been told already.

    on_a_loop(scene)


def test_a_borrowed_read_is_entered_before_its_keys_are_given_free() -> None:
    async def scene() -> None:
        router = HeldRouter(2)
        client, writer = await tracking(router), router.connect()
        here, there = router.key_of(0), router.key_of(1)
        client.send([b"SUNION", here, there])
        await router.sent()
        for key in (here, there):
            writer.send([b"SADD", key, b"1"])
        await router.settle()
        told = client.take()
        assert told.startswith(b"~0\r\n") and sorted(told.split(b">2")[1:]) == sorted(
            (invalidate(here) + invalidate(there)).split(b">2")[1:]
        )

    on_a_loop(scene)


def test_one_message_for_all_shards_when_all_keys_go() -> None:
    async def scene() -> None:
        router = HeldRouter(3)
        client, writer = await tracking(router), router.connect()
        broadcast = await tracking(router, b"BCAST")
        keys = [router.key_of(shard) for shard in range(3)]
        client.send([b"MGET", *keys])
        await router.settle()
        client.take()
        writer.send([b"FLUSHALL"], [b"FLUSHDB"])
        await router.sent()
        router.shards[1].answer()
        await router.sent()
        assert client.take() == ALL * 2
        await router.settle()
        assert client.take() == b"" and broadcast.take() == ALL * 2
        assert router.router.trackers.items == 0
        client.send([b"FLUSHALL"])
        await router.settle()
        assert client.take() == OK + ALL

    on_a_loop(scene)


def test_a_shard_that_dies_takes_all_keys_with_it() -> None:
    async def scene() -> None:
        router = HeldRouter(2)
        client = await tracking(router)
        broadcast = await tracking(router, b"BCAST", b"PREFIX", b"none")
        here, there = router.key_of(0), router.key_of(1)
        client.send([b"MGET", here, there])
        await router.settle()
        client.take()
        client.send([b"GET", here])
        await router.sent()
        router.shards[0].die()
        await router.sent()
        replies = client.take()
        assert replies.startswith(b"-SHARDDOWN") and replies.endswith(ALL)
        assert broadcast.take() == ALL
        router.shards[0].greet()
        await router.sent()
        assert [b"track", True] in [message for run in router.shards[0].frames[0][2::2] for message in _as_bytes(run)]

    on_a_loop(scene)


def _as_bytes(messages: list[Any]) -> list[Any]:
    return [[word.encode() if isinstance(word, str) else word for word in message] for message in messages]


# --- Who pays --------------------------------------------------------------------------------------------------------


def test_shards_tell_of_changes_only_while_somebody_may_want_to_know() -> None:
    async def scene() -> None:
        router = HeldRouter(2)
        stores = [shard.held.store for shard in router.shards]
        assert not any(store.tracked or store.dbs[0].heard for store in stores)
        client = await tracking(router)
        other = await tracking(router, b"BCAST")
        assert all(store.tracked and store.dbs[0].heard for store in stores)
        client.send([b"GET", b"k"], [b"CLIENT", b"TRACKING", b"OFF"])
        other.session.connection_lost(None)
        await router.settle()
        # What it has read is still known: it may turn it on again.
        assert all(store.tracked for store in stores) and not router.router.trackers.sessions
        client.session.connection_lost(None)
        await router.settle()
        assert not any(store.tracked or store.dbs[0].heard for store in stores)
        trackers = router.router.trackers
        assert not trackers.items and not trackers.known and not trackers.broadcast.prefixes

    on_a_loop(scene)


def test_a_client_that_does_not_track_has_runs_as_ever() -> None:
    async def scene() -> None:
        router = HeldRouter(1)
        client, tracked = router.connect(), await tracking(router)
        for one, runs in ((client, 1), (tracked, 3)):
            one.send([b"GET", b"a"], [b"SET", b"a", b"1"], [b"GET", b"b"])
            await router.sent()
            assert len(router.shards[0].frames[-1][2::2]) == runs
            await router.settle()

    on_a_loop(scene)


def test_a_table_that_is_too_full_shrinks_a_piece_at_a_time() -> None:
    async def scene() -> None:
        router = HeldRouter(2)
        client = await tracking(router)
        trackers = router.router.trackers
        keys = [b"%d" % number for number in range(500)]
        client.send([b"MGET", *keys], [b"MGET", *keys])
        await router.settle()
        client.take()
        assert (trackers.keys, trackers.items) == (500, 500)
        router.router.config.values["tracking-table-max-keys"] = 50
        router.router.configure()
        assert trackers.keys == 400
        for _ in range(10):
            await router.sent()
        assert trackers.keys == 50
        await router.settle()
        assert client.take().count(b"invalidate") == 450
        for keys_of_shard in trackers.shards:
            keys_of_shard._check()
            assert 20 <= len(keys_of_shard.clients) <= 30

    on_a_loop(scene)


# --- The law ---------------------------------------------------------------------------------------------------------


class NearWire(Wire):
    """A connection to a router in this process."""

    def __init__(self, router: HeldRouter) -> None:
        super().__init__()
        self.client = router.connect()
        self.send([([b"HELLO", b"3"], ignore)])

    def write(self, data: bytes) -> None:
        self.client.send_bytes(data)

    def read(self) -> None:
        self.take(self.client.take())


@pytest.mark.parametrize("walk", range(WALKS))
def test_no_cache_is_stale_in_whatever_order_shards_answer(walk: int) -> None:
    """Every step is chosen by a seed: who sends, which shard does a frame, who reads what came."""

    async def scene() -> None:
        random = Random(walk)
        router = HeldRouter(random.choice([2, 3]), "--hash-tags", "no")
        wires = [NearWire(router) for _ in range(3)]
        caches = []
        for name, options in MODES.items():
            other = NearWire(router) if b"REDIRECT" in options else None
            cache = Cache(name, NearWire(router), Random(random.random()), *options, other=other)
            redirect = [b"%d" % other.client.session.id] if other is not None else []
            cache.wire.send([([*TRACK, *options, *redirect], ignore)])
            caches.append(cache)
        everybody: list[Any] = [*wires, *(cache.wire for cache in caches)]
        everybody += [cache.other for cache in caches if cache.other is not None]
        for _ in range(STEPS):
            for _ in range(random.randint(1, 3)):
                random.choice(wires).send([(words, ignore) for words in some_write(random) if b"PX" not in words])
            random.choice(caches).step()
            await router.sent()
            for _ in range(random.randint(0, 4)):
                random.choice(router.shards).answer(1)
                await router.sent()
            random.choice(everybody).read()
        await router.settle()
        for one in everybody:
            one.read()
        await _compare(caches, router)
        trackers = router.router.trackers
        assert not trackers.broadcast.unfinished and not trackers.broadcast.changes
        for keys in trackers.shards:
            keys._check()

    on_a_loop(scene)


async def _compare(caches: list[Cache], router: HeldRouter) -> None:
    real: dict[tuple[bytes, ...], Any] = {}
    judge = NearWire(router)
    calls = {call for cache in caches for call in cache.entries}
    judge.send([(list(call), partial(_note, real, call)) for call in calls])
    while judge.expected:
        await router.settle()
        judge.read()
    for cache in caches:
        assert not cache.wire.expected
        stale = {call: (believed, real[call]) for call, believed in cache.entries.items() if believed != real[call]}
        assert not stale, cache.name


def _note(real: dict[tuple[bytes, ...], Any], call: tuple[bytes, ...], reply: Any) -> None:
    real[call] = normal(reply)


@pytest.mark.parametrize("shards", [1, 3])
def test_no_cache_is_stale_after_a_storm(start: Start, shards: int) -> None:
    server = start(Shardis(shards=shards, hash_tags="no"))
    told = asyncio.run(storm(server.address, Random().randrange(10**6), SECONDS))
    assert all(told.values())


def test_no_cache_is_stale_when_shards_die(start: Start) -> None:
    server = start(Shardis(shards=3, hash_tags="no"))
    random = Random(1)

    def kill() -> None:
        os.kill(roles(server)[f"shard {random.randrange(3)}"], signal.SIGKILL)

    told = asyncio.run(storm(server.address, Random().randrange(10**6), SECONDS, kill, rounds=2))
    assert all(told.values())

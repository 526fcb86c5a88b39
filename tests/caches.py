"""Clients that cache what they read and drop what they are told of, and writers that change all of it meanwhile.

A cache never may keep a value that its server has not. `storm` lets caches of all modes of CLIENT TRACKING and writers
loose on a few keys, and compares at quiescent points.
"""

import asyncio
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from tests.resp_client import Error, Incomplete, Push, Set, Status, encode_command, parse_reply

Words = list[bytes]
Call = tuple[bytes, ...]
Then = Callable[[Any], None]

STRINGS = [b"k%d" % number for number in range(12)]
SETS = [b"s%d" % number for number in range(5)]
DEPTH_MAX = 8
"""Commands in one pipeline."""
REPLY_S = 30.0
SETTLE_S = 5.0
"""Within this a key whose time has come must be known to be gone."""

MODES: dict[str, list[bytes]] = {
    "read": [],
    "read too": [],
    "noloop": [b"NOLOOP"],
    "optin": [b"OPTIN"],
    "broadcast": [b"BCAST"],
    "prefixes": [b"BCAST", b"NOLOOP", b"PREFIX", b"k", b"PREFIX", b"s"],
    "redirect": [b"REDIRECT"],
}


def ignore(reply: Any) -> None:
    """For replies that nobody wants."""


def normal(reply: Any) -> Any:
    """Members of a set come in no order."""
    return sorted(reply) if isinstance(reply, Set) else reply


class Wire:
    """A connection of RESP3: commands out, replies and pushes in the order in which they come."""

    def __init__(self) -> None:
        self.expected: deque[Then] = deque()
        """Who gets the next replies."""
        self.push: Callable[[list[Any]], None] = ignore
        self.received = bytearray()

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Sends bytes."""

    def send(self, calls: list[tuple[Words, Then]]) -> None:
        """All at once."""
        self.expected.extend(then for _, then in calls)
        self.write(b"".join(encode_command(words) for words, _ in calls))

    def take(self, data: bytes) -> None:
        """Hands out what has come."""
        received = self.received
        received += data
        at = 0
        while at < len(received):
            try:
                value, at = parse_reply(received, at)
            except Incomplete:
                break
            if isinstance(value, Push):
                self.push(value)
            else:
                self.expected.popleft()(value)
        del received[:at]


class FarWire(Wire):
    """One to a server."""

    async def connect(self, address: tuple[str, int]) -> None:
        self.reader, self.writer = await asyncio.open_connection(*address)
        self.task = asyncio.get_running_loop().create_task(self._read())
        await self.call(b"HELLO", b"3")

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def _read(self) -> None:
        while data := await self.reader.read(1 << 16):
            self.take(data)

    async def call(self, *words: bytes) -> Any:
        """One command, and waits for its reply, and so for all before it."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send([(list(words), reply.set_result)])
        return await asyncio.wait_for(reply, REPLY_S)

    def close(self) -> None:
        self.task.cancel()
        self.writer.close()


class Reading:
    """A call under way."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.valid = True
        """Whether its reply may be kept: no invalidation came meanwhile."""


class Cache:
    """A client that tracks. `entries` is what it believes: the reply to each call that it has made."""

    def __init__(self, name: str, wire: Wire, random: Random, *options: bytes, other: Wire | None = None) -> None:
        """`other` gets the invalidations, if they are redirected."""
        self.name = name
        self.wire = wire
        self.other = other
        self.random = random
        self.options = options
        self.entries: dict[Call, Any] = {}
        self.reading: list[Reading] = []
        """Under way, where invalidations come another way than replies."""
        self.invalidations = 0
        (other or wire).push = self.invalidated

    def invalidated(self, message: list[Any]) -> None:
        assert message[0] == b"invalidate", message
        self.invalidations += 1
        for call in list(self.entries):
            if message[1] is None or not set(call).isdisjoint(message[1]):
                del self.entries[call]
        for reading in self.reading:
            if message[1] is None or not set(reading.call).isdisjoint(message[1]):
                reading.valid = False

    def step(self) -> None:
        """Reads something in a pipeline."""
        calls: list[tuple[Words, Then]] = []
        for _ in range(self.random.randint(1, DEPTH_MAX)):
            if b"OPTIN" in self.options:
                calls.append(([b"CLIENT", b"CACHING", b"YES"], ignore))
            if b"NOLOOP" in self.options and self.random.random() < 0.2:
                calls.append(self._own_write())
            elif self.random.random() < 0.2:
                calls += self._transaction([self._some_call(), self._some_call()])
            else:
                call = self._some_call()
                calls.append((list(call), partial(self._keep, self._begin(call))))
        self.wire.send(calls)

    def _begin(self, call: Call) -> Reading:
        reading = Reading(call)
        if self.other is not None:
            self.reading.append(reading)
        return reading

    def _some_call(self) -> Call:
        random = self.random
        kind = random.random()
        if kind < 0.5:
            return (b"GET", random.choice(STRINGS))
        if kind < 0.7:
            return (b"MGET", *random.sample(STRINGS, random.randint(1, 4)))
        if kind < 0.8:
            return (b"SMEMBERS", random.choice(SETS))
        if kind < 0.9:
            return (b"SINTERCARD", b"2", *random.sample(SETS, 2))
        return (b"EXISTS", *random.sample(STRINGS + SETS, 3))

    def _transaction(self, calls: list[Call]) -> list[tuple[Words, Then]]:
        queued: list[tuple[Words, Then]] = [(list(call), ignore) for call in calls]
        return [([b"MULTI"], ignore), *queued, ([b"EXEC"], partial(self._keep_all, list(map(self._begin, calls))))]

    def _own_write(self) -> tuple[Words, Then]:
        key = self.random.choice(STRINGS)
        return [b"SET", key, b"own%d" % self.random.randrange(1000)], partial(self._drop, key)

    def _drop(self, key: bytes, reply: Any) -> None:
        """What it has written itself it is not told."""
        for call in [call for call in self.entries if key in call]:
            del self.entries[call]

    def _keep(self, reading: Reading, reply: Any) -> None:
        if self.other is not None:
            self.reading.remove(reading)
        if reading.valid and not isinstance(reply, Error):
            self.entries[reading.call] = normal(reply)

    def _keep_all(self, readings: list[Reading], replies: Any) -> None:
        for place, reading in enumerate(readings):
            self._keep(reading, replies if isinstance(replies, Error) else replies[place])


def some_write(random: Random) -> list[Words]:
    """A command that changes some keys, or some that do so at once."""
    value = b"%d" % random.randrange(10**6)
    one, two, three = random.sample(STRINGS, 3)
    first, second, third = random.sample(SETS, 3)
    member = b"%d" % random.randrange(6)
    writes: list[Words] = [
        [b"SET", one, value],
        [b"SET", one, value],
        [b"SET", one, value, b"PX", b"%d" % random.randint(1, 150)],
        [b"MSET", one, value, two, value, three, value],
        [b"MSET", one, value, two, value],
        [b"DEL", one, two],
        [b"RENAME", one, two],
        [b"COPY", one, two, b"REPLACE"],
        [b"PEXPIRE", one, b"%d" % random.randint(0, 150)],
        [b"APPEND", one, b"x"],
        [b"SADD", first, member],
        [b"SREM", first, member],
        [b"SMOVE", first, second, member],
        [b"SUNIONSTORE", first, second, third],
        [b"GETDEL", one],
        [b"EXISTS", one, two, three],
    ]
    if random.random() < 0.01:
        return [[b"FLUSHALL"]]
    if random.random() < 0.15:
        return [[b"MULTI"], *random.sample(writes, 3), [b"EXEC"]]
    return [random.choice(writes)]


async def storm(
    address: tuple[str, int], seed: int, duration_s: float, disturb: Callable[[], None] | None = None, rounds: int = 3
) -> dict[str, int]:
    """How often each cache was told something.  Raises AssertionError if one has kept a value that was changed.

    `disturb` is called in the middle of each round.
    """
    random = Random(seed)
    caches = [
        Cache(name, FarWire(), Random(seed + place), *options, other=FarWire() if b"REDIRECT" in options else None)
        for place, (name, options) in enumerate(MODES.items())
    ]
    writers = [FarWire() for _ in range(3)]
    judge = FarWire()
    others = [cache.other for cache in caches if cache.other is not None]
    wires: list[Any] = [*writers, judge, *others, *(cache.wire for cache in caches)]
    for wire in wires:
        await wire.connect(address)
    try:
        for cache in caches:
            await track(cache)
        for _ in range(rounds):
            until_s = time.monotonic() + duration_s / rounds
            if disturb is not None:
                asyncio.get_running_loop().call_later(duration_s / rounds / 2, disturb)
            await asyncio.gather(
                *(_read_on(cache, until_s) for cache in caches), *(_write_on(one, random, until_s) for one in writers)
            )
            for cache in caches:
                await compare(cache, judge, seed)
    finally:
        for wire in wires:
            wire.close()
    return {cache.name: cache.invalidations for cache in caches}


async def track(cache: Any) -> None:
    """Has a cache told what it has to know."""
    words = list(cache.options)
    if cache.other is not None:
        words.append(b"%d" % await cache.other.call(b"CLIENT", b"ID"))
    assert await cache.wire.call(b"CLIENT", b"TRACKING", b"ON", *words) == Status(b"OK")


async def settle(cache: Any) -> None:
    """All that was sent is answered, and all that was told before has come."""
    await cache.wire.call(b"PING")
    if cache.other is not None:
        await cache.other.call(b"PING")


async def _read_on(cache: Any, until_s: float) -> None:
    while time.monotonic() < until_s:
        cache.step()
        if cache.random.random() < 0.7 or len(cache.wire.expected) > 200:
            await settle(cache)
        else:
            await asyncio.sleep(0)
    await settle(cache)


async def _write_on(wire: FarWire, random: Random, until_s: float) -> None:
    while time.monotonic() < until_s:
        wire.send([(words, ignore) for _ in range(random.randint(1, DEPTH_MAX)) for words in some_write(random)])
        await wire.call(b"PING")


async def compare(cache: Any, judge: FarWire, seed: int) -> None:
    """Nobody writes now, but keys may expire: what differs must be told soon. A shard that died must be back soon."""
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        await settle(cache)
        stale = {}
        for call, believed in list(cache.entries.items()):
            real = normal(await judge.call(*call))
            if real != believed and call in cache.entries:
                stale[call] = (believed, real)
        if not stale:
            return
        assert time.monotonic() < deadline_s, f"seed {seed}: {cache.name} has kept {stale}"
        await asyncio.sleep(0.02)

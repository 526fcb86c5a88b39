"""What Python programs build on a server: locks, transactions, publish/subscribe, job queues, a cache.

Each runs on the reference too: what fails there is not Shardis's fault. What sends scripts is left out where the server
has none: of redis-py's Lock that is `release`, `extend` and `reacquire`.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import ConstantBackoff
from redis.exceptions import LockError, ResponseError, WatchError
from redis.retry import Retry

from tests.bench.load import knows
from tests.servers import ROOT, Server

THREADS = 8
CALLS = 12
ENDS_S = 30.0

Connect = Callable[..., Any]
"""Makes a redis.Redis: Any, since half of its methods have no types, and the others those of both its kinds."""


@pytest.fixture(params=["reference", "shardis"])
def server(request: pytest.FixtureRequest) -> Server:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    with found.connect() as client:
        client.call("FLUSHALL")
    return found


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def protocol(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def connect(server: Server, protocol: int) -> Iterator[Connect]:
    clients = []

    def make(**options: Any) -> Any:
        retry = Retry(ConstantBackoff(0.01), 20)
        clients.append(redis.Redis(port=server.port, protocol=protocol, retry=retry, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def in_threads(body: Callable[[int], None], count: int = THREADS) -> None:
    """Runs it in so many threads, and raises what they raise."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            body(number)
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ENDS_S)
        assert not thread.is_alive(), "a client hangs"
    if failures:
        raise failures[0]


# --- redis-py's Lock -------------------------------------------------------------------------------------------------


def release(r: Any, lock: Any) -> None:
    """As locks were released before there were scripts."""

    def mine_goes(pipe: Any) -> None:
        assert pipe.get(lock.name) == lock.local.token
        pipe.multi()
        pipe.delete(lock.name)

    assert r.transaction(mine_goes, lock.name) == [1]


def test_lock(connect: Connect) -> None:
    r = connect()
    lock, other = r.lock("lock", timeout=20), r.lock("lock", timeout=20)
    assert not lock.locked() and not lock.owned()
    assert lock.acquire() and lock.locked() and lock.owned()
    assert not other.acquire(blocking=False) and other.locked() and not other.owned()
    assert not other.acquire(blocking_timeout=0.05)
    assert 15_000 < r.pttl("lock") <= 20_000
    release(r, lock)
    assert not lock.locked() and other.acquire(blocking=False) and not lock.owned()
    with pytest.raises(LockError), r.lock("lock", blocking_timeout=0.01):
        pass


def test_lock_that_expires(connect: Connect) -> None:
    r = connect()
    assert r.lock("lock", timeout=0.1).acquire()
    assert r.lock("lock", timeout=20, sleep=0.01).acquire(blocking_timeout=ENDS_S)


def test_lock_of_many_threads(connect: Connect) -> None:
    """What two change at once would be lost."""
    r = connect()
    r.set("n", 0)

    def add(_: int) -> None:
        for _ in range(CALLS):
            lock = r.lock("lock", timeout=ENDS_S, sleep=0.001)
            assert lock.acquire(blocking_timeout=ENDS_S)
            r.set("n", int(r.get("n")) + 1)
            release(r, lock)

    in_threads(add, 4)
    assert r.get("n") == b"%d" % (4 * CALLS)


def test_lock_released_by_script(connect: Connect, server: Server) -> None:
    if not knows(server, "EVALSHA"):
        pytest.skip("release, extend and reacquire are Lua scripts")
    r = connect()
    with r.lock("lock", timeout=10) as lock:
        assert lock.extend(10) and r.pttl("lock") > 15_000
        assert lock.reacquire() and r.pttl("lock") <= 10_000
    assert not r.exists("lock")


# --- Transactions ----------------------------------------------------------------------------------------------------


def test_pipeline(connect: Connect) -> None:
    r = connect()
    with r.pipeline() as pipe:
        for number in range(50):
            pipe.set(f"k{number}", number).incr(f"n{number % 5}")
        assert pipe.execute() == [reply for number in range(50) for reply in (True, number // 5 + 1)]
        pipe.mget([f"k{number}" for number in range(50)])
        pipe.rename("k0", "k1").delete("k2", "k3").dbsize()
        values, renamed, deleted, size = pipe.execute()
    assert values == [b"%d" % number for number in range(50)]
    assert (renamed, deleted, size) == (True, 2, 52)
    assert r.mget("k0", "k1", "k2") == [None, b"0", None]


def test_pipeline_with_an_error_in_it(connect: Connect) -> None:
    r = connect()
    r.set("text", "x")
    with r.pipeline() as pipe:
        pipe.set("a", 1).incr("text").set("b", 2)
        found = pipe.execute(raise_on_error=False)
        assert found[0] is True and isinstance(found[1], ResponseError) and found[2] is True
        pipe.set("a", 2).lpush("text", "y").set("b", 3)
        with pytest.raises(ResponseError, match=r"Command # 2 \(LPUSH text y\) of pipeline caused error: WRONGTYPE"):
            pipe.execute()
    assert r.mget("a", "b") == [b"2", b"3"]  # What ran has run.


def test_pipeline_that_is_aborted(connect: Connect) -> None:
    r = connect()
    with r.pipeline() as pipe:
        pipe.set("a", 1).execute_command("SET", "b")
        with pytest.raises(ResponseError, match="wrong number of arguments"):
            pipe.execute()
        assert pipe.get("a").execute() == [None]
    with r.pipeline() as pipe:
        pipe.watch("a")
        pipe.multi()
        pipe.set("a", 1)
        pipe.reset()
        assert pipe.set("c", 1).execute() == [True]
    assert r.mget("a", "b", "c") == [None, None, b"1"]


def test_watch(connect: Connect) -> None:
    r = connect()
    with r.pipeline() as pipe:
        pipe.watch("a", "b", "c")
        assert pipe.get("a") is None
        r.set("b", 1)
        pipe.multi()
        pipe.set("a", 1)
        with pytest.raises(WatchError):
            pipe.execute()
        pipe.watch("a", "b", "c")
        pipe.unwatch()
        r.set("b", 2)
        pipe.multi()
        assert pipe.set("a", 2).get("b").execute() == [True, b"2"]
        pipe.watch("a")
        pipe.multi()
        pipe.set("b", 3)
        assert pipe.execute() == [True]
        r.set("a", 3)  # Nothing is watched any more.
        assert pipe.set("b", 4).execute() == [True]


@pytest.mark.parametrize("helper", [False, True], ids=["loop", "transaction"])
def test_watch_error_is_retried(connect: Connect, helper: bool) -> None:
    """Many that read and write: none is lost. The two keys are on different shards."""
    r = connect()
    one, other = "k0", "k1"
    retries = [0] * THREADS

    def move(pipe: Any) -> None:
        first, second = (int(pipe.get(key) or 0) for key in (one, other))
        pipe.multi()
        pipe.mset({one: first + 1, other: second - 1})

    def by_loop() -> int:
        tries = 0
        with r.pipeline() as pipe:
            while True:
                tries += 1
                try:
                    pipe.watch(one, other)
                    move(pipe)
                    assert pipe.execute() == [True]
                except WatchError:
                    continue
                return tries - 1

    def body(number: int) -> None:
        for _ in range(CALLS):
            if helper:
                assert r.transaction(move, one, other) == [True]
            else:
                retries[number] += by_loop()

    in_threads(body)
    assert r.mget(one, other) == [b"%d" % (THREADS * CALLS), b"-%d" % (THREADS * CALLS)]
    if not helper:
        print(f"{sum(retries)} retries")
        assert sum(retries)


def test_asyncio_transaction(server: Server, protocol: int) -> None:
    async def work() -> None:
        r: Any
        async with redis.asyncio.Redis(port=server.port, protocol=protocol) as r:

            async def add(name: str) -> None:
                def count(pipe: Any) -> Any:
                    pipe.multi()
                    pipe.incr("n")
                    pipe.rpush("names", name)

                await r.transaction(count, "n", "names")

            await asyncio.gather(*(add(f"{number}") for number in range(20)))
            async with r.pipeline(transaction=True) as pipe:
                assert await pipe.get("n").llen("names").execute() == [b"20", 20]

    asyncio.run(work())


# --- Publish and subscribe -------------------------------------------------------------------------------------------


def heard(pubsub: Any, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first message that is wanted."""
    deadline_s = time.monotonic() + ENDS_S
    while time.monotonic() < deadline_s:
        message = pubsub.get_message(timeout=0.05)
        if message is not None and wanted(message):
            assert isinstance(message, dict)
            return message
    raise AssertionError("nothing was heard")


def needs_pubsub(server: Server) -> None:
    if not knows(server, "SUBSCRIBE"):
        pytest.skip("the server has no SUBSCRIBE")


def test_pubsub(connect: Connect, server: Server) -> None:
    needs_pubsub(server)
    r = connect()
    with r.pubsub() as pubsub:
        pubsub.subscribe("a", "b")
        pubsub.psubscribe("c*")
        for _ in range(3):
            assert heard(pubsub, lambda _: True)["type"] in ("subscribe", "psubscribe")
        assert [r.publish(channel, "x") for channel in ("a", "b", "cc", "d")] == [1, 1, 1, 0]
        found = [heard(pubsub, lambda _: True) for _ in range(3)]
        assert [(message["type"], message["channel"], message["data"]) for message in found] == [
            ("message", b"a", b"x"),
            ("message", b"b", b"x"),
            ("pmessage", b"cc", b"x"),
        ]
        pubsub.ping()
        assert heard(pubsub, lambda _: True)["type"] == "pong"
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        heard(pubsub, lambda message: message["type"] == "punsubscribe")
        assert not pubsub.subscribed
    assert r.pubsub_channels() == [] and r.pubsub_numpat() == 0


def test_a_subscriber_that_is_killed_comes_back(connect: Connect, server: Server) -> None:
    needs_pubsub(server)
    r = connect()
    with r.pubsub() as pubsub:
        pubsub.subscribe("a")
        pubsub.psubscribe("b*")
        for _ in range(2):
            heard(pubsub, lambda message: "subscribe" in message["type"])
        for number in range(5):
            assert r.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB") == 1
            # It finds out when it reads, connects again and subscribes to the same.
            for _ in range(2):
                heard(pubsub, lambda message: "subscribe" in message["type"])
            assert r.publish("a", f"{number}") == 1 and r.publish("bb", f"{number}") == 1
            assert heard(pubsub, lambda message: message["type"] == "message")["data"] == b"%d" % number
            assert heard(pubsub, lambda message: message["type"] == "pmessage")["data"] == b"%d" % number


def test_a_subscriber_in_a_thread(connect: Connect, server: Server) -> None:
    """Messages of one publisher come in their order."""
    needs_pubsub(server)
    r = connect()
    found: list[int] = []
    done = threading.Event()

    def hear(message: dict[str, Any]) -> None:
        found.append(int(message["data"]))
        if len(found) == 500:
            done.set()

    pubsub = r.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe(numbers=hear)
    thread = pubsub.run_in_thread(sleep_time=0.01, daemon=True)
    try:
        deadline_s = time.monotonic() + ENDS_S
        while r.pubsub_numsub("numbers")[0][1] != 1:
            assert time.monotonic() < deadline_s
        with r.pipeline() as pipe:
            for number in range(500):
                pipe.publish("numbers", number)
            assert pipe.execute() == [1] * 500
        assert done.wait(ENDS_S)
    finally:
        thread.stop()
        thread.join(ENDS_S)
        pubsub.close()
    assert found == list(range(500))


def test_asyncio_subscriber(server: Server, protocol: int) -> None:
    needs_pubsub(server)

    async def work() -> None:
        r: Any
        retry = redis.asyncio.retry.Retry(ConstantBackoff(0.01), 20)
        async with redis.asyncio.Redis(port=server.port, protocol=protocol, retry=retry) as r, r.pubsub() as pubsub:
            await pubsub.subscribe("a")

            async def next_of(kind: str) -> Any:
                async with asyncio.timeout(ENDS_S):
                    while True:
                        message = await pubsub.get_message(timeout=0.05)
                        if message is not None and message["type"] == kind:
                            return message["data"]

            await next_of("subscribe")
            assert await r.publish("a", "x") == 1 and await next_of("message") == b"x"
            assert await r.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB") == 1
            await next_of("subscribe")
            assert await r.publish("a", "y") == 1 and await next_of("message") == b"y"

    asyncio.run(work())


# --- RQ --------------------------------------------------------------------------------------------------------------

JOBS = """
def add(one, other):
    return one + other

def fail():
    raise ValueError("as asked")
"""


@pytest.mark.parametrize("protocol", [2], indirect=True)
def test_rq(connect: Connect, server: Server, tmp_path: Path) -> None:
    """A worker process: jobs, one that needs another, one that fails, and a shutdown by publish/subscribe."""
    rq = pytest.importorskip("rq")
    send_shutdown_command = pytest.importorskip("rq.command").send_shutdown_command
    needs_pubsub(server)
    (tmp_path / "jobs.py").write_text(JOBS)
    r = connect()
    queue = rq.Queue("sums", connection=r)
    command = [sys.executable, "-m", "rq.cli", "worker", "sums", "--url", f"redis://127.0.0.1:{server.port}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen([*command, "--name", "worker"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        jobs = [queue.enqueue("jobs.add", number, number) for number in range(10)]
        last = queue.enqueue("jobs.add", 1, 2, depends_on=jobs[9])
        failing = queue.enqueue("jobs.fail")
        results = [job.latest_result(timeout=int(ENDS_S)) for job in (*jobs, last, failing)]
        assert [result.return_value for result in results[:11]] == [*range(0, 20, 2), 3]
        assert "as asked" in results[11].exc_string
        assert failing.id in queue.failed_job_registry and last.id in queue.finished_job_registry
        assert [each.name for each in rq.Worker.all(connection=r)] == ["worker"]
        send_shutdown_command(r, "worker")
        worker.wait(ENDS_S)
    finally:
        worker.kill()
        worker.wait()
        print((tmp_path / "worker.log").read_text())
    assert queue.count == 0 and rq.Worker.all(connection=r) == []


# --- Django's cache --------------------------------------------------------------------------------------------------


def test_django_cache(server: Server) -> None:
    django = pytest.importorskip("django.core.cache.backends.redis")
    cache = django.RedisCache(f"redis://127.0.0.1:{server.port}/3", {"KEY_PREFIX": "app"})
    assert cache.get("a", "default") == "default"
    cache.set("a", {"list": [1, 2.5, None]}, 300)
    assert cache.get("a") == {"list": [1, 2.5, None]} and "a" in cache
    assert not cache.add("a", 1) and cache.add("b", 1)
    assert cache.incr("b") == 2 and cache.decr("b", 5) == -3 and cache.incr_version("b") == 2
    with pytest.raises(ValueError, match="not found"):
        cache.incr("nothing")
    assert cache.set_many({f"many{number}": number for number in range(50)}, 300) == []
    found = cache.get_many([f"many{number}" for number in range(60)])
    assert found == {f"many{number}": number for number in range(50)}
    assert cache.touch("a", 100) and not cache.touch("nothing", 100)
    assert cache.get_or_set("made", lambda: "x", 50) == "x"
    cache.delete_many(["many1", "many2", "nothing"])
    assert cache.get_many(["many1", "many3"]) == {"many3": 3}
    assert cache.delete("a") and not cache.delete("a")
    cache.set("gone", 1, 0)
    assert cache.get("gone") is None
    cache.clear()
    assert cache.get("made") is None
    cache.close()

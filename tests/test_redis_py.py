"""redis-py, the client that most Python programs have, against a running server: sync and asyncio, RESP2 and RESP3."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
import redis
import redis.asyncio
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.bench.processes import roles
from tests.servers import Shardis
from tests.test_crash import kill

THREADS = 16
CALLS = 150
KEYS = 2000

Connect = Callable[..., redis.Redis]


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def protocol(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def connect(shardis: Shardis, protocol: int) -> Iterator[Connect]:
    """Makes clients of the shared server, which is empty, and closes them."""
    clients = []

    def make(**options: object) -> redis.Redis:
        clients.append(redis.Redis("127.0.0.1", shardis.port, protocol=protocol, **options))
        return clients[-1]

    make().flushall()
    yield make
    for client in clients:
        client.close()


def test_strings(connect: Connect) -> None:
    r = connect()
    assert r.ping() is True
    assert r.set("a", "1") is True
    assert r.set("a", "2", nx=True) is None
    assert r.set("a", "3", xx=True, get=True) == b"1"
    assert r.get("a") == b"3" and r["a"] == b"3" and r.get("none") is None
    assert r.mset({f"m{number}": number for number in range(20)}) is True
    assert r.mget([f"m{number}" for number in range(20)], "none") == [*(b"%d" % n for n in range(20)), None]
    assert r.incr("n") == 1 and r.incrby("n", 9) == 10 and r.decr("n") == 9
    assert r.incrbyfloat("f", 1.5) == 1.5
    assert r.append("a", "45") == 3 and r.strlen("a") == 3 and r.getrange("a", 1, -1) == b"45"
    assert r.setrange("a", 1, "xx") == 3 and r.getdel("a") == b"3xx" and r.exists("a") == 0
    assert r.getset("g", "1") is None
    assert r.getex("g", ex=100) == b"1" and 0 < r.ttl("g") <= 100
    assert r.msetnx({"x{t}": 1, "y{t}": 2}) and not r.msetnx({"x{t}": 1, "z{t}": 2})
    binary = bytes(range(256))
    assert r.set(binary, binary) and r.get(binary) == binary
    big = b"\r\n" * 500_000
    assert r.set("big", big) and r.get("big") == big


def test_keys(connect: Connect) -> None:
    r = connect()
    r.mset({f"k{number}": number for number in range(100)})
    assert r.dbsize() == 100
    assert r.exists("k1", "k2", "none") == 2 and "k1" in r
    assert r.expire("k1", 100) is True and 0 < r.ttl("k1") <= 100 and r.pttl("k1") > 1000
    assert r.persist("k1") is True and r.ttl("k1") == -1 and r.ttl("none") == -2
    assert r.pexpire("k1", 100_000, gt=True) is False
    assert r.expireat("k2", 4_000_000_000) is True and r.expiretime("k2") == 4_000_000_000
    assert r.type("k1") == b"string"
    assert r.rename("k3", "k3") is True
    assert r.touch("k1", "k2") == 2
    assert r.delete("k1", "k2", "none") == 2 and r.unlink("k4", "k5") == 2
    assert r.randomkey().startswith(b"k")
    assert len(r.keys("k1?")) == 10
    assert r.object("encoding", "k50") == b"int"
    with pytest.raises(redis.ResponseError, match="not an integer"):
        r.execute_command("INCRBY", "word", "x")


def test_scan_iter(connect: Connect) -> None:
    r = connect(decode_responses=True)
    r.mset({f"s:{number}": number for number in range(KEYS)})
    r.mset({f"other:{number}": number for number in range(100)})
    assert sorted(r.scan_iter("s:*", count=100)) == sorted(f"s:{number}" for number in range(KEYS))
    assert len(set(r.scan_iter())) == KEYS + 100
    assert len(set(r.scan_iter(_type="string"))) == KEYS + 100
    assert list(r.scan_iter(_type="list")) == []


def test_decode_responses(connect: Connect) -> None:
    r = connect(decode_responses=True)
    assert r.set("ключ", "značka ☃")
    assert r.get("ключ") == "značka ☃"
    assert r.keys() == ["ключ"]


def test_pipeline(connect: Connect) -> None:
    r = connect()
    with r.pipeline(transaction=False) as pipe:
        for number in range(KEYS):
            pipe.set(f"p{number}", number)
        assert pipe.execute() == [True] * KEYS
        for number in range(KEYS):
            pipe.get(f"p{number}")
        pipe.dbsize()
        pipe.mget("p1", "p2", "p3")
        pipe.delete("p1", "p2", "p3")
        replies = pipe.execute()
    assert replies == [*(b"%d" % number for number in range(KEYS)), KEYS, [b"1", b"2", b"3"], 3]
    with r.pipeline(transaction=False) as pipe:
        pipe.set("word", "x").incr("word").get("word")
        replies = pipe.execute(raise_on_error=False)
    assert replies[0] is True and isinstance(replies[1], redis.ResponseError) and replies[2] == b"x"


def test_a_pool_with_many_threads(connect: Connect) -> None:
    """Each thread counts for itself and all count together."""
    r = connect(max_connections=THREADS)
    failures: list[object] = []

    def work(name: int) -> None:
        try:
            for number in range(CALLS):
                r.incr("all")
                r.set(f"{name}:{number}", number)
                assert r.get(f"{name}:{number}") == b"%d" % number
        except Exception as error:  # Seen by the test, in its own thread.
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert r.get("all") == b"%d" % (THREADS * CALLS)
    assert r.dbsize() == THREADS * CALLS + 1


def test_what_it_says_of_itself(connect: Connect) -> None:
    """It sends CLIENT SETINFO and SETNAME when it connects."""
    r = connect(client_name="tested", decode_responses=True)
    (mine,) = [client for client in r.client_list() if client["name"] == "tested"]
    assert mine["lib-name"].startswith("redis-py") and mine["lib-ver"] == redis.__version__
    assert r.client_getname() == "tested" and r.client_id() == int(mine["id"])
    assert r.client_info()["name"] == "tested"


def test_databases(connect: Connect) -> None:
    first, second = connect(), connect(db=1)
    first.set("k", "0")
    second.set("k", "1")
    assert (first.get("k"), second.get("k")) == (b"0", b"1")
    assert first.move("k", 2) and connect(db=2).get("k") == b"0"
    assert second.flushdb() and second.dbsize() == 0


def test_administration(connect: Connect) -> None:
    r = connect(decode_responses=True)
    assert r.config_get("appendfsync") == {"appendfsync": "everysec"}
    assert r.info("server")["tcp_port"] == r.get_connection_kwargs()["port"]
    assert r.info()["redis_version"]
    assert int(r.time()[0]) > 1_700_000_000
    assert r.echo("word") == "word"
    assert "get" in {name.lower() for name in r.command()}
    assert r.acl_whoami() == "default"


def test_a_killed_connection_is_made_again(connect: Connect) -> None:
    r = connect(retry=Retry(ConstantBackoff(0.01), 3))
    other = connect()
    assert r.client_setname("victim")
    other.client_kill_filter(_id=r.client_id())
    assert r.ping() is True
    assert r.client_getname() is None


def test_a_password(start: Callable[[Shardis], Shardis], protocol: int) -> None:
    server = start(Shardis(shards=2, requirepass="secret"))
    address = f"127.0.0.1:{server.port}"
    with redis.Redis.from_url(f"redis://:secret@{address}/3?protocol={protocol}") as r:
        assert r.set("k", "v") and r.get("k") == b"v"
        assert r.client_info()["db"] == 3
    with redis.Redis.from_url(f"redis://default:secret@{address}/3?protocol={protocol}") as r:
        assert r.get("k") == b"v"
    for wrong in (f"redis://:wrong@{address}", f"redis://{address}"):
        with redis.Redis.from_url(f"{wrong}?protocol={protocol}") as r, pytest.raises(redis.AuthenticationError):
            r.ping()


def test_a_router_that_dies(start: Callable[[Shardis], Shardis], protocol: int) -> None:
    """The pool connects again; health checks find the connections that died meanwhile."""
    server = start(Shardis(shards=2))
    retry = Retry(ConstantBackoff(0.05), 400)
    options = {"protocol": protocol, "retry": retry, "health_check_interval": 1}
    with redis.Redis("127.0.0.1", server.port, **options) as r:
        assert r.set("k", "v")
        kill(roles(server)["router"])
        assert r.get("k") == b"v"
        server.wait_ready()
        assert r.mget("k", "none") == [b"v", None]


# asyncio


def test_asyncio(connect: Connect, shardis: Shardis, protocol: int) -> None:
    connect()

    async def work() -> None:
        async with redis.asyncio.Redis(port=shardis.port, protocol=protocol) as r:
            assert await r.ping() is True
            assert await r.set("k", "v", ex=100) is True
            assert await r.get("k") == b"v" and 0 < await r.ttl("k") <= 100
            assert await r.mset({f"m{number}": number for number in range(50)})
            assert len(await r.mget([f"m{number}" for number in range(50)])) == 50
            async with r.pipeline(transaction=False) as pipe:
                for number in range(500):
                    pipe.incr(f"i{number % 50}")
                assert (await pipe.execute())[-1] == 10
            assert len([key async for key in r.scan_iter("i*")]) == 50

    asyncio.run(work())


def test_asyncio_with_many_tasks(connect: Connect, shardis: Shardis, protocol: int) -> None:
    connect()

    async def count(r: "redis.asyncio.Redis", name: int) -> None:
        for number in range(CALLS):
            await r.incr("all")
            await r.set(f"{name}:{number}", number)

    async def work() -> None:
        pool = redis.asyncio.BlockingConnectionPool(port=shardis.port, protocol=protocol, max_connections=8, timeout=60)
        async with redis.asyncio.Redis.from_pool(pool) as r:
            await asyncio.gather(*(count(r, name) for name in range(THREADS)))
            assert await r.get("all") == b"%d" % (THREADS * CALLS)
            assert await r.dbsize() == THREADS * CALLS + 1

    asyncio.run(work())


def test_asyncio_and_a_router_that_dies(start: Callable[[Shardis], Shardis], protocol: int) -> None:
    server = start(Shardis(shards=2))

    async def work() -> None:
        retry = redis.asyncio.retry.Retry(ConstantBackoff(0.05), 400)
        async with redis.asyncio.Redis(port=server.port, protocol=protocol, retry=retry) as r:
            await r.set("k", "v")
            kill(roles(server)["router"])
            assert await r.get("k") == b"v"

    asyncio.run(work())

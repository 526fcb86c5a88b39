"""Commands whose keys live on several shards: as the reference answers them, atomic for everybody, whoever dies.

BORROW_ROUNDS in the environment says for how many crashes, so that the same test runs for hours.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from common.slot import shard_of_slot, slot_of_whole
from router.borrow import home_of
from tests.audit import audit, differences
from tests.bare_router import BareRouter, ShardEnd, on_a_loop
from tests.bare_shard import commands
from tests.bench.processes import roles
from tests.reference import Reference
from tests.resp_client import Client, Error, Status, encode_command
from tests.servers import POLL_S, Server, Shardis

ROUNDS = int(os.environ.get("BORROW_ROUNDS", "3"))
SHARDS = 3
STORM_S = 1.5
ENOUGH = 50
"""Of each kind of act: a busy machine takes longer for them."""
TIMEOUT_S = 30.0
STALLED_S = 10.0

Start = Callable[[Server], Server]
OK = Status(b"OK")
NO_SUCH_KEY = Error(b"ERR no such key")


def key_of(shard: int, number: int = 0, shards: int = SHARDS) -> str:
    """The `number`-th of k0, k1 ... that lives on that shard, where hash tags count for nothing."""
    keys = [f"k{count}" for count in range(1000) if shard_of_slot(slot_of_whole(f"k{count}".encode()), shards) == shard]
    return keys[number]


# --- As the reference answers them -----------------------------------------------------------------------------------

CALLS = """
    MSETNX a 1 b 2 c 3 d 4 | MSETNX d 5 e 6 f 7 | MSETNX e 1 e 2 f 3 | MSETNX g 1 h | MSETNX a 1 | MSETNX
    MGET a b c d e f g
    MSETEX 3 a 1 b 2 x 3 EX 100 | TTL x | MSETEX 2 a 5 n 6 XX | MSETEX 2 a 5 n 6 NX | MSETEX 2 a 7 b 8 XX KEEPTTL
    TTL a | MSETEX 2 n 1 o 2 NX PX 50000 | MSETEX 2 a 1 b | MSETEX 0 a 1 b 2 | MSETEX x a 1 b 2 | MSETEX 9 a 1 b 2
    MSETEX 2 a 1 b 2 FOO | MSETEX 2 a 1 b 2 EX 0 | MSETEX 2 a 1 b 2 EX 1 PX 1 | MSETEX 2 a 1 a 2 | GET a
    MSETEX 2 p 1 q 2 PXAT 1 | EXISTS p q | DBSIZE
    RENAME a z | RENAME z a | RENAME nokey a | RENAME a nokey | GET nokey | RENAME nokey nokey | RENAME nokey a
    PEXPIRE a 100000 | RENAME a b | TTL b | EXISTS a | SET c 1 | RENAME c b | TTL b | RENAME b | RENAME b c d
    SET e 1 EX 50 | SET f 2 | RENAMENX e f | RENAMENX e g2 | TTL g2 | RENAMENX nokey f | RENAMENX g2 g2 | EXISTS e
    APPEND r raw | OBJECT ENCODING r | RENAME r r2 | OBJECT ENCODING r2 | COPY r2 r3 | OBJECT ENCODING r3 | GET r3
    SET i 12 | COPY i j | OBJECT ENCODING j | INCR j | GET i | COPY i j | COPY i j REPLACE | GET j | COPY nokey j
    COPY i i | COPY i j FOO | COPY i j DB | COPY i j DB x | COPY i j DB 99 | COPY i j DB -1 | COPY i j REPLACE REPLACE
    PEXPIRE i 90000 | COPY i j DB 1 | COPY i i DB 1 | COPY i j DB 1 | COPY i j REPLACE DB 1 | COPY i k DB 1 DB 2
    COPY i db DB 3 | SELECT 3 | GET db | TTL db | SELECT 1 | MGET i j k | TTL j | TTL i | DBSIZE | RENAME i j | TTL j
    COPY j i DB 0 | COPY j i DB 0 REPLACE | SELECT 2 | GET k | SELECT 0 | GET i
    MSET s1 ohmytext s2 mynewtext | LCS s1 s2 | LCS s1 s2 LEN | LCS s1 s2 IDX | LCS s1 s2 IDX WITHMATCHLEN | LCS s1 no
    LCS no no2 | LCS s1 s2 LEN IDX | LCS s1 s2 FOO | LCS s1 s2 IDX MINMATCHLEN 4 | LCS s1 | HELLO 3
    LCS s1 s2 IDX WITHMATCHLEN | MSETNX s1 1 new 2 | RENAMENX s1 s3 | COPY s3 s4 | HELLO 2
    rename s3 s1 | reNaMe s1 s3 | DBSIZE | COMMAND GETKEYS MSETEX 2 a 1 b 2
"""


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_answers_are_those_of_the_reference(start: Start, reference: Reference, shards: int) -> None:
    server = start(Shardis(shards=shards, hash_tags="no"))
    with server.connect() as client, reference.connect() as model:
        model.call("FLUSHALL")
        for line in CALLS.replace("\n", "|").split("|"):
            if argv := line.split():
                found, wanted = client.call(*argv), model.call(*argv)
                assert argv[0] == "HELLO" or _near(found) == _near(wanted), line
        for connection in (client, model):
            connection.call("SELECT", 0)
        expected = audit(model.call, dbs=4)
        assert not differences(audit(client.call, dbs=4), expected, 2000)
        server.stop()
        server.start()
        with server.connect() as again:
            # Whether a string was edited in place is not in a log, the reference's neither.
            replayed = {place: (*entry[:3], expected[place][3]) for place, entry in audit(again.call, dbs=4).items()}
        assert not differences(replayed, expected, 2000)


def _near(value: Any) -> Any:
    """TTLs may be a second apart."""
    return pytest.approx(value, abs=1) if type(value) is int and value > 10 else value


def test_where_a_command_runs() -> None:
    table = commands()

    def home(*words: str) -> int:
        argv = [word.encode() for word in words]
        return home_of(table.find(argv), argv, lambda key: key[0] - ord("a"))

    assert home("RENAME", "a", "b") == 1  # What is overwritten need not travel.
    assert home("COPY", "c", "b", "REPLACE") == 1
    assert home("LCS", "b", "a") == 1
    assert home("MSETNX", "a", "1", "b", "1", "b2", "1") == 1
    assert home("SORT", "a", "STORE", "b") == 0


def test_in_a_pipeline_with_others(start: Start) -> None:
    """All that a client sends at once is done in its order, for each key and each of its replies."""
    server = start(Shardis(shards=SHARDS, hash_tags="no"))
    one, two, three = (key_of(shard) for shard in range(SHARDS))
    with server.connect() as client:
        calls: list[tuple[str, ...]] = []
        for _ in range(200):
            calls += [("SET", one, "1"), ("RENAME", one, two), ("EXISTS", one), ("APPEND", two, "2"), ("GET", two)]
            calls += [("COPY", two, three), ("MGET", one, two, three), ("DEL", two, three), ("DBSIZE",)]
        client.send_bytes(b"".join(map(encode_command, calls)))
        replies = [client.read().value for _ in calls]
        assert replies == 200 * [OK, OK, 0, 2, b"12", 1, [None, b"12", b"12"], 2, 0]
        client.call("SET", one, "1")
        client.send_bytes(encode_command(["CLIENT", "REPLY", "SKIP"]) + encode_command(["RENAME", one, two]))
        assert client.call("MGET", one, two) == [None, b"1"]
        assert client.call("INFO", "commandstats").count(b"cmdstat_rename:calls=201,") == 1


# --- Atomic ----------------------------------------------------------------------------------------------------------


@contextmanager
def threads(*bodies: Callable[[threading.Event], None]) -> Iterator[threading.Event]:
    """Runs them beside the test until the event that it gives, and has what they raise raised at the end."""
    stopping = threading.Event()
    failures: list[BaseException] = []

    def run(body: Callable[[threading.Event], None]) -> None:
        try:
            body(stopping)
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)
            stopping.set()

    running = [threading.Thread(target=run, args=(body,), daemon=True) for body in bodies]
    for thread in running:
        thread.start()
    try:
        yield stopping
    finally:
        stopping.set()
        for thread in running:
            thread.join(TIMEOUT_S)
    if failures:
        raise failures[0]
    assert not any(thread.is_alive() for thread in running), "a client hangs"


def test_nobody_sees_half(start: Start) -> None:
    """A value that goes round in a ring is always at exactly one place; what MSETNX makes is there wholly or not."""
    server = start(Shardis(shards=SHARDS, hash_tags="no", appendonly="no"))
    ring = [key_of(shard, number) for number in range(2) for shard in range(SHARDS)]
    group = [key_of(shard, 5) for shard in range(SHARDS)]
    copies = [key_of(shard, 7) for shard in range(SHARDS)]
    done = {"renames": 0, "made": 0, "read": 0}

    def rename(seed: int) -> Callable[[threading.Event], None]:
        def body(stopping: threading.Event) -> None:
            random = Random(seed)
            with server.connect() as client:
                while not stopping.is_set():
                    pairs = [random.sample(ring, 2) for _ in range(8)]
                    client.send_bytes(b"".join(encode_command(["RENAME", *pair]) for pair in pairs))
                    for reply in client.read_many(len(pairs)):
                        assert reply.value in (OK, NO_SUCH_KEY)
                        done["renames"] += reply.value == OK

        return body

    def make(number: int) -> Callable[[threading.Event], None]:
        def body(stopping: threading.Event) -> None:
            with server.connect() as client:
                while not stopping.is_set():
                    if client.call("MSETNX", *[word for key in group for word in (key, number)]):
                        done["made"] += 1
                        assert client.call("DEL", *group) == len(group)

        return body

    def copy(stopping: threading.Event) -> None:
        with server.connect() as client:
            number = 0
            while not stopping.is_set():
                number += 1
                client.call("MSET", *[word for key in copies for word in (key, number)])
                client.send("SET", copies[0], number + 1)
                client.send("COPY", copies[0], copies[1], "REPLACE")
                client.send("COPY", copies[1], copies[2], "REPLACE")
                assert [reply.value for reply in client.read_many(3)] == [OK, 1, 1]

    def read(stopping: threading.Event) -> None:
        with server.connect() as client:
            while not stopping.is_set():
                assert [value for value in client.call("MGET", *ring) if value is not None] == [b"token"]
                assert client.call("EXISTS", *ring) == 1
                assert len(set(client.call("MGET", *group))) == 1
                first, second, third = map(int, client.call("MGET", *copies))
                assert first >= second >= third >= first - 1
                done["read"] += 1

    with server.connect() as client:
        client.call("SET", ring[0], "token")
        client.call("MSET", *[word for key in copies for word in (key, 0)])
    with threads(rename(1), rename(2), rename(3), make(1), make(2), copy, read, read) as stopping:
        time.sleep(2 * STORM_S)
        deadline_s = time.monotonic() + TIMEOUT_S
        while not stopping.is_set() and min(done.values()) <= ENOUGH:
            assert time.monotonic() < deadline_s, done
            time.sleep(POLL_S)
    with server.connect() as client:
        client.call("DEL", *group)
        assert client.call("DBSIZE") == 1 + len(copies)


def test_a_hold_does_not_stop_other_keys(start: Start) -> None:
    """A shard that stands still holds up a borrow, and whoever wants its keys, and nobody else."""
    server = start(Shardis(shards=SHARDS, hash_tags="no"))
    home, away, other = key_of(0), key_of(1), key_of(0, 1)
    stopped = roles(server)["shard 1"]
    with server.connect() as client, server.connect() as waiting, server.connect() as free:
        client.call("SET", away, "1")
        os.kill(stopped, signal.SIGSTOP)
        try:
            client.send("RENAME", away, home)
            assert free.call("SET", other, "1") == OK
            waiting.send("GET", home)
            free.send_bytes(b"".join(encode_command(["INCR", other]) for _ in range(1000)))
            assert [reply.value for reply in free.read_many(1000)] == list(range(2, 1002))
            assert waiting.maybe_read() is None and client.maybe_read() is None
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert client.read().value == OK and waiting.read().value == b"1"


def test_big_values_travel(start: Start) -> None:
    server = start(Shardis(shards=2, hash_tags="no"))
    one, two = key_of(0, shards=2), key_of(1, shards=2)
    value = os.urandom(20 * 1024 * 1024)
    with server.connect() as client:
        assert client.call("SET", one, value) == OK
        assert client.call("RENAME", one, two) == OK
        assert client.call("COPY", two, one) == 1
        assert client.call("GET", one) == value == client.call("GET", two)


# --- Whoever dies ----------------------------------------------------------------------------------------------------


def storm(server: Server, seed: int, counts: dict[str, int]) -> Callable[[threading.Event], None]:
    """A client that borrows without end, and connects again whenever it is cut off."""

    def body(stopping: threading.Event) -> None:
        random = Random(seed)
        keys = [key_of(shard, number) for number in range(3) for shard in range(SHARDS)]
        while not stopping.is_set():
            try:
                with Client(server.address, STALLED_S) as client:
                    while not stopping.is_set():
                        calls = [_call(random, keys) for _ in range(random.randrange(1, 6))]
                        client.send_bytes(b"".join(map(encode_command, calls)))
                        for reply in client.read_many(len(calls)):
                            counts["answers"] += 1
                            if isinstance(reply.value, Error):
                                word = bytes(reply.value).split()[0].decode()
                                assert word in ("SHARDDOWN", "LOADING") or reply.value == NO_SUCH_KEY, reply
                                counts[word] = counts.get(word, 0) + 1
            except TimeoutError:
                raise
            except OSError:
                stopping.wait(0.01)

    return body


def _call(random: Random, keys: list[str]) -> list[str]:
    one, other, third = random.sample(keys, 3)
    return random.choice(
        [
            ["RENAME", one, other],
            ["RENAMENX", one, other],
            ["COPY", one, other, "REPLACE"],
            ["LCS", one, other, "LEN"],
            ["MSETNX", one, "1", other, "2", third, "3"],
            ["MSETEX", "2", one, "1", other, "2", "PX", "200"],
            ["MGET", one, other, third],
            ["SET", one, "v"],
            ["DEL", one, other],
            ["DBSIZE"],
        ]
    )


def wait_for_answers(counts: dict[str, int], more: int, stopping: threading.Event) -> None:
    wanted, deadline = counts["answers"] + more, time.monotonic() + TIMEOUT_S
    while counts["answers"] < wanted and not stopping.is_set():
        assert time.monotonic() < deadline, f"nothing is answered any more: {counts}"
        time.sleep(0.005)


@pytest.mark.parametrize("victim", ["shard", "router"])
def test_a_process_killed_in_a_storm(start: Start, victim: str) -> None:
    """Nobody hangs, keys of the others are served meanwhile, and afterwards all works."""
    server = start(Shardis(shards=SHARDS, hash_tags="no"))
    random = Random(victim)
    counts = {"answers": 0}
    with threads(*[storm(server, seed, counts) for seed in range(4)]) as stopping:
        for _ in range(ROUNDS):
            wait_for_answers(counts, random.randrange(100, 400), stopping)
            dead = random.randrange(SHARDS)
            os.kill(roles(server)["router" if victim == "router" else f"shard {dead}"], signal.SIGKILL)
            if victim == "shard":
                with Client(server.address, STALLED_S) as client:
                    untouched = key_of((dead + 1) % SHARDS, 9)
                    for number in range(50):
                        assert client.call("SET", untouched, number) == OK
            server.wait_ready()
            wait_for_answers(counts, 200, stopping)
    with server.connect() as client:
        assert client.call("FLUSHALL") == OK
        one, two, three = (key_of(shard) for shard in range(SHARDS))
        assert client.call("MSETNX", one, 1, two, 2, three, 3) == 1
        assert client.call("RENAME", one, two) == OK
        assert client.call("MGET", one, two, three) == [None, b"1", b"3"]
        assert client.call("DBSIZE") == 2


def test_a_client_killed_in_the_middle(start: Start) -> None:
    """What it had begun is done or not, and nothing stays held."""
    server = start(Shardis(shards=SHARDS, hash_tags="no"))
    one, two, three = (key_of(shard) for shard in range(SHARDS))
    with server.connect() as other:
        for number in range(30):
            with server.connect() as client:
                calls = [["SET", one, "1"], ["RENAME", one, two], ["COPY", two, three], ["RENAME", three, one]] * 20
                client.send_bytes(b"".join(map(encode_command, calls)))
                if number % 2:
                    other.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert other.call("MSET", one, "a", two, "b", three, "c") == OK
            assert other.call("MGET", one, two, three) is not None
        while other.call("CLIENT", "LIST").count(b"id=") > 1:  # One may have come in behind the CLIENT KILL.
            time.sleep(0.01)
        assert other.call("MSET", one, "a", two, "b", three, "c") == OK
        assert other.call("RENAME", one, two) == OK
        assert other.call("DBSIZE") == 2


def test_a_shard_that_is_down_is_said_to_be(start: Start) -> None:
    server = start(Shardis(shards=SHARDS, hash_tags="no"))
    here, there, third = key_of(0), key_of(1), key_of(2)
    stopped = roles(server)["shard 1"]
    with server.connect() as client, server.connect() as other:
        client.call("MSET", here, "1", third, "3")
        os.kill(stopped, signal.SIGSTOP)
        client.send("RENAME", here, there)
        other.send("GET", here)
        time.sleep(0.05)
        os.kill(stopped, signal.SIGKILL)
        # It waited for the hold of that shard: nothing was done, and the key is free again.
        assert client.read().value == Error(b"SHARDDOWN shard 1 is down, it is being restarted")
        assert other.read().value == b"1"
        assert client.call("RENAME", here, third) == OK
        server.wait_ready()
        assert client.call("RENAME", third, there) == OK
        assert client.call("MGET", here, there, third) == [None, b"1", None]


def test_dbs_that_a_call_names() -> None:
    table = commands()

    def other_dbs(call: str) -> list[int]:
        argv = call.encode().split()
        return table.find(argv).other_dbs(argv)

    assert other_dbs("COPY a b") == other_dbs("COPY a b DB x REPLACE") == other_dbs("RENAME DB 1") == []
    assert other_dbs("COPY a b REPLACE db 3 DB 11") == [3, 11]
    assert other_dbs("COPY a b DB 99999999999999999999") == []


def test_a_shard_that_came_back_without_its_part() -> None:
    """It died after it had lent its key, and is back when the command has run: nobody is told that all is well."""

    async def scene() -> None:
        bare = BareRouter(shards=2)
        source, target = bare.key_of(0), bare.key_of(1)
        away, home = bare.shards
        client = bare.connect()
        client.send([b"RENAME", source, target])
        await bare.sent()
        for shard, lent in ((away, [[0, source, b"v", -1]]), (home, [])):
            shard.frames.clear()
            shard.send([[None], [lent]])  # To what follows hello, and to the hold.
        await bare.sent()
        away.die()
        back = ShardEnd(away.link)
        back.greet()
        home.send([[[b"+OK\r\n", [[0, source, None, -1]], None, b""]]])
        unknown = b"-SHARDDOWN shard 0 went down, the outcome of this command is unknown\r\n"
        assert client.take() == unknown
        await bare.sent()
        assert not [run for frame in back.frames for run in frame[2::2] if run[0][0] == "release"]

    on_a_loop(scene)

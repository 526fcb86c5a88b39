"""Histories of concurrent clients are right, with and without shards being killed; and the checks find wrong ones.

HISTORY_SECONDS in the environment says how long all runs together take, so that the same tests run for hours.
`python -m tests.histories` is the same with more to choose.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from common.slot import shard_of_slot, slot_of_whole
from tests.histories import callers, lanes
from tests.histories.callers import Caller, Hang, Meter, Refused
from tests.histories.invariants import Lists, OneValue, Pairs, PlainTransfers, Ring, Seats, Sets, WatchedTransfers
from tests.histories.lanes import WORKLOADS, Report, run
from tests.histories.model import Model
from tests.histories.objects import ManyLists, ManyStrings, OneList, OneString
from tests.histories.queues import Queues, SingleQueues
from tests.histories.scene import Scene, Workload, spread_keys
from tests.linearizability import Operation
from tests.reference import Reference
from tests.resp_client import NULL_ARRAY, Error, Status
from tests.servers import Server, Shardis, free_port

SECONDS = float(os.environ.get("HISTORY_SECONDS", "20"))
SEED = int(os.environ.get("HISTORY_SEED", "1"))
OK = Status(b"OK")
A, B, C, D, E = KEYS = (b"a", b"b", b"c", b"d", b"e")

Start = Callable[[Server], Server]


def passed(report: Report) -> None:
    """Fails with what was found."""
    print(report.text())
    assert not report.faults, report.text()
    assert not report.undecided
    assert set(report.scenes) | set(report.left_out) == {workload.name for workload in WORKLOADS}
    for name in report.scenes:
        assert report.effects[name].total() > 20, f"{name} did next to nothing"
    if report.left_out:
        pytest.skip(f"all that was played is right; left out: {report.left_out}")


# --- Runs ------------------------------------------------------------------------------------------------------------


def test_on_the_reference(reference: Reference) -> None:
    """What it is found guilty of, the tests have wrong."""
    report = run(reference.address, SECONDS * 0.15, SEED)
    assert not report.left_out and report.overlap > 10
    assert report.checked == report.scenes
    passed(report)


def test_nobody_can_tell_three_shards_from_one(start: Start) -> None:
    server = start(Shardis(shards=3, hash_tags="no"))
    report = run(server.address, SECONDS * 0.45, SEED)
    assert report.checked == report.scenes
    passed(report)


def test_while_shards_are_killed(start: Start) -> None:
    server = start(Shardis(shards=3, hash_tags="no"))
    assert isinstance(server, Shardis)
    report = run(server.address, SECONDS * 0.4, SEED, server=server)
    assert report.kills > 0 and report.refused > 0
    passed(report)


# --- The checks find what is wrong -----------------------------------------------------------------------------------


def operation(*call: Any, reply: Any, at: float = 0.0, until: float | None = None, known: bool = True) -> Operation:
    words = tuple(word.encode() if isinstance(word, str) else word for word in call)
    return Operation(words, reply, at, at if until is None else until, known)


def many(values: Sequence[bytes | None], *, keys: Sequence[bytes] = KEYS, at: float = 9.0) -> Operation:
    return operation("MGET", *keys, reply=list(values), at=at)


def transaction(*calls: tuple[bytes, ...], reply: Any, at: float = 0.0, known: bool = True) -> Operation:
    return operation("EXEC", *calls, reply=reply, at=at, known=known)


def read_by(name: bytes, replies: Sequence[Any], *words: bytes) -> Operation:
    keys = KEYS[: len(replies)]
    return transaction(*[(name, key, *words) for key in keys], reply=list(replies))


def push(queue: str, *jobs: str, at: float = 0.0, known: bool = True) -> Operation:
    return operation("RPUSH", queue, *jobs, reply=len(jobs) if known else None, at=at, known=known)


def pop(queue: str, job: str, at: float, until: float | None = None) -> Operation:
    return operation("BLPOP", queue, "0.1", reply=[queue.encode(), job.encode()], at=at, until=until)


def pop_some(queue: str, *jobs: str, at: float = 5.0) -> Operation:
    reply = [queue.encode(), [job.encode() for job in jobs]]
    return operation("BLMPOP", "0.1", "1", queue, "LEFT", "COUNT", "2", reply=reply, at=at)


ALL = [b"%d" % 100] * 5
ELEMENTS = Lists().content()
MEMBERS = Sets().content()
UNKNOWN_POP = operation("BLPOP", "a", "0.1", reply=None, at=2, until=3, known=False)
PUSHED = [push("a", "0:1"), push("a", "0:2", at=1.0), push("b", "1:1"), push("a", "1:2")]
PUSHED_AT_ONCE = transaction((b"RPUSH", A, b"0:1"), (b"RPUSH", B, b"0:2"), reply=[1, 1])
POPPED = [pop("a", "0:1", 2), pop("a", "0:2", 3), pop("b", "1:1", 1, 9), pop("a", "1:2", 2, 8)]

RIGHT: list[tuple[Workload, list[Operation]]] = [
    (OneValue(), [operation("MSET", A, "1", B, "1", reply=OK), many([b"1", b"1"], keys=[B, A])]),
    (WatchedTransfers(), [many(ALL), many([b"-50", b"250", *ALL[2:]])]),
    (PlainTransfers(), [read_by(b"GET", ALL), read_by(b"GET", [b"99", b"101", *ALL[2:]])]),
    (PlainTransfers(), [many(ALL), transaction((b"DECRBY", A, b"1"), (b"INCRBY", B, b"1"), reply=[1, 2])]),
    (Ring(), [many([None, b"thing0", None, None, None]), operation("EXISTS", *KEYS, reply=1)]),
    (Ring(), [read_by(b"GET", [b"thing0", None, None, None, None])]),
    (Ring(), [many([b"thing0"]), transaction((b"COPY", A, B), (b"DEL", A), reply=[1, 1])]),
    (Seats(), [many([b"thing1", None, b"thing0", b"thing3", b"thing2"])]),
    (Lists(), [read_by(b"LRANGE", [ELEMENTS[5:], [], ELEMENTS[:5]], b"0", b"-1")]),
    (Sets(), [read_by(b"SMEMBERS", [MEMBERS[5:], [], MEMBERS[:5]]), operation("SUNION", A, B, reply=MEMBERS[::-1])]),
    (Sets(), [operation("SUNION", A, B, reply=MEMBERS), operation("SINTERSTORE", C, A, B, reply=0)]),
    (Pairs(), [operation("DBSIZE", reply=4), operation("DEL", A, B, reply=0), operation("KEYS", "*", reply=[A, B])]),
    (Queues(), [*PUSHED, *POPPED]),
    (Queues(), [*PUSHED, pop_some("a", "0:1", "0:2"), pop("b", "1:1", 1), pop("a", "1:2", 9)]),
    (Queues(), [push("a", "0:1"), push("a", "0:2"), pop("a", "0:2", 1, 4), pop("a", "0:1", 1, 5)]),
    (
        Queues(),
        [
            transaction((b"RPUSH", A, b"0:1"), (b"RPUSH", B, b"0:2"), reply=[1, 1]),
            pop("a", "0:1", 1),
            pop("b", "0:2", 1),
        ],
    ),
    (SingleQueues(), [*PUSHED, *POPPED[1:], UNKNOWN_POP]),
    (SingleQueues(), [push("a", "0:1", known=False)]),
    (SingleQueues(), [push("a", "0:1", known=False), pop("a", "0:1", 1)]),
]
WRONG: list[tuple[str, Workload, list[Operation]]] = [
    ("torn", OneValue(), [operation("MSET", A, "1", B, "1", reply=OK), many([b"1", None], keys=[A, B])]),
    ("torn", OneValue(), [many([b"1", b"2"], keys=[A, B])]),
    ("nothing explains", OneValue(), [operation("MSET", A, "1", B, "1", reply=OK), many([None, None], keys=[A, B])]),
    ("sum 499", WatchedTransfers(), [many(ALL), many([b"99", *ALL[1:]])]),
    ("sum 400", WatchedTransfers(), [many([None, *ALL[1:]])]),
    ("sum 501", PlainTransfers(), [read_by(b"GET", ALL), read_by(b"GET", [*ALL[1:], b"101"])]),
    ("nobody read", PlainTransfers(), [transaction((b"DECRBY", A, b"1"), (b"INCRBY", B, b"1"), reply=[1, 2])]),
    ("not each once", Ring(), [many([None] * 5)]),
    ("not each once", Ring(), [many([b"thing0", None, b"thing0", None, None])]),
    ("not each once", Ring(), [read_by(b"GET", [b"thing0", b"thing0", None])]),
    ("2 are there", Ring(), [many([b"thing0"]), operation("EXISTS", *KEYS, reply=2)]),
    ("0 are there", Ring(), [many([b"thing0"]), operation("EXISTS", *KEYS, reply=0)]),
    ("not each once", Seats(), [many([b"thing1", None, b"thing0", b"thing3", b"thing3"])]),
    ("not each once", Lists(), [read_by(b"LRANGE", [ELEMENTS[5:], [], ELEMENTS[:4]], b"0", b"-1")]),
    ("not each once", Lists(), [read_by(b"LRANGE", [ELEMENTS[5:], [], ELEMENTS[:6]], b"0", b"-1")]),
    ("not each once", Sets(), [read_by(b"SMEMBERS", [MEMBERS[5:], MEMBERS[4:5], MEMBERS[:5]])]),
    ("not each once", Sets(), [operation("SUNION", A, B, reply=MEMBERS[1:])]),
    ("SINTER", Sets(), [operation("SUNION", A, B, reply=MEMBERS), operation("SINTER", A, B, reply=MEMBERS[:1])]),
    ("STORE", Sets(), [operation("SUNION", A, B, reply=MEMBERS), operation("SUNIONSTORE", C, A, B, reply=7)]),
    ("odd", Pairs(), [operation("DBSIZE", reply=3)]),
    ("odd", Pairs(), [operation("DEL", A, B, reply=1)]),
    ("odd", Pairs(), [operation("KEYS", "*", reply=[A])]),
    ("taken 2 times", Queues(), [*PUSHED, *POPPED, pop("a", "0:1", 2)]),
    ("never pushed", Queues(), [*PUSHED, *POPPED, pop("a", "0:7", 9)]),
    ("never pushed", Queues(), [*PUSHED, *POPPED[:2], pop("a", "1:1", 9), POPPED[3]]),
    ("taken by nobody", Queues(), [*PUSHED, *POPPED[1:]]),
    ("was taken by a call that began", Queues(), [*PUSHED, pop("a", "0:2", 2), pop("a", "0:1", 3), *POPPED[2:]]),
    ("out of order in one reply", Queues(), [*PUSHED, pop_some("a", "0:2", "0:1"), *POPPED[2:]]),
    ("was taken by a call that began", Queues(), [*PUSHED, pop("a", "0:1", 9), pop_some("a", "0:2"), *POPPED[2:]]),
    ("taken 2 times", SingleQueues(), [*PUSHED, *POPPED, UNKNOWN_POP, pop("b", "1:1", 5)]),
    ("taken by nobody", SingleQueues(), [*PUSHED, POPPED[3], UNKNOWN_POP]),
    ("nothing explains", OneString(), [operation("SET", A, "1", reply=OK), operation("GET", A, reply=None, at=1)]),
    ("nothing explains", OneList(), [operation("LPOP", A, reply=b"x")]),
    ("nothing explains", ManyStrings(), [operation("RENAME", A, B, reply=OK)]),
    ("nothing explains", ManyLists(), [operation("BLPOP", A, B, "0", reply=[B, b"1"])]),
]


def keys_of(workload: Workload) -> tuple[bytes, ...]:
    if isinstance(workload, OneValue):
        return (A, B)
    return KEYS


@pytest.mark.parametrize("number", range(len(RIGHT)))
def test_a_right_history(number: int) -> None:
    workload, history = RIGHT[number]
    assert not workload.faults(history, keys_of(workload))
    assert not workload.surprises(history)


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_wrong_history(number: int) -> None:
    text, workload, history = WRONG[number]
    found = workload.faults(history, keys_of(workload))
    assert any(text in fault for fault in found), found


def test_each_check_has_a_wrong_history() -> None:
    assert {type(workload) for _, workload, _ in WRONG} == {type(workload) for workload in WORKLOADS}


def test_a_watch_that_failed_explains_nothing() -> None:
    history = [
        operation("SET", A, "1", reply=OK),
        operation("WATCHED", ((A, b"2"),), ("SET", A, "3"), reply=None, at=2),
    ]
    assert not ManyStrings().faults(history, KEYS)


def test_errors_are_surprises() -> None:
    error, expected = Error(b"ERR internal error"), Error(b"ERR no such key")
    for reply in (error, [1, error]):
        assert Ring().surprises([operation("MGET", A, reply=reply)])
    assert not Ring().surprises([operation("RENAME", A, B, reply=expected)])
    assert Ring().surprises([transaction((b"GET", A), reply=None)])
    assert not Ring().surprises([operation("WATCHED", (), (b"GET", A), reply=None)])
    assert Pairs().surprises([operation("RENAME", A, B, reply=expected)])
    report = Report()
    scene = Scene([Caller(("", 0), 0, Meter())], Random(1), "x", 1, KEYS)
    scene.callers[0].history.append(operation("MGET", A, reply=error))
    report.add(Ring(), scene, strict=False)
    assert "internal error" in report.text()


def test_the_model_answers_as_the_reference(reference: Reference) -> None:
    """Call by call: else a history would be called wrong that is right, or the other way round."""
    scene = Scene([], Random(5), "model", 1)
    scene.keys = (A, B, C)
    model = Model(scene.keys)
    with reference.connect() as client:
        for workload in (ManyLists(), ManyStrings()):
            client.call("FLUSHALL")
            state = model.empty
            for number in range(1500):
                call = workload.call(scene, may_block=number % 10 == 0)
                state, reply = model.step(state, call)
                found = client.call(*call)
                assert reply == (None if found is NULL_ARRAY else found), call


def test_keys_are_spread() -> None:
    keys = list(spread_keys("k", 4))
    for shards in (2, 3, 4):
        assert {shard_of_slot(slot_of_whole(key), shards) for key in keys[:shards]} == set(range(shards))
    assert len(set(spread_keys("k", 30))) == 30 and not any(b"{" in key for key in keys)


# --- The callers -----------------------------------------------------------------------------------------------------


async def talk(answers: Sequence[bytes], use: Callable[[Caller], Any]) -> Caller:
    """A client of a server that sends these answers, one for each time that something arrives, and then none."""
    left = list(answers)
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        while await reader.read(1 << 16):
            if not left:
                continue
            answer = left.pop(0)
            if answer == b"":
                break
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1")
    caller = Caller(server.sockets[0].getsockname(), 0, Meter())
    try:
        await use(caller)
    finally:
        caller.close()
        server.close()
        await asyncio.gather(*filter(None, serving))
    return caller


DOWN = b"-SHARDDOWN shard 1 is down, it is being restarted\r\n"
NOBODY_KNOWS = b"-SHARDDOWN shard 1 went down, the outcome of this command is unknown\r\n"


def test_what_is_refused_did_not_happen() -> None:
    async def use(caller: Caller) -> None:
        for _ in range(2):
            with pytest.raises(Refused):
                await caller.call(b"SET", A, b"1")
        for _ in range(2):
            with pytest.raises(Refused):
                await caller.exec((b"SET", A, b"1"))

    aborted = b"+OK\r\n" + DOWN + b"-EXECABORT Transaction discarded because of previous errors.\r\n"
    discarded = b"+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: " + DOWN[1:]
    caller = asyncio.run(talk([DOWN, b"-LOADING shard 1 is loading\r\n", aborted, discarded], use))
    assert (caller.history, caller.refused, caller.unknown) == ([], 4, 0)


@pytest.mark.parametrize("answer", [NOBODY_KNOWS, b""], ids=["told", "closed"])
def test_what_nobody_knows(answer: bytes) -> None:
    async def use(caller: Caller) -> None:
        with pytest.raises(Refused):
            await caller.call(b"SET", A, b"1")
        assert await caller.call(b"GET", A) == b"1"

    caller = asyncio.run(talk([answer, b"$1\r\n1\r\n"], use))
    first, second = caller.history
    assert (first.known, first.reply, second.known, second.reply) == (False, None, True, b"1")
    assert (first.responded_s == float("inf")) == (answer == b"")
    assert not OneString().faults(caller.history, [A])


def test_an_unexpected_abort_is_a_surprise() -> None:
    async def use(caller: Caller) -> None:
        with pytest.raises(Refused):
            await caller.exec((b"SET", A))

    aborted = b"+OK\r\n-ERR wrong number\r\n-EXECABORT Transaction discarded because of previous errors.\r\n"
    caller = asyncio.run(talk([aborted], use))
    assert PlainTransfers().surprises(caller.history)


def test_a_call_without_an_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "HANG_S", 0.05)

    async def use(caller: Caller) -> None:
        await caller.call(b"GET", A)

    with pytest.raises(Hang, match="GET"):
        asyncio.run(talk([], use))


def test_a_server_that_is_gone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "HANG_S", 0.1)
    address = ("127.0.0.1", free_port())

    async def use() -> None:
        await Caller(address, 0, Meter()).call(b"GET", A)

    with pytest.raises(Hang, match="could not connect"):
        asyncio.run(use())


def test_a_run_that_does_not_end_says_so(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(OneList):
        async def play(self, scene: Scene) -> None:
            await asyncio.sleep(1000)

    server = start(Reference())
    monkeypatch.setattr(lanes, "OVERRUN_S", 0.1)
    assert any("not over" in fault for fault in run(server.address, 0.1, SEED, workloads=[Endless()]).faults)


def test_a_run_that_hangs_says_so(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start(Reference())
    monkeypatch.setattr(callers, "HANG_S", 0.3)
    with server.connect() as client:
        client.call("CLIENT", "PAUSE", "100000", "WRITE")
        report = run(server.address, 5.0, SEED, workloads=[OneList()])
        client.call("CLIENT", "UNPAUSE")
    assert any("was not answered" in fault for fault in report.faults)


def test_a_server_that_tears_is_found(start: Start) -> None:
    """A whole run, against something that is wrong: what is evicted is lost in the eyes of those who play."""
    server = start(Reference())
    with server.connect() as client:
        client.call("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "allkeys-random")
        report = run(server.address, 0.5, SEED, workloads=[OneValue(), Seats()])
    assert report.faults

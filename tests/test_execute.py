"""Executing runs: replies under every header, effects in the log, and what is counted; in this process."""

import logging
from itertools import count
from random import Random
from typing import Any

import pytest

from common.command import READONLY, WRITE, Table
from common.command_stats import ERROR_KINDS_MAX
from common.errors import Loading, RedisError, WrongType
from common.frame import DB_SHIFT, JOINED, LARGE_SIZE_BYTES, NO_TOUCH, RESP3, VALUES
from common.resp import NO_REPLY, Chunks, encode
from shard.execute import Executor
from shard.keyspace import Keyspace, Store
from tests.bare_shard import commands

NOW_MS = 1_700_000_000_000
Logged = list[tuple[int, list[bytes]]]


def table_of_ill_behaved() -> Table:
    """Commands that do what no command of ours does, beside the real ones."""
    table = Table()
    table.merge(commands())
    command = table.family("string")

    @command("FAULTY key", WRITE)
    def faulty(db: Keyspace, key: bytes) -> None:
        """Changes something, and has a bug."""
        db.set(key, b"half done")
        raise ZeroDivisionError

    @command("REFUSING word [rest]")
    def refusing(db: Keyspace, word: bytes, *rest: bytes) -> None:
        """Refuses, with a word of the client's choice."""
        raise RedisError(word.decode())

    @command("MANY key", WRITE)
    def many(db: Keyspace, key: bytes) -> list[Any]:
        """Has two effects logged, of another form."""
        db.set(key, b"1")
        db.log(b"SET", key, b"one")
        db.log(b"SET", key, b"two")
        return [{b"a": None}, 1.5]

    @command("ODD", READONLY)
    def odd(db: Keyspace) -> Any:
        """Answers what is no reply."""
        return object()

    @command("SILENT", READONLY)
    def silent(db: Keyspace) -> Any:
        """Answers nothing."""
        return NO_REPLY

    return table


class Bench:
    """An executor, what it logged, and a clock that goes on by 1 µs each time somebody looks at it."""

    def __init__(self) -> None:
        self.logged: Logged = []
        self.groups: list[Logged] = []
        store = Store(random=Random(0))
        clock = count(0, 1_000)
        self.executor = Executor(store, table_of_ill_behaved(), self._log, self.groups.append, clock.__next__)
        self.executor.turn(NOW_MS)
        self.store = store

    def _log(self, db: int, argv: list[bytes]) -> None:
        self.logged.append((db, argv))

    def run(self, *calls: str, header: int = 0) -> Any:
        return self.executor.run(header, [call.encode().split() for call in calls])


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Replies


def test_one_reply_a_request(bench: Bench) -> None:
    calls = ("SET k v", "get k", "GeT none", "STRLEN k", "DBSIZE", "MGET k none")
    replies = [b"+OK\r\n", b"$1\r\nv\r\n", b"$-1\r\n", b":1\r\n", b":1\r\n", b"*2\r\n$1\r\nv\r\n$-1\r\n"]
    assert bench.run(*calls) == replies
    assert bench.run(*calls, header=JOINED) == b"".join(replies)


@pytest.mark.parametrize("size", [LARGE_SIZE_BYTES - 1, LARGE_SIZE_BYTES])
def test_what_is_large_is_not_copied(bench: Bench, size: int) -> None:
    value = bytes(size)
    text, head = b"$%d\r\n%b\r\n" % (size, value), b"$%d\r\n" % size
    requests = [[b"SET", b"k", value], [b"GET", b"k"], [b"STRLEN", b"k"], [b"MGET", b"k"]]
    replies = [b"+OK\r\n", text, b":%d\r\n" % size, b"*1\r\n" + text]
    found = bench.executor.run(0, requests)
    joined = bench.executor.run(JOINED, requests)
    if size < LARGE_SIZE_BYTES:
        # The array around it is large all the same.
        assert found == replies and type(found[1]) is bytes
    else:
        assert found == [b"+OK\r\n", [head, value, b"\r\n"], *replies[2:]]
        assert type(found[1]) is Chunks and found[1][1] is value
    assert type(joined) is Chunks and any(chunk is value for chunk in joined)
    assert b"".join(joined) == b"".join(replies)
    assert type(bench.executor.run(JOINED, [[b"GET", b"none"]])) is bytes


def test_in_resp3(bench: Bench) -> None:
    assert bench.run("GET none", "MANY k", header=RESP3) == [b"_\r\n", b"*2\r\n%1\r\n$1\r\na\r\n_\r\n,1.5\r\n"]


def test_as_values(bench: Bench) -> None:
    assert bench.run("SET k v", "GET k", "GET none", "DEL k", header=VALUES) == ["OK", b"v", None, 1]
    assert isinstance(bench.run("REFUSING no", header=VALUES)[0], RedisError)


def test_a_string_that_is_edited_in_place_leaves_as_it_was(bench: Bench) -> None:
    values = bench.run("APPEND k a", "APPEND k b", "GET k", "APPEND k c", header=VALUES)
    assert values == [1, 2, b"ab", 3] and type(values[2]) is bytes
    assert bench.run("GET k", "APPEND k d", "GET k") == [b"$3\r\nabc\r\n", b":4\r\n", b"$4\r\nabcd\r\n"]


@pytest.mark.parametrize("size", [0, 1, 9, 10, 1023, 1024, 100_000])
def test_a_string_of_any_size(bench: Bench, size: int) -> None:
    value = b"x" * size
    for header in (0, JOINED):
        replies = bench.executor.run(header, [[b"SET", b"k", value], [b"GET", b"k"]])
        data = replies if isinstance(replies, bytes) else b"".join(replies or [])
        assert data == b"+OK\r\n" + encode(value, 2)


def test_the_db_is_in_the_header(bench: Bench) -> None:
    bench.run("SET k v", header=3 << DB_SHIFT)
    assert bench.run("GET k") == [b"$-1\r\n"]
    assert bench.run("GET k", header=3 << DB_SHIFT | JOINED) == b"$1\r\nv\r\n"


def test_what_must_not_be_answered(bench: Bench) -> None:
    assert bench.run("SILENT", "GET k", header=JOINED) == b"$-1\r\n"


def test_errors_are_replies(bench: Bench) -> None:
    bench.run("SET k v")
    assert bench.run("INCR k", "REFUSING no", "GET k") == [
        b"-ERR value is not an integer or out of range\r\n",
        b"-no\r\n",
        b"$1\r\nv\r\n",
    ]


def test_reads_without_a_trace(bench: Bench) -> None:
    bench.run("SET k v")
    bench.executor.turn(NOW_MS + 60_000)
    bench.run("GET k", header=NO_TOUCH)
    assert bench.store.dbs[0].idle_s(b"k") == 60
    bench.run("GET k")
    assert bench.store.dbs[0].idle_s(b"k") == 0


# Bugs


@pytest.mark.parametrize("header", [0, JOINED, VALUES])
def test_a_bug_is_an_internal_error_and_the_rest_goes_on(
    bench: Bench, header: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="shardis"):
        replies = bench.run("SET a 1", "FAULTY secret", "GET a", header=header)
    if header == VALUES:
        assert (replies[0], str(replies[1]), replies[2]) == ("OK", "ERR internal error", b"1")
    else:
        data = replies if header else b"".join(replies)
        assert data == b"+OK\r\n-ERR internal error\r\n$1\r\n1\r\n"
    assert "internal error in FAULTY" in caplog.text and "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text
    assert bench.executor.internal_errors == 1


@pytest.mark.parametrize("header", [0, JOINED])
def test_what_is_no_reply_is_an_internal_error(bench: Bench, header: int, caplog: pytest.LogCaptureFixture) -> None:
    replies = bench.run("ODD", "GET k", header=header)
    assert (replies if header else b"".join(replies)) == b"-ERR internal error\r\n$-1\r\n"
    assert "internal error in ODD" in caplog.text
    assert bench.executor.command_stats()["odd"].failed_calls == 1


def test_what_a_bug_left_done_is_in_the_log(bench: Bench) -> None:
    """Otherwise a restart would find another keyspace than clients see now."""
    bench.run("FAULTY k", "SET b 1")
    assert bench.logged == [(0, [b"FAULTY", b"k"]), (0, [b"SET", b"b", b"1"])]


# The log


def test_reads_and_writes_that_change_nothing_are_not_logged(bench: Bench) -> None:
    bench.run("GET k", "DEL k", "SET k v XX", "PERSIST k", "EXISTS k")
    assert bench.logged == [] and bench.store.changes == 0


def test_a_change_is_logged_as_it_came_or_as_its_effect(bench: Bench) -> None:
    bench.run("SET k v", "APPEND k w", "EXPIRE k 100", "DEL k none", header=2 << DB_SHIFT)
    assert bench.logged == [
        (2, [b"SET", b"k", b"v"]),
        (2, [b"APPEND", b"k", b"w"]),
        (2, [b"PEXPIREAT", b"k", b"%d" % (NOW_MS + 100_000)]),
        (2, [b"DEL", b"k", b"none"]),
    ]


def test_several_effects_are_a_group(bench: Bench) -> None:
    bench.run("MANY k")
    assert bench.groups == [[(0, [b"SET", b"k", b"one"]), (0, [b"SET", b"k", b"two"])]]
    assert bench.logged == []


def test_what_expired_is_logged_before_what_found_it(bench: Bench) -> None:
    bench.run("SET k v PX 100", "SET other v PX 100")
    bench.logged.clear()
    bench.executor.turn(NOW_MS + 100)
    assert bench.run("GET k", "APPEND other x") == [b"$-1\r\n", b":1\r\n"]
    assert bench.logged == [(0, [b"DEL", b"k"]), (0, [b"DEL", b"other"]), (0, [b"APPEND", b"other", b"x"])]


def test_changes_are_counted_and_taken_out(bench: Bench) -> None:
    bench.run("SET a 1", "MSET b 1 c 1", "DEL a b c none", "GET a")
    assert (bench.store.changes_total, bench.store.changes) == (6, 0)


def test_a_replay_makes_the_same_keyspace_and_logs_nothing(bench: Bench) -> None:
    bench.run("SET a 1", "INCRBYFLOAT a 0.5", "APPEND b xyz", "SETRANGE b 1 __", "MSET c 1 d 2", "DEL c", "PEXPIRE d 9")
    other = Bench()
    for db, argv in bench.logged:
        other.executor.replay(db, argv)
    expected = {b"a": b"1.5", b"b": b"x__", b"d": b"2"}
    assert dict(other.store.dbs[0].items()) == dict(bench.store.dbs[0].items()) == expected
    assert other.store.dbs[0].expiry_ms(b"d") == NOW_MS + 9
    assert other.logged == []


@pytest.mark.parametrize("argv", [[b"NOSUCH"], [b"GET"], [b"INCR", b"k"]])
def test_what_cannot_be_done_again(bench: Bench, argv: list[bytes]) -> None:
    bench.run("SET k v")
    with pytest.raises(RedisError):
        bench.executor.replay(0, argv)


# Refusals


def test_what_is_refused_while_loading_is_not_logged(bench: Bench) -> None:
    bench.executor.state(loading=True, refusal=None)
    for argv in ([b"SET", b"k", b"1"], [b"INCR", b"k"], [b"EXPIRE", b"k", b"100"]):
        bench.executor.replay(0, argv)
        assert bench.run("APPEND k x", header=JOINED) == encode(Loading(), 2)
    bench.executor.state(loading=False, refusal=None)
    bench.run("GET k", header=JOINED)
    assert bench.logged == bench.groups == []


def test_while_loading_nothing_runs(bench: Bench) -> None:
    bench.executor.state(loading=True, refusal=None)
    assert bench.run("GET k", "SET k v", header=JOINED) == encode(Loading(), 2) * 2
    assert bench.executor.command_stats()["get"].rejected_calls == 1
    bench.executor.state(loading=False, refusal=None)
    assert bench.run("GET k") == [b"$-1\r\n"]


def test_while_the_log_cannot_be_written_only_reads_run(bench: Bench) -> None:
    bench.run("SET k v")
    bench.executor.state(loading=False, refusal=RedisError("MISCONF no room"))
    assert bench.run("SET k w", "get k", "DeL k") == [b"-MISCONF no room\r\n", b"$1\r\nv\r\n", b"-MISCONF no room\r\n"]
    bench.executor.state(loading=False, refusal=None)
    assert bench.run("SET k w", "GET k") == [b"+OK\r\n", b"$1\r\nw\r\n"]
    assert bench.executor.errors == {"MISCONF": 2}


# Counts


def test_calls_and_failures(bench: Bench) -> None:
    bench.run("SET k v", "GET k", "get k", "INCR k", "Get k")
    bench.run("GET k", "INCR k", header=VALUES)
    counted = bench.executor.command_stats()
    assert {name: (stats.calls, stats.failed_calls) for name, stats in counted.items()} == {
        "set": (1, 0),
        "get": (3, 0),
        "incr": (1, 1),
    }
    assert counted["get"].nanoseconds == 4_000 and sum(counted["get"].histogram) == 4
    bench.executor.reset_stats()
    assert bench.executor.command_stats() == {} and bench.executor.errors == {}


def test_errors_are_counted_by_their_first_word_up_to_a_limit(bench: Bench) -> None:
    for number in range(ERROR_KINDS_MAX + 1):
        bench.run(f"REFUSING E{number}")
    bench.run("REFUSING E0", f"REFUSING E{ERROR_KINDS_MAX}")
    assert len(bench.executor.errors) == ERROR_KINDS_MAX
    assert bench.executor.errors["E0"] == 2 and f"E{ERROR_KINDS_MAX}" not in bench.executor.errors


def test_an_error_of_a_known_kind_counts_though_the_table_is_full(bench: Bench) -> None:
    bench.run("REFUSING WRONGTYPE")
    for number in range(ERROR_KINDS_MAX):
        bench.run(f"REFUSING E{number}")
    bench.run("REFUSING WRONGTYPE")
    assert bench.executor.errors[WrongType.text.split()[0]] == 2


@pytest.mark.parametrize(("slow_ns", "reported"), [(1_000, [(7, 0, 1), (7, 1, 1)]), (1_001, []), (-1, [])])
def test_what_takes_long_is_reported(bench: Bench, slow_ns: int, reported: list[tuple[int, int, int]]) -> None:
    bench.executor.slow_ns = slow_ns
    bench.executor.number = 7
    bench.run("GET k", "INCR k", header=JOINED)
    assert bench.executor.slow == reported


def test_all_is_slow_with_a_limit_of_nothing(bench: Bench) -> None:
    bench.executor.slow_ns = 0
    bench.run("GET k", "REFUSING x")
    assert [place for _, place, _ in bench.executor.slow] == [0, 1]

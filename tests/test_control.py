"""Messages from the router to a shard, on a shard in this process that writes a real log."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.config import Config
from common.slot import slot_of, slots_of_shard
from shard.control import CONTROLS
from shard.digest import NOTHING
from shard.server import Shard
from tests.bare_router import on_a_loop
from tests.log_folder import contents, write_log

NOW_MS = 1_700_000_000_000
Scene = Callable[[Shard], None]


def on_a_shard(tmp_path: Path, scene: Scene) -> None:
    """Runs a test on shard 1 of 3."""

    async def run() -> None:
        shard = Shard(Config.from_arguments(["--dir", str(tmp_path), "--shards", "3"]), 1)
        assert list(shard.aof.load(shard.executor.replay)) == []
        shard.executor.turn(NOW_MS)
        scene(shard)
        shard.aof.close()

    on_a_loop(run)


def ask(shard: Shard, *message: Any) -> Any:
    """The answer, as plain values and nothing else: it has to travel."""
    return shard.control(list(message), 0)


def call(shard: Shard, *calls: str) -> list[Any]:
    replies = shard.executor.run(0, [line.encode().split() for line in calls])
    assert isinstance(replies, list)
    return replies


def logged(tmp_path: Path) -> list[tuple[int, list[bytes]]]:
    (folder,) = tmp_path.glob("*/appendonlydir")
    return contents(folder)


def test_every_message_has_a_name_of_its_own() -> None:
    assert all(CONTROLS[name].__name__ == name for name in CONTROLS)


def test_info(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        call(shard, "SET k v", "GET k", "GET none", "INCR k", "SET e v PX 50000")
        told = ask(shard, "info")
        assert told["dbs"] == {0: {"keys": 2, "expires": 1, "avg_ttl": 50_000}}
        assert (told["changes"], told["loading"], told["refusing"], told["errors"]) == (2, False, False, {"ERR": 1})
        assert told["commands"].keys() == {"set", "get", "incr"} and told["commands"]["incr"][:4:3] == [1, 1]
        assert (told["stats"]["keyspace_hits"], told["stats"]["keyspace_misses"]) == (1, 1)
        assert told["process"]["rss_bytes"] > 1_000_000

    on_a_shard(tmp_path, scene)


def test_keys_are_counted(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        assert ask(shard, "count_keys") == 0
        call(shard, "SET a 1", "RPUSH b 1 2")
        assert ask(shard, "count_keys") == 2

    on_a_shard(tmp_path, scene)


def test_counts_are_forgotten(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        call(shard, "GET k", "INCR k x")
        ask(shard, "reset_stats")
        told = ask(shard, "info")
        assert told["commands"] == told["errors"] == {} and told["stats"]["keyspace_misses"] == 0

    on_a_shard(tmp_path, scene)


def test_directives_that_changed(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        ask(shard, "config", {"slowlog-log-slower-than": 5, "latency-monitor-threshold": 0})
        assert shard.executor.slow_ns == 5_000
        ask(shard, "config", {"latency-monitor-threshold": 7, "slowlog-log-slower-than": -1})
        assert (shard.executor.slow_ns, shard.latency_threshold_ms) == (7_000_000, 7)

    on_a_shard(tmp_path, scene)


def test_switches(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        for switch in (False, True):
            ask(shard, "active_expiry", switch)
            ask(shard, "pause_expiry", switch)
            assert (shard.active_expiry, shard.expiry_paused) == (switch, switch)

    on_a_shard(tmp_path, scene)


def test_populate_makes_this_shards_keys_and_logs_them(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        mine = [key for key in (b"key:%d" % n for n in range(30)) if slot_of(key) in slots_of_shard(1, 3)]
        there, gone = mine[0].decode(), mine[1].decode()
        call(shard, f"SET {there} kept", f"SET {gone} old PX 1")
        shard.executor.turn(NOW_MS + 1)
        ask(shard, "populate", 0, 30, b"key", 8)
        held = dict(shard.store.dbs[0].items())
        assert held.pop(mine[0]) == b"kept"
        assert held == {key: (b"value:" + key[4:]).ljust(8, b"\0") for key in mine[1:]}
        assert (shard.store.changes, shard.store.expired) == (0, [])
        shard.flush()

    on_a_shard(tmp_path, scene)
    effects = [argv for _, argv in logged(tmp_path)][2:]
    assert effects[0][0] == b"DEL" and {argv[0] for argv in effects[1:]} == {b"SET"}


def test_a_random_key_and_the_log_of_those_that_had_expired(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        assert ask(shard, "random_key", 0)[:2] == [0, None]
        call(shard, "SET a 1", "SET b 1 PX 1")
        shard.executor.turn(NOW_MS + 1)
        for _ in range(20):
            size, key, chance = ask(shard, "random_key", 0)
            assert key == b"a" and 1 <= size <= 2 and 0 <= chance < 1
        assert (shard.store.dbs[0].size, shard.store.changes) == (1, 0)
        shard.flush()

    on_a_shard(tmp_path, scene)
    assert logged(tmp_path)[-1] == (0, [b"DEL", b"b"])


def test_digests(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        assert ask(shard, "digests") == {}
        call(shard, "SET a 1", "SET b 2")
        first = ask(shard, "digests")
        call(shard, "DEL a b", "SET b 2", "SET a 1")
        assert ask(shard, "digests") == first and first.keys() == {0}
        one, other, none = ask(shard, "digests_of_values", 0, [b"a", b"b", b"none"])
        assert none == NOTHING and len({one, other, none}) == 3

    on_a_shard(tmp_path, scene)


def test_memory(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        assert ask(shard, "memory")["overheads"] == {}
        call(shard, "SET a 1")
        main, expires = ask(shard, "memory")["overheads"][0]
        call(shard, "SET b 1 EX 9")
        more, volatile = ask(shard, "memory")["overheads"][0]
        assert more > main and volatile > expires

    on_a_shard(tmp_path, scene)


def test_the_log_is_loaded_again(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        call(shard, "SET a 1", "SET b 2", "DEL a", "SET c 3 PX 90000")
        shard.flush()
        ask(shard, "reload")
        assert dict(shard.store.dbs[0].items()) == {b"b": b"2", b"c": b"3"}
        assert shard.store.dbs[0].expiry_ms(b"c") == NOW_MS + 90_000
        call(shard, "SET d 4")
        assert shard.flush()

    on_a_shard(tmp_path, scene)
    assert logged(tmp_path)[-1] == (0, [b"SET", b"d", b"4"])


def test_what_takes_long_is_reported(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        shard.executor.slow_ns = 20_000_000
        shard.executor.number = 4
        ask(shard, "sleep", 0)
        assert shard.executor.slow == []
        ask(shard, "sleep", 0.02)
        ((number, place, duration_us),) = shard.executor.slow
        assert (number, place) == (4, 0) and duration_us >= 20_000

    on_a_shard(tmp_path, scene)


def test_a_message_that_nobody_knows_is_a_bug(tmp_path: Path) -> None:
    def scene(shard: Shard) -> None:
        with pytest.raises(KeyError):
            ask(shard, "nosuch")

    on_a_shard(tmp_path, scene)


def test_a_shard_that_is_told_to_stop_while_it_loads(tmp_path: Path) -> None:
    """It ends before it has read all, and leaves the log as it was."""
    key = next(key for key in (b"key:%d" % number for number in range(100)) if slot_of(key) in slots_of_shard(1, 3))
    text = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n" + b"*2\r\n$4\r\nINCR\r\n$%d\r\n%b\r\n" % (len(key), key) * 20_000
    (path,) = write_log(tmp_path / "shard-1" / "appendonlydir", text)

    async def scene() -> None:
        shard = Shard(Config.from_arguments(["--dir", str(tmp_path), "--shards", "3"]), 1)
        shard.stop()
        await shard.serve()
        assert 0 < shard.commands_loaded < 20_000

    on_a_loop(scene)
    assert path.read_bytes() == text

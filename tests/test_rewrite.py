"""Rewriting the log: what it leaves is what was there, whatever is done meanwhile and wherever it fails."""

import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shard import snapshot_file
from shard.log_reader import LogDamaged, LogReader
from shard.log_reading import advice
from shard.rewrite import CommandWriter, Stage
from shard.rewriter import FAILURES_FREE, LADEN_MAX_S
from tests.bare_router import on_a_loop
from tests.rewriting_shard import RewritingShard, digest_of, loaded, seen

FORMS = {"rdb": ("--aof-use-rdb-preamble", "yes"), "aof": ("--aof-use-rdb-preamble", "no")}
form = pytest.mark.parametrize("form", FORMS)


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a rewrite of a few keys takes many turns, and many writes."""
    monkeypatch.setattr(snapshot_file, "SLICE_S", 0.0)
    monkeypatch.setattr(snapshot_file, "CHUNK_BYTES", 200)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def stage(rig: RewritingShard, wanted: Stage) -> None:
    """Returns when the rewrite that is under way is that far, or just over: the last step may take no turn at all."""
    rewrite = rig.shard.rewriter.current
    assert rewrite is not None
    await rig.run_until(lambda: rewrite.stage in (wanted, Stage.OVER))
    assert rewrite.stage is wanted or wanted is Stage.SWAPPING


def some_keys(rig: RewritingShard) -> None:
    """Of all types, in two dbs, with times."""
    for number in range(20):
        rig.call("SET", f"string:{number}", f"value {number}", *(("PX", 100_000) if number % 3 == 0 else ()))
    rig.call("RPUSH", "list", *range(200))
    rig.call("HSET", "hash", "a", 1, "b", 2)
    rig.call("HPEXPIRE", "hash", 5000, "FIELDS", 1, "a")
    rig.call("SADD", "set", *"abc")
    rig.call("ZADD", "sorted", 1, "a", 2.5, "b")
    rig.call("XADD", "stream", "1-1", "field", "value")
    rig.call("XGROUP", "CREATE", "stream", "group", "0")
    rig.call("XREADGROUP", "GROUP", "group", "me", "STREAMS", "stream", ">")
    rig.call("SET", "elsewhere", 1, db=3)
    rig.call("PEXPIRE", "set", 70_000)


# What it leaves


@form
def test_a_rewritten_log_says_what_is_there(tmp_path: Path, form: str) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", *FORMS[form])
        some_keys(rig)
        for _ in range(50):
            rig.call("INCR", "n")
        expected = rig.audit()
        assert rig.ask("rewrite", False) == "started"
        assert rig.info()["aof_rewrite_in_progress"] == 1
        assert rig.ask("rewrite", False) == "running"
        await rig.rewritten()
        assert names(rig.folder) == [
            f"appendonly.aof.1.base.{form}",
            "appendonly.aof.2.incr.aof",
            "appendonly.aof.manifest",
        ]
        assert rig.audit() == expected == seen(loaded(rig.copy(tmp_path / "copy")))
        info = rig.info()
        assert (info["aof_last_bgrewrite_status"], info["aof_rewrites"], info["aof_rewrite_in_progress"]) == (
            "ok",
            1,
            0,
        )
        assert info["aof_base_size"] == info["aof_current_size"] == (rig.folder / names(rig.folder)[0]).stat().st_size
        rig.call("SET", "later", 1)
        await rig.close()
        rig = RewritingShard(tmp_path / "data", *FORMS[form])
        await rig.close()

    on_a_loop(scene)


@form
def test_what_comes_meanwhile_is_in_the_new_increment(tmp_path: Path, form: str) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", *FORMS[form])
        some_keys(rig)
        rig.ask("rewrite", False)
        await stage(rig, Stage.WRITING)
        for number in range(0, 20, 2):
            rig.call("APPEND", f"string:{number}", " and more")
            rig.call("DEL", f"string:{number + 1}")
        rig.call("LPOP", "list")
        rig.call("XACK", "stream", "group", "1-1")
        rig.call("SWAPDB", 0, 3)
        rig.call("SET", "new", 1)
        await rig.rewritten()
        assert seen(loaded(rig.copy(tmp_path / "copy"))) == rig.audit()
        await rig.close()

    on_a_loop(scene)


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB ASYNC", "FLUSHALL SYNC"])
def test_all_is_thrown_away_meanwhile(tmp_path: Path, command: str) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        some_keys(rig)
        rig.ask("rewrite", False)
        await stage(rig, Stage.WRITING)
        rig.call(*command.split())
        rig.call("SET", "new", 1)
        await rig.rewritten()
        assert rig.info()["aof_last_bgrewrite_status"] == "ok"
        assert seen(loaded(rig.copy(tmp_path / "copy"))) == rig.audit()
        await rig.close()

    on_a_loop(scene)


def test_the_log_is_loaded_anew_in_the_middle(tmp_path: Path) -> None:
    """DEBUG LOADAOF gives it up, and so does a stop: nothing of it is left."""

    async def scene() -> None:
        for wanted in (Stage.PREPARING, Stage.WAITING, Stage.WRITING, Stage.SWAPPING):
            rig = RewritingShard(tmp_path / "data" / wanted.value)
            some_keys(rig)
            expected = rig.audit()
            rig.ask("rewrite", False)
            if wanted is Stage.WAITING:
                rig.ask("hold", 1, [b"list"], [0], "nothing", True)
            await stage(rig, wanted)
            rig.shard.reload()
            assert rig.shard.rewriter.current is None
            assert rig.info()["aof_last_bgrewrite_status"] == "ok"
            assert rig.audit() == expected
            rig.call("SET", "more", 1)
            expected = rig.audit()
            if wanted is Stage.WAITING:
                rig.ask("release", 1, [])
            rig.ask("rewrite", False)
            await stage(rig, Stage.WRITING)
            await rig.close()
            assert not [name for name in names(rig.folder) if name.startswith("temp-")]
            assert seen(loaded(rig.folder)) == expected

    on_a_loop(scene)


def test_a_key_that_expires_meanwhile(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        some_keys(rig)
        rig.ask("rewrite", False)
        await stage(rig, Stage.WRITING)
        rig.advance(200_000)
        await rig.rewritten()
        found = seen(loaded(rig.copy(tmp_path / "copy")))
        assert found == rig.audit() and (0, b"string:0") not in found and (0, b"string:1") in found
        await rig.close()

    on_a_loop(scene)


# The moment of the cut


def test_it_waits_for_who_holds_keys(tmp_path: Path) -> None:
    """What is done under a hold is in memory at once and in the log when it ends: no base must be made between."""

    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        rig.call("SET", "a", 1)
        rig.ask("hold", 1, [b"a"], [0], "nothing", True)
        rig.ask("rewrite", False)
        await stage(rig, Stage.WAITING)
        assert rig.call("GET", "a") is None, "the rewrite waits, and who comes after it waits for that"
        rig.ask("release", 1, [[0, b"a", b"2", -1, False, False, []]])
        assert rig.shard.rewriter.current is not None
        assert rig.shard.rewriter.current.stage is Stage.WRITING
        await rig.rewritten()
        assert rig.call("GET", "a") == [b"$1\r\n2\r\n"]
        assert seen(loaded(rig.copy(tmp_path / "copy"))) == rig.audit()
        await rig.close()

    on_a_loop(scene)


def test_a_transaction_only_has_it_begin_later(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        rig.call("SET", "a", 1)
        assert rig.ask("rewrite", True) == "scheduled"
        assert (rig.info()["aof_rewrite_scheduled"], rig.info()["aof_rewrite_in_progress"]) == (1, 0)
        assert rig.ask("rewrite", False) == "scheduled"
        rig.shard.pulse()
        assert (rig.info()["aof_rewrite_scheduled"], rig.info()["aof_rewrite_in_progress"]) == (0, 1)
        await rig.rewritten()
        await rig.close()

    on_a_loop(scene)


def test_one_that_nobody_waits_for_begins_behind_a_long_exec(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        rig.call("SET", "a", 1)
        rig.ask("lay", 9, [b"a"])
        rig.ask("hold", 1, 9, [0], "nothing", True)
        assert rig.ask("rewrite", True) == "scheduled"
        rig.shard.pulse()
        assert (rig.info()["aof_rewrite_scheduled"], rig.info()["aof_rewrite_in_progress"]) == (1, 0)
        rig.ask("release", 1, [])
        rig.shard.pulse()
        assert (rig.info()["aof_rewrite_scheduled"], rig.info()["aof_rewrite_in_progress"]) == (0, 1)
        await rig.rewritten()
        await rig.close()

    on_a_loop(scene)


def test_a_save_comes_first(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        rig.call("MSET", *[word for number in range(5000) for word in (f"key:{number}", number)])
        rig.ask("rewrite", False)  # The save begins while this one is prepared.
        path = tmp_path / "data" / "save"
        sync = snapshot_file.Sync(incremental=False)
        file = rig.shard.snapshots.begin(path, CommandWriter(), lambda file, error: None, sync=sync)
        await rig.rewritten()
        assert not file.over and rig.info()["aof_rewrite_scheduled"] == 1
        assert rig.ask("rewrite", False) == "scheduled"
        await rig.run_until(lambda: file.over)
        rig.shard.pulse()
        await rig.rewritten()
        assert rig.info()["aof_last_bgrewrite_status"] == "ok" and rig.info()["aof_rewrite_scheduled"] == 0
        assert "appendonly.aof.1.base.rdb" in names(rig.folder)
        await rig.close()

    on_a_loop(scene)


def test_the_new_increment_begins_with_what_is_carried_over(tmp_path: Path) -> None:
    from common import record  # Not at the head: the format is no matter of this file.

    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        rig.call("SET", "a", 1)
        effects = rig.shard.book.enter(record.done(7), [])
        rig.turn(lambda: rig.shard.executor.log_group(effects))
        rig.ask("rewrite", False)
        await rig.rewritten()
        increment = (rig.folder / "appendonly.aof.2.incr.aof").read_bytes()
        assert increment.startswith(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$4\r\nECHO\r\n")
        assert record.done(7) in increment
        await rig.close()

    on_a_loop(scene)


# Failures


class Failing:
    """Has calls of `os` fail from the n-th on, until it is told that all is well."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, after: int, *, thread_only: bool = True) -> None:
        real = getattr(os, name)
        self.left = after
        self.well = False

        def call(*words: Any, **named: Any) -> Any:
            in_thread = threading.current_thread() is not threading.main_thread()
            if not self.well and (in_thread or not thread_only):
                self.left -= 1
                if self.left < 0:
                    raise OSError(28, "No space left on device")
            return real(*words, **named)

        monkeypatch.setattr(os, name, call)


@form
@pytest.mark.parametrize("name", ["writev", "fdatasync", "fsync", "rename", "unlink"])
def test_it_fails_anywhere_and_the_log_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        for after in range(6):
            rig = RewritingShard(tmp_path / f"data{after}", "--appendfsync", "no", *FORMS[form])
            some_keys(rig)
            rig.ask("rewrite", False)
            await rig.rewritten()
            with monkeypatch.context() as patch:
                failing = Failing(patch, name, after)
                rig.ask("rewrite", False)
                await rig.rewritten()
                failing.well = True
                failed = failing.left < 0
                assert rig.info()["aof_last_bgrewrite_status"] == ("err" if failed else "ok")
                assert rig.info()["aof_rewrites_consecutive_failures"] == int(failed)
                assert ("the log can't be rewritten: [Errno 28] No space left on device" in caplog.text) >= failed
                rig.call("SET", "later", after)
                folder = rig.folder
                await rig.run_until(lambda folder=folder: not any("rewriteaof" in one for one in names(folder)))
                assert seen(loaded(rig.copy(tmp_path / f"copy{after}"))) == rig.audit()
                rig.ask("rewrite", False)
                await rig.rewritten()
                assert rig.info()["aof_last_bgrewrite_status"] == "ok"
                assert rig.info()["aof_rewrites_consecutive_failures"] == 0
                assert len(names(rig.folder)) == 3
                assert seen(loaded(rig.copy(tmp_path / f"again{after}"))) == rig.audit()
            await rig.close()

    on_a_loop(scene)


def test_who_fails_again_and_again_has_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        rewriter = rig.shard.rewriter
        with monkeypatch.context() as patch:
            Failing(patch, "rename", 0)
            for _ in range(FAILURES_FREE):
                rewriter.schedule()
                rewriter.pulse(0.0)
                assert rewriter.current is not None
                await rig.rewritten()
        rewriter.schedule()
        for now_s, begins in ((0.0, False), (59.0, False), (60.0, True)):
            rewriter.pulse(now_s)
            assert (rewriter.current is not None) == begins
        await rig.rewritten()
        assert rewriter.limit.failures == 0
        await rig.close()

    on_a_loop(scene)


# Growth


def test_a_log_that_has_grown_waits_for_what_is_large(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--auto-aof-rewrite-min-size", "1000")
        rewriter, link = rig.shard.rewriter, rig.link
        rig.shard.links.add(link)  # type: ignore[arg-type]
        rig.call("SET", "k", "v" * 2000)
        now_s = 100.0
        for laden, seconds, wanted in (
            (True, 0.0, False),
            (True, LADEN_MAX_S - 1, False),
            (True, 2.0, True),  # For too long.
            (True, 1.0, True),
            (False, 1.0, True),
            (True, 1.0, False),
            (True, LADEN_MAX_S - 1, False),
            (False, 0.0, True),
        ):
            link.laden = laden
            now_s += seconds
            rewriter.wanted = False
            rewriter.pulse(now_s)
            assert rewriter.wanted == wanted, (laden, now_s)
        link.laden = True
        rewriter.schedule()  # Somebody has asked for it.
        rewriter.pulse(now_s)
        assert rewriter.current is not None
        await rig.rewritten()
        rig.shard.links.clear()
        await rig.close()

    on_a_loop(scene)


def test_a_log_that_has_grown_says_so_once(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--auto-aof-rewrite-min-size", "1000")
        link = rig.link
        rig.shard.links.add(link)  # type: ignore[arg-type]
        wanted, over = {"events": [["rewrite_wanted"]]}, {"events": [["rewrite_over"]]}
        while rig.shard.aof.size_bytes <= 1000:
            rig.shard.pulse()
            assert link.sent == []
            rig.call("SET", "k", "v" * 10)
        rig.shard.pulse()
        rig.shard.pulse()
        assert link.sent == [wanted]
        assert rig.ask("rewrite_granted") is True
        await rig.rewritten()
        assert link.sent == [wanted, over]
        base_bytes = rig.info()["aof_base_size"]
        assert rig.ask("rewrite_granted") is False
        rig.shard.config.values["auto-aof-rewrite-min-size"] = 1
        while rig.shard.aof.size_bytes * 100 // base_bytes < 200:
            rig.shard.pulse()
            assert link.sent == [wanted, over]
            rig.call("SET", "k", "v" * 10)
        rig.shard.config.values["auto-aof-rewrite-percentage"] = 0
        rig.shard.pulse()
        assert link.sent == [wanted, over]
        rig.shard.config.values["auto-aof-rewrite-percentage"] = 100
        rig.shard.pulse()
        assert link.sent == [wanted, over, wanted]
        rig.shard.links.clear()
        await rig.close()

    on_a_loop(scene)


# Damage


@form
def test_a_damaged_base_is_never_half_loaded(tmp_path: Path, form: str) -> None:
    """Cut at every byte it is refused; with any bit flipped it is refused, or says the same. Commands have no sums:
    there what the damaged bytes say may be believed, as in Redis."""

    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", *FORMS[form])
        some_keys(rig)
        rig.ask("rewrite", False)
        await rig.rewritten()
        await rig.close()
        base = rig.folder / f"appendonly.aof.1.base.{form}"
        whole = base.read_bytes()
        expected = digest_of(loaded(rig.folder))
        random = Random(1)
        for size_bytes in range(0, len(whole), 23):
            base.write_bytes(whole[:size_bytes])
            if form == "rdb" or (size_bytes and not ends_a_command(whole[:size_bytes])):
                with pytest.raises(LogDamaged):
                    loaded(rig.folder)
            assert base.stat().st_size == size_bytes
        for _ in range(100 if form == "rdb" else 0):
            damaged = bytearray(whole)
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
            base.write_bytes(damaged)
            with suppress(LogDamaged):
                assert digest_of(loaded(rig.folder)) == expected

    on_a_loop(scene)


def test_what_is_advised_about_a_damaged_increment(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        for number in (1, 2):
            rig.ask("rewrite", False)
            await rig.rewritten()
            for key in range(10):
                rig.call("SET", f"key:{key}", number)
        await rig.close()
        path = rig.folder / "appendonly.aof.3.incr.aof"
        data = path.read_bytes()
        path.write_bytes(data[:100] + b"!" + data[100:])
        with pytest.raises(LogDamaged) as raised:
            loaded(rig.folder)
        tool = advice(raised.value).partition("with: ")[2].split()
        assert tool == ["redis-check-aof", "--fix", str(path)]
        if shutil.which(tool[0]):
            subprocess.run(tool, input=b"y\n", capture_output=True, check=True)
            assert len(seen(loaded(rig.folder))) == 10

    on_a_loop(scene)


def ends_a_command(data: bytes) -> bool:
    reader = LogReader()
    reader.feed(data)
    return reader.whole_bytes == len(data)

"""CONFIG SET appendonly, and appendfsync, while a shard runs: from when on what is in the log."""

import errno
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.config import Config
from common.frame import CONTROL, VALUES
from shard import log_switch, snapshot_file
from shard.log_buffer import Piece
from shard.log_files import Disk
from shard.rewrite import CommandWriter
from tests.bare_router import on_a_loop
from tests.rewriting_shard import RewritingShard, digest_of, loaded, seen

REFUSAL = (
    "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs."
)
ON, OFF = {"appendonly": True}, {"appendonly": False}


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_file, "SLICE_S", 0.0)
    monkeypatch.setattr(snapshot_file, "CHUNK_BYTES", 200)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_on_off_and_on_again(tmp_path: Path) -> None:
    """Off at the start: nothing is written. What is switched on has all that was there, and what comes from then on."""

    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--appendonly", "no")
        for round_ in range(3):
            for number in range(20):
                rig.call("SET", f"key:{number}", round_)
            rig.call("SET", f"only:{round_}", 1)
            assert rig.ask("config", ON) == ""
            assert rig.info()["aof_rewrite_in_progress"] == 1
            assert rig.shard.aof.synced_bytes == -1, "it does not count yet"
            rig.call("SET", "meanwhile", round_)
            await rig.rewritten()
            assert not rig.shard.aof.provisional and rig.shard.aof.synced_bytes >= 0
            rig.call("SET", "later", round_)
            assert names(rig.folder) == [
                f"appendonly.aof.{round_ + 1}.base.rdb",
                f"appendonly.aof.{round_ + 1}.incr.aof",
                "appendonly.aof.manifest",
            ]
            expected = rig.audit()
            assert seen(loaded(rig.copy(tmp_path / f"copy{round_}"))) == expected
            assert rig.ask("config", OFF) == ""
            rig.call("SET", "unlogged", round_)
            rig.call("DEL", f"only:{round_}")
            assert seen(loaded(rig.folder)) == expected, "it stays as it was when it was switched off"
        await rig.close()

    on_a_loop(scene)


def test_a_crash_before_it_counts_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each step on disk: either the old set, or the new one with all that was answered."""
    random = Random(7)

    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        rig.call("SET", "old", 1)
        rig.ask("config", OFF)
        old = rig.digest()
        for number in range(30):
            rig.call("SET", f"key:{number}", 1)
        copies: list[tuple[Path, Any]] = []

        def watched(name: str) -> None:
            real = getattr(os, name)

            def call(*words: Any, **named: Any) -> Any:
                answer = real(*words, **named)
                with rig.lock:
                    path = tmp_path / f"copy{len(copies)}"
                    copies.append((path, rig.digest() if rig.shard.aof.buffer.empty else None))
                    shutil.copytree(rig.folder, path)
                return answer

            patch.setattr(os, name, call)

        with monkeypatch.context() as patch:
            for name in ("rename", "fsync", "fdatasync"):
                watched(name)
            assert rig.ask("config", ON) == ""
            while rig.shard.rewriter.current is not None:
                rig.call("SET", f"key:{random.randrange(40)}", random.random())
                turns = iter(range(5))
                await rig.run_until(lambda turns=turns: next(turns, None) is None)
        assert not rig.shard.aof.provisional
        found = {"old": 0, "new": 0}
        for path, now in copies:
            digest = digest_of(loaded(path))
            assert digest in (old, now)
            found["old" if digest == old else "new"] += 1
        assert min(found.values()) > 1
        await rig.close()

    on_a_loop(scene)


def test_what_cannot_be_turned_on_stays_off(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--appendonly", "no")
        rig.call("SET", "k", 1)
        rig.folder.parent.mkdir(parents=True, exist_ok=True)
        rig.folder.write_text("no folder")
        assert rig.ask("config", ON) == REFUSAL
        assert rig.shard.config["appendonly"] is False
        assert (rig.info()["aof_last_bgrewrite_status"], rig.info()["aof_rewrite_in_progress"]) == ("err", 0)
        rig.call("SET", "k", 2)
        rig.folder.unlink()
        assert rig.ask("config", ON) == ""
        await rig.rewritten()
        assert seen(loaded(rig.copy(tmp_path / "copy"))) == rig.audit()
        await rig.close()

    on_a_loop(scene)


def test_a_damaged_log_is_not_written_over(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--appendonly", "no")
        rig.folder.mkdir(parents=True)
        (rig.folder / "appendonly.aof.manifest").write_text("file x seq 1 type q\n")
        (rig.folder / "x").write_text("who knows")
        assert rig.ask("config", ON) == REFUSAL
        assert (rig.folder / "x").read_text() == "who knows"
        await rig.close()

    on_a_loop(scene)


class Full(Disk):
    """Has no room."""

    def writev(self, fd: int, buffers: list[Piece]) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_first_base_is_tried_until_it_is_there(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--appendonly", "no")
        rig.call("SET", "k", 1)
        real, rig.shard.snapshots.disk = rig.shard.snapshots.disk, Full()
        assert rig.ask("config", ON) == ""
        await rig.rewritten()
        assert (rig.info()["aof_last_bgrewrite_status"], rig.info()["aof_rewrite_scheduled"]) == ("err", 1)
        assert rig.shard.aof.provisional
        rig.call("SET", "k", 2)
        rig.shard.snapshots.disk = real
        rig.shard.pulse()
        await rig.rewritten()
        assert not rig.shard.aof.provisional
        assert rig.info()["aof_last_bgrewrite_status"] == "ok"
        assert seen(loaded(rig.copy(tmp_path / "copy"))) == rig.audit()
        await rig.close()

    on_a_loop(scene)


def test_a_stop_waits_for_the_first_base(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--appendonly", "no")
        for number in range(50):
            rig.call("SET", f"key:{number}", 1)
        rig.ask("config", ON)
        rig.call("SET", "meanwhile", 1)
        expected = rig.audit()
        await rig.close()
        assert seen(loaded(rig.folder)) == expected

    on_a_loop(scene)


def test_without_a_log_a_rewrite_makes_a_base(tmp_path: Path) -> None:
    """As in Redis: who starts with appendonly yes then has that."""

    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--appendonly", "no")
        rig.call("SET", "k", 1)
        for number in (1, 2):
            assert rig.ask("rewrite", False) == "started"
            await rig.rewritten()
            assert names(rig.folder) == [f"appendonly.aof.{number}.base.rdb", "appendonly.aof.manifest"]
        expected = rig.audit()
        rig.call("SET", "k", 2)
        await rig.close()
        assert seen(loaded(rig.folder)) == expected

    on_a_loop(scene)


def test_switched_while_a_rewrite_or_a_save_is_under_way(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data")
        rig.call("SET", "k", 1)
        rig.ask("rewrite", False)
        assert rig.ask("config", OFF) == ""
        assert rig.info()["aof_rewrite_in_progress"] == 0
        assert rig.ask("rewrite", False) == "started"
        assert rig.ask("config", ON) == ""
        assert rig.ask("config", OFF) == ""
        assert rig.ask("config", ON) == ""
        await rig.rewritten()
        assert seen(loaded(rig.copy(tmp_path / "copy1"))) == rig.audit()
        rig.ask("config", OFF)
        sync = snapshot_file.Sync(incremental=False)
        file = rig.shard.snapshots.begin(tmp_path / "save", CommandWriter(), lambda file, error: None, sync=sync)
        assert rig.ask("config", ON) == ""
        assert (rig.info()["aof_rewrite_scheduled"], rig.info()["aof_rewrite_in_progress"]) == (1, 0)
        rig.call("SET", "k", 2)
        await rig.run_until(lambda: file.over)
        rig.shard.pulse()
        await rig.rewritten()
        assert b"SET" in (tmp_path / "save").read_bytes()
        assert seen(loaded(rig.copy(tmp_path / "copy2"))) == rig.audit()
        await rig.close()

    on_a_loop(scene)


def test_in_a_transaction_it_is_switched_behind_it(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--appendonly", "no")
        runs = [[0, [[b"SET", b"a", b"1"]]], [CONTROL | VALUES, [["config", ON]]], [0, [[b"SET", b"b", b"2"]]]]
        assert rig.ask("transact", None, None, runs)[1] == [""]
        assert not rig.shard.aof.enabled
        await rig.run_until(lambda: rig.shard.aof.enabled)
        rig.call("SET", "c", 3)
        await rig.rewritten()
        assert seen(loaded(rig.copy(tmp_path / "copy"))) == rig.audit()
        assert len(rig.audit()) == 3
        await rig.close()

    on_a_loop(scene)


def test_who_takes_the_place_of_a_shard_does_as_it_did(tmp_path: Path) -> None:
    def recalled(appendonly: str) -> bool:
        config = Config.from_arguments(["--rundir", str(tmp_path / "data"), "--appendonly", appendonly])
        log_switch.recall(config, 0)
        return bool(config["appendonly"])

    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--appendonly", "no")
        rig.call("SET", "k", 1)
        assert (recalled("no"), recalled("yes")) == (False, True)
        rig.ask("config", ON)
        assert (recalled("no"), recalled("yes")) == (False, True), "not before the log counts"
        await rig.rewritten()
        assert (recalled("no"), recalled("yes")) == (True, True)
        rig.ask("config", OFF)
        assert (recalled("no"), recalled("yes")) == (False, False)
        await rig.close()

    on_a_loop(scene)


# appendfsync


class Noted(Disk):
    """Notes how much of a file was there when it was synced."""

    def __init__(self) -> None:
        self.synced_bytes = 0

    def sync(self, fd: int) -> None:
        size_bytes = os.fstat(fd).st_size
        super().sync(fd)
        self.synced_bytes = size_bytes


@pytest.mark.parametrize("before", ["no", "everysec", "always"])
@pytest.mark.parametrize("after", ["no", "everysec", "always"])
def test_each_policy_keeps_its_promise_from_the_turn_it_is_set(tmp_path: Path, before: str, after: str) -> None:
    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--appendfsync", before)
        disk = rig.shard.aof._disk = Noted()
        rig.call("SET", "before", 1)
        assert rig.ask("config", {"appendfsync": after}) == ""
        if after == "always":
            assert disk.synced_bytes == rig.shard.aof.written_bytes
        if after == "everysec":
            await rig.run_until(lambda: disk.synced_bytes == rig.shard.aof.written_bytes)
        rig.call("SET", "after", 1)
        if after == "always":
            assert disk.synced_bytes == rig.shard.aof.written_bytes
        if after == "everysec":
            await rig.run_until(lambda: disk.synced_bytes == rig.shard.aof.written_bytes)
        await rig.close()

    on_a_loop(scene)


@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
@pytest.mark.parametrize("wanted", ["no", "yes"])
def test_syncs_wait_for_the_end_of_a_rewrite_if_that_is_wanted(tmp_path: Path, appendfsync: str, wanted: str) -> None:
    async def scene() -> None:
        rig = RewritingShard(
            tmp_path / "data", "--appendfsync", appendfsync, "--no-appendfsync-on-rewrite", wanted, "--save", ""
        )
        aof = rig.shard.aof
        for number in range(50):
            rig.call("SET", f"key:{number}", number)
        rig.shard.rewriter.begin()
        await rig.run_until(lambda: rig.shard.snapshots.current is not None)
        rig.call("SET", "meanwhile", 1)
        assert aof.put_off is (wanted == "yes")
        assert (aof.synced_bytes == aof.written_bytes) is (wanted == "no" and appendfsync == "always")
        await rig.rewritten()
        await rig.run_until(lambda: aof.synced_bytes == aof.written_bytes)
        rig.call("SET", "after", 1)
        assert not aof.put_off
        assert appendfsync == "everysec" or aof.synced_bytes == aof.written_bytes
        await rig.close()

    on_a_loop(scene)

"""Who waits until the log is on disk, on a real log: when the shard says so, and for what."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shard.aof import Aof
from shard.server import Shard
from shard.sync_waits import SyncWaits
from tests.bare_router import on_a_loop


class Link:
    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.came = asyncio.Event()

    def send(self, frame: Any) -> None:
        self.sent.append(frame)
        self.came.set()


def shard_with(folder: Path, fsync: str) -> Any:
    """As much of a shard as this needs."""
    aof = Aof(folder, fsync=fsync)
    for _ in aof.load(lambda db, argv: None):
        pass
    return SimpleNamespace(aof=aof, loop=asyncio.get_running_loop(), loaded=True)


def told(id_: int) -> Any:
    return {"events": [["synced", id_]]}


def test_nothing_written_is_synced(tmp_path: Path) -> None:
    async def scene() -> None:
        for fsync in ("always", "everysec", "no"):
            shard = shard_with(tmp_path / fsync, fsync)
            assert SyncWaits(cast(Shard, shard)).add(Link(), 1)
            shard.aof.close()

    on_a_loop(scene)


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_it_is_told_when_it_is_synced(tmp_path: Path, fsync: str) -> None:
    async def scene() -> None:
        shard, link = shard_with(tmp_path, fsync), Link()
        waits = SyncWaits(cast(Shard, shard))
        shard.aof.append(0, [b"SET", b"k", b"1"])
        assert not waits.add(link, 7)
        assert shard.aof.flush()
        await link.came.wait()
        assert link.sent == [told(7)] and not waits.waiting
        assert waits.synced(shard.aof.written_bytes)
        shard.aof.close()

    on_a_loop(scene)


def test_with_no_policy_it_is_told_at_the_end(tmp_path: Path) -> None:
    async def scene() -> None:
        shard, link = shard_with(tmp_path, "no"), Link()
        waits = SyncWaits(cast(Shard, shard))
        shard.aof.append(0, [b"SET", b"k", b"1"])
        shard.aof.flush()
        assert not waits.add(link, 7)
        shard.aof.append(0, [b"SET", b"k", b"2"])
        shard.aof.flush()
        waits.tell()
        assert not link.sent
        shard.aof.close()
        await link.came.wait()
        assert link.sent == [told(7)]

    on_a_loop(scene)


def test_what_comes_after_the_question_is_not_waited_for(tmp_path: Path) -> None:
    async def scene() -> None:
        shard, link = shard_with(tmp_path, "no"), Link()
        waits = SyncWaits(cast(Shard, shard))
        shard.aof.append(0, [b"SET", b"k", b"1"])
        shard.aof.flush()
        assert not waits.add(link, 7)
        shard.aof._syncer.sync_now()
        shard.aof.append(0, [b"SET", b"k", b"2"])
        shard.aof.flush()
        waits.tell()
        assert link.sent == [told(7)]
        assert not waits.add(link, 8)
        waits.forget(link)
        assert not waits.waiting
        shard.aof.close()

    on_a_loop(scene)


def test_a_shard_that_loads_has_to_be_waited_for(tmp_path: Path) -> None:
    """What the process before it wrote is synced when it is loaded, and not before."""

    async def scene() -> None:
        shard, link = shard_with(tmp_path, "no"), Link()
        waits = SyncWaits(cast(Shard, shard))
        shard.loaded = False
        assert not waits.add(link, 7)
        waits.tell()
        assert not link.sent
        shard.loaded = True
        waits.tell()
        assert link.sent == [told(7)]
        shard.aof.close()

    on_a_loop(scene)


def test_who_wants_it_now_need_not_wait_for_the_policy(tmp_path: Path) -> None:
    """Neither a second, with `everysec`, nor forever, with `no`; several ask for one sync."""

    async def scene() -> None:
        for fsync in ("everysec", "no"):
            shard, link = shard_with(tmp_path / fsync, fsync), Link()
            waits = SyncWaits(cast(Shard, shard))
            shard.aof.append(0, [b"SET", b"k", b"v"])
            assert not waits.add(link, 1, urgent=True)
            assert not waits.add(link, 2, urgent=True)
            assert shard.aof.flush()
            await link.came.wait()
            assert link.sent == [told(1), told(2)]
            assert waits.add(link, 3, urgent=True)
            shard.aof.close()

    on_a_loop(scene)


def test_who_asks_with_a_hold_is_told_in_any_case(tmp_path: Path) -> None:
    """At once if there is nothing to wait for, or a log that can't be written."""

    async def scene() -> None:
        shard, link = shard_with(tmp_path, "no"), Link()
        waits = SyncWaits(cast(Shard, shard))
        waits.tell_when_synced(link, 1)
        assert link.sent == [told(1)]
        shard.aof.append(0, [b"SET", b"k", b"1"])
        link.came.clear()
        waits.tell_when_synced(link, 2)
        assert link.sent == [told(1)]
        assert shard.aof.flush()
        await link.came.wait()
        assert link.sent == [told(1), told(2)] and shard.aof.synced_bytes == shard.aof.written_bytes
        shard.aof.close()

    on_a_loop(scene)

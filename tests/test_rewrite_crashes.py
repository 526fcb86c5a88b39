"""Rewriting the log: a crash in the middle of it, at any step and with any part of what was written last.

REWRITES says how many random sequences there are, each of three rewrites.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.command import Flag
from common.errors import RedisError
from shard import snapshot_file
from shard.log_reading import read_manifest
from tests.bare_router import on_a_loop
from tests.bare_shard import commands
from tests.command_families import FAMILIES
from tests.random_commands import Usage, usages
from tests.rewriting_shard import Digest, RewritingShard, digest_of, loaded, seen

REWRITES = int(os.environ.get("REWRITES", "4"))


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a rewrite of a few keys takes many turns, and many writes."""
    monkeypatch.setattr(snapshot_file, "SLICE_S", 0.0)
    monkeypatch.setattr(snapshot_file, "CHUNK_BYTES", 200)


def lines() -> tuple[list[Usage], list[float]]:
    """All that writes and does not block."""
    known = commands()
    found = []
    for family in sorted(FAMILIES):
        for line in usages(family):
            command = known.resolve([word.encode() for word in line.line.split()[:2]])
            if command is not None and command.handler is not None and not command.flags & Flag.BLOCKING:
                found.append(line)
    return found, [line.weight for line in found]


@contextmanager
def looking(patch: pytest.MonkeyPatch, look: Callable[[], None]) -> Iterator[None]:
    """Has `look` called before and after each step by which a rewrite changes the folder, in whatever thread."""
    inside = threading.local()

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **named: Any) -> Any:
            if getattr(inside, "is_so", False):
                return real(*words, **named)
            inside.is_so = True
            try:
                look()
                return real(*words, **named)
            finally:
                look()
                inside.is_so = False

        return call

    with patch.context() as context:
        for name in ("rename", "unlink", "fsync", "writev"):
            context.setattr(os, name, watched(getattr(os, name)))
        yield


@pytest.mark.parametrize("seed", range(REWRITES))
def test_a_crash_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Random commands while the log is rewritten again and again. What is in the folder before and after any step is
    loaded, also with the last increment cut anywhere: it is what was there after the last command that is in it."""
    random = Random(seed)
    known, weights = lines()

    async def scene() -> None:
        rig = RewritingShard(tmp_path / "data", "--appendfsync", random.choice(["no", "everysec", "always"]))
        aof = rig.shard.aof
        positions: list[tuple[int, Digest]] = [(0, ())]
        copies: list[tuple[Path, int, Digest, Any]] = []

        def act() -> None:
            argv = random.choices(known, weights)[0].draw(random)
            if argv and is_call(argv):
                rig.call(*argv, db=random.choice((0, 0, 1)))
            if random.random() < 0.1:
                rig.advance(random.choice((1, 1000, 100_000)))
            positions.append((aof.written_bytes, rig.digest()))

        def look() -> None:
            if random.random() > 0.15 or len(copies) >= 60:
                return
            with rig.lock:
                if aof.buffer.empty and aof.written_bytes == positions[-1][0]:
                    path = tmp_path / f"copy{len(copies)}"
                    shutil.copytree(rig.folder, path)
                    copies.append((path, aof.written_bytes, positions[-1][1], rig.audit()))

        for _ in range(100):
            act()
        for number in range(3):
            rig.shard.config.values["aof-use-rdb-preamble"] = random.random() < 0.5
            with looking(monkeypatch, look):
                rig.ask("rewrite", False)
                while rig.shard.rewriter.current is not None:
                    if random.random() < 0.3:
                        act()
                    await rig.run_until(lambda turns=[0]: turns.append(0) or len(turns) > 3)  # type: ignore[misc]
            assert rig.info()["aof_rewrites"] == number + 1
        await rig.close()
        assert copies
        for path, written_bytes, digest, audit in copies:
            torn = shutil.copytree(path, path.with_suffix(".torn"))
            store = loaded(path)
            assert digest_of(store) == digest
            assert seen(store) == audit
            left_bytes = written_bytes - tear(torn, random)
            until = max(position for position, _ in positions if position <= left_bytes)
            assert digest_of(loaded(torn)) in [found for position, found in positions if position == until]

    on_a_loop(scene)


def tear(folder: Path, random: Random) -> int:
    """Takes the end off the last increment, and off what does not count yet; how much of the increment."""
    manifest = read_manifest(folder, "appendonly.aof")
    last = folder / manifest.increments[-1].name
    left_bytes = random.randrange(last.stat().st_size + 1)
    torn_bytes = last.stat().st_size - left_bytes
    os.truncate(last, left_bytes)
    for path in folder.glob("temp-*"):
        os.truncate(path, random.randrange(path.stat().st_size + 1))
    return torn_bytes


def is_call(argv: list[bytes]) -> bool:
    """Whether a router would let a shard have it."""
    try:
        commands().find(argv)
    except RedisError:
        return False
    return True

"""Parts put together: what is in the file, and that its name is the old file's or the whole new one's at every step."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shard.save_join import COPIED_BYTES, Join, Part, copy

OLD = b"the file that was there"


class Thread:
    """Jobs, done one by one when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []
        self.overs = 0

    def over(self) -> None:
        self.overs += 1

    def step(self) -> bool:
        """Does the next one; whether there was one."""
        if self.jobs:
            self.jobs.pop(0)()
            return True
        return False


def made(folder: Path, *contents: bytes, skipped: int = 0) -> list[Part]:
    """Part files, the first of which is not to be skipped in."""
    parts = []
    for number, content in enumerate(contents):
        path = folder / f"part-{number}"
        head = b"h" * skipped if number else b""
        path.write_bytes(head + content)
        parts.append(Part(path, len(head), len(content)))
    return parts


def begun(folder: Path, thread: Thread, *contents: bytes, skipped: int = 0) -> Join:
    final = folder / "dump.rdb"
    final.write_bytes(OLD)
    first, *others = made(folder, *contents, skipped=skipped)
    join = Join(first, others, b"end", final, sync_bytes=1)
    join.begin(thread.jobs.append, thread.over)
    return join


@pytest.mark.parametrize("skipped", [0, 7])
@pytest.mark.parametrize("contents", [[b"one"], [b"one", b"two", b""], [b"", b"x" * (2 * COPIED_BYTES + 5), b"three"]])
def test_all_parts_in_order_and_the_end(tmp_path: Path, contents: list[bytes], skipped: int) -> None:
    thread = Thread()
    join = begun(tmp_path, thread, *contents, skipped=skipped)
    while (tmp_path / "dump.rdb").read_bytes() == OLD:
        assert thread.step()
    assert (tmp_path / "dump.rdb").read_bytes() == b"".join(contents) + b"end"
    while thread.step():
        pass
    assert (join.error, thread.overs) == (None, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["dump.rdb"]


def test_a_file_system_that_does_not_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    thread = Thread()
    begun(tmp_path, thread, b"one", b"2" * (COPIED_BYTES + 1), b"three", skipped=3)
    while thread.step():
        pass
    assert (tmp_path / "dump.rdb").read_bytes() == b"one" + b"2" * (COPIED_BYTES + 1) + b"threeend"


def failed(folder: Path, thread: Thread, join: Join) -> OSError:
    """Why it came to nothing, with all as it was."""
    while thread.step():
        pass
    assert thread.overs == 1
    assert (folder / "dump.rdb").read_bytes() == OLD
    assert [path.name for path in folder.iterdir()] == ["dump.rdb"]
    assert join.error is not None
    return join.error


def test_a_part_that_is_not_there(tmp_path: Path) -> None:
    thread = Thread()
    join = begun(tmp_path, thread, b"one", b"two", b"three")
    join.others[1].path.unlink()
    assert failed(tmp_path, thread, join).errno == errno.ENOENT


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_part_that_is_shorter_than_was_said(tmp_path: Path, number: int) -> None:
    thread = Thread()
    join = begun(tmp_path, thread, b"one", b"two", b"three")
    path = [join.first, *join.others][number].path
    path.write_bytes(path.read_bytes()[:-1])
    assert failed(tmp_path, thread, join).errno == errno.EIO


def test_a_name_that_cannot_be_taken(tmp_path: Path) -> None:
    thread = Thread()
    join = begun(tmp_path, thread, b"one", b"two")
    join.final.unlink()
    join.final.mkdir()
    while thread.step():
        pass
    assert join.error is not None and join.error.errno == errno.EISDIR
    assert [path.name for path in tmp_path.iterdir()] == ["dump.rdb"]


def test_stopped_at_every_step(tmp_path: Path) -> None:
    count = 0
    while True:
        thread = Thread()
        join = begun(tmp_path, thread, b"one", b"two", b"three")
        for _ in range(count):
            thread.step()
        if not thread.jobs:
            break
        join.stopped = True
        assert failed(tmp_path, thread, join).errno == errno.ECANCELED
        count += 1
    assert count == 3


def test_the_files_of_copies_are_closed(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    thread = Thread()
    begun(tmp_path, thread, b"one", b"two", b"three")
    while thread.step():
        pass
    (part,) = made(tmp_path, b"some")
    with open(tmp_path / "target", "wb") as target:
        steps = copy(part, target.fileno(), 0)
        next(steps)
        steps.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before

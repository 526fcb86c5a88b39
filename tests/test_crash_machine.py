"""The crash machine for a few crashes, and what it consists of; tests/crashes/machine.py says what is promised.

CRASHES in the environment says how many crashes all runs together make, CRASH_SEED where they begin: the same tests run
for hours. `python -m tests.crashes` is the same with more to choose.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.crashes.acts import Act, Outcome, Promise, transaction
from tests.crashes.disk import Disk, Losses
from tests.crashes.lanes import Counters, Journal, Mset, Ring
from tests.crashes.machine import Machine, tracebacks
from tests.resp_client import NULL_ARRAY, Error, Status
from tests.writers import UNKNOWN

CRASHES = int(os.environ.get("CRASHES", "24"))
SEED = int(os.environ.get("CRASH_SEED", "1"))
TRIES = 60

RUNS = {
    "killed-always": (0.28, {"fsync": "always"}),
    "killed-everysec": (0.26, {"fsync": "everysec"}),
    "cut-always": (0.28, {"fsync": "always", "power": True}),
    "cut-everysec": (0.18, {"fsync": "everysec", "power": True, "shards": 2}),
}
"""Their shares of all crashes, and what they are."""


@pytest.mark.parametrize("run", RUNS)
def test_crashes(run: str) -> None:
    share, options = RUNS[run]
    with Machine(SEED, **options) as machine:  # type: ignore[arg-type]
        for number in range(max(1, round(CRASHES * share))):
            machine.crash(number)
    assert not machine.report.faults, "\n".join(machine.report.faults)
    assert machine.report.acts


# The disk that can forget


def run(disk: Disk, program: str) -> None:
    environment = os.environ | disk.environment()
    source = "import os, pathlib\nfrom pathlib import Path\n" + program
    subprocess.run([sys.executable, "-c", source], env=environment, cwd=disk.data, check=True, timeout=60)


def survivors(tmp_path: Path, program: str) -> set[tuple[tuple[str, bytes], ...]]:
    """What there is after power cuts: names and contents."""
    disk = Disk(tmp_path)
    (disk.data / "old").write_bytes(b"old")
    disk.begin()
    run(disk, program)
    found = set()
    for number in range(TRIES):
        target = tmp_path / str(number)
        disk.rebuild(target, Random(number))
        files = sorted(path for path in target.rglob("*") if path.is_file())
        found.add(tuple((str(path.relative_to(target)), path.read_bytes()) for path in files))
    return found


OLD = ("old", b"old")
SYNC_FOLDER = "fd = os.open('.', os.O_RDONLY); os.fsync(fd)\n"


def test_what_was_not_synced_may_be_lost(tmp_path: Path) -> None:
    found = survivors(
        tmp_path, "f = open('old', 'ab', buffering=0); f.write(b'12'); os.fsync(f.fileno()); f.write(b'3')"
    )
    assert found == {(("old", b"old12"),), (("old", b"old123"),), (("old", b"old12\0"),)}


def test_a_new_name_needs_a_sync_of_its_folder(tmp_path: Path) -> None:
    new = "f = open('new', 'wb'); f.write(b'1'); f.flush(); os.fsync(f.fileno())\n"
    assert survivors(tmp_path / "lost", new) == {(OLD,), (("new", b"1"), OLD)}
    assert survivors(tmp_path / "kept", new + SYNC_FOLDER) == {(("new", b"1"), OLD)}


def test_a_name_may_be_there_before_its_content(tmp_path: Path) -> None:
    new = "Path('new').write_bytes(b'1')\n" + SYNC_FOLDER
    assert survivors(tmp_path, new) == {(("new", b""), OLD), (("new", b"1"), OLD), (("new", b"\0"), OLD)}


def test_a_rename_has_happened_or_not(tmp_path: Path) -> None:
    renamed = "f = open('new', 'wb'); f.write(b'1'); f.flush(); os.fsync(f.fileno()); os.rename('new', 'old')\n"
    assert survivors(tmp_path / "lost", renamed) == {(OLD,), (("new", b"1"), OLD), (("old", b"1"),)}
    assert survivors(tmp_path / "kept", renamed + SYNC_FOLDER) == {(("old", b"1"),)}


def test_a_rename_to_another_folder_has_happened_in_both_or_in_neither(tmp_path: Path) -> None:
    moved = "os.mkdir('a')\n" + SYNC_FOLDER + "os.rename('old', 'a/new')"
    assert survivors(tmp_path, moved) == {(OLD,), (("a/new", b"old"),)}


def test_what_was_removed_may_come_back(tmp_path: Path) -> None:
    assert survivors(tmp_path / "lost", "os.unlink('old')\n") == {(OLD,), ()}
    assert survivors(tmp_path / "kept", "os.unlink('old')\n" + SYNC_FOLDER) == {()}


def test_a_truncation_may_not_have_happened(tmp_path: Path) -> None:
    cut = "f = open('old', 'r+b', buffering=0); f.truncate(1)\n"
    assert survivors(tmp_path / "lost", cut) == {(OLD,), (("old", b"o"),)}
    assert survivors(tmp_path / "kept", cut + "os.fsync(f.fileno())\n") == {(("old", b"o"),)}


def test_what_is_written_over_may_be_what_it_was(tmp_path: Path) -> None:
    over = "fd = os.open('old', os.O_WRONLY); os.pwrite(fd, b'NE', 1)\n"
    assert survivors(tmp_path / "lost", over) == {(OLD,), (("old", b"oNE"),)}
    assert survivors(tmp_path / "kept", over + "os.fsync(fd)\n") == {(("old", b"oNE"),)}


def test_a_sync_makes_durable_what_was_there_when_it_began(tmp_path: Path) -> None:
    """Not what is written while it runs: it must not count as synced."""
    disk = Disk(tmp_path)
    (disk.data / "log").write_bytes(b"1234")
    disk.begin()
    inode = (disk.data / "log").stat().st_ino
    record = {"op": "sync", "path": str(disk.data / "log"), "inode": inode, "size": 2, "begin_s": 1.0, "end_s": 2.0}
    disk.journal.write_text(json.dumps(record) + "\n")
    losses: Losses = disk.crash(Random(1))
    assert (disk.data / "log").read_bytes()[:2] == b"12"
    assert losses.longest_sync_s == 1.0


def test_of_two_syncs_of_a_folder_the_one_that_began_last_counts(tmp_path: Path) -> None:
    """Though the other one, of another process, ends after it."""
    disk = Disk(tmp_path)
    run(disk, "os.mkdir('one'); os.mkdir('two')\n")
    folder, one, two = ((disk.data / name).stat().st_ino for name in ("", "one", "two"))
    syncs = [(2.0, 3.0, {"one": one, "two": two}), (1.0, 4.0, {"one": one})]
    with disk.journal.open("a") as journal:
        for begin_s, end_s, names in syncs:
            record = {"op": "sync-folder", "inode": folder, "names": names, "begin_s": begin_s, "end_s": end_s}
            journal.write(json.dumps(record) + "\n")
    disk.crash(Random(1))
    assert sorted(path.name for path in disk.data.iterdir()) == ["one", "two"]


def test_it_fails_when_it_is_told_to(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.fail("EIO sync log", "ENOSPC write,create full")
    program = """
import errno
def number(call):
    try:
        call()
    except OSError as error:
        return error.errno
log = open("log", "wb", buffering=0)
assert number(lambda: os.fsync(log.fileno())) == errno.EIO
log.write(b"1")
assert number(lambda: open("full", "wb")) == errno.ENOSPC
assert number(lambda: os.mkdir("full")) == errno.ENOSPC
"""
    run(disk, program)
    disk.fail()
    run(disk, "f = open('log', 'r+b'); os.fsync(f.fileno()); open('full', 'wb').write(b'1')")


# What is judged


def act(value: bytes | None, sent_s: float, answered_s: float, outcome: Outcome = Outcome.DONE, who: str = "c") -> Act:
    return Act([], (b"k",), value, who=who, sent_s=sent_s, answered_s=answered_s, outcome=outcome)


def test_what_an_answer_says() -> None:
    down = Error(b"SHARDDOWN shard 1 is down, it is being restarted")
    unknown = Error(b"SHARDDOWN shard 1 went down, " + UNKNOWN)
    cases = [
        (Status(b"OK"), Outcome.DONE),
        ([1, Status(b"OK")], Outcome.DONE),
        (down, Outcome.REFUSED),
        (unknown, Outcome.UNKNOWN),
        ([down, down], Outcome.REFUSED),
        ([unknown, unknown], Outcome.UNKNOWN),
        ([1, down], Outcome.UNKNOWN),
        (Error(b"MISCONF Errors writing to the AOF file: x"), Outcome.UNKNOWN),
        (NULL_ARRAY, Outcome.REFUSED),
        (0, Outcome.REFUSED),
    ]
    for reply, outcome in cases:
        one = Act(transaction((b"INCR", b"k")), (b"k",), nothing=(0,))
        assert not one.take(reply, 1.0)
        assert one.outcome is outcome, reply
    assert Act([], ()).take(Error(b"ERR internal error"), 1.0)


def test_tracebacks_are_found() -> None:
    log = """12:00 router error: internal error in ping
    Traceback (most recent call last):
      File "/x/a.py", line 1, in one
        two()
        ^^^^^
      File "/x/b.py", line 2, in two
        assert False
    AssertionError
12:01 router notice: shard 1 is ready
Traceback (most recent call last):
  File "/x/c.py", line 3, in three
    raise ValueError("no")
ValueError: no
"""
    assert list(tracebacks(log)) == [
        'File "/x/b.py", line 2, in two: AssertionError',
        'File "/x/c.py", line 3, in three: ValueError: no',
    ]


def test_a_group_is_judged() -> None:
    lane = Mset(0)
    values: dict[bytes, bytes] = {}

    def faults(one: bytes, *acts: Act, other: bytes = b"", until_s: dict[int, float] | None = None) -> list[str]:
        values.update(zip(lane.keys, [one, one, other or one], strict=True))
        lane.acts, lane.before = list(acts), None
        return lane.faults(lambda name, key: values[key], Promise(1, until_s or {}))

    first, second = act(b"1", 0.0, 1.0), act(b"2", 2.0, 3.0)
    assert not faults(b"2", first, second)
    assert "torn" in faults(b"1", first, second, other=b"2")[0]
    assert "lost: b'1', but b'2' was done later" in faults(b"1", first, second)[0]
    assert not faults(b"1", first, second, until_s={0: 2.5})
    assert "lost" in faults(b"1", first, second, until_s={0: 3.5})[0]
    assert not faults(b"1", act(b"1", 0.0, 2.5), second)
    assert not faults(b"1", act(b"1", 0.0, 9.0, Outcome.UNKNOWN), second)
    assert "which nobody sent or which was refused" in faults(b"1", act(b"1", 0.0, 9.0, Outcome.REFUSED), second)[0]
    assert "which nobody sent" in faults(b"3", first, second)[0]


def test_counters_and_tokens_are_judged() -> None:
    counters = Counters(0)
    for values, wrong in (([1, 1, 1], 0), ([2, 2, 2], 0), ([0, 0, 0], 1), ([3, 3, 3], 1), ([1, 2, 1], 1)):
        found = iter(values)
        counters.before = 0
        counters.acts = [act(None, 0.0, 1.0), act(None, 0.0, 9.0, Outcome.UNKNOWN)]
        assert len(counters.faults(lambda *argv, found=found: b"%d" % next(found), Promise(1))) == wrong, values
    ring = Ring(0)
    for holders, wrong in ((1, 0), (0, 1), (2, 1)):
        places = iter([b"token"] * holders + [None] * (3 - holders))
        assert len(ring.faults(lambda *argv, places=places: next(places), Promise(1))) == wrong, holders


def test_a_journal_is_judged() -> None:
    lane = Journal(0, "j")
    acts = [act(b"%d" % number, float(number), number + 0.5) for number in range(1, 5)]
    for one in acts:
        one.keys = (lane.keys[0],)

    def faults(values: list[bytes], until_s: dict[int, float] | None = None) -> list[str]:
        def read(name: str, key: bytes, *rest: object) -> object:
            return values if key == lane.keys[0] else b"" if name == "GET" else []

        lane.acts = acts
        return [line.partition(": ")[2] for line in lane.faults(read, Promise(1, until_s or {}))]

    assert not faults([b"1", b"2", b"3", b"4"])
    assert faults([b"1", b"2", b"3"]) == ["lost: 1, first b'4', of 4; there are 3"]
    assert not faults([b"1", b"2", b"3"], {0: 4.2})
    assert faults([b"1", b"2", b"4"], {0: 2.9}) == ["gaps before b'4': [b'3']"]
    assert "doubled: [b'1']" in faults([b"1", b"1", b"2", b"3", b"4"])
    assert faults([b"2", b"1", b"3", b"4"]) == ["out of order: what c sent is at [1, 0, 2, 3]"]
    assert faults([b"1", b"2", b"3", b"4", b"5"]) == ["not sent, or refused: [(b'5', None)]"]

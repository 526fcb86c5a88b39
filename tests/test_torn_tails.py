"""Logs whose end is missing, as a power cut leaves them: cut at every byte, in process, and for a whole server.

What is promised: a log cut anywhere is loaded up to the last command or group that is whole, also if zeros follow; and
where one shard's tail is gone, what was written over several shards is on all of them or on none.

TORN_TAILS in the environment says at how many places a whole server's log is cut.
"""

import copy
import os
import shutil
from collections.abc import Iterator
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from random import Random

import pytest

from shard.log_reader import read_slices
from shard.log_reading import SLICE_BYTES
from tests.crashes.acts import Promise
from tests.crashes.clients import wait_for_acts, working
from tests.crashes.kills import kill_all
from tests.crashes.machine import Machine
from tests.log_folder import contents, write_log
from tests.resp_client import encode_command, parse_reply

TORN_TAILS = int(os.environ.get("TORN_TAILS", "6"))
SMALL_BYTES = 6000
BIG_BYTES = 80_000
TAIL_BYTES = 2048
ACTS = 600
SHARDS = 3
LOG = "appendonlydir/appendonly.aof.1.incr.aof"
DATABASES = 16


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Path]]:
    """A machine whose server was killed under no load, and a copy of its folder: nothing since its start was synced."""
    with Machine(1, "no", SHARDS) as machine:
        server = machine.fresh()
        assert not machine.begin()
        clients = machine.clients(Random(1))
        with working(clients):
            wait_for_acts(clients, ACTS)
        assert not [surprise for client in clients for surprise in client.surprises]
        kill_all(server)
        copied = tmp_path_factory.mktemp("written") / "data"
        shutil.copytree(server.disk.data, copied)
        yield machine, copied


def logs(folder: Path) -> list[bytes]:
    return [(folder / f"shard-{index}" / LOG).read_bytes() for index in range(SHARDS)]


def units(data: bytes) -> list[tuple[int, int]]:
    """Where each command or group ends, and how many commands are whole there, said by another parser."""
    found = [(0, 0)]
    at = count = 0
    in_group = False
    while at < len(data):
        argv, at = parse_reply(data, at)
        if argv[0] in (b"MULTI", b"EXEC"):
            in_group = argv[0] == b"MULTI"
        elif argv[0] != b"SELECT":
            count += 1
        if not in_group:
            found.append((at, count))
    return found


def loaded(data: bytes) -> int:
    """How many commands a start would do again."""
    parts = read_slices(BytesIO(data), len(data), SLICE_BYTES, DATABASES)
    return sum(len(argvs) for part in parts for _, argvs in part.runs)


def check_cuts(data: bytes, first: int) -> None:
    ends = units(data)
    at = 0
    for size in range(first, len(data) + 1):
        while at + 1 < len(ends) and ends[at + 1][0] <= size:
            at += 1
        assert loaded(data[:size]) == ends[at][1], f"cut at {size}"
        if size % 7 == 0:
            assert loaded(data[:size] + bytes(size % 5000 + 1)) == ends[at][1], f"zeros from {size} on"


def whole_units(data: bytes, bytes_max: int) -> bytes:
    return data[: max(end for end, _ in units(data) if end <= bytes_max)]


def test_a_small_log_at_every_byte(written: tuple[Machine, Path]) -> None:
    for data in logs(written[1]):
        small = whole_units(data, SMALL_BYTES)
        assert len(small) > SMALL_BYTES // 2
        check_cuts(small, 0)


def test_the_end_of_a_bigger_log_at_every_byte(written: tuple[Machine, Path]) -> None:
    data = b"".join(data + encode_command(["SELECT", 0]) for data in logs(written[1]))
    data = whole_units(data * (BIG_BYTES // len(data) + 1), BIG_BYTES)
    check_cuts(data, len(data) - TAIL_BYTES)


def test_what_was_loaded_is_a_prefix(written: tuple[Machine, Path], tmp_path: Path) -> None:
    """Through the log's own way to open and cut its file."""
    data = whole_units(logs(written[1])[0], SMALL_BYTES)
    folder = tmp_path / "log"
    write_log(folder, data)
    whole = contents(folder)
    counts = dict(units(data))
    random = Random(2)
    for size in sorted(random.sample(range(len(data)), 100)):
        (path,) = write_log(folder, data[:size])
        end = max(end for end in counts if end <= size)
        assert contents(folder) == whole[: counts[end]], f"cut at {size}"
        assert path.read_bytes() == data[:end]


def test_one_shard_of_a_server_is_torn(written: tuple[Machine, Path]) -> None:
    """What is on one shard alone is a prefix; what is on several is whole, as the others' logs are."""
    machine, folder = written
    server = machine.running()
    lanes = machine.lanes
    faults = []
    random = Random(3)
    for number in range(TORN_TAILS):
        shard = number % SHARDS
        size = len(logs(folder)[shard])
        at = size - random.randrange(1, min(TAIL_BYTES, size // 2))
        shutil.rmtree(server.disk.data)
        shutil.copytree(folder, server.disk.data)
        os.truncate(server.disk.data / f"shard-{shard}" / LOG, at)
        server.launch()
        server.wait_ready()
        machine.lanes = copy.deepcopy(lanes)
        faults += [
            f"shard {shard} cut at {at} of {size}: {fault}" for fault in machine.judge(Promise(SHARDS, {shard: 0.0}))
        ]
        kill_all(server)
    machine.lanes = lanes
    assert not faults, "\n".join(faults)


def test_units_are_told_apart() -> None:
    """The other parser: the sizes of its pieces add up."""
    pieces = [[b"SET", b"a", b"\r\n"], [b"MULTI"], [b"DEL", b"a"], [b"EXEC"], [b"SELECT", b"1"]]
    encoded = [encode_command(piece) for piece in pieces]
    ends = list(accumulate(map(len, encoded)))
    assert units(b"".join(encoded)) == [(0, 0), (ends[0], 1), (ends[3], 2), (ends[4], 2)]

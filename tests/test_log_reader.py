"""Reading a log: whole, cut at every byte, and damaged at every byte."""

import io
import time
from collections.abc import Iterator
from random import Random

import pytest

from shard import log_reader
from shard.log_buffer import encode
from shard.log_reader import (
    ANNOTATION_BYTES_MAX,
    ARGUMENT_BYTES_MAX,
    NUMBER_LINE_BYTES_MAX,
    SUSPECTS_MAX,
    LogDamaged,
    LogReader,
    Run,
    read_slices,
)

SELECT_3 = encode([b"SELECT", b"3"])
SET = encode([b"SET", b"key", b"value"])
ODD = encode([b"SET", b"", b"a\r\nb\r\n\r\n*3\r\n$3\r"])  # looks like the beginning of a command
LONG = encode([b"RPUSH", b"list", *[b"%d" % number for number in range(2000)], b"x" * 5000])
GROUP = [
    encode([b"MULTI"]),
    encode([b"DEL", b"a"]),
    encode([b"select", b"1"]),
    encode([b"INCR", b"b"]),
    encode([b"EXEC"]),
]

LOG = [b"#TS:1700000000\r\n", SET, SELECT_3, SET, b"".join(GROUP), SET, b"# note\r\n", encode([b"DEL", b"k"]), ODD]
"""Pieces that are handed out whole or not at all."""


@pytest.fixture(autouse=True, params=[False, True], ids=["lines", "bytes"])
def walk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module walks over lines as plain Python, over bytes when compiled; either can do both."""
    monkeypatch.setattr(log_reader, "COMPILED", request.param)


def commands(runs: list[Run]) -> list[tuple[int, list[bytes]]]:
    return [(db, argv) for db, run in runs for argv in run]


def read(data: bytes) -> list[tuple[int, list[bytes]]]:
    return commands(LogReader().feed(data))


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """`data` whole, byte by byte, and cut at seeded places."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    random = Random(7)
    for _ in range(20):
        places = sorted(random.randrange(len(data)) for _ in range(random.randrange(1, 9)))
        yield [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)]


def test_commands_carry_the_db_that_was_selected() -> None:
    assert read(b"".join(LOG)) == [
        (0, [b"SET", b"key", b"value"]),
        (3, [b"SET", b"key", b"value"]),
        (3, [b"DEL", b"a"]),
        (1, [b"INCR", b"b"]),
        (1, [b"SET", b"key", b"value"]),
        (1, [b"DEL", b"k"]),
        (1, [b"SET", b"", b"a\r\nb\r\n\r\n*3\r\n$3\r"]),
    ]


@pytest.mark.parametrize("pieces", list(cuts(b"".join(LOG) + LONG + SET)), ids=lambda pieces: f"{len(pieces)} pieces")
def test_cuts_change_nothing(pieces: list[bytes]) -> None:
    reader = LogReader()
    runs = [run for piece in pieces for run in reader.feed(piece)]
    reader.finish()
    assert commands(runs) == read(b"".join(pieces))
    assert reader.whole_bytes == reader.fed_bytes == len(b"".join(pieces))


@pytest.mark.parametrize("step", [1, 5, 1 << 16])
def test_a_log_that_ends_anywhere_gives_what_is_whole_before(step: int) -> None:
    data = b"".join(LOG)
    ends = [sum(map(len, LOG[:count])) for count in range(len(LOG) + 1)]
    for size in range(len(data) + 1):
        reader = LogReader()
        runs = [run for at in range(0, size, step) for run in reader.feed(data[at : min(size, at + step)])]
        reader.finish()
        whole = max(end for end in ends if end <= size)
        assert reader.whole_bytes == whole, f"cut at {size}"
        assert commands(runs) == read(data[:whole]), f"cut at {size}"


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (b"+OK\r\n", "a command should follow, not '+"),
        (b"*0\r\n", "a command should follow"),
        (b"*-1\r\n", "a command should follow"),
        (b"*\r\n", "a command should follow"),
        (b"* 3\r\n", "a command should follow"),
        (b"*1_0\r\n", "a command should follow"),
        (b"\r\n", "a command should follow"),
        (b"PING\r\n", "a command should follow"),
        (b"#one\n#two\r\n", "a command should follow"),
        (b"hello", "a command should follow, not 'h"),
        (b"\0\0\0", "a command should follow"),
        (b"*2\r\n3\r\n", "the length of an argument should follow, not '3'"),
        (b"*2\r\n$-1\r\n\r\n", "the length of an argument should follow"),
        (b"*2\r\n$\r\n\r\n", "the length of an argument should follow"),
        (b"*2\r\nx", "the length of an argument should follow"),
        (b"*1\r\n$4\r\nPING!\r\n", "an argument does not end where its length 4 says"),
        (b"*1\r\n$4\r\nPIN\r\n*", "an argument does not end where its length 4 says"),
        (b"*2\r\n$4\r\nINCR\r\n$1\r\nk\rk", "an argument does not end where its length 1 says"),
        (encode([b"EXEC"]), "'EXEC' outside a group"),
        (encode([b"MULTI", b"x"]), "'MULTI x' outside a group"),
        (encode([b"MULTI"]) * 2, "'MULTI' inside a group"),
        (encode([b"SELECT", b"16"]), "no such db: SELECT '16'"),
        (encode([b"SELECT", b"-1"]), "no such db"),
        (encode([b"SELECT"]), "no such db"),
    ],
)
def test_what_no_server_wrote_is_named_with_its_place(damaged: bytes, reason: str) -> None:
    for pieces in cuts(b"".join(LOG) + damaged):
        reader = LogReader(databases=16)
        with pytest.raises(LogDamaged, match=reason.replace("$", r"\$")) as raised:
            for piece in pieces:
                reader.feed(piece)
        inside = len(encode([b"MULTI"])) if damaged.startswith(encode([b"MULTI"]) * 2) else 0
        assert raised.value.offset == len(b"".join(LOG)) + inside


def test_a_flipped_bit_is_found_or_only_changes_a_value() -> None:
    """Without checksums a flipped bit inside a value cannot be seen. Everywhere else it is refused, and never does a
    reader lose count or drop what follows as if it were a tail."""
    data = b"".join([SET, SELECT_3, *GROUP, SET, encode([b"DEL", b"k"])]) + SET * 20
    count = len(read(data))
    middle = len(data) - 20 * len(SET)
    refused = 0
    for at in range(middle):
        for bit in range(8):
            flipped = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            reader = LogReader(databases=16)
            try:
                runs = reader.feed(flipped)
                reader.finish()
            except LogDamaged as damage:
                refused += 1
                # At the command itself, or in the next one where a count became too small or a length ate some
                # lines. A group is named by its beginning if its end was damaged, by its end if its beginning was.
                group_end = data.index(GROUP[4])
                first = data.index(GROUP[0]) if at >= group_end else data[: at + 1].rfind(b"*")
                last = group_end + len(GROUP[4]) if at < group_end else middle + len(SET)
                assert first <= damage.offset <= last, f"byte {at} bit {bit}: {damage}"
                continue
            assert reader.whole_bytes == len(data), f"byte {at} bit {bit}"
            # One of SELECT, MULTI and EXEC whose name was damaged counts as a command, and no server knows that one.
            assert count <= len(commands(runs)) <= count + 1, f"byte {at} bit {bit}"
    assert refused > 4 * middle


@pytest.mark.parametrize("seed", range(20))
def test_both_walks_find_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a log that is whole or has one damaged byte, fed in pieces: the same commands, or the same complaint."""
    random = Random(seed)
    data = bytearray(b"".join(random.choice([*LOG, LONG]) for _ in range(30)))
    if seed % 2:
        data[random.randrange(len(data))] = random.choice(b"*$019\r\n#x")
    step = random.choice((7, 100, 4096))
    found: list[object] = []
    for compiled in (False, True):
        monkeypatch.setattr(log_reader, "COMPILED", compiled)
        reader = LogReader(databases=16)
        try:
            runs = [run for at in range(0, len(data), step) for run in reader.feed(bytes(data[at : at + step]))]
            reader.finish()
        except LogDamaged as damage:
            found.append((damage.offset, damage.reason))
        else:
            found.append((reader.whole_bytes, commands(runs)))
    assert found[0] == found[1]


def test_a_length_that_swallows_the_rest_is_damage_and_not_a_tail() -> None:
    """Valkey 9.1 cuts the log here and starts."""
    swallowing = SET.replace(b"$5", b"$5000")
    reader = LogReader()
    reader.feed(SET + swallowing + SET * 3)
    with pytest.raises(LogDamaged, match="its length is damaged") as raised:
        reader.finish()
    assert raised.value.offset == len(SET)


def test_a_group_whose_end_is_damaged_is_not_a_tail() -> None:
    reader = LogReader()
    reader.feed(SET + encode([b"MULTI"]) + SET + encode([b"EXEB"]) + SET * 3)
    with pytest.raises(LogDamaged, match="MULTI without EXEC") as raised:
        reader.finish()
    assert raised.value.offset == len(SET)


def test_a_cut_group_may_hold_a_flush() -> None:
    reader = LogReader()
    assert reader.feed(encode([b"MULTI"]) + encode([b"flushall"])) == []
    reader.finish()
    assert reader.whole_bytes == 0
    assert reader.in_group


def test_a_cut_value_may_look_like_a_log_up_to_a_point() -> None:
    """Beginnings of commands without a whole one are a value, and only so many are looked at."""
    fake = b"\r\n*1\r\n$4\r\nPIN"
    for value, swallows in ((fake * SUSPECTS_MAX, False), (fake * (SUSPECTS_MAX - 1) + b"\r\n" + SET, True)):
        reader = LogReader()
        reader.feed(b"*1\r\n$99999\r\n" + value)
        if swallows:
            with pytest.raises(LogDamaged):
                reader.finish()
        else:
            reader.finish()


def test_limits() -> None:
    annotation = b"#" * ANNOTATION_BYTES_MAX
    assert read(annotation + b"\r\n" + SET) == read(SET)
    LogReader().feed(annotation)
    assert LogReader().feed(b"*1\r\n$%d\r\n" % ARGUMENT_BYTES_MAX) == []
    assert LogReader().feed(b"*" + b"9" * (NUMBER_LINE_BYTES_MAX - 1)) == []
    for too_much in (
        b"#" + annotation + b"\r\n",
        b"#" * (ANNOTATION_BYTES_MAX + 3),
        b"*1\r\n$%d\r\n" % (ARGUMENT_BYTES_MAX + 1),
        b"*" + b"9" * (NUMBER_LINE_BYTES_MAX + 1),
        b"*1\r\n$" + b"0" * NUMBER_LINE_BYTES_MAX + b"1\r\n",
    ):
        with pytest.raises(LogDamaged):
            LogReader().feed(too_much)


def test_a_long_value_is_looked_at_once() -> None:
    """64 MB in pieces of 4 KB: quadratic work would take minutes."""
    command = encode([b"SET", b"k", b"v\r\n" * (1 << 20) + b"x" * (60 << 20)])
    reader = LogReader()
    started = time.process_time()
    runs = [run for at in range(0, len(command), 4096) for run in reader.feed(command[at : at + 4096])]
    assert time.process_time() - started < 5
    assert encode(runs[0][1][0]) == command


@pytest.mark.parametrize("zeros", [0, 1, 63, 64, 65, 4096])
@pytest.mark.parametrize("kept", [0, 1, 20, len(SET), len(SET) + 25])
def test_zeros_at_the_end_are_an_unfinished_tail(zeros: int, kept: int) -> None:
    """A tail whose length reached the disk before its data did: cut in the middle of a command, then zeros."""
    data = (SET + ODD)[:kept] + b"\0" * zeros
    slices = list(read_slices(io.BytesIO(data), len(data), 64, 16))
    whole = len(SET) if kept >= len(SET) else 0
    assert commands([run for part in slices for run in part.runs]) == read(SET)[: bool(whole)]
    if slices:
        assert (slices[-1].offset, slices[-1].dropped_bytes) == (whole, len(data) - whole)


def test_zeros_in_the_middle_are_damage() -> None:
    data = SET + b"\0" * 100 + SET
    with pytest.raises(LogDamaged) as raised:
        list(read_slices(io.BytesIO(data), len(data), 64, 16))
    assert raised.value.offset == len(SET)


def test_an_rdb_base_is_refused_by_name() -> None:
    for data in (b"REDIS0010\xfa\tredis-ver", b"VALKEY080\xfa\tredis-ver"):
        with pytest.raises(LogDamaged, match="it is an RDB file"):
            list(read_slices(io.BytesIO(data), len(data), 64, 16))

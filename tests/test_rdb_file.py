"""RDB files there and back, and damaged: whatever the bytes are, they are read to the end or LogDamaged is raised.

RDB_FILES raises how many damaged files are tried, RDB_SEED says with which seed to begin.
"""

import os
import tracemalloc
from io import BytesIO
from random import Random
from typing import Any

import pytest

from shard.log_reader import LogDamaged
from shard.rdb.crc64 import crc64
from shard.rdb.file import Entry, read_entries
from tests.rdb_files import KEY, by_key, read, read_raw, redis_file, valkey_file, written
from tests.rdb_payloads import SOUND, UNSOUND, mutated
from tests.test_dump import COMMANDS
from tests.test_rdb_objects import bare_client, content

FILES = int(os.environ.get("RDB_FILES", "600"))
SEED = int(os.environ.get("RDB_SEED", "0"))
SEEDS = 4

PLACES = (
    b"\xfa\x03ver\x057.0.1",
    b"\xfb\x05\x02",
    b"\xfe\x03",
    b"\xfc" + (1 << 45).to_bytes(8, "little"),
    b"\xfd" + (1 << 30).to_bytes(4, "little"),
    b"\xf8\x42\x00",
    b"\xf9\xff",
    b"\xf4\x40\x05\x02\x01",
    b"\xf5\x03abc",
    b"\xf7\x81" + bytes(8) + b"\x02\x02\x05\x01x\x00",
)
"""What may stand between keys."""

MEMORY_BYTES_MAX = 1 << 24
"""For any file of some KB: the tables of what is read take up most of it."""


def values() -> list[Entry]:
    """Of every type and encoding."""
    found = []
    for number, (name, commands) in enumerate(COMMANDS.items()):
        client = bare_client()
        for argv in commands:
            client.call(*argv)
        value = client.shard.executor.store.dbs[0].peek(b"k")
        found.append((number % 3, name.encode(), value, number if number % 2 else -1))
    return found


def small_file() -> bytes:
    """Everything that may come, once."""
    return valkey_file(
        *PLACES[:3], KEY, *PLACES[3:], b"\x00\xc3\x05\x0a\x00a\xe0\x00\x00\x02vw", b"\x01\x01l\x02\x01a\x01b"
    )


def unchecked(data: bytes) -> bytes:
    """With no checksum, so that the damage has to be met by what reads."""
    return data[:-8] + bytes(8)


def outcome(data: bytes, **options: Any) -> list[Any] | LogDamaged:
    """What is read of a file, or what is wrong with it. Nothing else may come of it."""
    try:
        found = read(data, {"databases": 16}, **options)
    except LogDamaged as damage:
        assert 0 <= damage.offset <= len(data)
        try:
            read_raw(data, **options)
        except LogDamaged as other:
            assert 0 <= other.offset <= len(data)
        return damage
    return found


def contents(entries: list[Entry]) -> list[Any]:
    return [(db, key, content(value), at_ms) for db, key, value, at_ms in entries]


def test_there_and_back() -> None:
    entries = values()
    for config in ({}, {"rdbcompression": False}):
        data = written(entries, config)
        again = read(data)
        assert by_key(again) == by_key(entries)
        assert written(again, config) == data
        raw = read_raw(data)
        assert [(entry[0], entry[1], entry[4]) for entry in raw] == [
            (entry[0], entry[1], entry[3]) for entry in entries
        ]


def test_every_truncation() -> None:
    """At any byte, with any window, with a checksum or without: the file is not whole."""
    for data in (small_file(), unchecked(small_file()), redis_file(3, KEY, PLACES[4], KEY)):
        assert not isinstance(outcome(data), LogDamaged)
        for size in range(len(data)):
            for slice_bytes in (9, 40, 1 << 16):
                damage = outcome(data[:size], slice_bytes=slice_bytes)
                assert isinstance(damage, LogDamaged), size
                assert damage.offset <= size
            with pytest.raises(LogDamaged):
                read_raw(data[:size])


def test_every_truncation_of_large_values() -> None:
    data = written(values())
    chance = Random(SEED)
    for size in sorted(chance.sample(range(len(data)), min(FILES // 4, len(data)))):
        assert isinstance(outcome(data[:size]), LogDamaged)


def test_every_flipped_bit() -> None:
    """The checksum tells, wherever it is."""
    data = small_file()
    for place in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[place >> 3] ^= 1 << (place & 7)
        assert isinstance(outcome(bytes(damaged)), LogDamaged), place


@pytest.mark.parametrize("seed", range(SEED, SEED + SEEDS))
def test_damage_that_no_checksum_tells(seed: int) -> None:
    """What is read of it can be written, and read again."""
    chance = Random(seed)
    sources = [small_file(), redis_file(3, *PLACES[1:5], KEY, KEY)]
    sources += [valkey_file(body[:1] + b"\x01k" + body[1:], KEY) for _, body in SOUND + UNSOUND if len(body) < 500]
    told = 0
    for _ in range(FILES // SEEDS):
        data = unchecked(mutated(chance, chance.choice(sources)))
        if chance.random() < 0.3:  # A splice: the beginning of one and the end of another.
            other = chance.choice(sources)
            data = data[: chance.randrange(len(data) + 1)] + unchecked(other)[chance.randrange(len(other)) :]
        elif chance.random() < 0.3:
            data = data[:9] + mutated(chance, data[9:])
        found = outcome(data, slice_bytes=chance.choice((9, 100, 1 << 16)))
        if isinstance(found, LogDamaged):
            told += 1
        else:
            # Only an encoding may change: a hash that has no times any more is small again.
            assert contents(read(written(found))) == contents(found)
    assert told > FILES // SEEDS // 4


@pytest.mark.parametrize("seed", range(SEED, SEED + SEEDS))
def test_keys_between_anything(seed: int) -> None:
    """Sound objects and all that may stand before them, in any order; some of it damaged, with the right checksum."""
    chance = Random(seed)
    for _ in range(FILES // SEEDS // 4):
        pieces, keys = [], 0
        for _ in range(chance.randrange(12)):
            if chance.random() < 0.5:
                pieces.append(chance.choice(PLACES))
            else:
                name, body = chance.choice(SOUND[:4] + SOUND[5:])
                pieces.append(body[:1] + b"\x02k%d" % chance.randrange(10) + body[1:])
                keys += 1
        sound = outcome(valkey_file(*pieces))
        assert not isinstance(sound, LogDamaged) and len(sound) == keys
        outcome(valkey_file(*(mutated(chance, piece) if chance.random() < 0.1 else piece for piece in pieces)))


@pytest.mark.parametrize("claim", [1 << 20, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 62, (1 << 64) - 1])
def test_lengths_that_nothing_follows(claim: int) -> None:
    """No memory is taken for what a file only says."""
    number = b"\x81" + claim.to_bytes(8, "big")
    bodies = [b"%c\x01k" % kind + number for kind in (0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22)]
    bodies += [b"\x00" + number, b"\x00\x01k\xc3\x05" + number + b"abcde", b"\x00\x01k\xc3" + number + b"\x05abcde"]
    bodies += [b"\xfa" + number, b"\xf5" + number, b"\xf7\x01\x02\x02\x05" + number, b"\xfe" + number]
    bodies += [b"\x15\x01k\x00" + bytes(8) + number, b"\x15\x01k" + b"\x00" * 9 + b"\x01\x01g" + bytes(3) + number]
    tracemalloc.start()
    try:
        for body in bodies:
            for padding in (b"", bytes(3000), b"\x01" * 3000):
                assert isinstance(outcome(unchecked(valkey_file(body, padding))), LogDamaged)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES_MAX
    finally:
        tracemalloc.stop()


def test_memory_is_that_of_a_slice() -> None:
    """However long the file is."""
    entries: list[Entry] = [(0, b"key:%06d" % number, b"%010d" % number + b"x" * 10, -1) for number in range(6000)]
    data = written(entries)
    reader = read_entries(BytesIO(data), {}, slice_bytes=1000)
    next(reader)
    tracemalloc.start()
    try:
        for some in reader:
            assert some
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()
    assert crc64(data[:-8]) == int.from_bytes(data[-8:], "little")

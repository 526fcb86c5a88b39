"""RDB files read: all that servers put into them, and what is refused."""

import io
import logging
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shard.log_reader import LogDamaged
from shard.rdb.file import EntryReader, raw_entries, read_entries
from shard.rdb.file_reader import module_name
from tests.rdb_files import KEY, Pipe, by_key, finished, read, read_raw, redis_file, valkey_file, written
from tests.rdb_payloads import SOUND, cases, intset, packed, sealed, string, strings, ziplist, zipmap

MODULE_NUMBER = b"\x81" + (12345 << 20).to_bytes(8, "big")
A = (0, b"a", b"v", -1)

ACCEPTED: dict[str, tuple[bytes, list[Any]]] = {
    "nothing": (b"", []),
    "a key": (KEY, [A]),
    "keys of an integer and a compressed text": (
        b"\x00\xc0\x05\x01v" + b"\x00\xc3\x05\x0a\x00a\xe0\x00\x00\x01v",
        [(0, b"5", b"v", -1), (0, b"a" * 10, b"v", -1)],
    ),
    "what is known of the server": (b"\xfa\x03ver\x057.0.1\xfa\x04bits\xc0\x40" + KEY, [A]),
    "scripts of Redis 5": (b"\xfa\x03lua" + string(b"return 1") + KEY, [A]),
    "sizes": (b"\xfe\x02\xfb\x01\x00" + KEY, [(2, b"a", b"v", -1)]),
    "a time": (b"\xfc" + (77).to_bytes(8, "little") + KEY, [(0, b"a", b"v", 77)]),
    "a time in seconds": (b"\xfd" + (77).to_bytes(4, "little") + KEY, [(0, b"a", b"v", 77_000)]),
    "a time before all times": (b"\xfc\xfb" + b"\xff" * 7 + KEY, [(0, b"a", b"v", 0)]),
    "no time": (b"\xfc" + b"\xff" * 8 + KEY, [A]),
    "a time and use": (
        b"\xfc" + (77).to_bytes(8, "little") + b"\xf8\x42\x00" + KEY + b"\xf9\xff\x00\x01b\x01w",
        [(0, b"a", b"v", 77), (0, b"b", b"w", -1)],
    ),
    "sizes of slots": (b"\xf4\x40\x05\x02\x01" + KEY, [A]),
    "functions": (b"\xf5" + string(b"#!lua name=l") + b"\xf5\x01b" + KEY, [A]),
    "a module's fields": (
        b"\xf7" + MODULE_NUMBER + b"\x02\x02\x01\x05\x02\x41\x00\x03abcd\x04abcdefgh\x05\x01x\x00" + KEY,
        [A],
    ),
    **{
        f"an empty one {body!r}": (body[:1] + b"\x01e" + body[1:] + KEY, [A])
        for body in (
            *(b"%c\x00" % kind for kind in (1, 2, 3, 4, 5, 14, 18, 22)),
            *(b"%c" % kind + ziplist() for kind in (10, 12, 13)),
            *(b"%c" % kind + packed() for kind in (16, 17, 20)),
            b"\x0e\x02" + ziplist() + ziplist(),
            b"\x12\x02\x02" + packed() + b"\x02" + packed(),
        )
    },
}
"""Bodies of files that the reference loads, too; all of these were given to it. But for modules that it must have."""

REFUSED: dict[str, tuple[bytes, int, str]] = {
    "an opcode that is none": (b"\xf2" + KEY, 9, "242 is no type of a value"),
    "slots under way": (KEY + b"\xf3\x01x\x01\x00\x05" + KEY, 14, "slots were being imported"),
    "functions of a preview": (b"\xf6\x01a" + KEY, 9, "functions in a form from before there was a release"),
    "a module's value": (b"\x07\x01m" + MODULE_NUMBER + b"\x00" + KEY, 9, "a value of the module type 'AAAAAwOQA'"),
    "a module without a number": (b"\x07\x01m\x82" + KEY, 9, "the key that follows the type 7 can't be read"),
    "an old module's value": (b"\x06\x01m" + MODULE_NUMBER + KEY, 9, "a value of a module"),
    "a module's field that is none": (b"\xf7" + MODULE_NUMBER + b"\x02\x02\x06\x00" + KEY, 9, "the opcode 247"),
    "a db that is too high": (KEY + b"\xfe\x14" + KEY, 14, "no such db: 20"),
    "an unknown type": (b"\x63\x01a\x01v", 9, "99 is no type of a value"),
    "a key that is none": (b"\x00\xc4\x01a\x01v", 9, "the key that follows the type 0 can't be read"),
    "an empty zipmap": (b"\x09\x01e" + zipmap() + KEY, 9, "no value of type 9"),
    "an empty intset": (b"\x0b\x01e" + intset([], 2) + KEY, 9, "no value of type 11"),
    "an empty plain node": (b"\x12\x01e\x01\x01\x00" + KEY, 9, "no value of type 18"),
    "a string of 2**33": (b"\x00\x01a\x81" + (1 << 33).to_bytes(8, "big") + b"v", 9, "no value of type 0"),
    "a string of 2**32": (b"\x00\x01a\x81" + (1 << 32).to_bytes(8, "big") + b"v", 9, "the file ends in the middle"),
    "a length of db": (b"\xfe\x82", 9, "what follows the opcode 254 can't be read"),
}
"""Bodies, where the damage is and what it is. The reference refuses all of them, or aborts."""


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_may_come(name: str) -> None:
    body, entries = ACCEPTED[name]
    for config in ({"databases": 16}, {"databases": 16, "rdbchecksum": False}):
        assert read(valkey_file(body), config) == entries
    assert [(db, key, at_ms) for db, key, _, _, at_ms in read_raw(valkey_file(body))] == [
        (db, key, at_ms) for db, key, _, at_ms in entries
    ]


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_not_come(name: str, tmp_path: Path) -> None:
    body, offset, reason = REFUSED[name]
    path = tmp_path / "dump.rdb"
    path.write_bytes(valkey_file(body))
    with path.open("rb") as file, pytest.raises(LogDamaged) as raised:
        list(read_entries(file, {"databases": 16}))
    assert (raised.value.offset, raised.value.file) == (offset, str(path))
    assert reason in raised.value.reason


@pytest.mark.parametrize(**cases(SOUND))
def test_any_object(body: bytes) -> None:
    """By itself, and through a window of any size."""
    entry = body[:1] + b"\x01k" + body[1:]
    if body == b"\x00\x01ajunk":
        return
    data = valkey_file(b"\xfa\x01a\x01b", entry, b"\xfe\x03\xfc" + (77).to_bytes(8, "little"), entry)
    found = by_key(read(data))
    assert found.keys() == {(0, b"k"), (3, b"k")} and found[3, b"k"][1] == 77
    for slice_bytes in (1, 9, 16, 31, 100, 1000):
        assert by_key(read(data, slice_bytes=slice_bytes)) == found
    kinds = [(kind, data_) for _, _, kind, data_, _ in read_raw(data)]
    assert kinds == [(body[0], body[1:])] * 2 and sealed(body) == sealed(b"%c" % kinds[0][0] + kinds[0][1])


def test_versions() -> None:
    relaxed = {"rdb-version-check": "relaxed"}
    for version in (1, 4, 5, 6, 9, 11):
        assert read(redis_file(version, KEY)) == [A] == read(redis_file(version, KEY), relaxed)
        assert read_raw(redis_file(version, KEY)) == [(0, b"a", 0, b"\x01v", -1)]
    for version in (12, 79):
        assert read(redis_file(version, KEY), relaxed) == [A]
        assert len(read_raw(redis_file(version, KEY))) == 1
    assert read(finished(b"VALKEY081" + KEY), relaxed) == [A]
    wrong: list[tuple[bytes, dict[str, Any]]] = [
        *((redis_file(version, KEY), {}) for version in (0, 12, 79, 80, 81)),
        *((redis_file(version, KEY), relaxed) for version in (0, 80, 81)),
        *(
            (finished(magic + KEY), {})
            for magic in (b"VALKEY081", b"VALKEY011", b"VALKEY012", b"VALKEY8 0", b"REDIS1001")
        ),
        *((finished(magic + KEY), relaxed) for magic in (b"VALKEY011", b"VALKEY012", b"RESP00080", b"         ")),
    ]
    for data, config in wrong:
        with pytest.raises(LogDamaged) as raised:
            read(data, config)
        assert raised.value.offset == 0
    with pytest.raises(LogDamaged):
        read_raw(finished(b"VALKEY081" + KEY))


def test_types_that_only_redis_has() -> None:
    body = b"\x18\x01h" + bytes(8) + b"\x01\x00" + strings(b"f", b"v")[1:]
    with pytest.raises(LogDamaged) as raised:
        read(redis_file(12, KEY, body), {"rdb-version-check": "relaxed"})
    assert (raised.value.offset, raised.value.reason) == (14, "a value of type 24, which only Redis has")
    assert read_raw(redis_file(12, KEY, body, b"\x00\x01b\x01w"))[1:] == [
        (0, b"h", 24, body[3:], -1),
        (0, b"b", 0, b"\x01w", -1),
    ]


def test_checksums() -> None:
    data = valkey_file(KEY)
    assert read(data[:-8] + bytes(8)) == [A], "zero: whoever wrote it did not make one"
    other = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(LogDamaged, match="its checksum is another"):
        read(other)
    with pytest.raises(LogDamaged):
        read_raw(other)
    assert read(other, {"rdbchecksum": False}) == [A]


def test_what_follows_the_end() -> None:
    """Commands may, in a log of Redis 4 to 6. Who reads a base does not expect them."""
    data = valkey_file(KEY)
    for slice_bytes in (9, 1000):
        with pytest.raises(LogDamaged) as raised:
            read(data + b"*1\r\n", slice_bytes=slice_bytes)
        assert raised.value.offset == len(data)
        file = io.BytesIO(data + b"*1\r\n")
        assert len(list(raw_entries(file, slice_bytes=slice_bytes))) == 1
        assert file.read() == b"*1\r\n"


def test_a_file_from_where_it_stands() -> None:
    file = io.BytesIO(b"before" + valkey_file(KEY))
    file.seek(6)
    assert list(read_entries(file, {})) == [[A]]


def test_it_says_what_it_leaves_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    read(valkey_file(b"\xf5\x01a\xf5\x01b", b"\x01\x01e\x00", KEY))
    assert [record.getMessage() for record in caplog.records] == [
        "RDB: 2 libraries of functions are left out",
        "RDB: 1 empty keys are left out",
    ]


def test_slices_and_offsets() -> None:
    entries = [(number % 3, b"key:%d" % number, b"x" * (number % 50), -1) for number in range(3000)]
    data = written(entries)
    reader = EntryReader(io.BytesIO(data), {}, 1000)
    found, offsets = [], [0]
    for some in reader:
        assert some
        found += some
        offsets.append(reader.offset)
    assert found == entries and offsets[-1] <= len(data) == reader.offset
    assert all(other - one < 1100 for one, other in zip(offsets[:-1], offsets[1:], strict=True))
    with pytest.raises(StopIteration):
        next(reader)


def test_only_what_is_wanted() -> None:
    entries = [(0, b"key:%d" % number, b"x", 5) for number in range(1000)]
    for slice_bytes in (9, 300, 1 << 16):
        found = read(written(entries), slice_bytes=slice_bytes, wanted=lambda key: key.endswith(b"7"))
        assert found == [entry for entry in entries if entry[1].endswith(b"7")]


def test_large_values_and_pipes() -> None:
    """The window grows for a value, as it comes and not as its length says."""
    chance = Random(3)
    entries: list[Any] = [
        (0, b"a", b"v", -1),
        (0, b"large", chance.randbytes(300_000), -1),
        (0, b"b", b"w", 77),
        (0, b"compressed", b"abc" * 100_000, -1),
    ]
    data = written(entries)
    for most in (1000, 1 << 20):
        assert [one for some in read_entries(Pipe(data, most), {}, slice_bytes=100) for one in some] == entries
    claimed = valkey_file(b"\x00\x01a\x80\xff\xff\xff\xff" + b"v" * 1000)
    pipe = Pipe(claimed, 100)
    with pytest.raises(LogDamaged, match="the file ends in the middle"):
        list(read_entries(pipe, {}))
    assert pipe.asked_bytes_max <= 1 << 24


def test_the_names_of_modules() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for letter in "ReJSON-RL":
        number = number << 6 | letters.index(letter)
    assert module_name(number << 10 | 3) == "ReJSON-RL"

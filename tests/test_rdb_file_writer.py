"""RDB files written: byte for byte what the reference writes for the same keys."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from shard.rdb.file import FileWriter, aux_fields
from shard.rdb.file_writer import COMPRESSED_BYTES_MAX, PIECE_BYTES
from tests.rdb_files import checked_by_reference, read, valkey_file, written
from tests.reference import Reference
from tests.resp_client import Status
from tests.servers import Server


def test_pieces() -> None:
    writer = FileWriter({})
    assert writer.header({"redis-bits": "64", "a": "b"}) == b"VALKEY080\xfa\x0aredis-bits\xc0\x40\xfa\x01a\x01b"
    assert writer.entry(0, b"a", b"1", -1) == b"\xfe\x00\x00\x01a\xc0\x01"
    assert writer.entry(0, b"1000", b"v", 0x0102) == b"\xfc\x02\x01\0\0\0\0\0\0\x00\xc1\xe8\x03\x01v"
    assert writer.entry(200, b"", bytearray(b"v"), -1) == b"\xfe\x40\xc8\x00\x00\x01v"
    assert writer.entry(200, b"b" * 70, b"", -1) == b"\x00\xc3\x09\x40\x46\x01bb\xe0\x39\x00\x01bb\x00"
    assert writer.sizes(3, 300, 2) == b"\xfe\x03\xfb\x41\x2c\x02"
    assert writer.entry(3, b"a", b"1", -1) == b"\x00\x01a\xc0\x01"
    assert writer.footer() == b"\xff"
    assert FileWriter({"rdbcompression": False}).entry(0, b"a", b"x" * 30, -1) == b"\xfe\0\0\x01a\x1e" + b"x" * 30


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_long_string_in_pieces(kind: type[bytes] | type[bytearray]) -> None:
    """It is neither compressed nor, if it can't change, copied; and what comes behind it knows its db."""
    text = kind(b"x" * (COMPRESSED_BYTES_MAX + 100))
    writer = FileWriter({})
    head, *pieces = writer.entry_in_pieces(3, b"a", text, 258)
    assert head == b"\xfe\x03\xfc\x02\x01\0\0\0\0\0\0\x00\x01a\x80" + len(text).to_bytes(4, "big")
    assert [len(piece) for piece in pieces] == [PIECE_BYTES] * (COMPRESSED_BYTES_MAX // PIECE_BYTES) + [100]
    assert b"".join(pieces) == text
    assert {type(piece) for piece in pieces} == {memoryview if kind is bytes else bytes}
    assert writer.entry(3, b"b", b"", -1) == b"\x00\x01b\x00"


def test_one_that_is_less_long_is_compressed() -> None:
    writer = FileWriter({})
    pieces = list(writer.entry_in_pieces(0, b"a", b"x" * COMPRESSED_BYTES_MAX, -1))
    assert b"".join(pieces) == FileWriter({}).entry(0, b"a", b"x" * COMPRESSED_BYTES_MAX, -1)


def test_the_same_bytes_as_the_reference(start: Callable[[Server], Server]) -> None:
    """Its file is read and written again in the order it has: nothing differs, but for the memory that it had used."""
    with start(Reference()).connect() as client:
        chance = Random(1)
        for number in range(300):
            client.call("SELECT", number % 3)
            client.call(
                "SET", f"key:{number}", chance.choice([b"abc", b"12", b"x" * 100, b"%d" % number * 9, b"\0\xff" * 8])
            )
            if number % 4 == 0:
                client.call("PEXPIREAT", f"key:{number}", 4_000_000_000_000 + number)
            client.call("RPUSH", f"list:{number}", *range(number % 7 + 1))
            client.call("HSET", f"hash:{number}", "f", number, "g", "x" * (number % 40))
            client.call("ZADD", f"zset:{number}", 1.5, "a", number, "b")
            client.call("SADD", f"set:{number}", number, "a")
        assert client.call("SAVE") == Status(b"OK")
        sizes = []
        for db in range(3):
            client.call("SELECT", db)
            expiring = client.call("INFO", "keyspace").split(f"db{db}:keys=".encode())[1].split(b"expires=")[1]
            sizes.append((db, client.call("DBSIZE"), int(expiring.split(b",")[0])))
        folder = client.call("CONFIG", "GET", "dir")[1].decode()
    theirs = (Path(folder) / "dump.rdb").read_bytes()
    created_s = int.from_bytes(theirs[theirs.index(b"ctime\xc2") + 6 :][:4], "little")
    used_bytes = int.from_bytes(theirs[theirs.index(b"used-mem\xc2") + 9 :][:4], "little")
    writer = FileWriter({})
    ours = [writer.header(aux_fields(created_s * 1000, used_bytes, aof_base=False))]
    entries = read(theirs)
    for size in sizes:
        ours.append(writer.sizes(*size))
        ours += [writer.entry(*entry) for entry in entries if entry[0] == size[0]]
    ours.append(writer.footer())
    assert b"".join(ours) == theirs[:-8]


def test_the_references_tool_finds_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.rdb"
    file.write_bytes(written([(0, b"a", b"x" * 1000, 1 << 45), (7, b"b", b"", -1)]))
    found = checked_by_reference(file)
    assert found.returncode == 0 and b"RDB looks OK" in found.stdout and b"2 keys read" in found.stdout
    file.write_bytes(valkey_file())
    assert checked_by_reference(file).returncode == 0
    assert read(valkey_file()) == []

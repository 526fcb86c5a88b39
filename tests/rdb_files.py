"""RDB files for tests, put together by hand or read into plain values."""

import io
import subprocess
from pathlib import Path
from typing import Any, BinaryIO

from shard.rdb.crc64 import crc64
from shard.rdb.dump import dumped
from shard.rdb.file import Entry, FileWriter, RawEntry, raw_entries, read_entries
from tests.reference import reference_binary

KEY = b"\x00\x01a\x01v"
"""The key a with the value v."""


def finished(data: bytes) -> bytes:
    """With the end and the checksum."""
    data += b"\xff"
    return data + crc64(data).to_bytes(8, "little")


def valkey_file(*pieces: bytes) -> bytes:
    return finished(b"VALKEY080" + b"".join(pieces))


def redis_file(version: int, *pieces: bytes) -> bytes:
    """As a Redis of that version wrote it: before 5 there was no checksum."""
    data = b"REDIS%04d" % version + b"".join(pieces)
    return finished(data) if version > 4 else data + b"\xff"


def read(data: bytes, config: dict[str, Any] | None = None, **options: Any) -> list[Entry]:
    """All keys of a file."""
    return [entry for some in read_entries(io.BytesIO(data), config or {}, **options) for entry in some]


def read_raw(data: bytes, **options: Any) -> list[RawEntry]:
    return [entry for some in raw_entries(io.BytesIO(data), **options) for entry in some]


def written(entries: list[Entry], config: dict[str, Any] | None = None) -> bytes:
    """The file of these keys."""
    writer = FileWriter(config or {})
    pieces = [writer.header({}), *(writer.entry(*entry) for entry in entries), writer.footer()]
    data = b"".join(pieces)
    return data + crc64(data).to_bytes(8, "little")


def by_key(entries: list[Entry]) -> dict[tuple[int, bytes], tuple[bytes, int]]:
    """What can be compared of keys: the dumps of their values, and their times."""
    return {(db, key): (dumped(value, {}), at_ms) for db, key, value, at_ms in entries}


class Pipe(io.RawIOBase, BinaryIO):
    """A file that can't be gone back in, and gives some bytes at a time."""

    def __init__(self, data: bytes, most: int) -> None:
        self._left = data
        self._most = most
        self.asked_bytes_max = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        self.asked_bytes_max = max(self.asked_bytes_max, size)
        size = min(size, self._most) if size >= 0 else self._most
        data, self._left = self._left[:size], self._left[size:]
        return data


def checked_by_reference(file: Path) -> "subprocess.CompletedProcess[bytes]":
    """What the reference's own tool for such files says: it is the server, by another name."""
    tool = file.with_name("valkey-check-rdb")
    tool.unlink(missing_ok=True)
    tool.symlink_to(reference_binary())
    return subprocess.run([tool, file], capture_output=True, check=False)

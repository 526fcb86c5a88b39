"""The payload of DUMP and RESTORE: an object of RDB, the version of RDB, a checksum.

object  version (2, low byte first)  CRC-64 of all before (8)
"""

from typing import Any

from shard.rdb.crc64 import crc64
from shard.rdb.encoding import Reader, Writer
from shard.rdb.objects import HASH_2, kind_of, read_object, write_object

VERSION = 80
"""Of Valkey 9. It is written, and none above is read unless rdb-version-check is relaxed."""
FOREIGN_VERSIONS = range(12, 80)
"""Of Redis from 7.4 on, which has other types by the same numbers."""
OWN_TYPES = (HASH_2,)
TRAILER_BYTES = 10
CHECKSUM_BYTES = 8


class BadTrailer(Exception):
    """A payload that another version wrote, or that is damaged."""


class ForeignType(Exception):
    """An object of a type that has another meaning where the payload comes from. `number` is the type."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def dumped(value: Any, config: dict[str, Any]) -> bytes:
    """The payload of a value. O(bytes)."""
    writer = Writer(config.get("rdbcompression", True))
    kind = kind_of(value, config)
    writer.raw(b"%c" % kind)
    write_object(writer, kind, value)
    writer.raw(VERSION.to_bytes(2, "little"))
    payload = b"".join(writer.parts)
    return payload + crc64(payload).to_bytes(CHECKSUM_BYTES, "little")


def restored(payload: bytes, config: dict[str, Any]) -> Any:
    """The value of a payload.  Raises BadTrailer, ForeignType, BadObject. O(bytes)."""
    end = len(payload) - TRAILER_BYTES
    version = int.from_bytes(payload[max(end, 0) : end + 2], "little")
    if end < 0 or not _is_readable(version, config):
        raise BadTrailer()
    if crc64(payload[:-CHECKSUM_BYTES]) != int.from_bytes(payload[-CHECKSUM_BYTES:], "little"):
        raise BadTrailer()
    reader = Reader(payload[:end])
    kind = reader.byte()
    if version in FOREIGN_VERSIONS and kind in OWN_TYPES:
        raise ForeignType(kind)
    return read_object(reader, kind, config)


def _is_readable(version: int, config: dict[str, Any]) -> bool:
    if version in FOREIGN_VERSIONS or version > VERSION:
        return config.get("rdb-version-check") == "relaxed"
    return version > 0

"""The payload of RESTORE: an object, the version of RDB that it is written in, a checksum.

A server takes no version above its own, but what it says is mostly what all know: a payload is sealed with the lowest
version that has its type, and an older type is taken where that is still too new. So a dump of Valkey 9 goes into a
Redis 6, and one of Redis 8 into Shardis, but for the types that only one of them has.
"""

from shard.rdb.crc64 import crc64
from shard.rdb.dump import CHECKSUM_BYTES, FOREIGN_VERSIONS, TRAILER_BYTES, VERSION
from shard.rdb.encoding import BadObject
from shard.rdb.objects import HASH_2
from transfer.older import older

SINCE = [*[6] * 5, 8, 8, 8, *[6] * 6, 7, 9, *[10] * 4, *[11] * 2, VERSION]
"""The version of RDB that brought each type, by its number: Redis 2.6 to 7.2, and Valkey 9."""
SHARED_VERSION_MAX = FOREIGN_VERSIONS.start - 1
"""Up to here Redis and Valkey mean the same."""


class Unsendable(Exception):
    """A value of a type that only the server has that it comes from."""


def sealed(kind: int, data: bytes) -> bytes:
    """The payload of an object of that type.  Raises Unsendable. O(bytes)."""
    if kind >= len(SINCE):
        raise Unsendable(f"a value of type {kind}, which is not known here")
    payload = b"%c%b%b" % (kind, data, SINCE[kind].to_bytes(2, "little"))
    return payload + crc64(payload).to_bytes(CHECKSUM_BYTES, "little")


def opened(payload: bytes) -> tuple[int, bytes, int]:
    """Type, object and version of what DUMP gave.  Raises Unsendable."""
    if len(payload) <= TRAILER_BYTES:
        raise Unsendable("a dump that is none")
    version = int.from_bytes(payload[-TRAILER_BYTES:-CHECKSUM_BYTES], "little")
    kind = payload[0]
    if version in FOREIGN_VERSIONS and kind >= HASH_2:
        raise Unsendable(f"a value of type {kind}, which only Redis has")
    return kind, payload[1:-TRAILER_BYTES], version


def fitted(payload: bytes, version_max: int = VERSION) -> bytes:
    """What DUMP gave, as a server takes it that reads RDB up to `version_max`.  Raises Unsendable. O(bytes), where it
    is right as it is O(1)."""
    kind, data, version = opened(payload)
    if version == version_max or version <= min(version_max, SHARED_VERSION_MAX):
        return payload
    if kind < len(SINCE) and SINCE[kind] > version_max:
        try:
            kind, data = older(kind, data, version_max)
        except (BadObject, ValueError, IndexError):
            raise Unsendable("a dump that is damaged") from None
    return sealed(kind, data)

"""The digest of data, as Valkey's DEBUG DIGEST and DEBUG DIGEST-VALUE compute it: the same data, the same 20 bytes.

A digest is 20 bytes. `stir` adds data in an order that counts, `add` adds it in any: it XORs the SHA1 of the data. So
the digest of a db is the XOR of its keys' digests, and that of a whole server does not depend on how many shards hold
it: see `digest_of_dbs`, which the router has in router/commands/debug.py.
"""

from collections.abc import Callable
from hashlib import sha1
from typing import Any

from common.numbers import shortest_text
from shard.keyspace import Keyspace
from shard.value import Value, type_name

DIGEST_BYTES = 20
NOTHING = bytes(DIGEST_BYTES)


def digest_of_db(db: Keyspace) -> bytes:
    """Of all keys of one db. O(n) in all that they hold."""
    digest = 0
    for key, value in db.items():
        digest ^= number(sha1(digest_of_value(db, key, value, stir(NOTHING, key))).digest())
    return digest.to_bytes(DIGEST_BYTES, "big")


def digest_of_value(db: Keyspace, key: bytes, value: Value, digest: bytes = NOTHING) -> bytes:
    """Of what is at `key`, with `digest` of what is before it. O(n)."""
    type_, mix = TYPES[type_name(value)]
    digest = mix(value, stir(digest, type_.to_bytes(4, "big")))
    return add(digest, b"!!expire!!") if db.expiry_ms(key) != -1 else digest


def add(digest: bytes, data: bytes | bytearray) -> bytes:
    """Valkey's xorDigest."""
    return (number(digest) ^ number(sha1(data).digest())).to_bytes(DIGEST_BYTES, "big")


def stir(digest: bytes, data: bytes | bytearray) -> bytes:
    """Valkey's mixDigest."""
    return sha1(add(digest, data)).digest()


def number(digest: bytes) -> int:
    return int.from_bytes(digest, "big")


# What is in a value of each type


def of_list(value: Any, digest: bytes) -> bytes:
    for element in value:
        digest = stir(digest, element)
    return digest


def of_set(value: Any, digest: bytes) -> bytes:
    for member in value:
        digest = add(digest, member)
    return digest


def of_sorted_set(value: Any, digest: bytes) -> bytes:
    for member, score in value.items():
        digest = add(digest, stir(stir(NOTHING, member), shortest_text(score)))
    return digest


def of_hash(value: Any, digest: bytes) -> bytes:
    for field, text in value.items():
        digest = add(digest, stir(stir(NOTHING, field), text))
    return digest


def of_stream(value: Any, digest: bytes) -> bytes:
    for (ms, sequence), words in value.items():
        digest = stir(digest, b"%d.%d" % (ms, sequence))
        for word in words:
            digest = stir(digest, word)
    return digest


TYPES: dict[str, tuple[int, Callable[[Any, bytes], bytes]]] = {
    "string": (0, lambda value, digest: stir(digest, value)),
    "list": (1, of_list),
    "set": (2, of_set),
    "zset": (3, of_sorted_set),
    "hash": (4, of_hash),
    "stream": (6, of_stream),
}
"""By the name that TYPE gives it: the type's number in Valkey, and what adds its elements."""

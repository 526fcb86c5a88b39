"""MEMORY USAGE: what one key takes. The other subcommands are the router's."""

from common.command import READONLY
from common.errors import SyntaxFault
from common.numbers import integer
from shard.commands.table import TABLE
from shard.footprint import key_size_bytes
from shard.keyspace import Keyspace

command = TABLE.family("server")

SAMPLES = 5
"""How many elements are looked at unless the client says it."""


@command(
    "MEMORY USAGE key [SAMPLES count]",
    READONLY,
    since="4.0.0",
    complexity="O(N) where N is the number of samples.",
    keys="RO",
)
def usage(db: Keyspace, key: bytes, *options: bytes) -> int | None:
    """Estimates the memory usage of a key."""
    samples = SAMPLES
    for at in range(0, len(options), 2):
        if options[at].upper() != b"SAMPLES" or at + 1 == len(options):
            raise SyntaxFault()
        samples = integer(options[at + 1])
        if samples < 0:
            raise SyntaxFault()
    value = db.peek(key)
    return None if value is None else key_size_bytes(db, key, value, samples)

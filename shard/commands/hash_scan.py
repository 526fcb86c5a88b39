"""Looking through a hash: HSCAN, and fields by chance."""

from common.command import READONLY
from common.cursor import parse_cursor
from common.errors import RedisError, SyntaxFault
from common.numbers import INTEGER_MAX, INTEGER_MIN
from common.resp import Pairs
from shard.commands.counts import symmetric
from shard.commands.draws import check_draws
from shard.commands.hash_fields import has_due, live_text
from shard.commands.hashes import live_fields
from shard.commands.scan import matching, parse_options
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.hash import Hash

command = TABLE.family("hash")

DRAWN_SHARE = 3
"""Up to this part of all fields different ones are drawn one by one, above it among a list of all."""


@command(
    "HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
    READONLY,
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to"
    " return back to 0. N is the number of elements inside the collection.",
    tips="nondeterministic_output",
)
def hscan(db: Keyspace, key: bytes, cursor: bytes, *options: bytes) -> list[bytes | list[bytes]]:
    """Iterates over fields and values of a hash."""
    place = parse_cursor(cursor)
    value: Hash | None = db.get(key, Hash)
    if value is None:
        return [b"0", []]
    how = parse_options(options, "HSCAN")
    if value.fields is None:
        following, fields = 0, value.keys()
    else:
        following, fields = value.fields.scan(place, how.count)
    found = []
    for field in matching(fields, how.pattern):
        text = live_text(db, value, field)
        if text is not None:
            found += [field] if how.bare else [field, text]
    return [b"%d" % following, found]


@command(
    "HRANDFIELD key [count [WITHVALUES]]",
    READONLY,
    since="6.2.0",
    complexity="O(N) where N is the number of fields returned",
    tips="nondeterministic_output",
)
def hrandfield(db: Keyspace, key: bytes, *options: bytes) -> bytes | list[bytes] | Pairs | None:
    """Returns one or more random fields from a hash."""
    count, values = _count(options) if options else (1, False)
    value: Hash | None = db.get(key, Hash)
    fields = [] if value is None or not count else _drawn(db, value, count)
    if not options:
        return fields[0] if fields else None
    if not values or value is None:
        return fields
    return Pairs((field, value.get(field)) for field in fields)


def _count(options: tuple[bytes, ...]) -> tuple[int, bool]:
    """How many, and whether the texts are wanted.  Raises RedisError."""
    count = symmetric(options[0])
    if len(options) > 2 or (len(options) == 2 and options[1].upper() != b"WITHVALUES"):
        raise SyntaxFault()
    if len(options) == 2 and not INTEGER_MIN // 2 < count <= INTEGER_MAX // 2:
        raise RedisError("ERR value is out of range")
    return count, len(options) == 2


def _drawn(db: Keyspace, value: Hash, count: int) -> list[bytes]:
    """`count` different fields, or all; if it is negative, so many in which each may come again. O(count), or O(n)."""
    check_draws(count)
    random = db.store.random
    size = len(value)
    if value.fields is not None and not has_due(db, value):
        if count < 0:
            return [value.fields.random_key(random) for _ in range(-count)]
        if count * DRAWN_SHARE <= size:
            return value.fields.sample(random, count)
    fields = live_fields(db, value)
    if count < 0:
        return random.choices(fields, k=-count) if fields else []
    return fields if count >= len(fields) else random.sample(fields, count)

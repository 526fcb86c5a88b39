"""Looking through a hash: HSCAN, and fields by chance."""

from random import Random

from common.command import READONLY
from common.cursor import parse_cursor
from common.errors import RedisError, SyntaxFault
from common.numbers import INTEGER_MAX, INTEGER_MIN, integer
from common.resp import Pairs
from shard.commands.hash_fields import has_due, live_text
from shard.commands.hashes import live_fields
from shard.commands.scan import COUNT_DEFAULT, matching
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.hash import Hash

command = TABLE.family("hash")

DRAWS_MAX = 1 << 20
"""Fields that HRANDFIELD draws when they may come more than once: a second's worth. Redis draws any number, and does
nothing else meanwhile until its memory is full."""
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
    pattern, count, values = _options(options)
    if value.fields is None:
        following, fields = 0, value.keys()
    else:
        following, fields = value.fields.scan(place, count)
    found = []
    for field in matching(fields, pattern):
        text = live_text(db, value, field)
        if text is not None:
            found += [field, text] if values else [field]
    return [b"%d" % following, found]


def _options(options: tuple[bytes, ...]) -> tuple[bytes, int, bool]:
    """Pattern, count, and whether the texts are wanted.  Raises RedisError, as soon as a word is wrong."""
    pattern, count, values = b"*", COUNT_DEFAULT, True
    words = iter(options)
    for word in words:
        option = word.upper()
        if option == b"NOVALUES":
            values = False
            continue
        if option == b"NOSCORES":
            raise RedisError("ERR NOSCORES option can only be used in ZSCAN")
        argument = next(words, None)
        if argument is None or option not in (b"COUNT", b"MATCH"):
            raise SyntaxFault()
        if option == b"MATCH":
            pattern = argument
        else:
            count = integer(argument)
            if count < 1:
                raise SyntaxFault()
    return pattern, count, values


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
    count = integer(options[0])
    if count == INTEGER_MIN:
        raise RedisError(f"ERR value is out of range, value must between {-INTEGER_MAX} and {INTEGER_MAX}")
    if len(options) > 2 or (len(options) == 2 and options[1].upper() != b"WITHVALUES"):
        raise SyntaxFault()
    if len(options) == 2 and not INTEGER_MIN // 2 < count <= INTEGER_MAX // 2:
        raise RedisError("ERR value is out of range")
    if count < -DRAWS_MAX:
        raise RedisError("ERR value is out of range")
    return count, len(options) == 2


def _drawn(db: Keyspace, value: Hash, count: int) -> list[bytes]:
    """`count` different fields, or all; if it is negative, so many in which each may come again. O(count), or O(n)."""
    random = db.store.random
    size = len(value)
    if value.fields is not None and not has_due(db, value):
        if count < 0:
            return [value.fields.random_key(random) for _ in range(-count)]
        if count * DRAWN_SHARE <= size:
            return _different(random, value, count)
    fields = live_fields(db, value)
    if count < 0:
        return random.choices(fields, k=-count) if fields else []
    return fields if count >= len(fields) else random.sample(fields, count)


def _different(random: Random, value: Hash, count: int) -> list[bytes]:
    """A few of many fields. O(count) expected, for most that are drawn are new."""
    assert value.fields is not None
    found: dict[bytes, None] = {}
    while len(found) < count:
        found[value.fields.random_key(random)] = None
    return list(found)

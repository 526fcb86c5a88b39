"""Looking through all keys: SCAN, KEYS, RANDOMKEY.

The router has SCAN and RANDOMKEY of its own and comes here for one shard; a bare shard answers clients with these.
"""

from collections.abc import Iterable

from common.command import ALL_SHARDS, READONLY, SPECIAL, SPECIAL_FAN
from common.cursor import parse_cursor
from common.errors import RedisError, SyntaxFault, shown
from common.glob import matcher
from common.numbers import integer
from shard.commands.table import TABLE
from shard.keyspace import Keyspace, type_name
from shard.walk import all_keys, random_key, scan

command = TABLE.family("generic")

COUNT_DEFAULT = 10
TYPES = frozenset((b"string", b"list", b"set", b"zset", b"hash", b"stream"))
ONLY_IN = {b"NOVALUES": "HSCAN", b"NOSCORES": "ZSCAN"}


@command(
    "SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]",
    READONLY,
    since="2.8.0",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to"
    " return back to 0. N is the number of elements inside the collection.",
    tips="nondeterministic_output",
    fan=SPECIAL_FAN,
    merge=SPECIAL,
)
def scan_(db: Keyspace, cursor: bytes, *options: bytes) -> list[bytes | list[bytes]]:
    """Iterates over the key names in the database."""
    place = parse_cursor(cursor)
    pattern, count, kind = _scan_options(options)
    following, keys = scan(db, place, count)
    keys = matching(keys, pattern)
    if kind:
        found = [(key, db.peek(key)) for key in keys]
        keys = [key for key, value in found if value is not None and type_name(value) == kind]
    return [b"%d" % following, keys]


def _scan_options(options: tuple[bytes, ...]) -> tuple[bytes, int, str]:
    """Pattern, count, and the name of a type or "".  Raises RedisError, as soon as a word is wrong."""
    pattern, count, kind = b"*", COUNT_DEFAULT, ""
    words = iter(options)
    for word in words:
        option = word.upper()
        if option in ONLY_IN:
            raise RedisError(f"ERR {option.decode()} option can only be used in {ONLY_IN[option]}")
        argument = next(words, None)
        if argument is None:
            raise SyntaxFault()
        if option == b"COUNT":
            count = integer(argument)
            if count < 1:
                raise SyntaxFault()
        elif option == b"MATCH":
            pattern = argument
        elif option == b"TYPE":
            kind = _type(argument)
        else:
            raise SyntaxFault()
    return pattern, count, kind


def _type(word: bytes) -> str:
    if word.lower() not in TYPES:
        raise RedisError(f"ERR unknown type name '{shown(word)}'")
    return word.lower().decode()


@command(
    "KEYS pattern",
    READONLY,
    since="1.0.0",
    complexity="O(N) with N being the number of keys in the database, under the assumption that the key names in the"
    " database and the given pattern have limited length.",
    acl="dangerous",
    tips="nondeterministic_output_order",
    fan=ALL_SHARDS,
)
def keys(db: Keyspace, pattern: bytes) -> list[bytes]:
    """Returns all key names that match a pattern."""
    return matching(all_keys(db), pattern)


def matching(keys: Iterable[bytes], pattern: bytes) -> list[bytes]:
    """Those of `keys` that match. `*` is all of them, the empty key too, which the pattern as such does not match."""
    return list(keys if pattern == b"*" else filter(matcher(pattern), keys))


@command(
    "RANDOMKEY",
    READONLY,
    since="1.0.0",
    complexity="O(1)",
    tips="nondeterministic_output",
    fan=ALL_SHARDS,
    merge=SPECIAL,
)
def randomkey(db: Keyspace) -> bytes | None:
    """Returns a random key name from the database."""
    return random_key(db)

"""Looking through all keys: SCAN, KEYS, RANDOMKEY.

The router has SCAN and RANDOMKEY of its own and comes here for one shard; a bare shard answers clients with these.
"""

from collections.abc import Iterable, Sequence

from common.command import ALL_SHARDS, READONLY, SPECIAL, SPECIAL_FAN
from common.cursor import parse_cursor
from common.errors import RedisError, SyntaxFault, shown
from common.glob import matcher
from common.numbers import integer
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.value import type_name
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
    how = parse_options(options, "SCAN")
    following, keys = scan(db, place, how.count)
    keys = matching(keys, how.pattern)
    if how.type:
        found = [(key, db.peek(key)) for key in keys]
        keys = [key for key, value in found if value is not None and type_name(value) == how.type]
    return [b"%d" % following, keys]


class ScanOptions:
    """What a scan says behind its cursor."""

    __slots__ = ("pattern", "count", "type", "bare")

    def __init__(self) -> None:
        self.pattern = b"*"
        self.count = COUNT_DEFAULT
        self.type = ""
        """That SCAN asks for, "" for any."""
        self.bare = False
        """NOVALUES or NOSCORES: fields and members by themselves."""


def parse_options(words: Sequence[bytes], name: str) -> ScanOptions:
    """The options of SCAN, HSCAN, SSCAN or ZSCAN.  Raises RedisError, as soon as a word is wrong."""
    options = ScanOptions()
    rest = iter(words)
    for word in rest:
        option = word.upper()
        if option in ONLY_IN:
            if ONLY_IN[option] != name:
                raise RedisError(f"ERR {option.decode()} option can only be used in {ONLY_IN[option]}")
            options.bare = True
            continue
        argument = next(rest, None)
        if argument is None:
            raise SyntaxFault()
        if option == b"COUNT":
            options.count = integer(argument)
            if options.count < 1:
                raise SyntaxFault()
        elif option == b"MATCH":
            options.pattern = argument
        elif option == b"TYPE" and name == "SCAN":
            options.type = _type(argument)
        else:
            raise SyntaxFault()
    return options


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

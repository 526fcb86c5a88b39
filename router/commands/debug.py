"""DEBUG: what tests and the curious need. `enable-debug-command` says who may use it, see router/dispatch.py.

What looks into one key runs in its shard (shard/commands/debug.py); what concerns all data asks all shards.
"""

import logging
import re
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from common.command import ADMIN, LOADING, NOSCRIPT, PROTECTED, STALE, unknown_subcommand_or_arity
from common.errors import RedisError
from common.numbers import maybe_integer
from common.resp import ENCODERS, OK, Push, Status, Verbatim, encode
from router.commands.table import TABLE
from router.dispatch import AskShards, Forward
from router.saving import IN_PROGRESS, NOT_SAVED, Kind, Save
from router.waiting import End, Waiting

if TYPE_CHECKING:
    from router.session import Session

logger = logging.getLogger("shardis")

command = TABLE.family("server", opaque=True)

USUAL = ADMIN | NOSCRIPT | LOADING | STALE | PROTECTED

command.container(
    "DEBUG",
    "A container for debugging commands.",
    USUAL,
    since="1.0.0",
    help_flags=USUAL,
    help_="""
DIGEST
    Output a hex signature representing the current DB content.
DIGEST-VALUE <key> [<key> ...]
    Output a hex signature of the values of all the specified keys.
ERROR <string>
    Return a RESP protocol error with <string> as message. Useful for clients
    unit tests to simulate error replies.
LOG <message>
    Write <message> to the server log.
LOADAOF
    Flush the AOF buffers on disk and reload the AOF in memory.
OBJECT <key> [fast]
    Show low level info about `key` and associated value.
    Some fields of the default behavior may be time consuming to fetch,
    and `fast` can be passed to avoid fetching them.
POPULATE <count> [<prefix>] [<size>]
    Create <count> string keys named key:<num>. If <prefix> is specified then
    it is used instead of the 'key' prefix.
PROTOCOL <type>
    Reply with a test value of the specified type. <type> can be: string,
    integer, double, bignum, null, array, set, map, attrib, push, verbatim,
    true, false.
RELOAD [option ...]
    Save the RDB on disk and reload it back to memory. Valid <option> values:
    * MERGE: conflicting keys will be loaded from RDB.
    * NOFLUSH: the existing database will not be removed before load, but
      conflicting keys will generate an error.
    * NOSAVE: the database will be loaded from an existing RDB file.
    Examples:
    * DEBUG RELOAD: verify that the server is able to persist, flush and reload
      the database.
    * DEBUG RELOAD NOSAVE: replace the current database with the contents of an
      existing RDB file.
    * DEBUG RELOAD NOSAVE NOFLUSH MERGE: add the contents of an existing RDB
      file to the database.
SET-ACTIVE-EXPIRE <0|1>
    Setting it to 0 disables expiring keys in background when they are not
    accessed (otherwise the behavior). Setting it to 1 reenables back the
    default.
SLEEP <seconds>
    Stop the server for <seconds>. Decimals allowed.
""",
)

SLEEP_S_MAX = 3600.0
"""Longer is a typing error: the server is of no use meanwhile, and can't be stopped in order."""
POPULATE_MAX = 2**31 - 1
LEADING_NUMBER = re.compile(rb"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
DIGEST_BYTES = 20


def done(answers: list[Any]) -> Status:
    return OK


# The whole server


@command("DEBUG SLEEP seconds", USUAL)
def sleep(session: "Session", seconds: bytes) -> AskShards:
    """Stops the server for a while."""
    # As C's strtod: what can't be read is 0. The shards sleep, all at once, and the router waits for them.
    number = LEADING_NUMBER.match(seconds)
    duration_s = float(number[0]) if number else 0.0
    return AskShards(["sleep", min(max(duration_s, 0.0), SLEEP_S_MAX)], done)


@command("DEBUG SET-ACTIVE-EXPIRE active", USUAL)
def set_active_expire(session: "Session", word: bytes) -> AskShards:
    """Says whether keys that nobody reads expire."""
    number = re.match(rb"\s*[+-]?\d+", word)
    return AskShards(["active_expiry", bool(number and int(number[0]))], done)


@command("DEBUG LOADAOF", USUAL)
def loadaof(session: "Session", *ignored: bytes) -> AskShards:
    """Has every shard drop its data and do again what its log says."""
    return AskShards(["reload"], done)


@command("DEBUG RELOAD [option ...]", USUAL)
def reload(session: "Session", *options: bytes) -> AskShards | Waiting:
    """Saves a file, and has every shard load it."""
    saving = session.router.saving
    words = {option.upper() for option in options}
    if words - {b"MERGE", b"NOFLUSH", b"NOSAVE"}:
        raise RedisError("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    hows = [b"NOFLUSH" not in words, b"MERGE" in words]
    if b"NOSAVE" in words:
        return AskShards(["reload_file", *hows], done)
    if session.transaction is not None:
        if saving.current is not None:
            raise RedisError(IN_PROGRESS)
        return AskShards(saving.begin(Kind.RELOAD, ["reload_saved", *hows]).message(), done)

    def begin(end: End) -> None:
        def over(save: Save) -> None:
            # A shard says what Redis would say; what else goes wrong is that the file can't be made.
            told = save.error if save.error.startswith(NOT_SAVED) else NOT_SAVED
            end(RedisError(told) if save.error else OK)

        saving.begin_after(Kind.RELOAD, ["reload_saved", *hows], over)

    return Waiting(begin)


@command("DEBUG POPULATE count [prefix] [size]", USUAL)
def populate(session: "Session", count: bytes, *options: bytes) -> AskShards:
    """Makes many strings."""
    if len(options) > 2:
        raise unknown_subcommand_or_arity("debug", b"POPULATE")
    number = _positive(count)
    size_bytes = _positive(options[1]) if len(options) == 2 else 0
    return AskShards(["populate", session.db, number, options[0] if options else b"key", size_bytes], done)


def _positive(word: bytes) -> int:
    number = maybe_integer(word)
    if number is None or not 0 <= number <= POPULATE_MAX:
        raise RedisError("ERR value is out of range, must be positive")
    return number


# Digests


@command("DEBUG DIGEST", USUAL)
def digest(session: "Session") -> AskShards:
    """Returns a signature of all data."""
    return AskShards(["digests"], digest_of_dbs)


def digest_of_dbs(answers: list[dict[int, bytes]]) -> Status:
    """The digest of all data, of each shard's digest of each db: no matter how many shards there are."""
    dbs: dict[int, int] = {}
    for answer in answers:
        for db, part in answer.items():
            dbs[db] = dbs.get(db, 0) ^ int.from_bytes(part, "big")
    whole = bytes(DIGEST_BYTES)
    for db in sorted(dbs):
        # The number of the db is stirred in as Valkey's mixDigest does; then its keys, in no order.
        whole = sha1(_xor(whole, sha1(db.to_bytes(4, "big")).digest())).digest()
        whole = _xor(whole, dbs[db].to_bytes(DIGEST_BYTES, "big"))
    return Status(whole.hex())


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))


@command("DEBUG DIGEST-VALUE [key [key ...]]", USUAL, keys="")
def digest_value(session: "Session", *keys: bytes) -> AskShards:
    """Returns a signature of the value of each key."""
    owners = session.router.owners.of_all(list(keys))

    def merge(answers: list[list[bytes]]) -> list[Status]:
        return [Status(answers[owner][place].hex()) for place, owner in enumerate(owners)]

    return AskShards(["digests_of_values", session.db, list(keys)], merge)


@command("DEBUG OBJECT key [FAST]", USUAL, keys="")
def object_(session: "Session", key: bytes, *options: bytes) -> Forward:
    """Shows low level info about a key and its value."""
    return Forward(session.router.shard_of(key), [b"DEBUG", b"OBJECT", key, *options])


# One client


@command("DEBUG ERROR message", USUAL)
def error(session: "Session", message: bytes) -> None:
    """Answers an error."""
    raise RedisError(message.decode("utf-8", "surrogateescape"))


@command("DEBUG LOG message", USUAL)
def log(session: "Session", message: bytes) -> Status:
    """Writes to the server's log."""
    logger.warning("DEBUG LOG: %s", message.decode("utf-8", "backslashreplace"))
    return OK


class Example:
    """A reply of a type that Python has no word for, in RESP2 and RESP3."""

    def __init__(self, resp2: Any, resp3: bytes) -> None:
        self.resp2, self.resp3 = resp2, resp3


ENCODERS[Example] = lambda reply, protocol: encode(reply.resp2, 2) if protocol == 2 else reply.resp3

BIG_NUMBER = b"1234567999999999999999999999999999999"
BEHIND_ATTRIBUTE = b"Some real reply following the attribute"
ATTRIBUTE = b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"
BEHIND_PUSH = b"Some real reply following the push reply"

EXAMPLES: dict[bytes, Any] = {
    b"string": b"Hello World",
    b"integer": 12345,
    b"double": 3.141,
    b"null": Example(None, b"_\r\n"),
    b"array": [0, 1, 2],
    b"set": {0, 1, 2},
    b"map": Example([0, 0, 1, 1, 2, 0], b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"),
    b"attrib": Example(BEHIND_ATTRIBUTE, ATTRIBUTE + encode(BEHIND_ATTRIBUTE, 3)),
    b"push": Example(
        RedisError("ERR RESP2 is not supported by this command"),
        encode(Push([b"server-cpu-usage", 42]), 3) + encode(BEHIND_PUSH, 3),
    ),
    b"verbatim": Verbatim("This is a verbatim\nstring"),
    b"true": True,
    b"false": False,
    b"bignum": Example(BIG_NUMBER, b"(%b\r\n" % BIG_NUMBER),
}


@command("DEBUG PROTOCOL type", USUAL)
def protocol(session: "Session", type_: bytes) -> Any:
    """Answers a value of a type."""
    if type_.lower() not in EXAMPLES:
        raise RedisError(
            "ERR Wrong protocol type name. Please use one of the following:"
            " string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
        )
    return EXAMPLES[type_.lower()]

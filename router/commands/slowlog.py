"""SLOWLOG and COMMANDLOG: see router/slowlog.py for what they keep."""

from typing import TYPE_CHECKING, Any

from common.command import ADMIN, AGG_SUM, ALL_NODES, ALL_SUCCEEDED, LOADING, STALE, unknown_subcommand_or_arity
from common.errors import RedisError
from common.numbers import maybe_integer
from common.resp import OK, Status
from router.commands.table import TABLE
from router.slowlog import CommandLog

if TYPE_CHECKING:
    from router.session import Session

command = TABLE.family("server")

command.container(
    "SLOWLOG",
    "A container for slow log commands.",
    since="2.2.12",
    help_since="6.2.0",
    help_summary="Shows helpful text about the different subcommands.",
    help_="""
GET [<count>]
    Return top <count> entries from the slowlog (default: 10, -1 mean all).
    Entries are made of:
    id, timestamp, time in microseconds, arguments array, client IP and port,
    client name
LEN
    Return the length of the slowlog.
RESET
    Reset the slowlog.
""",
)
command.container(
    "COMMANDLOG",
    "A container for command log commands.",
    since="8.1.0",
    help_summary="Shows helpful text about the different subcommands.",
    help_="""
GET <count> <type>
    Return top <count> entries of the specified <type> from the commandlog (-1 mean all).
    Entries are made of:
    id, timestamp,
        time in microseconds for type of slow,
        or size in bytes for type of large-request,
        or size in bytes for type of large-reply
    arguments array, client IP and port,
    client name
LEN <type>
    Return the length of the specified type of commandlog.
RESET <type>
    Reset the specified type of commandlog.
""",
)

USUAL = ADMIN | LOADING | STALE

ENTRIES = 10
"""How many entries SLOWLOG GET shows unless the client says it."""

TYPES = {b"SLOW": "slow", b"LARGE-REQUEST": "large_request", b"LARGE-REPLY": "large_reply"}


def _log(session: "Session", type_: bytes) -> CommandLog:
    attribute = TYPES.get(type_.upper())
    if attribute is None:
        raise RedisError("ERR type should be one of the following: slow, large-request, large-reply")
    log: CommandLog = getattr(session.router.logs, attribute)
    return log


def _count(word: bytes) -> int:
    count = maybe_integer(word)
    if count is None or count < -1:
        raise RedisError("ERR count should be greater than or equal to -1")
    return count


def _entries(log: CommandLog, count: int) -> list[Any]:
    entries = list(log.entries)
    return [
        [entry.id, entry.at_s, entry.amount, entry.argv, entry.address, entry.name]
        for entry in (entries if count == -1 else entries[:count])
    ]


@command(
    "SLOWLOG GET [count]",
    USUAL,
    since="2.2.12",
    complexity="O(N) where N is the number of entries returned",
    fan=ALL_NODES,
    tips="nondeterministic_output",
)
def slowlog_get(session: "Session", *options: bytes) -> list[Any]:
    """Returns the slow log's entries."""
    if len(options) > 1:
        raise unknown_subcommand_or_arity("slowlog", b"GET")
    return _entries(session.router.logs.slow, _count(options[0]) if options else ENTRIES)


@command(
    "SLOWLOG LEN",
    USUAL,
    since="2.2.12",
    complexity="O(1)",
    fan=ALL_NODES,
    merge=AGG_SUM,
    tips="nondeterministic_output",
)
def slowlog_len(session: "Session") -> int:
    """Returns the number of entries in the slow log."""
    return len(session.router.logs.slow.entries)


@command(
    "SLOWLOG RESET",
    USUAL,
    since="2.2.12",
    complexity="O(N) where N is the number of entries in the slowlog",
    fan=ALL_NODES,
    merge=ALL_SUCCEEDED,
)
def slowlog_reset(session: "Session") -> Status:
    """Clears all entries from the slow log."""
    session.router.logs.slow.entries.clear()
    return OK


@command(
    "COMMANDLOG GET count <SLOW | LARGE-REQUEST | LARGE-REPLY>",
    USUAL,
    since="8.1.0",
    complexity="O(N) where N is the number of entries returned",
    fan=ALL_NODES,
    tips="nondeterministic_output",
)
def commandlog_get(session: "Session", count: bytes, type_: bytes) -> list[Any]:
    """Returns the specified command log's entries."""
    number = _count(count)
    return _entries(_log(session, type_), number)


@command(
    "COMMANDLOG LEN <SLOW | LARGE-REQUEST | LARGE-REPLY>",
    USUAL,
    since="8.1.0",
    complexity="O(1)",
    fan=ALL_NODES,
    merge=AGG_SUM,
    tips="nondeterministic_output",
)
def commandlog_len(session: "Session", type_: bytes) -> int:
    """Returns the number of entries in the specified type of command log."""
    return len(_log(session, type_).entries)


@command(
    "COMMANDLOG RESET <SLOW | LARGE-REQUEST | LARGE-REPLY>",
    USUAL,
    since="8.1.0",
    complexity="O(N) where N is the number of entries in the commandlog",
    fan=ALL_NODES,
    merge=ALL_SUCCEEDED,
)
def commandlog_reset(session: "Session", type_: bytes) -> Status:
    """Clears all entries from the specified type of command log."""
    _log(session, type_).entries.clear()
    return OK

"""COMMAND: what the server knows of its commands. All of it derives from their declarations: see common/declaration.py.

Replies are shaped as Valkey's: names and texts are bulk strings, flags and categories simple strings, and what has no
order of its own is a set in RESP3.
"""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from common.command import LOADING, STALE, Command, help_lines
from common.errors import RedisError, SyntaxFault
from common.flags import flag_names
from common.key_specs import KeySpec
from common.resp import ENCODERS, Status
from common.usage import Argument
from router.commands.table import TABLE

if TYPE_CHECKING:
    from router.session import Session

Reply = dict[str, Any]

command = TABLE.family("server")


class Members(list[Any]):
    """A set reply that keeps the order of its members, and whose members may be maps."""

    __slots__ = ()


ENCODERS[Members] = ENCODERS[set]


@command(
    "COMMAND",
    LOADING | STALE,
    since="2.8.13",
    complexity="O(N) where N is the total number of commands",
    tips="nondeterministic_output_order",
    acl="connection",
    container=True,
)
def command_(session: "Session") -> list[Any]:
    """Returns detailed information about all commands."""
    return [_info(entry) for entry in session.router.table.commands.values()]


@command("COMMAND COUNT", LOADING | STALE, since="2.8.13", complexity="O(1)", acl="connection")
def count(session: "Session") -> int:
    """Returns a count of commands."""
    return len(session.router.table.commands)


@command(
    "COMMAND INFO [command-name [command-name ...]]",
    LOADING | STALE,
    since="2.8.13",
    complexity="O(N) where N is the number of commands to look up",
    tips="nondeterministic_output_order",
    acl="connection",
)
def info(session: "Session", *names: bytes) -> list[Any]:
    """Returns information about one, multiple or all commands."""
    if not names:
        return command_(session)
    return [None if entry is None else _info(entry) for entry in _named(session, names)]


@command(
    "COMMAND DOCS [command-name [command-name ...]]",
    LOADING | STALE,
    since="7.0.0",
    complexity="O(N) where N is the number of commands to look up",
    tips="nondeterministic_output_order",
    acl="connection",
)
def docs(session: "Session", *names: bytes) -> Reply:
    """Returns documentary information about one, multiple or all commands."""
    entries = _named(session, names) if names else session.router.table.commands.values()
    return {entry.name: _docs(entry) for entry in entries if entry is not None}


@command(
    "COMMAND LIST [FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
    LOADING | STALE,
    since="7.0.0",
    complexity="O(N) where N is the total number of commands",
    tips="nondeterministic_output_order",
    acl="connection",
)
def list_(session: "Session", *options: bytes) -> list[str]:
    """Returns a list of command names."""
    entries = session.router.table.shown()
    if not options:
        return [entry.name for entry in entries]
    if len(options) != 3 or options[0].upper() != b"FILTERBY" or options[1].upper() not in FILTERS:
        raise SyntaxFault()
    wanted = FILTERS[options[1].upper()](options[2].decode("utf-8", "surrogateescape"))
    return [entry.name for entry in entries if wanted(entry)]


@command(
    "COMMAND GETKEYS command [arg [arg ...]]",
    LOADING | STALE,
    since="2.8.13",
    complexity="O(N) where N is the number of arguments to the command",
    acl="connection",
)
def getkeys(session: "Session", *argv: bytes) -> list[bytes]:
    """Extracts the key names from an arbitrary command."""
    entry = _called(session, argv)
    return [argv[index] for index in entry.keys_of(list(argv))]


@command(
    "COMMAND GETKEYSANDFLAGS command [arg [arg ...]]",
    LOADING | STALE,
    since="7.0.0",
    complexity="O(N) where N is the number of arguments to the command",
    acl="connection",
)
def getkeysandflags(session: "Session", *argv: bytes) -> list[Any]:
    """Extracts the key names and access flags for an arbitrary command."""
    entry = _called(session, argv)
    words = list(argv)
    return [
        [argv[index], _statuses(spec.flags_in(words))] for spec, indexes in entry.found_keys(words) for index in indexes
    ]


@command("COMMAND HELP", LOADING | STALE, since="5.0.0", complexity="O(1)", acl="connection")
def help_(session: "Session") -> list[Status]:
    """Returns helpful text about the different subcommands."""
    return HELP


HELP = help_lines(
    "COMMAND",
    """
(no subcommand)
    Return details about all commands.
COUNT
    Return the total number of commands in this server.
LIST
    Return a list of all commands in this server.
INFO [<command-name> ...]
    Return details about multiple commands.
    If no command names are given, documentation details for all
    commands are returned.
DOCS [<command-name> ...]
    Return documentation details about multiple commands.
    If no command names are given, documentation details for all
    commands are returned.
GETKEYS <full-command>
    Return the keys from a full command.
GETKEYSANDFLAGS <full-command>
    Return the keys and the access flags from a full command.
""",
)


# Finding


def _named(session: "Session", names: Iterable[bytes]) -> list[Command | None]:
    table = session.router.table
    return [table.get(name.decode("utf-8", "surrogateescape")) for name in names]


def _called(session: "Session", argv: tuple[bytes, ...]) -> Command:
    """The command of a call that GETKEYS is asked about.  Raises RedisError in the reference's order."""
    table = session.router.table
    entry = table.resolve(list(argv))
    if entry is None or (entry.name.count("|") and table.get(entry.name) is None):
        entry = table.lookup.get(argv[0].lower())  # An opaque container is one command.
        if entry is None or not entry.opaque:
            raise RedisError("ERR Invalid command specified")
    if not entry.has_keys:
        raise RedisError("ERR The command has no key arguments")
    if len(argv) < entry.shortest or (entry.arity > 0 and len(argv) != entry.arity):
        raise RedisError("ERR Invalid number of arguments specified for command")
    return entry


def _in_module(name: str) -> Callable[[Command], bool]:
    return lambda entry: False


def _in_category(name: str) -> Callable[[Command], bool]:
    return lambda entry: name.lower() in entry.acl


def _like(pattern: str) -> Callable[[Command], bool]:
    """A name has no sign that Redis's patterns and Python's see differently, but for the "not" of a class."""
    like = re.compile(translate(pattern.replace("[^", "[!")), re.IGNORECASE)
    return lambda entry: like.match(entry.name) is not None


FILTERS = {b"MODULE": _in_module, b"ACLCAT": _in_category, b"PATTERN": _like}


# COMMAND INFO


def _info(entry: Command) -> list[Any]:
    return [
        entry.name,
        entry.arity,
        _statuses(flag_names(entry.flags)),
        entry.first_key,
        entry.last_key,
        entry.step,
        _statuses(f"@{category}" for category in entry.acl),
        Members(entry.tips),
        Members(map(_key_spec, entry.key_specs)),
        [] if entry.opaque else [_info(subcommand) for subcommand in entry.subcommands.values()],
    ]


def _statuses(names: Iterable[str]) -> Members:
    return Members(map(Status, names))


def _key_spec(spec: KeySpec) -> Reply:
    begin: Reply = {"type": "index", "spec": {"index": spec.begin}}
    find: Reply = {"type": "range", "spec": {"lastkey": spec.last, "keystep": spec.step, "limit": spec.limit}}
    if spec.keyword:
        begin = {"type": "keyword", "spec": {"keyword": spec.keyword, "startfrom": spec.begin}}
    if spec.keynum:
        find = {"type": "keynum", "spec": {"keynumidx": 0, "firstkey": spec.first, "keystep": spec.step}}
    if spec.unknown:
        begin = find = {"type": "unknown", "spec": {}}
    return {"flags": _statuses(spec.flags), "begin_search": begin, "find_keys": find}


# COMMAND DOCS


def _docs(entry: Command) -> Reply:
    stated = entry.declaration
    reply: Reply = {"summary": entry.summary, "since": entry.since, "group": entry.group}
    if entry.complexity:
        reply["complexity"] = entry.complexity
    if stated.deprecated_since:
        reply["doc_flags"] = _statuses(["deprecated"])
        reply["deprecated_since"] = stated.deprecated_since
        reply["replaced_by"] = stated.replaced_by
    if entry.arguments:
        reply["arguments"] = [_argument(argument) for argument in entry.arguments]
    if entry.subcommands and not entry.opaque:
        reply["subcommands"] = {subcommand.name: _docs(subcommand) for subcommand in entry.subcommands.values()}
    return reply


def _argument(argument: Argument) -> Reply:
    reply: Reply = {"name": argument.name, "type": argument.kind}
    if not argument.arguments:
        reply["display_text"] = argument.name
    if argument.key_spec >= 0:
        reply["key_spec_index"] = argument.key_spec
    if argument.token:
        reply["token"] = argument.token
    flags = [flag for flag in ("optional", "multiple", "multiple_token") if getattr(argument, flag)]
    if flags:
        reply["flags"] = _statuses(flags)
    if argument.arguments:
        reply["arguments"] = [_argument(part) for part in argument.arguments]
    return reply

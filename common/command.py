"""Commands: how one is declared, and the table that finds the one a call means.

    command = TABLE.family("string")

    @command("GETRANGE key start end", READONLY, since="2.4.0", complexity="O(N) where N is the length of the reply")
    def getrange(db: Keyspace, key: bytes, start: bytes, end: bytes) -> bytes:
        '''Returns a substring of the string stored at a key.'''

All else derives: name, arity, key positions, plan, what COMMAND prints. A table crosses to another process as the
declarations themselves, from which the same things derive again there.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from common.declaration import Command as Command
from common.declaration import Declaration, build
from common.declaration import Handler as Handler
from common.errors import RedisError, shown, wrong_arity
from common.flags import *  # noqa: F403  A commands file imports flags, policies and Plan from here.
from common.flags import LOADING, STALE, Fan, Flag, Merge, Plan
from common.resp import Status

F = TypeVar("F", bound=Handler)

NO_FLAGS = Flag(0)

CONTAINER_COMPLEXITY = "Depends on subcommand."
HELP_SUMMARY = "Returns helpful text about the different subcommands."
"""Where the reference says nothing else."""

SHOWN_BYTES_MAX = 128
"""How much of a client's words an error text repeats: Redis's limit."""


class Table:
    """All commands of a process, and those that it learned from others.

    `lookup` has each name in upper and in lower case: the hot path asks it first, and `find` only where a name isn't
    there, a call doesn't fit in `shortest <= len(argv) <= longest`, or it doesn't care.
    """

    def __init__(self, plan: Plan | None = None) -> None:
        """`plan` is that of all commands declared here, whatever their policies say: the router's are ROUTER."""
        self.plan = plan
        self.commands: dict[str, Command] = {}
        self.lookup: dict[bytes, Command] = {}

    def family(self, group: str, opaque: bool = False) -> "Family":
        """The decorator for the commands of one group. Containers of an `opaque` one don't show their subcommands."""
        return Family(self, group, opaque)

    def find(self, argv: list[bytes]) -> Command:
        """The command, or the subcommand, that a call means; its arity is right.  Raises RedisError."""
        command = self.lookup.get(argv[0])
        if command is not None and command.shortest <= len(argv) <= command.longest:
            return command
        command = self.resolve(argv)
        if command is None:
            raise self._unknown(argv)
        if command.shortest <= len(argv) <= command.longest:
            return command
        name, bar, _ = command.name.partition("|")
        if bar and self.commands[name].opaque:
            raise unknown_subcommand_or_arity(name, argv[1])
        raise wrong_arity(command.name)

    def find_to_queue(self, argv: list[bytes]) -> Command:
        """As `find`, for a call that is run later: what is behind an opaque container only that will look at."""
        command = self.lookup.get(argv[0])
        if command is not None and command.shortest <= len(argv) <= command.longest:
            return command
        container = self.resolve(argv[:1])
        if container is not None and container.opaque and len(argv) > 1:
            return self.resolve(argv) or container
        return self.find(argv)

    def resolve(self, argv: list[bytes]) -> Command | None:
        """The command, or the subcommand, that a call means, whatever its arity; None if there is none."""
        command = self.lookup.get(argv[0]) or self.lookup.get(argv[0].lower())
        if command is None or not command.subcommands or len(argv) == 1:
            return command
        return command.subcommands.get(argv[1].lower().decode("utf-8", "surrogateescape"))

    def _unknown(self, argv: list[bytes]) -> RedisError:
        container = self.resolve(argv[:1])
        if container is None:
            return unknown_command(argv)
        if container.opaque:
            return unknown_subcommand_or_arity(container.name, argv[1])
        return RedisError(f"ERR unknown subcommand '{quoted(argv[1])}'. Try {container.name.upper()} HELP.")

    def get(self, name: str) -> Command | None:
        """A command by its full name in any case, "client|kill" for a subcommand; None if there is none."""
        name, bar, subname = name.lower().partition("|")
        command = self.commands.get(name)
        if command is None or not bar:
            return command
        return None if command.opaque else command.subcommands.get(subname)

    def add(self, command: Command) -> None:
        """Adds a command, or a subcommand to its container, which is made if need be. What comes first stays."""
        name, bar, subname = command.name.partition("|")
        if bar:
            self._container(command, name).subcommands.setdefault(subname, command)
        elif name not in self.commands:
            self.commands[name] = command
            self.lookup[name.encode()] = self.lookup[name.upper().encode()] = command

    def _container(self, command: Command, name: str) -> Command:
        if name not in self.commands:
            stated = command.declaration
            container = Declaration(
                name.upper(),
                flags=stated.flags if command.opaque else 0,
                group=stated.group,
                since=stated.since,
                complexity=CONTAINER_COMPLEXITY,
                summary=f"A container for {stated.group.replace('-', ' ')} commands.",
                container=True,
                opaque=command.opaque,
                plan=stated.plan,
            )
            self.add(build(container))
        return self.commands[name]

    def merge(self, other: "Table") -> None:
        """Adds what `other` has and this has not; a container gets the subcommands of both."""
        for command in other.commands.values():
            if command.name not in self.commands:
                self.add(build(command.declaration, command.handler))
            for subcommand in command.subcommands.values():
                self.add(subcommand)

    def to_wire(self) -> list[list[Any]]:
        """All declarations as plain values."""
        names = Declaration.__slots__
        return [[getattr(command.declaration, name) for name in names] for command in self.each()]

    @classmethod
    def from_wire(cls, declarations: list[list[Any]]) -> "Table":
        """The table that another process sent, without handlers."""
        table = cls()
        for declaration in declarations:
            table.add(build(Declaration(*declaration)))
        return table

    def each(self) -> "Iterator[Command]":
        """All commands, each container before its subcommands."""
        for command in self.commands.values():
            yield command
            yield from command.subcommands.values()

    def shown(self) -> "Iterator[Command]":
        """As `each`, without what COMMAND does not show."""
        return (command for command in self.each() if "|" not in command.name or not command.opaque)


def unknown_command(argv: list[bytes]) -> RedisError:
    """Redis's text, which repeats the arguments up to 128 bytes; the quotes count too."""
    arguments = b""
    for argument in argv[1:]:
        if len(arguments) >= SHOWN_BYTES_MAX:
            break
        arguments += b"'%b' " % argument.partition(b"\0")[0][: SHOWN_BYTES_MAX - len(arguments)]
    text = arguments.decode("utf-8", "surrogateescape")
    return RedisError(f"ERR unknown command '{quoted(argv[0])}', with args beginning with: {text}")


def unknown_subcommand_or_arity(container: str, word: bytes) -> RedisError:
    """What a container says that looks at its subcommands itself, as DEBUG does."""
    text = f"ERR unknown subcommand or wrong number of arguments for '{quoted(word)}'. Try {container.upper()} HELP."
    return RedisError(text)


def quoted(word: bytes) -> str:
    """A client's word as an error text repeats it: its first 128 bytes, and nothing from a zero byte on."""
    return shown(word[:SHOWN_BYTES_MAX])


class Family:
    """The decorator that declares the commands of one group.

    Of what it can be told, `name` is for a usage line that does not tell it (see parse_usage), `arity` for one that
    Redis counts otherwise, `container` for a command that has subcommands and can be called bare too, as COMMAND can;
    `types` for arguments whose names do not tell their types ("increment double"); `first_of` for one that takes of the
    first of its keys that is there, and looks at none behind it (LMPOP): on several shards none of them travels;
    `event` for one whose changes are not told under its name (INCR: "incrby"), "" for one that tells them itself or not
    at all, see shard/events.py. For `keys` see key_specs.py, for `acl` flags.categories; the rest is as in COMMAND INFO
    and COMMAND DOCS.
    """

    def __init__(self, table: Table, group: str, opaque: bool) -> None:
        self.table = table
        self.group = group
        self.opaque = opaque

    def __call__(
        self,
        usage: str,
        flags: Flag = NO_FLAGS,
        *,
        since: str = "",
        complexity: str = "",
        summary: str = "",
        fan: Fan | None = None,
        merge: Merge | None = None,
        tips: str = "",
        keys: str | None = None,
        acl: str = "",
        plan: Plan | None = None,
        name: str = "",
        arity: int = 0,
        container: bool = False,
        types: str = "",
        deprecated_since: str = "",
        replaced_by: str = "",
        first_of: bool = False,
        event: str | None = None,
    ) -> Callable[[F], F]:
        """Declares a command: the decorator of its handler, whose first line is the summary."""
        plan = plan or self.table.plan

        def declare(handler: F) -> F:
            doc = (handler.__doc__ or "").strip().partition("\n")[0]
            stated = Declaration(
                usage=usage,
                flags=int(flags),
                group=self.group,
                since=since,
                complexity=complexity,
                summary=summary or doc,
                fan=str(fan or ""),
                merge=str(merge or ""),
                tips=tips,
                keys=keys,
                acl=acl,
                plan=plan.value if plan else "",
                name=name,
                arity=arity,
                container=container,
                opaque=self.opaque,
                types=types,
                deprecated_since=deprecated_since,
                replaced_by=replaced_by,
                first_of=first_of,
                event=event,
            )
            command = build(stated, handler)
            if self.table.get(command.name):
                raise ValueError(f"{command.name!r} is declared twice")
            self.table.add(command)
            return handler

        return declare

    def container(
        self,
        usage: str,
        summary: str,
        flags: Flag = NO_FLAGS,
        *,
        since: str = "",
        acl: str = "",
        help_: str = "",
        help_since: str = "",
        help_flags: Flag = LOADING | STALE,
        help_summary: str = HELP_SUMMARY,
        help_acl: str = "",
    ) -> None:
        """Declares a container ("CLIENT"), before its subcommands, and its HELP if there is one.

        `help_` are the lines between the head and the entry of HELP itself, which are the same for all.
        """
        if self.table.get(usage):
            raise ValueError(f"{usage} is declared twice, or after its subcommands")
        plan = self.table.plan.value if self.table.plan else ""
        stated = Declaration(
            usage,
            int(flags),
            self.group,
            since,
            CONTAINER_COMPLEXITY,
            summary,
            acl=acl,
            plan=plan,
            container=True,
            opaque=self.opaque,
        )
        self.table.add(build(stated))
        if help_:
            since = help_since or since
            declare = self(
                f"{usage} HELP", help_flags, since=since, complexity="O(1)", summary=help_summary, acl=help_acl
            )
            lines = help_lines(usage, help_)
            declare(lambda _target: lines)


def help_lines(name: str, text: str) -> list[Status]:
    """The reply of a container's HELP: `text` with Redis's head and foot. A blank line at either end is dropped."""
    head = f"{name.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    lines = text.strip("\n").split("\n")
    return [Status(line) for line in (head, *lines, "HELP", "    Print this help.")]

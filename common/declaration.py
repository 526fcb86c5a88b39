"""One command: what is declared of it, and all that derives from that: name, arity, keys, plan, what COMMAND prints."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from common.command_stats import CommandStats
from common.errors import RedisError
from common.flags import MOVABLEKEYS, NO_MANDATORY_KEYS, WRITE, Fan, Flag, Plan, categories
from common.key_specs import KeySpec, is_plain_range, key_specs, legacy_range, option_widths
from common.usage import Argument, Usage, parse_usage, with_kinds

Handler = Callable[..., Any]

ENDLESS = sys.maxsize

DB_DIGITS_MAX = 10
"""No number of a db is as long as this."""


@dataclass(slots=True)
class Declaration:
    """What is stated of a command, as plain values: this is what a shard tells the router."""

    usage: str
    flags: int = 0
    group: str = ""
    since: str = ""
    complexity: str = ""
    summary: str = ""
    fan: str = ""
    merge: str = ""
    tips: str = ""
    keys: str | None = None
    acl: str = ""
    plan: str = ""
    name: str = ""
    arity: int = 0
    container: bool = False
    opaque: bool = False
    types: str = ""
    deprecated_since: str = ""
    replaced_by: str = ""
    event: str | None = None
    history: list[list[str]] = field(default_factory=list)
    first_of: bool = False


@dataclass(slots=True, kw_only=True)
class Command(CommandStats):
    """A command, a subcommand ("client|kill"), or a container of subcommands ("client"), with what this process counts
    of it.

    `shortest` and `longest` bound the number of words of a call, the name included; a container's are such that no
    call of a subcommand fits, so that the hot path needs no question for containers.
    `first_key`, `last_key`, `step` are COMMAND INFO's; `cut` is for SPLIT: the index of the first repeated word and
    how many words a repeat has (MSET: 1, 2). Only calls with `(len(argv) - cut[0]) % cut[1] == 0` can be cut.
    `first_of`: the first of its keys that is there decides, and no other is looked at behind it.
    `blocking`: some calls may wait, see `may_block`. `at_once`: it is not queued after MULTI. `opaque`: COMMAND does
    not show the subcommands, as for DEBUG.
    """

    declaration: Declaration
    usage: Usage
    name: str
    flags: Flag
    arity: int
    shortest: int
    longest: int
    key_specs: list[KeySpec]
    first_key: int
    last_key: int
    step: int
    plan: Plan
    cut: tuple[int, int]
    merge: str
    acl: list[str]
    handler: Handler | None = None
    subcommands: "dict[str, Command]" = field(default_factory=dict)
    opaque: bool = False
    blocking: bool = False
    at_once: bool = False
    first_of: bool = False
    words: int = 1
    """How many words of a call are the name: what a handler does not get."""

    @property
    def group(self) -> str:
        return self.declaration.group

    @property
    def summary(self) -> str:
        return self.declaration.summary

    @property
    def since(self) -> str:
        return self.declaration.since

    @property
    def complexity(self) -> str:
        return self.declaration.complexity

    @property
    def event(self) -> bytes:
        """What a change by this command is called where keyspace events are told: as the command, if not declared."""
        stated = self.declaration.event
        return (self.name.replace("|", "-") if stated is None else stated).encode()

    @property
    def arguments(self) -> list[Argument]:
        return self.usage.arguments

    @property
    def tips(self) -> list[str]:
        """All tips as COMMAND INFO prints them, the two policies last."""
        stated = self.declaration
        policies = (("request_policy", stated.fan), ("response_policy", stated.merge))
        return [*stated.tips.split(), *(f"{policy}:{value}" for policy, value in policies if value)]

    @property
    def fan(self) -> Fan | None:
        return Fan(self.declaration.fan) if self.declaration.fan else None

    @property
    def has_keys(self) -> bool:
        return any("not_key" not in spec.flags for spec in self.key_specs)

    def keys_of(self, argv: list[bytes]) -> list[int]:
        """The indexes of the keys in a call whose arity is right.

        Raises RedisError where COMMAND GETKEYS does. A router then sends the call to any shard, whose handler has the
        better words for what is wrong with it.
        """
        return [index for spec, keys in self.found_keys(argv) for index in keys]

    def other_dbs(self, argv: list[bytes]) -> list[int]:
        """The numbers of the dbs that a call names beside its own (COPY ... DB 1); some of them may be none."""
        tokens = {argument.token.encode() for argument in self.usage.arguments if argument.name == "destination-db"}
        if not tokens:
            return []
        named = (word for option, word in pairwise(argv) if option.upper() in tokens)
        return [int(word) for word in named if word.isdigit() and len(word) < DB_DIGITS_MAX]

    def patterns_of(self, argv: list[bytes]) -> list[tuple[str, bytes]]:
        """The options by which a call reaches keys that no key spec finds, and the pattern of each (SORT ... BY p)."""
        if all(spec.finds for spec in self.key_specs):
            return []
        widths = option_widths(self.usage.arguments)
        tokens = {argument.token.encode() for argument in self.usage.arguments if argument.kind == "pattern"}
        found = []
        index = self.key_specs[0].begin + 1
        while index < len(argv) - 1:
            word = argv[index].upper()
            if word in tokens:
                found.append((word.decode(), argv[index + 1]))
            index += 1 + widths.get(word, 0)
        return found

    def may_block(self, argv: list[bytes]) -> bool:
        """Whether a call of what is `blocking` may wait: where BLOCK is optional, only with that word."""
        asked = any(argument.token == "BLOCK" for argument in self.usage.arguments)
        return not asked or any(word.upper() == b"BLOCK" for word in argv)

    def found_keys(self, argv: list[bytes]) -> list[tuple[KeySpec, list[int]]]:
        """As `keys_of`, for each key spec that finds any."""
        found = []
        for spec in self.key_specs:
            keys = [] if "not_key" in spec.flags else spec.keys_of(argv)
            if keys:
                found.append((spec, keys))
            elif keys is None:
                found.clear()
                break
        if not found and not self.flags & NO_MANDATORY_KEYS:
            fault = "Invalid arguments specified for command" if self.has_keys else "The command has no key arguments"
            raise RedisError(f"ERR {fault}")
        return found


def build(stated: Declaration, handler: Handler | None = None) -> Command:
    """The command that a declaration means.  Raises ValueError if it can't be right."""
    words = stated.types.split()
    usage = with_kinds(parse_usage(stated.usage, stated.name), dict(zip(words[::2], words[1::2], strict=True)))
    flags = Flag(stated.flags)
    specs = key_specs(usage, stated.keys, bool(flags & WRITE))
    first_key, last_key, step, movable = legacy_range(specs)
    if movable:
        flags |= MOVABLEKEYS
    arity = stated.arity or usage.arity
    if stated.container:
        arity = min(arity, -1) if handler else -len(usage.words) - 1
    shortest = abs(arity)
    longest = shortest if arity > 0 or stated.container else ENDLESS
    if stated.container and not handler:
        longest = -1
    plan = Plan(stated.plan) if stated.plan else _plan(stated, specs)
    if plan is Plan.SPLIT and not is_plain_range(specs):
        raise ValueError(f"{usage.name!r} can't be cut at a repeat of its usage line: state its plan")
    cut = (specs[0].begin, specs[0].step) if plan is Plan.SPLIT else (0, 0)
    return Command(
        declaration=stated,
        usage=usage,
        name=usage.name,
        flags=flags,
        arity=arity,
        shortest=shortest,
        longest=longest,
        key_specs=specs,
        first_key=first_key,
        last_key=last_key,
        step=step,
        plan=plan,
        cut=cut,
        merge=stated.merge,
        acl=categories(flags, "" if stated.container and not handler else stated.group, stated.acl),
        handler=handler,
        opaque=stated.opaque,
        words=len(usage.words),
        blocking=bool(flags & Flag.BLOCKING),
        at_once=bool(flags & Flag.AT_ONCE),
        first_of=stated.first_of,
    )


def _plan(stated: Declaration, specs: list[KeySpec]) -> Plan:
    if stated.fan == Fan.MULTI_SHARD:
        return Plan.SPLIT
    if stated.fan in (Fan.ALL_SHARDS, Fan.ALL_NODES):
        return Plan.EVERY
    single = len(specs) == 1 and specs[0].last == 0 and not specs[0].keynum
    return Plan.ONE if single or not specs else Plan.BORROW

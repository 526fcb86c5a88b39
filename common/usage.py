"""A usage line, as redis.io prints it, as a tree: which COMMAND DOCS tells, and arity and key positions follow from.

    SET key value [NX | XX] [GET] [EX seconds | KEEPTTL]

- The name is the run of upper-case words that the line begins with; what follows are the arguments.
- A word in upper case, or of signs only (`*`, `$`, `""`), is a token that is sent as it stands; any other word names
  a value. A token takes the value or values behind it: `LIMIT offset count`.
- `[...]` may be left out, `<...>` may not; `|` stands between alternatives.
- A bracket that repeats what it follows and ends in `...` is no argument, but says that this may come several times:
  `key value [key value ...]`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

KEY_NAMES = frozenset(("key", "key1", "key2", "newkey", "source", "sourcekey", "destination", "destkey", "src", "dst"))
"""The words that name a key of the keyspace."""

CHANNEL_KEY = "shardchannel"
"""Found by slot like a key, but no key."""

INTEGERS = frozenset(
    """
    bit bits client-id cluster-bus-port config-epoch count cursor db decrement destination-db end end-slot
    entries-added entries-read frequency idle increment index index1 index2 len limit maxage milliseconds
    min-match-len ms not-client-id not-db num-matches num-vertices numfields numkeys numlocal numreplicas offset
    port protover rank seconds slot start start-slot stop ttl version weight
    """.split()  # noqa: SIM905  A list literal would take forty lines.
)
DOUBLES = frozenset(("height", "latitude", "longitude", "radius", "score", "timeout", "width"))
PATTERNS = frozenset(("pattern", "match-pattern"))
UNIX_TIMES = frozenset(("unix-time-seconds", "unix-time-milliseconds"))

PARTS = re.compile(r"\.\.\.|[\[\]<>|]|[^\s\[\]<>|]+")


@dataclass(slots=True)
class Argument:
    """One argument of a usage line, or a group of them.

    `kind` is COMMAND DOCS's type: key, string, integer, double, pattern, unix-time, pure-token, oneof or block; only
    the last two have `arguments`. `token` is the word sent before the value ("" for none); with `multiple_token` it is
    sent before each of several. `key_spec` is the index of the key spec that finds this key, -1 for none.
    """

    name: str
    kind: str
    token: str = ""
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    arguments: list["Argument"] = field(default_factory=list)
    key_spec: int = -1

    @property
    def shortest(self) -> int:
        """The least number of words that this takes, 0 if it may be left out."""
        return 0 if self.optional else self.width

    @property
    def width(self) -> int:
        """The least number of words that this takes where it stands."""
        token = len(self.token.split())
        if self.kind == "pure-token":
            return token
        if self.kind == "oneof":
            return token + min(argument.shortest for argument in self.arguments)
        if self.kind == "block":
            return token + sum(argument.shortest for argument in self.arguments)
        return token + 1

    @property
    def fixed(self) -> bool:
        """Whether this always takes the same number of words."""
        if self.optional or self.multiple:
            return False
        if self.kind == "oneof" and len({argument.width for argument in self.arguments}) > 1:
            return False
        return all(argument.fixed for argument in self.arguments)


@dataclass(slots=True)
class Usage:
    """A parsed usage line. `words` are the name's: ["CLIENT", "KILL"]."""

    words: list[str]
    arguments: list[Argument]

    @property
    def name(self) -> str:
        """The name in lower case, "client|kill" for a subcommand."""
        return "|".join(self.words).lower()

    @property
    def arity(self) -> int:
        """Redis's: how many words a call has, the name included; negative if that is the least of it."""
        shortest = len(self.words) + sum(argument.shortest for argument in self.arguments)
        return shortest if all(argument.fixed for argument in self.arguments) else -shortest


def parse_usage(line: str, name: str = "") -> Usage:
    """The tree of a usage line. `name` says where the name ends if a token follows it: "XREADGROUP GROUP group ...".

    Raises ValueError on a line that can't be read: a mistake in a declaration, found when it is imported.
    """
    parts = PARTS.findall(line)
    count = len(re.split(r"[ |]", name)) if name else _name_length(parts)
    if not 1 <= count <= 2:
        raise ValueError(f"a name of {count} words: {line!r}")
    groups, rest = _alternatives(parts, count)
    if rest != len(parts) or len(groups) != 1:
        raise ValueError(f"this usage line can't be read from {' '.join(parts[rest:])!r} on: {line!r}")
    return Usage(parts[:count], _arguments(groups[0]))


def every(arguments: list[Argument]) -> Iterator[Argument]:
    """All arguments of a tree, parents first."""
    for argument in arguments:
        yield argument
        yield from every(argument.arguments)


def _name_length(parts: list[str]) -> int:
    count = 0
    while count < min(2, len(parts)) and parts[count][0].isalpha() and is_token(parts[count]):
        count += 1
    return count


def is_token(word: str) -> bool:
    """Whether a word of a usage line is sent as it stands."""
    return word == word.upper()


# The line as nested groups: a word is a str, a bracket a Group.


@dataclass(slots=True)
class Group:
    """`[...]` or `<...>`: alternatives, each a sequence of words and groups. `repeats`: it ended in `...`."""

    optional: bool
    alternatives: list[list["str | Group"]]
    repeats: bool = False


Sequence = list[str | Group]


def _alternatives(parts: list[str], index: int) -> tuple[list[Sequence], int]:
    """The sequences between `|` from `index` to the bracket that closes them, and the index of that bracket."""
    groups: list[Sequence] = [[]]
    while index < len(parts) and parts[index] not in "]>":
        part = parts[index]
        if part == "|":
            groups.append([])
        elif part in "[<":
            inner, index = _alternatives(parts, index + 1)
            if index == len(parts) or parts[index] != ("]" if part == "[" else ">"):
                raise ValueError(f"a bracket that is not closed: {' '.join(parts)!r}")
            group = Group(part == "[", inner)
            if inner[-1] and inner[-1][-1] == "...":
                inner[-1].pop()
                group.repeats = True
            if not all(inner):
                raise ValueError(f"a bracket with nothing between its signs: {' '.join(parts)!r}")
            groups[-1].append(group)
        else:
            groups[-1].append(part)
        index += 1
    return groups, index


# The groups as arguments.


def _arguments(sequence: Sequence) -> list[Argument]:
    """The arguments of a sequence at the top of a line: a token takes the values behind it, up to an option."""
    items: list[Argument] = []
    index = 0
    while index < len(sequence):
        node = sequence[index]
        token = isinstance(node, str) and is_token(node)
        end = _values_end(sequence, index) if token else _repeat_end(sequence, index)
        items.append(_item(sequence[index:end]))
        index = end
    return items


def _values_end(sequence: Sequence, index: int) -> int:
    """The end of the values that the token at `index` takes."""
    end = index + 1
    while end < len(sequence) and _is_value(sequence[end]):
        end += 1
    return end


def _is_value(node: str | Group) -> bool:
    """Whether a token before this takes it."""
    return not is_token(node) if isinstance(node, str) else node.repeats or not node.optional


def _repeat_end(sequence: Sequence, index: int) -> int:
    """The end of what begins at `index`: past the bracket that says that it repeats, if there is one."""
    for end in range(index + 1, len(sequence)):
        node = sequence[end]
        if isinstance(node, Group) and node.repeats:
            if len(node.alternatives) == 1 and node.alternatives[0] == sequence[index:end]:
                return end + 1
            break
    return index + 1


def _item(sequence: Sequence) -> Argument:
    """One argument of a whole sequence, which may end in the bracket that repeats it."""
    last = sequence[-1]
    if isinstance(last, Group) and last.repeats and len(sequence) > 1 and last.alternatives[0] == sequence[:-1]:
        argument = _item(sequence[:-1])
        return replace(argument, multiple=True, multiple_token=bool(argument.token))
    first = sequence[0]
    if len(sequence) == 1:
        return _word(first) if isinstance(first, str) else _group(first)
    if isinstance(first, str) and is_token(first):
        end = _values_end(sequence, 0)
        values = _arguments(sequence[1:end])
        if end == len(sequence) and len(values) == 1 and values[0].kind != "pure-token" and not values[0].token:
            return replace(values[0], token=first)
        if len(values) > 1 or end == len(sequence):
            return Argument(first.lower(), "block", token=first, arguments=_arguments(sequence[1:]))
    values = _arguments(sequence)
    return values[0] if len(values) == 1 else Argument(values[0].name, "block", arguments=values)


def _group(group: Group) -> Argument:
    alternatives = group.alternatives
    last = alternatives[-1]
    repeat = last[-1] if len(alternatives) > 1 and last else None
    multiple = group.repeats
    if isinstance(repeat, Group) and repeat.repeats and repeat.alternatives == [*alternatives[:-1], last[:-1]]:
        alternatives = repeat.alternatives  # [A | B [A | B ...]]
        multiple = True
    choices = [_item(alternative) for alternative in alternatives]
    if len(choices) == 1:
        choice = choices[0]
        return replace(choice, optional=group.optional or choice.optional, multiple=multiple or choice.multiple)
    return Argument(choices[0].name, "oneof", optional=group.optional, multiple=multiple, arguments=choices)


def _word(word: str) -> Argument:
    if word == "...":
        raise ValueError("... stands at the end of a bracket")
    if is_token(word):
        return Argument(word.lower(), "pure-token", token=word)
    return Argument(word, kind_of(word))


def with_kinds(usage: Usage, kinds: dict[str, str]) -> Usage:
    """The same with other types for the arguments named.  Raises ValueError if there is no such argument."""
    for name, kind in kinds.items():
        changed = [_with_kind(argument, name, kind) for argument in usage.arguments]
        if changed == usage.arguments:
            raise ValueError(f"{usage.name!r} has no argument {name!r} of another type than {kind}")
        usage = Usage(usage.words, changed)
    return usage


def _with_kind(argument: Argument, name: str, kind: str) -> Argument:
    if argument.arguments:
        return replace(argument, arguments=[_with_kind(part, name, kind) for part in argument.arguments])
    return replace(argument, kind=kind) if argument.name == name else argument


def kind_of(name: str) -> str:
    """The type of a value, by its name."""
    if name in KEY_NAMES:
        return "key"
    for kind, names in (("integer", INTEGERS), ("double", DOUBLES), ("pattern", PATTERNS), ("unix-time", UNIX_TIMES)):
        if name in names:
            return kind
    return "string"

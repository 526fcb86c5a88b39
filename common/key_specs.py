"""Where the keys of a command are: key specs as COMMAND INFO prints them, derived from the usage line's tree.

A spec says where to begin (an index, or behind a keyword) and how to go on from there (to a last key, or as many as a
number says). A declaration may state each spec's flags in the order of the specs, split by ";":

    "RW access delete; OW update"   RO RW OW RM, access update insert delete, not_key incomplete variable_flags
    "unknown OW update"             printed as unknown, but found all the same (SORT's STORE)
    "+unknown RO access"            one more spec, which finds nothing (the keys that SORT's BY and GET make)
    "@2 RO"                         one more spec for the key at index 2
    "KEYS@-2 RW access"             the keyword is searched from another index; from the end if that is negative
    "RW update, RO without SET"     a call that has none of the words behind "without" has the second flags
    ""                              no keys, whatever the names look like
"""

from dataclasses import dataclass, field, replace

from common.usage import CHANNEL_KEY, Argument, Usage

DESTINATIONS = frozenset(("destination", "destkey", "newkey", "dst"))


@dataclass(slots=True)
class KeySpec:
    """One key spec. `keyword` is "" for a spec that begins at `begin`, else the search for it begins there.

    `last` is relative to the first key, or to the end of the call if negative; with `limit` n only the n-th part of
    what follows is keys. `keynum` says that a count stands at `begin` and the keys begin `first` behind it.
    `skips` are the options around a keyword of an option, and how many words each takes: a word that is the value of
    another option is no keyword. A call without any of `marks` has `unmarked_flags`.
    """

    flags: list[str]
    begin: int
    keyword: str = ""
    last: int = 0
    step: int = 1
    limit: int = 0
    keynum: bool = False
    first: int = 0
    optional: bool = False
    unknown: bool = False
    finds: bool = True
    skips: dict[bytes, int] = field(default_factory=dict)
    marks: list[bytes] = field(default_factory=list)
    unmarked_flags: list[str] = field(default_factory=list)

    def flags_in(self, argv: list[bytes]) -> list[str]:
        """The flags of a key in this call, as COMMAND GETKEYSANDFLAGS tells them."""
        flags = self.flags
        if self.marks and not any(word.upper() in self.marks for word in argv[self.begin + 1 :]):
            flags = self.unmarked_flags
        return [flag for flag in flags if flag not in ("variable_flags", "incomplete")]

    def keys_of(self, argv: list[bytes]) -> list[int] | None:
        """The indexes of the keys that this spec finds in a call; None if the call is not made as the spec says."""
        begin = self.begin if not self.keyword else self._behind_keyword(argv)
        count = len(argv)
        if not self.finds or not 0 < begin < count:
            return [] if not self.finds or self.keyword or "incomplete" in self.flags else None
        if self.keynum:
            numkeys = _number(argv[begin])
            if not numkeys or begin + self.first + (numkeys - 1) * self.step >= count:
                return None
            return list(range(begin + self.first, begin + self.first + numkeys * self.step, self.step))
        if self.last >= 0:
            last = begin + self.last
        elif self.limit:
            last = begin + (count - begin) // self.limit + self.last
        else:
            last = count + self.last
        if last >= count:
            return None
        return list(range(begin, last + 1, self.step))

    def _behind_keyword(self, argv: list[bytes]) -> int:
        """The index behind the keyword, 0 if it isn't there. Of an option that comes twice the last one counts."""
        wanted = self.keyword.encode()
        if self.begin < 0:
            for index in range(len(argv) + self.begin, 0, -1):
                if argv[index].upper() == wanted:
                    return index + 1
            return 0
        index = self.begin
        found = 0
        while index < len(argv):
            word = argv[index].upper()
            if word == wanted:
                found = index + 1
                if not self.optional:
                    break
            index += 1 + self.skips.get(word, 0)
        return found


def _number(word: bytes) -> int:
    """A count of keys; 0 if it is none, or more than a call can have."""
    return int(word) if word.isdigit() and len(word) < 10 and word[:1] != b"0" else 0


def key_specs(usage: Usage, flags: str | None, write: bool) -> list[KeySpec]:
    """The key specs of a usage line; marks each key argument with the index of its spec.

    `flags` is the declaration's text (see above), None to derive all. Raises ValueError if they don't fit.
    """
    if flags == "":
        return []
    specs = _Specs(usage, write).specs
    return specs if flags is None else _stated(specs, flags)


class _Specs:
    """The walk over the arguments of a usage line that collects its key specs.

    `index` is where the next argument begins if nothing optional was given; `exact` until something before it may be
    longer or missing.
    """

    def __init__(self, usage: Usage, write: bool) -> None:
        self.specs: list[KeySpec] = []
        self.write = write
        self.usage = usage
        self.index = len(usage.words)
        self.exact = True
        self.options = option_widths(usage.arguments)
        self.writes_elsewhere = any(
            argument.name in DESTINATIONS and argument.kind == "key" for argument in usage.arguments
        )
        for place, argument in enumerate(usage.arguments):
            self.visit(argument, usage.arguments[:place], usage.arguments[place + 1 :])

    def visit(self, argument: Argument, before: list[Argument], after: list[Argument], keyword: str = "") -> None:
        keyword = argument.token or keyword
        if argument.kind == "block" and argument.arguments[0].kind == "key" and argument.multiple:
            self.add(argument.arguments[0], argument, before, after, keyword)
        elif argument.kind == "key" or argument.name == CHANNEL_KEY:
            self.add(argument, argument, before, after, keyword)
        elif argument.kind == "oneof":
            self.visit_each(argument.arguments, keyword)
        elif argument.kind == "block":
            self.visit_block(argument, after, keyword)
            return
        self.index += argument.shortest
        self.exact = self.exact and argument.fixed

    def visit_each(self, choices: list[Argument], keyword: str) -> None:
        start = (self.index, self.exact)
        for choice in choices:
            self.visit(choice, [], [], keyword)
            self.index, self.exact = start

    def visit_block(self, block: Argument, after: list[Argument], keyword: str) -> None:
        start = (self.index, self.exact)
        self.index += len(block.token.split())
        self.exact = self.exact and not block.optional
        for place, argument in enumerate(block.arguments):
            rest = block.arguments[place + 1 :]
            self.visit(argument, block.arguments[:place], rest or after, keyword if place == 0 else "")
        self.index = start[0] + block.shortest
        self.exact = start[1] and block.fixed

    def add(self, key: Argument, shape: Argument, before: list[Argument], after: list[Argument], keyword: str) -> None:
        """Adds the spec of `key`; `shape` is what repeats: the key itself, or a block such as `key value`."""
        step = len(shape.arguments) if shape is not key else 1
        spec = KeySpec(self.flags_of(key, keyword), self.index, step=step)
        if before and before[-1].name == "numkeys":
            spec.begin = self.index - 1
            spec.keynum, spec.first = True, 1
        elif keyword and not (self.exact and not shape.optional and not key.token):
            spec.keyword = keyword
            spec.optional = shape.optional or bool(key.token)
            spec.begin = self.index - (0 if key.token else len(keyword.split()))
            spec.skips = {word: words for word, words in self.options.items() if word != keyword.encode()}
            if shape.multiple:
                spec.last = -1
                spec.limit = 2 if after and after[0].multiple and not after[0].optional else 0
        elif not self.exact:
            raise ValueError(f"the keys of {self.usage.name!r} can't be found by its usage line: state them")
        elif shape.multiple:
            spec.last = -1 - sum(argument.shortest for argument in after)
        elif self.joins_last(spec, key):
            self.specs[-1].last += 1
            key.key_spec = len(self.specs) - 1
            return
        key.key_spec = -1 if key.name == CHANNEL_KEY else len(self.specs)
        self.specs.append(spec)

    def joins_last(self, spec: KeySpec, key: Argument) -> bool:
        """Whether this is `key2` behind `key1`: one spec for both."""
        if key.name != "key2" or not self.specs:
            return False
        last = self.specs[-1]
        return last.begin + last.last + 1 == spec.begin and last.flags == spec.flags

    def flags_of(self, key: Argument, keyword: str) -> list[str]:
        if key.name == CHANNEL_KEY:
            return ["not_key"]
        if not self.write:
            return ["RO", "access"]
        if key.name in DESTINATIONS or keyword.startswith("STORE"):
            return ["OW", "update"]
        return ["RO", "access"] if self.writes_elsewhere else ["RW", "update"]


def option_widths(arguments: list[Argument]) -> dict[bytes, int]:
    """The options that take values, and how many words each takes."""
    options: dict[bytes, int] = {}
    for argument in arguments:
        choices = argument.arguments if argument.kind == "oneof" and not argument.token else [argument]
        for choice in choices:
            if choice.kind == "block" and not choice.token:
                choice = choice.arguments[0]  # COUNT count [ANY]
            if argument.optional and choice.token and choice.kind != "pure-token":
                options[choice.token.encode()] = choice.width - 1
    return options


def _stated(derived: list[KeySpec], text: str) -> list[KeySpec]:
    """The derived specs with the flags that a declaration states, and the specs that it adds."""
    rest = iter(derived)
    specs = []
    for entry in text.split(";"):
        entry, _, unmarked = entry.partition(",")
        unmarked, _, marks = unmarked.partition(" without ")
        place, *words = entry.split()
        unknown = place.lstrip("+") == "unknown"
        keyword, at, index = place.partition("@")
        if place.startswith("+"):
            spec = KeySpec([], 0, finds=False)
        elif at and not keyword:
            spec = KeySpec([], int(index))
        else:
            found = next(rest, None)
            if found is None:
                raise ValueError(f"more key flags than keys: {text!r}")
            spec = replace(found, begin=int(index)) if at else found
        flags = words if unknown or at else [place, *words]
        spec = replace(spec, flags=flags, unknown=unknown)
        specs.append(replace(spec, marks=marks.encode().split(), unmarked_flags=unmarked.split()))
    if next(rest, None) is not None:
        raise ValueError(f"fewer key flags than keys: {text!r}")
    return specs


def legacy_range(specs: list[KeySpec]) -> tuple[int, int, int, bool]:
    """COMMAND INFO's first key, last key and step, and whether keys may be elsewhere too (movablekeys)."""
    if not specs:
        return 0, 0, 0, False
    if len(specs) == 1 and _is_range(specs[0]):
        spec = specs[0]
        last = spec.last + spec.begin if spec.last >= 0 else spec.last
        return spec.begin, last, spec.step, "incomplete" in spec.flags
    first, last, movable = 0, 0, False
    for spec in specs:
        if not _is_range(spec) or spec.step != 1 or (last and last != spec.begin - 1):
            movable = True
            continue
        movable = movable or "incomplete" in spec.flags
        first = first or spec.begin
        last = spec.last + spec.begin if spec.last >= 0 else spec.last
    return (first, last, 1, movable) if first else (0, 0, 0, movable)


def is_plain_range(specs: list[KeySpec]) -> bool:
    """Whether all that follows the first key is a repeat of it, or of it and what belongs to it."""
    return len(specs) == 1 and _is_range(specs[0]) and specs[0].last == -1


def _is_range(spec: KeySpec) -> bool:
    return not spec.keyword and not spec.keynum and not spec.unknown

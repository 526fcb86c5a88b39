"""Selectors of a user: rules on commands, keys, channels and dbs, and whether they allow a call.

Rules are read and written as in ACL SETUSER and ACL LIST; the texts are those of the reference.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum

from common.command import Command, Table
from common.errors import RedisError
from common.flags import CATEGORIES, Flag
from common.glob import Matcher, matcher
from common.numbers import INT_MAX, maybe_integer

READ, WRITE = 1, 2
BOTH = READ | WRITE
LETTERS = {b"R": READ, b"W": WRITE}
KEY_MARKS = {BOTH: b"~", READ: b"%R~", WRITE: b"%W~"}
BLANKS = frozenset(b" \t\n\v\f\r\0")
DB_NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?[0-9]+)")

ENOUGH = Flag.NO_AUTH
"""What everybody may run: AUTH, HELLO, RESET, QUIT."""
IN_A_DB = frozenset(("keyspace", "read", "write"))
"""The categories of commands that work in the client's db."""
ALL_DBS = frozenset(("flushall",))
"""Commands that touch all of them."""

UNKNOWN = "Unknown command or category name in ACL"
SYNTAX = "Syntax error"
USELESS = (
    "Adding a pattern after the * pattern (or the '{all}' flag) is not valid and does not have any effect. "
    "Try '{reset}' to start with an empty list of {what}"
)
USELESS_KEY = USELESS.format(all="allkeys", reset="resetkeys", what="patterns")
USELESS_CHANNEL = USELESS.format(all="allchannels", reset="resetchannels", what="channels")
FIRST_WORD_OF_SUBCOMMAND = "Allowing first-arg of a subcommand is not supported"
BAD_DB = "The provided database ID is out of range"


class BadRule(Exception):
    """A rule that is none; `str(error)` is what the reference says of it, `rule` is the word."""

    def __init__(self, text: str, rule: bytes = b"") -> None:
        super().__init__(text)
        self.rule = rule


class Denied(IntEnum):
    """What of a call is not allowed. Where several selectors refuse it, the greatest is told."""

    DATABASE = 1
    COMMAND = 2
    KEY = 3
    CHANNEL = 4


Refusal = tuple[Denied, int]
"""What is denied, and the index of the word that it is about."""


class Call:
    """One call, and what it needs, found out when it is asked for."""

    def __init__(self, command: Command, argv: Sequence[bytes], db: int, databases: int) -> None:
        """`db` is that of the client, of so many that there are."""
        self.command = command
        self.argv = list(argv)
        self.db = db
        self.databases = databases
        self._keys: list[tuple[int, int]] | None = None

    def touched(self) -> list[tuple[int, int]]:
        """The index of each key, and whether it is read, written or both; 0 for one that is only asked about."""
        if self._keys is None:
            self._keys = []
            try:
                found = self.command.found_keys(self.argv) if self.command.has_keys else []
            except RedisError:
                found = []  # The call is wrong, which whoever runs it says better.
            for spec, indexes in found:
                flags = spec.flags_in(self.argv)
                need = (READ if "access" in flags else 0) | (WRITE if {"insert", "update", "delete"} & {*flags} else 0)
                self._keys += [(index, need) for index in indexes]
        return self._keys

    def dbs(self) -> list[tuple[int, int]]:
        """The dbs that it touches, each with the index of the word that an error is about."""
        command, argv = self.command, self.argv
        places = DB_PLACES.get(command.name)
        indexes = [index for index in places(argv) if index < len(argv)] if places else []
        # Who names none that there is hears that from the command.
        named = [(db, index) for index in indexes if 0 <= (db := integer_or(argv[index], -1)) < self.databases]
        if command.name in ONLY_NAMED:
            return named if len(named) == len(indexes) else []
        if command.has_keys or not IN_A_DB.isdisjoint(command.acl):
            named.append((self.db, 0))
        return named

    def channels(self) -> tuple[list[int], bool]:
        """The indexes of channels that it subscribes or publishes to, and whether they are patterns."""
        first_only = CHANNELS.get(self.command.name)
        if first_only is None:
            return [], False
        return [1] if first_only else list(range(1, len(self.argv))), self.command.name == "psubscribe"


def _behind_db(argv: list[bytes]) -> Iterable[int]:
    return (index + 1 for index in range(3, len(argv)) if argv[index].upper() == b"DB")


DB_PLACES: dict[str, Callable[[list[bytes]], Iterable[int]]] = {
    "select": lambda argv: (1,),
    "move": lambda argv: (2,),
    "swapdb": lambda argv: (1, 2),
    "copy": _behind_db,
}
"""By command, which words of a call are numbers of dbs."""

ONLY_NAMED = frozenset(("swapdb",))
"""Commands that touch the dbs they name and not the client's; if one of the names is wrong, none."""

CHANNELS = {"publish": True, "spublish": True, "subscribe": False, "ssubscribe": False, "psubscribe": False}
"""Commands with channels: whether only the first word is one."""


class Selector:
    """What may be run: commands, on keys, channels and dbs."""

    def __init__(self, table: Table, *, all_channels: bool) -> None:
        self.table = table
        self.allowed: set[str] = set()
        """The full names of commands and subcommands."""
        self.every = False
        """Whether the rules begin with +@all."""
        self.first_words: dict[str, list[bytes]] = {}
        """Of commands that are not allowed, the first words with which they are, in lower case."""
        self.rules: list[tuple[str, bytes]] = []
        """The rules on commands since the last @all: sign and name."""
        self.all_keys = False
        self.keys: dict[bytes, tuple[int, Matcher]] = {}
        self.all_channels = all_channels
        self.channels: dict[bytes, Matcher] = {}
        self.dbs: frozenset[int] | None = None
        """None: all of them."""

    def copy(self) -> "Selector":
        other = Selector(self.table, all_channels=self.all_channels)
        other.allowed = set(self.allowed)
        other.every = self.every
        other.first_words = {name: list(words) for name, words in self.first_words.items()}
        other.rules = list(self.rules)
        other.all_keys, other.keys = self.all_keys, dict(self.keys)
        other.channels, other.dbs = dict(self.channels), self.dbs
        return other

    # Rules

    def apply(self, rule: bytes) -> None:
        """Takes one rule.  Raises BadRule."""
        simple = SIMPLE.get(rule.lower())
        if simple is not None:
            simple(self)
        elif rule[:1] in (b"~", b"%"):
            self._add_key(rule)
        elif rule[:1] == b"&":
            self._add_channel(rule[1:])
        elif rule[:3].lower() == b"db=":
            self._set_dbs(rule[3:])
        elif rule[:1] in (b"+", b"-"):
            # Names are C strings to the reference.
            self._change(rule[:1].decode(), rule[1:].partition(b"\0")[0])
        else:
            raise BadRule(SYNTAX)

    def _add_key(self, rule: bytes) -> None:
        if self.all_keys:
            raise BadRule(USELESS_KEY)
        marks, _, pattern = rule.partition(b"~")
        need = 0
        for letter in marks[1:].upper().decode("latin-1"):
            mark = LETTERS.get(letter.encode("latin-1"), 0)
            if not mark or mark & need:
                raise BadRule(SYNTAX)
            need |= mark
        if not marks:
            need = BOTH
        if not need or not BLANKS.isdisjoint(pattern):
            raise BadRule(SYNTAX)
        before, matches = self.keys.get(pattern) or (0, matcher(pattern))
        self.keys[pattern] = (before | need, matches)

    def _add_channel(self, pattern: bytes) -> None:
        if self.all_channels:
            raise BadRule(USELESS_CHANNEL)
        if not BLANKS.isdisjoint(pattern):
            raise BadRule(SYNTAX)
        self.channels.setdefault(pattern, matcher(pattern))

    def _set_dbs(self, text: bytes) -> None:
        dbs = set()
        for word in text.split(b","):
            number = DB_NUMBER.fullmatch(word)
            if number is None:
                raise BadRule(SYNTAX)
            db = int(number[1])
            if not 0 <= db <= INT_MAX:
                raise BadRule(BAD_DB)
            dbs.add(db)
        self.dbs = frozenset(dbs)

    def _change(self, sign: str, name: bytes) -> None:
        """Allows or forbids a command, a subcommand, a category, or a command with one first word."""
        container, bar, word = name.rpartition(b"|")
        if name[:1] == b"@":
            self._change_category(sign, name.lower())
            return
        command = self._find(name)
        if sign == "+" and bar:
            parent = self._find(container)
            if parent is None:
                raise BadRule(UNKNOWN)
            if "|" in parent.name:
                raise BadRule(FIRST_WORD_OF_SUBCOMMAND)
            if not word:
                raise BadRule(SYNTAX)
            if not parent.subcommands or parent.opaque:
                words = self.first_words.setdefault(parent.name, [])
                if word.lower() not in words:
                    words.append(word.lower())
                self._note(sign, name.lower())
                return
        if command is None:
            raise BadRule(UNKNOWN)
        self._set(command, allowed=sign == "+")
        self._note(sign, name.lower() if bar else command.name.encode())

    def _find(self, name: bytes) -> Command | None:
        return self.table.get(name.decode("utf-8", "surrogateescape"))

    def _change_category(self, sign: str, name: bytes) -> None:
        category = name[1:].decode("utf-8", "surrogateescape")
        if category not in CATEGORIES:
            raise BadRule(UNKNOWN)
        for command in self.table.shown():
            if category in command.acl:
                self._set(command, allowed=sign == "+")
        self._note(sign, name)

    def _set(self, command: Command, *, allowed: bool) -> None:
        change = self.allowed.add if allowed else self.allowed.discard
        change(command.name)
        self.first_words.pop(command.name, None)
        for subcommand in () if command.opaque else command.subcommands.values():
            change(subcommand.name)
            self.first_words.pop(subcommand.name, None)

    def _note(self, sign: str, name: bytes) -> None:
        """Adds a rule and drops those that it makes needless, so that the list says the same in the same order."""
        self.rules = [rule for rule in self.rules if rule[1] != name and not rule[1].startswith(name + b"|")]
        self.rules.append((sign, name))

    def set_all(self, *, allowed: bool) -> None:
        """+@all or -@all."""
        self.every = allowed
        self.allowed = {command.name for command in self.table.shown()} if allowed else set()
        self.first_words.clear()
        self.rules.clear()

    # As text

    def commands_text(self) -> bytes:
        words = [sign.encode() + name for sign, name in self.rules]
        return b" ".join([b"+@all" if self.every else b"-@all", *words])

    def keys_text(self) -> bytes:
        return b"~*" if self.all_keys else b" ".join(KEY_MARKS[need] + key for key, (need, _) in self.keys.items())

    def channels_text(self) -> bytes:
        return b"&*" if self.all_channels else b" ".join(b"&" + channel for channel in self.channels)

    def dbs_text(self) -> bytes:
        if self.dbs is None:
            return b"alldbs"
        return b"db=" + b",".join(b"%d" % db for db in sorted(self.dbs)) if self.dbs else b""

    def text(self) -> bytes:
        """The rules that make it, as ACL LIST has them."""
        channels = self.channels_text() if self.all_channels else b"resetchannels " + self.channels_text()
        dbs = b"" if self.dbs is None else self.dbs_text() or b"resetdbs"
        words = (self.keys_text(), channels.rstrip(b" "), dbs, self.commands_text())
        return b" ".join(word for word in words if word)

    # What is allowed

    def refuses(self, call: Call) -> Refusal | None:
        """What of a call it does not allow; None if it allows all."""
        command, argv = call.command, call.argv
        if self.dbs is not None:
            if command.name in ALL_DBS:
                return Denied.DATABASE, 0
            for db, index in call.dbs():
                if db not in self.dbs:
                    return Denied.DATABASE, index
        if command.name not in self.allowed and not command.flags & ENOUGH:
            words = self.first_words.get(command.name)
            if not words or len(argv) < 2 or argv[1].lower() not in words:
                return Denied.COMMAND, 0
        if not self.all_keys:
            for index, need in call.touched():
                if not self._has_key(argv[index], need):
                    return Denied.KEY, index
        if not self.all_channels:
            indexes, patterns = call.channels()
            for index in indexes:
                if not self.has_channel(argv[index], pattern=patterns):
                    return Denied.CHANNEL, index
        return None

    def _has_key(self, key: bytes, need: int) -> bool:
        return any(need & given == need and matches(key) for given, matches in self.keys.values())

    def has_channel(self, channel: bytes, *, pattern: bool) -> bool:
        return has_channel(self.channels, channel, pattern=pattern)

    @property
    def reads_all(self) -> bool:
        """Whether it may read every key, whatever its name."""
        return self.all_keys or bool(self.keys.get(b"*", (0,))[0] & READ)


def integer_or(word: bytes, otherwise: int) -> int:
    number = maybe_integer(word)
    return otherwise if number is None else number


def has_channel(channels: dict[bytes, Matcher], channel: bytes, *, pattern: bool) -> bool:
    """Whether a channel is among those that are allowed. A pattern has to be there word by word."""
    if pattern:
        return channel in channels
    return any(matches(channel) for matches in channels.values())


def _all_keys(selector: Selector) -> None:
    selector.all_keys = True
    selector.keys.clear()


def _reset_keys(selector: Selector) -> None:
    selector.all_keys = False
    selector.keys.clear()


def _all_channels(selector: Selector) -> None:
    selector.all_channels = True
    selector.channels.clear()


def _reset_channels(selector: Selector) -> None:
    selector.all_channels = False
    selector.channels.clear()


def _all_dbs(selector: Selector) -> None:
    selector.dbs = None


def _reset_dbs(selector: Selector) -> None:
    selector.dbs = frozenset()


def _all_commands(selector: Selector) -> None:
    selector.set_all(allowed=True)


def _no_commands(selector: Selector) -> None:
    selector.set_all(allowed=False)


SIMPLE: dict[bytes, Callable[[Selector], None]] = {
    b"allkeys": _all_keys,
    b"~*": _all_keys,
    b"resetkeys": _reset_keys,
    b"allchannels": _all_channels,
    b"&*": _all_channels,
    b"resetchannels": _reset_channels,
    b"alldbs": _all_dbs,
    b"resetdbs": _reset_dbs,
    b"allcommands": _all_commands,
    b"+@all": _all_commands,
    b"nocommands": _no_commands,
    b"-@all": _no_commands,
}
"""The rules of a selector that are one word."""

"""The filters of CLIENT LIST and CLIENT KILL.

Each option gives a condition, and a client is meant if all hold. A later option of the same name takes the place of an
earlier one; only the numbers of ID and NOT-ID add up. Most have a NOT- form, which turns the condition around.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from common.errors import RedisError, SyntaxFault, shown
from common.numbers import INT_MAX, INT_MIN, maybe_integer
from router.commands.client_fields import (
    CAPABILITY_LETTERS,
    FLAG_LETTERS,
    age_s,
    capabilities_of,
    flags_of,
    idle_s,
    ip_of,
)
from router.output import class_of

if TYPE_CHECKING:
    from router.session import Session

Condition = Callable[["Session"], bool]

TYPES = {
    b"NORMAL": "normal",
    b"SLAVE": "replica",
    b"REPLICA": "replica",
    b"PUBSUB": "pubsub",
    b"MASTER": "primary",
    b"PRIMARY": "primary",
}


class Filter:
    """Which clients are meant."""

    def __init__(self, asking: "Session", words: Sequence[bytes], *, skip_me: bool) -> None:
        """What the options `words` mean to the client `asking`.  Raises RedisError at the first that is wrong."""
        self.asking = asking
        self.skip_me = skip_me
        self.conditions: dict[str, Condition] = {}
        self._ids: dict[str, set[int]] = {}
        at = 0
        while at < len(words):
            at = self._read(words, at)

    def clients(self) -> list["Session"]:
        """Those that are meant, by their numbers."""
        conditions = self.conditions.values()
        return [
            client
            for client in self.asking.router.sessions.values()
            if not (self.skip_me and client is self.asking) and all(condition(client) for condition in conditions)
        ]

    def _read(self, words: Sequence[bytes], at: int) -> int:
        """Reads the option at `at`; the place behind it."""
        option = words[at].upper().decode("latin-1")
        negated = option.startswith("NOT-")
        name = option.removeprefix("NOT-")
        if at + 1 == len(words):
            raise SyntaxFault()
        if name == "ID":
            return self._read_ids(option, words, at + 1)
        if option == "SKIPME":
            self.skip_me = yes_or_no(words[at + 1])
        elif name in CONDITIONS:
            holds = CONDITIONS[name](self.asking, words[at + 1], option)
            self.conditions[option] = (lambda client: not holds(client)) if negated else holds
        elif option in LIMITS:
            self.conditions[option] = LIMITS[option](words[at + 1])
        else:
            raise SyntaxFault()
        return at + 2

    def _read_ids(self, option: str, words: Sequence[bytes], at: int) -> int:
        """All numbers from `at` on, which may be none: what is no number is the next option."""
        ids = self._ids.setdefault(option, set())
        while at < len(words) and (number := maybe_integer(words[at])) is not None:
            if number < 1:
                raise RedisError("ERR client-id should be greater than 0")
            ids.add(number)
            at += 1
        wanted = option == "ID"
        self.conditions[option] = lambda client: (client.id in ids) == wanted
        return at


def yes_or_no(word: bytes) -> bool:
    """Raises SyntaxFault if it is neither."""
    if word.upper() not in (b"YES", b"NO"):
        raise SyntaxFault()
    return word.upper() == b"YES"


# The conditions that can be negated. Each is made from the client that asks, the word and the option as an error names
# it: "FLAGS" or "NOT-FLAGS".


def _type(asking: "Session", word: bytes, option: str) -> Condition:
    kind = TYPES.get(word.upper())
    if kind is None:
        raise RedisError(f"ERR Unknown client type '{shown(word)}'")
    return lambda client: class_of(client) == kind


def _user(asking: "Session", word: bytes, option: str) -> Condition:
    user = asking.router.users.users.get(word.decode("utf-8", "surrogateescape"))
    if user is None:
        raise RedisError(f"ERR No such user '{shown(word)}'")
    return lambda client: client.user is user


def _flags(asking: "Session", word: bytes, option: str) -> Condition:
    letters = _known_letters(word, option, "flags", FLAG_LETTERS)
    return lambda client: letters <= set(flags_of(client))


def _capa(asking: "Session", word: bytes, option: str) -> Condition:
    letters = _known_letters(word, option, "capa", CAPABILITY_LETTERS)
    return lambda client: letters <= set(capabilities_of(client))


def _known_letters(word: bytes, option: str, what: str, known: frozenset[str]) -> set[str]:
    letters = shown(word)
    if not known.issuperset(letters):
        where = f"{option} filter" if option.startswith("NOT-") else "provided filter"
        raise RedisError(f"ERR Unknown {what} found in the {where}: {letters}")
    return set(letters)


def _db(asking: "Session", word: bytes, option: str) -> Condition:
    db = maybe_integer(word)
    if db is None or not INT_MIN <= db <= INT_MAX:
        raise RedisError(f"ERR {option} is not an integer or out of range")
    databases = asking.router.config["databases"]
    if not 0 <= db < databases:
        raise RedisError(f"ERR {option} number should be between 0 and {databases - 1}")
    return lambda client: client.db == db


def _text(value_of: Callable[["Session"], bytes]) -> Callable[["Session", bytes, str], Condition]:
    """A condition that a text is that word. Who has none has no text, not an empty one."""
    return lambda asking, word, option: lambda client: bool(value_of(client)) and value_of(client) == word


CONDITIONS: dict[str, Callable[["Session", bytes, str], Condition]] = {
    "TYPE": _type,
    "USER": _user,
    "FLAGS": _flags,
    "CAPA": _capa,
    "DB": _db,
    "ADDR": _text(lambda client: client.address.encode()),
    "LADDR": _text(lambda client: client.local_address.encode()),
    "IP": _text(lambda client: ip_of(client).encode()),
    "NAME": _text(lambda client: client.name),
    "LIB-NAME": _text(lambda client: client.library_name),
    "LIB-VER": _text(lambda client: client.library_version),
}


def _at_least(name: str, seconds_of: Callable[["Session"], int]) -> Callable[[bytes], Condition]:
    def condition(word: bytes) -> Condition:
        least_s = maybe_integer(word)
        if least_s is None:
            raise RedisError(f"ERR {name} is not an integer or out of range")
        if least_s <= 0:
            raise RedisError(f"ERR {name} should be greater than 0")
        return lambda client: seconds_of(client) >= least_s

    return condition


LIMITS = {"MAXAGE": _at_least("maxage", age_s), "IDLE": _at_least("idle", idle_s)}
"""Conditions that cannot be negated."""

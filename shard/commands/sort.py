"""SORT: the elements of a list, a set or a sorted set in order, by themselves or by what other keys hold.

As in the reference where order is left open: what compares equal is compared as text if it is numbers, and else stays
as it was, but where LIMIT takes some of what BY ... ALPHA sorts (see partial_sort.py). Texts are compared byte by byte,
up to a zero byte unless the result is stored: that is its collation in the locale C.

What BY and GET read are keys that no declaration can name. Where they may be on other shards than the sorted key, the
router asks which they are (`formed_keys`), and has them lent (see router/reach.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from common.command import DENYOOM, READONLY, WRITE
from common.errors import RedisError, SyntaxFault, WrongType
from common.numbers import integer, maybe_double
from shard.commands.hash_fields import live_text
from shard.commands.list_arguments import fill_of
from shard.commands.table import TABLE
from shard.keyspace import Keyspace
from shard.values.hash import Hash
from shard.values.list import RIGHT, List
from shard.values.partial_sort import INSERTION_MAX, PARTIAL_SORT_MAX, sort_first
from shard.values.set import Set
from shard.values.sorted_set import SortedSet

command = TABLE.family("generic")

COMPLEXITY = (
    "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements."
    " When the elements are not sorted, complexity is O(N)."
)
ACL = "set sortedset list dangerous -keyspace"

NO_LISTPACK = (0, 0)
"""Limits that no sorted set keeps."""


@command(
    "SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]"
    " [STORE destination]",
    WRITE | DENYOOM,
    since="1.0.0",
    complexity=COMPLEXITY,
    keys="RO access; +unknown RO access; unknown OW update",
    acl=ACL,
    event="sortstore",
)
def sort(db: Keyspace, key: bytes, *options: bytes) -> list[bytes | None] | int:
    """Sorts the elements in a list, a set, or a sorted set, optionally storing the result."""
    how = _parsed(options, OPTIONS)
    found = _found(db, key, how)
    return found if how.destination is None else _store(db, how.destination, found)


@command(
    "SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]",
    READONLY,
    since="7.0.0",
    complexity=COMPLEXITY,
    keys="RO access; +unknown RO access",
    acl=ACL,
)
def sort_ro(db: Keyspace, key: bytes, *options: bytes) -> list[bytes | None]:
    """Returns the sorted elements of a list, a set, or a sorted set."""
    return _found(db, key, _parsed(options, READING_OPTIONS))


def _store(db: Keyspace, destination: bytes, found: list[bytes | None]) -> int:
    if not found:
        db.delete(destination)
        return 0
    value = List()
    value.push([text or b"" for text in found], RIGHT, fill_of(db))
    db.set(destination, value)
    return len(found)


# --- What the call says ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Sorting:
    """How to sort."""

    by: bytes | None = None
    """Whose values to compare instead of the elements."""
    unsorted: bool = False
    """Whether there is nothing to sort: a BY without `*`."""
    offset: int = 0
    count: int = -1
    """How many are wanted, all if negative."""
    gets: list[bytes] = field(default_factory=list)
    descending: bool = False
    alpha: bool = False
    destination: bytes | None = None


OPTIONS = {b"ASC": 0, b"DESC": 0, b"ALPHA": 0, b"LIMIT": 2, b"BY": 1, b"GET": 1, b"STORE": 1}
"""How many words follow each."""
READING_OPTIONS = {name: words for name, words in OPTIONS.items() if name != b"STORE"}


def _parsed(words: tuple[bytes, ...], known: dict[bytes, int]) -> Sorting:
    """What the options say, the last one of each but for GET.  Raises RedisError, as soon as a word is wrong."""
    how = Sorting()
    at = 0
    while at < len(words):
        option = words[at].upper()
        arguments = words[at + 1 : at + 1 + known.get(option, 0)]
        if option not in known or len(arguments) < known[option]:
            raise SyntaxFault()
        _take(how, option, arguments)
        at += 1 + len(arguments)
    return how


def _take(how: Sorting, option: bytes, arguments: tuple[bytes, ...]) -> None:
    if option == b"LIMIT":
        how.offset, how.count = integer(arguments[0]), integer(arguments[1])
    elif option == b"BY":
        how.by = arguments[0]
        how.unsorted = how.unsorted or _star(arguments[0]) < 0
    elif option == b"GET":
        how.gets.append(arguments[0])
    elif option == b"STORE":
        how.destination = arguments[0]
    elif option == b"ALPHA":
        how.alpha = True
    else:
        how.descending = option == b"DESC"


# --- Sorting ---------------------------------------------------------------------------------------------------------


def _found(db: Keyspace, key: bytes, how: Sorting) -> list[bytes | None]:
    """The elements in order, or what GET finds for them.  Raises RedisError. O(n log n)."""
    value = db.get(key)
    if value is not None and type(value) not in ELEMENTS:
        raise WrongType()
    db.about_to_change(key)  # Its encoding may.
    elements = [] if value is None else _in_order(db, value, how)
    if not how.gets:
        return elements
    lookups = [_lookup(db, pattern) for pattern in how.gets]
    return [lookup(element) for element in elements for lookup in lookups]


def _in_order(db: Keyspace, value: Any, how: Sorting) -> list[Any]:
    if type(value) is SortedSet:
        value.expect(1, 0, NO_LISTPACK)  # The reference makes it a skiplist, to sort it.
    start, end = _bounds(how, len(value))
    if not how.unsorted:
        return _sorted(db, _elements(value), how, start, end)
    if type(value) is not Set:
        return _part(value, start, end, how.descending)
    if how.destination is not None:
        # What is stored must not depend on an order that is each server's own.
        return _by_text(value.to_list(), how)[start:end]
    return value.to_list()[start:end]


def _bounds(how: Sorting, length: int) -> tuple[int, int]:
    """Where what is wanted begins, and the index behind its end."""
    start = min(max(how.offset, 0), length)
    return start, length if how.count < 0 else min(start + how.count, length)


def _elements(value: Any) -> list[bytes]:
    """All of them, in the order in which they are. O(n)."""
    return ELEMENTS[type(value)](value)


ELEMENTS: dict[type, Callable[[Any], list[bytes]]] = {
    List: list,
    Set: Set.to_list,
    SortedSet: lambda value: value.range(0, len(value)),
}


def _part(value: Any, start: int, end: int, descending: bool) -> list[bytes]:
    """A part of a list or sorted set as it is, counted and read from its end if `descending`. O(part)."""
    if descending:
        start, end = len(value) - end, len(value) - start
    part: list[bytes] = value.range(start, end - start if type(value) is List else end)
    return part[::-1] if descending else part


def _sorted(db: Keyspace, elements: list[bytes], how: Sorting, start: int, end: int) -> list[bytes]:
    if how.by is None:
        return (_by_text if how.alpha else _by_number)(elements, how)[start:end]
    lookup = _lookup(db, how.by)
    weights = [lookup(element) for element in elements]
    if not how.alpha:
        scored = zip(map(_score, weights), elements, strict=True)
        return [element for _, element in sorted(scored, reverse=how.descending)[start:end]]
    return _by_weight(elements, weights, how, start, end)


def _by_number(elements: list[bytes], how: Sorting) -> list[bytes]:
    scored = zip(map(_score, elements), elements, strict=True)
    return [element for _, element in sorted(scored, reverse=how.descending)]


def _by_text(elements: list[bytes], how: Sorting) -> list[bytes]:
    return sorted(elements, key=_collation(how), reverse=how.descending)


def _by_weight(elements: list[bytes], weights: list[bytes | None], how: Sorting, start: int, end: int) -> list[bytes]:
    """As texts, what has no weight first."""
    collation = _collation(how)
    keys = [(0, b"") if weight is None else (1, collation(weight)) for weight in weights]
    places = list(range(len(elements)))
    if start == 0 and end == len(elements) or not INSERTION_MAX <= len(elements) <= PARTIAL_SORT_MAX:
        places.sort(key=keys.__getitem__, reverse=how.descending)
    else:
        ranks = {key: rank for rank, key in enumerate(sorted(set(keys), reverse=how.descending))}
        sort_first(places, [ranks[key] for key in keys], end)
    return [elements[place] for place in places[start:end]]


def _collation(how: Sorting) -> Callable[[bytes], bytes]:
    """What of a text is compared."""
    return bytes if how.destination is not None else _before_zero


def _before_zero(text: bytes) -> bytes:
    """What C takes for the string."""
    return text.partition(b"\0")[0]


def _score(text: bytes | None) -> float:
    if text is None:
        return 0.0
    score = maybe_double(_before_zero(text))
    if score is None:
        raise RedisError("ERR One or more scores can't be converted into double")
    return score


# --- What BY and GET read --------------------------------------------------------------------------------------------


def _star(pattern: bytes) -> int:
    """Where an element is put into a pattern, -1 if nowhere."""
    return _before_zero(pattern).find(b"*")


def _lookup(db: Keyspace, pattern: bytes) -> Callable[[bytes], bytes | None]:
    """What gives the value that a pattern means for an element, None if there is none.

    `weight_*` is the string at such a key, `data_*->name` a field of the hash, `#` the element itself. `->` with
    nothing behind it is a part of the key's name.
    """
    if _before_zero(pattern) == b"#":
        return lambda element: element
    star = _star(pattern)
    if star < 0:
        return lambda element: None
    prefix, suffix, field_ = _parts(pattern, star)
    if field_ is None:
        return lambda element: _string(db, b"%b%b%b" % (prefix, element, suffix))
    return lambda element: _text(db, b"%b%b%b" % (prefix, element, suffix), field_)


def _parts(pattern: bytes, star: int) -> tuple[bytes, bytes, bytes | None]:
    """What of a key comes before the element, what behind it, and the field if it is one of a hash."""
    prefix, suffix = pattern[:star], pattern[star + 1 :]
    arrow = _before_zero(suffix).find(b"->")
    if arrow < 0 or arrow + 2 == len(_before_zero(suffix)):
        return prefix, suffix, None
    return prefix, suffix[:arrow], suffix[arrow + 2 :]


def formed_keys(db: Keyspace, argv: list[bytes]) -> list[bytes]:
    """The keys that BY and GET of a call read.  Raises RedisError if the call is wrong. O(n) a pattern."""
    how = _parsed(tuple(argv[2:]), OPTIONS)
    value = db.peek(argv[1])
    if type(value) not in ELEMENTS:
        return []
    by = [how.by] if how.by is not None and not how.unsorted else []
    keys = [form(element) for form in _forms(by) for element in _elements(value)]
    # What is sorted by itself is known before the first key is read, and so which elements GET is for.
    elements = _elements(value) if by else _in_order(db, value, how) if how.gets else []
    keys += [form(element) for form in _forms(how.gets) for element in elements]
    return list(dict.fromkeys(keys))


def _forms(patterns: list[bytes]) -> list[Callable[[bytes], bytes]]:
    """For each pattern with a star how it forms the key of an element."""
    return [_former(pattern, star) for pattern in patterns if (star := _star(pattern)) >= 0]


def _former(pattern: bytes, star: int) -> Callable[[bytes], bytes]:
    prefix, suffix, _ = _parts(pattern, star)
    return lambda element: b"%b%b%b" % (prefix, element, suffix)


def _string(db: Keyspace, key: bytes) -> bytes | None:
    value = db.get(key)
    return value if type(value) is bytes else bytes(value) if type(value) is bytearray else None


def _text(db: Keyspace, key: bytes, field_: bytes) -> bytes | None:
    value = db.get(key)
    return live_text(db, value, field_) if type(value) is Hash else None

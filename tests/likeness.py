"""When two servers' replies to the same command are alike: equal to the byte, but for those that RULES names.

A rule takes a value to what is compared instead: sorted where a reply has no order, near where it depends on the
moment, its shape where it is each server's own. What is answered otherwise on purpose:

- COMMAND INFO has no notes and COMMAND DOCS no history: they are texts for people, see `_without_notes`.
- An integer that INCRBYFLOAT made is int at once, see `as_printed`.
- An option with a zero byte inside is none (`SET k v EX\\0 1`); Valkey does not see what is behind the zero.
- PFADD to what is no whole HyperLogLog changes nothing; Valkey keeps what it did before it found that.
- GEOSEARCH BYPOLYGON finds what is inside of a polygon wider than half the globe; Valkey looks only near its middle.
- OBJECT REFCOUNT is 1; in an EXEC Valkey counts the queued command that still holds the value.
"""

import re
from collections.abc import Callable
from typing import Any

from tests.audit import Audit
from tests.random_commands import Argv
from tests.resp_client import Error, Map, Reply

TOLERANCE_S = 3
"""How far apart two times to live may be: the same command reached the servers at different moments."""


def _shape(value: Any) -> Any:
    """Only of which type it is."""
    return type(value).__name__


def _sorted(value: Any) -> Any:
    return sorted(value, key=repr) if isinstance(value, list) else value


def _sorted_pairs(value: Any) -> Any:
    if type(value) is list and len(value) % 2 == 0:
        return sorted(zip(value[::2], value[1::2], strict=True), key=repr)
    return _sorted(value)


def _hello(value: Any) -> Any:
    """Server, version, id and modules are each server's own: the fields' names, in order, and the protocol count."""
    if isinstance(value, Map):
        return [name for name, _ in value], dict(value)[b"proto"]
    if type(value) is list:
        return value[::2], value[5]
    return value


def _command_table(value: Any) -> Any:
    """The whole table, or how long it is, says how much a server can do and not whether it does it right."""
    whole = len(value) > 50 if isinstance(value, list) else type(value) is int and value > 50
    return _shape(value) if whole else _without_notes(value)


def _without_notes(value: Any) -> Any:
    """Key specs have notes for people there, which a declaration does not state."""
    if isinstance(value, Map):
        return [(name, _without_notes(item)) for name, item in value if name != b"notes"]
    if not isinstance(value, list):
        return value
    items = [_without_notes(item) for item in value]
    return items[2:] if len(items) > 2 and items[0] == b"notes" else items


def _encoding(value: Any) -> Any:
    """Of a whole number, see `as_printed`."""
    return b"int" if value == b"embstr" else value


def as_printed(held: Audit) -> Audit:
    """Takes a string for what it would be if the log were loaded: int where it looks like one, and else text.

    INCRBYFLOAT stores what it prints, and Valkey does not look at it again: of 3.0 it holds the text "3", which is
    embstr until the log is loaded and int from then on. A string here is its bytes and nothing more, so that what looks
    like an integer is int at once. And a command that could edit a string in place (SETBIT, PFADD) makes it raw there
    even if it changes nothing, and nothing is logged.
    """
    return {
        place: (kind, value, expiry, (INTEGER.fullmatch(value) and b"int") if kind == b"string" else encoding)
        for place, (kind, value, expiry, encoding) in held.items()
    }


def at_about_the_same_time(held: Audit) -> Audit:
    """With times inside values, of fields and of deliveries, that are equal to those of a server that was asked a
    moment later."""
    return {
        place: (kind, ABOUT.get(kind, lambda value: value)(value), expiry, encoding)
        for place, (kind, value, expiry, encoding) in held.items()
    }


def _about_fields(value: Any) -> Any:
    return [(field, text, _milliseconds(at_ms)) for field, text, at_ms in value]


def _about_deliveries(value: Any) -> Any:
    """An entry that is pending is [id, consumer, time, count] in its group, [id, time, count] in its consumer."""
    groups = []
    for group in value[b"groups"]:
        consumers = [
            {**consumer, b"pending": [[id_, _milliseconds(at_ms), count] for id_, at_ms, count in consumer[b"pending"]]}
            for consumer in group[b"consumers"]
        ]
        pending = [[id_, name, _milliseconds(at_ms), count] for id_, name, at_ms, count in group[b"pending"]]
        groups.append({**group, b"pending": pending, b"consumers": consumers})
    return {**value, b"groups": groups}


ABOUT = {b"hash": _about_fields, b"stream": _about_deliveries}


def as_logged(held: Audit) -> Audit:
    """Takes what a log does not tell for the same: an encoding that once was needed. SORT makes a sorted set a
    skiplist, and is no write; a hash or set that another shard borrowed is logged as what it holds.
    """
    return {
        place: (kind, value, expiry, None if kind in (b"zset", b"hash", b"set") else encoding)
        for place, (kind, value, expiry, encoding) in held.items()
    }


INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")


UNORDERED_OBJECTS = (2, 4, 22)
"""The types in a dump whose elements have no order: sets and hashes that are hashtables."""


def _dump(value: Any) -> Any:
    """Only how long it is, where it has no order."""
    return (value[0], len(value)) if type(value) is bytes and value[0] in UNORDERED_OBJECTS else value


def _each(value: Any, rule: Callable[[Any], Any]) -> Any:
    return [rule(item) for item in value] if isinstance(value, list) else value


def _seconds(value: Any) -> Any:
    return Near(value, TOLERANCE_S) if type(value) is int and value > 0 else value


def _milliseconds(value: Any) -> Any:
    return Near(value, TOLERANCE_S * 1000) if type(value) is int and value > 0 else value


class Near:
    """A number that is equal to those around it."""

    def __init__(self, number: int, tolerance: int) -> None:
        self.number = number
        self.tolerance = tolerance

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Near) and abs(self.number - other.number) <= self.tolerance

    __hash__ = None  # type: ignore[assignment]


FIRST_NOW_MS = 10**12
STREAM_ID_OF_NOW = re.compile(rb"\d{13}-\d+")


def _stream(value: Any) -> Any:
    """Times are near, and IDs of now the same. In a list of what is pending, and of consumers, so are idle times."""
    if isinstance(value, Map):
        return [(name, _near(item) if _is_idle(name, item) else _stream(item)) for name, item in value]
    if isinstance(value, list):
        if len(value) == 4 and type(value[0]) is type(value[1]) is bytes and type(value[2]) is type(value[3]) is int:
            return [*value[:2], _near(value[2]), value[3]]
        pairs = zip([None, *value], value, strict=False)
        return [_near(item) if _is_idle(name, item) else _stream(item) for name, item in pairs]
    if type(value) is int and value >= FIRST_NOW_MS:
        return _near(value)
    return b"now" if type(value) is bytes and STREAM_ID_OF_NOW.fullmatch(value) else value


def _is_idle(name: Any, value: Any) -> bool:
    return name in (b"idle", b"inactive") and type(value) is int and value >= 0


def _near(time_ms: int) -> Near:
    return Near(time_ms, TOLERANCE_S * 1000)


Rule = Callable[[Any], Any]

RULES: dict[bytes, Rule] = {
    **dict.fromkeys((b"TTL", b"EXPIRETIME"), _seconds),
    **dict.fromkeys((b"PTTL", b"PEXPIRETIME"), _milliseconds),
    **dict.fromkeys((b"HTTL", b"HEXPIRETIME"), lambda value: _each(value, _seconds)),
    **dict.fromkeys((b"HPTTL", b"HPEXPIRETIME"), lambda value: _each(value, _milliseconds)),
    **dict.fromkeys((b"KEYS", b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"SPOP", b"HKEYS", b"HVALS"), _sorted),
    **dict.fromkeys((b"HGETALL", b"CONFIG GET"), _sorted_pairs),
    # The cursors of SCAN are each server's own, so what it finds is too.
    **dict.fromkeys(
        (
            b"RANDOMKEY",
            b"SCAN",
            b"TIME",
            b"SRANDMEMBER",
            b"ZRANDMEMBER",
            b"HRANDFIELD",
            b"HSCAN",
            b"SSCAN",
            b"CLIENT ID",
            b"OBJECT IDLETIME",
            b"OBJECT REFCOUNT",
        ),
        _shape,
    ),
    **dict.fromkeys((b"XADD", b"XRANGE", b"XREVRANGE", b"XREAD", b"XREADGROUP", b"XPENDING"), _stream),
    **dict.fromkeys((b"XCLAIM", b"XAUTOCLAIM", b"XINFO STREAM", b"XINFO GROUPS", b"XINFO CONSUMERS"), _stream),
    b"DUMP": _dump,
    b"HELLO": _hello,
    b"OBJECT ENCODING": _encoding,
    b"COMMAND": _command_table,
}
"""What is compared instead of the bytes, by command or by command and subcommand."""


def rule_of(argv: Argv) -> Rule | None:
    return RULES.get(argv[0].upper()) or RULES.get(b" ".join(argv[:2]).upper())


class Judge:
    """Compares replies of one client, and remembers what it queued: EXEC answers for all of it."""

    def __init__(self) -> None:
        self.queued: list[Argv] | None = None

    def agree(self, argv: Argv, one: Reply, other: Reply) -> bool:
        """Whether two servers answered the same."""
        name = argv[0].upper()
        queued = self.queued
        if name == b"MULTI" and one.raw == b"+OK\r\n":
            self.queued = []
        elif one.raw == b"+QUEUED\r\n" and queued is not None:
            queued.append(argv)
        elif name in (b"EXEC", b"DISCARD", b"RESET") and len(argv) == 1:
            self.queued = None
        if one.raw == other.raw:
            return True
        if name == b"EXEC" and type(one.value) is type(other.value) is list and queued:
            return len(one.value) == len(other.value) == len(queued) and all(
                same(argv, first, second) for argv, first, second in zip(queued, one.value, other.value, strict=True)
            )
        return rule_of(argv) is not None and same(argv, one.value, other.value)


def same(argv: Argv, one: Any, other: Any) -> bool:
    """Whether two values are alike as replies to this command."""
    rule = rule_of(argv)
    if rule is None or type(one) is not type(other) or isinstance(one, Error):
        return type(one) is type(other) and bool(one == other)
    return bool(rule(one) == rule(other))

"""Replies as redis-cli prints them: written from a value, and read back as a pattern that a value matches or not.

What is read may hold, in the place of any value, what can't be a fixed text:

    (integer) ~ 99..100     a number between two, both included; "(integer) ~" any; the same for (double)
    "/[a-c]+/"              a bulk string that the expression matches whole; also (error) /re/, (verbatim) /re/ and,
                            for a status, /re/ alone
    ${name}                 anything; it is remembered, and the same name must be the same later. "${name}" a bulk
                            string, (integer) ${name} a number. Commands may use ${name} too
    (anything)              any one reply
    ...                     as the last line of an aggregate: any further elements
    (unordered)             before an aggregate, on its own line or just before it: its elements in any order
    (unordered pairs)       the same for an array of keys and values
    "${a*65}"               65 times "a"
    (monitor 0) "SET" "k"   what MONITOR tells of a command in db 0, at any time from any address
    (no reply)              nothing comes (yet)
    (closed)                the server has closed the connection

Where redis-cli's text would lose a type it is added: `(nil array)` is RESP2's "*-1" (and `(nil)` stands for any null),
`1> ` numbers the elements of a push, `(verbatim) "txt:..."` is a verbatim string.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from tests.resp_client import NULL_ARRAY, BigNumber, Double, Error, Map, Push, Set, Status, Verbatim

ESCAPES = {0x5C: "\\\\", 0x22: '\\"', 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x07: "\\a", 0x08: "\\b"}
UNESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b"}

MARKS: dict[str, type[list[Any]]] = {")": list, "#": Map, "~": Set, ">": Push}
EMPTY: dict[str, type[list[Any]]] = {"array": list, "hash": Map, "set": Set, "push": Push}


MONITORED = re.compile(rb"\d+\.\d{6} \[(\d+) (\S+)\] (.*)")
"""The time, the db, who sent it, and the words."""


class BadExpectation(Exception):
    """A text that is no reply."""


# --- Writing ---------------------------------------------------------------------------------------------------------


def printed(value: Any, indent: str = "") -> str:
    """`value` as redis-cli prints it; lines after the first begin with `indent`. No line end at the end."""
    if isinstance(value, list):
        return _printed_items(value, indent)
    return SCALARS[type(value)](value)


def _printed_items(items: list[Any], indent: str) -> str:
    mark = next(mark for mark, kind in MARKS.items() if kind is type(items))
    if not items:
        return f"(empty {next(name for name, kind in EMPTY.items() if kind is type(items))})"
    width = len(str(len(items)))
    inner = indent + " " * (width + 2)
    lines = []
    for number, item in enumerate(items, 1):
        text = f"{printed(item[0], inner)} => {printed(item[1], inner)}" if mark == "#" else printed(item, inner)
        lines.append(f"{number:>{width}}{mark} {text}")
    return f"\n{indent}".join(lines)


def quoted(text: bytes) -> str:
    r"""`text` in double quotes, with redis-cli's escapes: \n, \x00, \", \\."""
    body = "".join(ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in text)
    if len(body) > 1 and body[0] == body[-1] == "/":
        body = "\\x2f" + body[1:]
    return '"' + body.replace("${", "\\x24{") + '"'


def _printed_status(value: bytes) -> str:
    if monitored := MONITORED.fullmatch(value):
        return f"(monitor {monitored[1].decode()}) {monitored[3].decode()}"
    text = value.decode("utf-8", "backslashreplace")
    plain = text and text.isprintable() and text[0] not in '"(/#@~$. ' and not re.match(r"[A-Z]*[<>]|\d+[)#~>] ", text)
    return text if plain else f"(status) {quoted(value)}"


SCALARS: dict[type, Callable[[Any], str]] = {
    bytes: quoted,
    int: lambda value: f"(integer) {value}",
    bool: lambda value: "(true)" if value else "(false)",
    type(None): lambda value: "(nil)",
    type(NULL_ARRAY): lambda value: "(nil array)",
    Status: _printed_status,
    Error: lambda value: f"(error) {value.decode('utf-8', 'backslashreplace')}",
    Double: lambda value: f"(double) {value.decode()}",
    BigNumber: lambda value: f"(big number) {value.decode()}",
    Verbatim: lambda value: f"(verbatim) {quoted(value)}",
}

# --- Reading ---------------------------------------------------------------------------------------------------------

Captures = dict[str, bytes]


class Pattern:
    """What a reply is compared with."""

    def matches(self, value: Any, captures: Captures) -> bool:
        raise NotImplementedError


@dataclass(slots=True)
class Exactly(Pattern):
    value: Any

    def matches(self, value: Any, captures: Captures) -> bool:
        return type(value) is type(self.value) and bool(value == self.value)


@dataclass(slots=True)
class AnyNull(Pattern):
    def matches(self, value: Any, captures: Captures) -> bool:
        return value is None or value is NULL_ARRAY


@dataclass(slots=True)
class Anything(Pattern):
    def matches(self, value: Any, captures: Captures) -> bool:
        return True


class NoReply(Pattern):
    """Nothing comes: only as a whole expectation."""


class Closed(Pattern):
    """The connection ends: only as a whole expectation."""


@dataclass(slots=True)
class Regex(Pattern):
    kind: type[bytes]
    expression: re.Pattern[bytes]

    def matches(self, value: Any, captures: Captures) -> bool:
        return type(value) is self.kind and self.expression.fullmatch(value) is not None


@dataclass(slots=True)
class Monitored(Pattern):
    db: str
    words: str

    def matches(self, value: Any, captures: Captures) -> bool:
        found = MONITORED.fullmatch(value) if type(value) is Status else None
        return found is not None and (found[1].decode(), found[3].decode()) == (self.db, self.words)


@dataclass(slots=True)
class Between(Pattern):
    kind: type
    low: float
    high: float

    def matches(self, value: Any, captures: Captures) -> bool:
        number: Any = value
        return type(value) is self.kind and self.low <= float(number) <= self.high


@dataclass(slots=True)
class Capture(Pattern):
    kind: type | None
    name: str

    def matches(self, value: Any, captures: Captures) -> bool:
        if self.kind is not None and type(value) is not self.kind:
            return False
        text = bytes(value) if isinstance(value, bytes) else printed(value).removeprefix("(integer) ").encode()
        return captures.setdefault(self.name, text) == text


class Order(Enum):
    AS_WRITTEN = ""
    ANY = "(unordered)"
    ANY_OF_PAIRS = "(unordered pairs)"


@dataclass(slots=True)
class Aggregate(Pattern):
    kind: type[list[Any]]
    items: list[Any] = field(default_factory=list)
    order: Order = Order.AS_WRITTEN
    open_end: bool = False

    def matches(self, value: Any, captures: Captures) -> bool:
        if type(value) is not self.kind or (
            len(value) < len(self.items) if self.open_end else len(value) != len(self.items)
        ):
            return False
        if self.order is Order.AS_WRITTEN:
            return all(_matches(item, got, captures) for item, got in zip(self.items, value, strict=False))
        if self.order is Order.ANY_OF_PAIRS:
            return len(value) % 2 == 0 and _matches_in_any_order(_pairs(self.items), _pairs(value), captures)
        return _matches_in_any_order(self.items, list(value), captures)


def _pairs(items: Sequence[Any]) -> list[Any]:
    return list(zip(items[::2], items[1::2], strict=True))


def _matches(pattern: Any, value: Any, captures: Captures) -> bool:
    if isinstance(pattern, tuple):
        return all(part.matches(half, captures) for part, half in zip(pattern, value, strict=True))
    return bool(pattern.matches(value, captures))


def _matches_in_any_order(patterns: list[Any], values: list[Any], captures: Captures) -> bool:
    """Fixed values take theirs first, so that a looser pattern does not take it from them.  O(n^2)."""
    left = list(values)
    for pattern in sorted(patterns, key=lambda pattern: not isinstance(pattern, Exactly)):
        found = next((place for place, value in enumerate(left) if _matches(pattern, value, captures)), None)
        if found is None:
            return False
        del left[found]
    return True


def aged(pattern: Any, by: int) -> Any:
    """As `pattern`, but numbers above 0 may be less by up to `by`: what is left of a time while the clock goes on."""
    if isinstance(pattern, Exactly) and type(pattern.value) is int and pattern.value > 0:
        return Between(int, max(0, pattern.value - by), pattern.value)
    if isinstance(pattern, Between) and pattern.low > 0:
        return Between(pattern.kind, max(0, pattern.low - by), pattern.high)
    if isinstance(pattern, Aggregate):
        return replace(pattern, items=[aged(item, by) for item in pattern.items])
    return pattern


def patterns(lines: Sequence[str]) -> list[Pattern]:
    """The replies that `lines` describe, one after the other.  Raises BadExpectation."""
    reader = _Reader(lines)
    return list(reader.replies())


class _Reader:
    """Reads nested aggregates by their indent: the first element stands on its parent's line, the others below it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.at = 0

    def replies(self) -> Iterator[Pattern]:
        while self.at < len(self.lines):
            yield self.value(self.lines[self.at], 0)

    def value(self, text: str, indent: int) -> Pattern:
        for order in (Order.ANY, Order.ANY_OF_PAIRS):
            if text.startswith(order.value):
                text = text.removeprefix(order.value).removeprefix(" ")
                if not text:
                    self.at += 1
                    text = self.lines[self.at][indent:] if self.at < len(self.lines) else ""
                aggregate = self.value(text, indent)
                if not isinstance(aggregate, Aggregate):
                    raise BadExpectation(f"{order.value} stands before an aggregate, not before {text!r}")
                aggregate.order = order
                return aggregate
        if re.match(r" *1[)#~>] ", text):
            return self.aggregate(text, indent)
        self.at += 1
        return scalar(text)

    def aggregate(self, text: str, indent: int) -> Aggregate:
        found = Aggregate(list)
        while index := re.match(rf" *{len(found.items) + 1}([)#~>]) ", text):
            found.kind = MARKS[index[1]]
            found.items.append(self.item(index[1], text[index.end() :], indent + index.end()))
            if self.at >= len(self.lines) or self.lines[self.at][:indent].strip():
                break
            text = self.lines[self.at][indent:]
            if text.strip() == "...":
                found.open_end = True
                self.at += 1
                break
        return found

    def item(self, mark: str, text: str, indent: int) -> Any:
        if mark != "#":
            return self.value(text, indent)
        string = re.match(r'"(?:[^"\\]|\\.)*"', text)
        key = string[0] if string else text.partition(" => ")[0]
        arrow, value = text[len(key) : len(key) + 4], text[len(key) + 4 :]
        if arrow != " => ":
            raise BadExpectation(f"a map's element is `key => value`, not {text!r}")
        return scalar(key), self.value(value, indent)


def scalar(text: str) -> Pattern:
    """A pattern that stands on one line."""
    if text in WHOLE:
        return WHOLE[text]()
    if text.startswith('"'):
        return _text_pattern(bytes, text)
    label, _, rest = text.partition(") ")
    if monitored := re.fullmatch(r"\(monitor (\d+)\) (.*)", text):
        return Monitored(*monitored.groups())
    if text.startswith("(") and label[1:] in LABELLED:
        return LABELLED[label[1:]](rest)
    if text.startswith("(") or re.match(r" *\d+[)#~>] ", text):
        raise BadExpectation(f"not a reply, or not at this place: {text!r}")
    if name := _name(text):
        return Capture(None, name)
    if expression := _expression(text):
        return Regex(Status, expression)
    return Exactly(Status(text.encode()))


WHOLE: dict[str, Callable[[], Pattern]] = {
    "(nil)": AnyNull,
    "(nil array)": lambda: Exactly(NULL_ARRAY),
    "(true)": lambda: Exactly(True),
    "(false)": lambda: Exactly(False),
    "(anything)": Anything,
    "(no reply)": NoReply,
    "(closed)": Closed,
    **{f"(empty {name})": lambda kind=kind: Aggregate(kind) for name, kind in EMPTY.items()},  # type: ignore[misc]
}


def _text_pattern(kind: type[bytes], text: str) -> Pattern:
    if not re.fullmatch(r'"(?:[^"\\]|\\.)*"', text):
        raise BadExpectation(f"not one quoted string: {text}")
    body = text[1:-1]
    if name := _name(body):
        return Capture(kind, name)
    if expression := _expression(body):
        return Regex(kind, expression)
    return Exactly(kind(unescaped(body)))


def _number_pattern(kind: type, text: str) -> Pattern:
    if name := _name(text):
        return Capture(kind, name)
    if not text.startswith("~"):
        return Exactly(int(text) if kind is int else kind(text.encode()))
    low, _, high = text[1:].strip().partition("..")
    return Between(kind, float(low or "-inf"), float(high or "inf"))


def _line_pattern(kind: type[bytes], text: str) -> Pattern:
    expression = _expression(text)
    return Regex(kind, expression) if expression else Exactly(kind(text.encode()))


def _verbatim_pattern(text: str) -> Pattern:
    expression = _expression(text)
    return Regex(Verbatim, expression) if expression else _text_pattern(Verbatim, text)


LABELLED: dict[str, Callable[[str], Pattern]] = {
    "integer": lambda text: _number_pattern(int, text),
    "double": lambda text: _number_pattern(Double, text),
    "error": lambda text: _line_pattern(Error, text),
    "big number": lambda text: _line_pattern(BigNumber, text),
    "verbatim": _verbatim_pattern,
    "status": lambda text: _text_pattern(Status, text),
}


def _name(text: str) -> str | None:
    found = re.fullmatch(r"\$\{(\w+)\}", text)
    return found[1] if found else None


def _expression(text: str) -> re.Pattern[bytes] | None:
    if len(text) > 2 and text[0] == text[-1] == "/":
        return re.compile(text[1:-1].encode(), re.DOTALL)
    return None


def unescaped(body: str) -> bytes:
    r"""The bytes that a double-quoted text stands for: \n, \x00, \", and `${a*65}` for a repeated text."""
    body = re.sub(r"\$\{([^${}]+)\*(\d+)\}", lambda found: found[1] * int(found[2]), body)
    parts = re.split(r"(\\x[0-9a-fA-F]{2}|\\.)", body, flags=re.DOTALL)
    return b"".join([_unescaped_part(part) for part in parts])


def _unescaped_part(part: str) -> bytes:
    if part.startswith("\\x") and len(part) == 4:
        return bytes([int(part[2:], 16)])
    if part.startswith("\\") and len(part) == 2:
        return UNESCAPES.get(part[1]) or part[1].encode()
    return part.encode()

"""What a directive's value may be: how its text is read, and how CONFIG GET writes it.

`parse` turns the text of redis.conf or CONFIG SET into a value and raises BadValue, whose text is Valkey's. `written`
is the way back: `parse(written(value)) == value`; `show` is what CONFIG GET answers, mostly the same. Values are made
of int, float, bool, str, list and dict only, so that they can travel to the shards as they are.
"""

from collections.abc import Callable, Sequence
from typing import Any

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
UINT_MAX = 2**32 - 1
ULONG_MAX = 2**64 - 1
BIND_ADDRESSES_MAX = 16  # Valkey's CONFIG_BINDADDR_MAX: each is a listening socket.

UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}
EVENT_CLASSES = "g$lshzxetd"  # what A stands for, in the order in which they are shown
EVENT_FLAGS = "KEmn"
CLIENT_CLASSES = {"normal": "normal", "slave": "slave", "replica": "slave", "pubsub": "pubsub"}


class BadValue(ValueError):
    """A text that is no value of this kind; `str(error)` is what Valkey says of it."""


class Kind:
    """A text without line breaks, taken as it is."""

    several_words = False  # Does a line of the file give its value as several words?
    several_lines = False  # Is each line of the file one more of the same?

    def parse(self, text: str) -> Any:
        return text

    def show(self, value: Any) -> str:
        return str(value)

    def written(self, value: Any) -> str:
        return self.show(value)

    def merged(self, old: Any, new: Any) -> Any:
        """What holds after CONFIG SET gave `new`."""
        return new

    def accumulated(self, old: Any, new: Any) -> Any:
        """What holds after another line of the same file gave `new`."""
        return self.merged(old, new)


class Lines(Kind):
    """What is said once a line: a list of lines, whose words are quoted where they need to be."""

    several_words = several_lines = True

    def parse(self, text: str) -> list[str]:
        return text.split("\n") if text else []

    def show(self, value: list[str]) -> str:
        return "\n".join(value)

    def accumulated(self, old: list[str], new: list[str]) -> list[str]:
        return old + new


class Text(Kind):
    """A text; `check` gives what is wrong with it, or an empty text."""

    def __init__(self, check: Callable[[str], str] = lambda text: "") -> None:
        self.check = check

    def parse(self, text: str) -> str:
        if fault := self.check(text):
            raise BadValue(fault)
        return text


class Addresses(Kind):
    """Addresses between spaces: a leading "-" means that it may be missing, "*" all of them."""

    several_words = True

    def parse(self, text: str) -> str:
        words = text.split()
        if len(words) > BIND_ADDRESSES_MAX:
            raise BadValue("Too many bind addresses specified.")
        return " ".join(words)


class Integer(Kind):
    def __init__(self, lowest: int, highest: int, clamp: tuple[int, int] | None = None) -> None:
        self.lowest, self.highest, self.clamp = lowest, highest, clamp

    def parse(self, text: str) -> int:
        value = strict_integer(text)
        if value is None:
            raise BadValue("argument couldn't be parsed into an integer")
        value = within(value, self.lowest, self.highest)
        return min(max(value, self.clamp[0]), self.clamp[1]) if self.clamp else value


class Octal(Kind):
    """File permissions."""

    def parse(self, text: str) -> int:
        if not text or text.strip("01234567"):
            raise BadValue("argument couldn't be parsed as an octal number")
        value = int(text, 8)
        if value > 0o777:
            raise BadValue("argument must be between 0 and 777 inclusive")
        return value

    def show(self, value: int) -> str:
        return f"{value:o}"


class Memory(Kind):
    """Bytes, with an optional unit: 1k is 1000, 1kb is 1024. `signed` allows a plain negative number."""

    fault = "argument must be a memory value"

    def __init__(self, lowest: int = 0, highest: int = LONG_MAX, signed: bool = False) -> None:
        self.lowest, self.highest, self.signed = lowest, highest, signed

    def parse(self, text: str) -> int:
        value = strict_integer(text) if self.signed and text[:1] == "-" else bytes_of(text)
        if value is None:
            raise BadValue(self.fault)
        return within(value, self.lowest, self.highest)


class MemoryOrPercent(Memory):
    """As Memory, or "5%", which is -5."""

    fault = "argument must be a memory or percent value"

    def parse(self, text: str) -> int:
        if not text.endswith("%"):
            return super().parse(text)
        percent = strict_integer(text[:-1])
        if percent is None or percent < 0:
            raise BadValue(self.fault)
        if percent > 100:
            raise BadValue("percentage argument must be less or equal to 100")
        return -percent

    def show(self, value: int) -> str:
        return f"{-value}%" if value < 0 else str(value)


class YesNo(Kind):
    def parse(self, text: str) -> bool:
        if text.lower() not in ("yes", "no"):
            raise BadValue("argument must be 'yes' or 'no'")
        return text.lower() == "yes"

    def show(self, value: bool) -> str:
        return "yes" if value else "no"


class OneOf(Kind):
    """One of some words, in any case."""

    def __init__(self, *choices: str) -> None:
        self.choices = choices

    def parse(self, text: str) -> str:
        for choice in self.choices:
            if choice.lower() == text.lower():
                return choice
        raise BadValue("argument(s) must be one of the following: " + ", ".join(self.choices))


class SomeOf(OneOf):
    """Several of some words, shown in the order in which they are declared; the first of them means none."""

    several_words = True

    def parse(self, text: str) -> str:
        words = {super(SomeOf, self).parse(word) for word in text.split() or [""]}
        return " ".join(choice for choice in self.choices[1:] if choice in words) or self.choices[0]


class SavePoints(Kind):
    """Pairs of seconds and changes: [[900, 1], [300, 10]]."""

    several_words = True

    def parse(self, text: str) -> list[list[int]]:
        numbers = [strict_integer(word) for word in text.split(" ")] if text else []
        points = [[seconds or 0, -1 if changes is None else changes] for seconds, changes in pairs_of(numbers)]
        if len(numbers) % 2 or any(seconds < 1 or changes < 0 for seconds, changes in points):
            raise BadValue("Invalid save parameters")
        return points

    def show(self, value: Sequence[Sequence[int]]) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def accumulated(self, old: list[list[int]], new: list[list[int]]) -> list[list[int]]:
        return old + new if new else []


class BufferLimits(Kind):
    """{"normal": [hard_bytes, soft_bytes, soft_seconds], "slave": ..., "pubsub": ...}; a text may name some of them."""

    several_words = True

    def parse(self, text: str) -> dict[str, list[int]]:
        words = text.split()
        if len(words) % 4:
            raise BadValue("Wrong number of arguments in buffer limit configuration.")
        found: dict[str, list[int]] = {}
        for at in range(0, len(words), 4):
            class_ = CLIENT_CLASSES.get(words[at].lower())
            if class_ is None:
                raise BadValue("Invalid client class specified in buffer limit configuration.")
            limits = [bytes_of(words[at + 1]), bytes_of(words[at + 2]), strict_integer(words[at + 3])]
            if any(limit is None or limit < 0 for limit in limits):
                raise BadValue("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
            found[class_] = [limit or 0 for limit in limits]
        return found

    def show(self, value: dict[str, list[int]]) -> str:
        return " ".join(f"{class_} {hard} {soft} {seconds}" for class_, (hard, soft, seconds) in value.items())

    def merged(self, old: dict[str, list[int]], new: dict[str, list[int]]) -> dict[str, list[int]]:
        return {**old, **new}


class Events(Kind):
    """The classes of keyspace events, as letters in Valkey's order, "A" for all of them."""

    def parse(self, text: str) -> str:
        if set(text) - set(EVENT_CLASSES + EVENT_FLAGS + "A"):
            raise BadValue("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        every = "A" in text or set(EVENT_CLASSES) <= set(text)
        classes = "A" if every else "".join(letter for letter in EVENT_CLASSES if letter in text)
        return classes + "".join(letter for letter in EVENT_FLAGS if letter in text)

    def written(self, value: str) -> str:
        return value

    def show(self, value: str) -> str:
        """As Valkey shows them: "n" (new key) is lost beside "A"."""
        if "A" in value:
            return value.replace("n", "")
        classes = value.translate(dict.fromkeys(map(ord, EVENT_FLAGS)))
        new_key = "n" if "n" in value else ""
        return classes + new_key + "".join(letter for letter in "KEm" if letter in value)


class Percentiles(Kind):
    several_words = True

    def parse(self, text: str) -> list[float]:
        try:
            # float() also takes "nan", "1_0": nothing but a plain decimal number is meant here.
            words = text.split(" ") if text else []
            values = [float(word) if not word.strip("0123456789.+-eE") else float("") for word in words]
        except ValueError:
            raise BadValue("Invalid latency-tracking-info-percentiles parameters") from None
        if any(not 0 <= value <= 100 for value in values):
            raise BadValue("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
        return values

    def show(self, value: Sequence[float]) -> str:
        return " ".join(f"{percentile:.6f}".rstrip("0").rstrip(".") for percentile in value)


class OomScores(Kind):
    """Three numbers: for the server, for a replica, for a child that writes a snapshot."""

    several_words = True

    def parse(self, text: str) -> list[int]:
        words = text.split(" ")
        if len(words) != 3:
            raise BadValue("wrong number of arguments")
        values = [strict_integer(word) for word in words]
        if any(value is None or not -2000 <= value <= 2000 for value in values):
            raise BadValue("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
        return [value or 0 for value in values]

    def show(self, value: Sequence[int]) -> str:
        return " ".join(map(str, value))


class Only(Kind):
    """A directive whose effect Shardis does not have and that nobody may believe in: only its default is taken."""

    def __init__(self, kind: Kind, default: str, reason: str) -> None:
        self.kind, self.reason = kind, reason
        self.several_words = kind.several_words
        self.only = kind.parse(default)

    def parse(self, text: str) -> Any:
        value = self.kind.parse(text)
        if value != self.only:
            raise BadValue(self.reason)
        return value

    def show(self, value: Any) -> str:
        return self.kind.show(value)


def strict_integer(text: str) -> int | None:
    """The number, if it is written as Redis's string2ll wants it: no blank, no plus, no leading zero."""
    digits = text[1:] if text[:1] == "-" else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 20:
        return None
    if digits[0] == "0" and text != "0":
        return None
    value = int(text)
    return value if -LONG_MAX - 1 <= value <= LONG_MAX else None


def bytes_of(text: str) -> int | None:
    """The bytes that "1gb" or "64" means; no text at all is 0, as in Redis."""
    digits = text.rstrip("bkmgBKMG")
    unit = UNITS.get(text[len(digits) :].lower())
    if unit is None or (digits and not (digits.isascii() and digits.isdigit())) or (text and not digits):
        return None
    value = int(digits or "0") * unit
    return value if value <= ULONG_MAX else None


def within(value: int, lowest: int, highest: int) -> int:
    if not lowest <= value <= highest:
        raise BadValue(f"argument must be between {lowest} and {highest} inclusive")
    return value


def pairs_of(items: list[int | None]) -> list[tuple[int | None, int | None]]:
    return list(zip(items[::2], items[1::2], strict=False))

"""Random commands, from lines that read as the usage lines of the documentation.

    SET key value [NX | XX] [EX seconds | KEEPTTL]      upper case is sent as it is, lower case drawn from a pool
    MSET (key value)...                                 one to four times
    0.1 FLUSHALL                                        a tenth as often as others

One command in twelve or so is spoiled, unless its line begins with "!": an argument dropped, doubled, exchanged or
added, an option of another branch.
All chance comes from the Random given, so a seed gives the same stream on every machine.
"""

import re
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from random import Random

from tests.command_families import FAMILIES
from tests.rdb_payloads import SOUND, UNSOUND, sealed

Argv = list[bytes]

KEYS = [b"a", b"b", b"c", b"key:1", b"key:2", b"\x00\xff", b""]
TAGGED_KEYS = [b"{t}1", b"{t}2", b"{t}3", b"x{t}"]
"""All of one slot: commands with several keys draw half the time from these alone."""

FAR_FUTURE_S = 4_000_000_000
SPOILED = 0.08
REPEATS = (1, 1, 2, 2, 3, 4)

INTEGERS = [b"0", b"1", b"2", b"3", b"5", b"10", b"-1", b"-2", b"-5", b"100"]
BAD_INTEGERS = [b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"abc", b"", b"1.5", b" 1"]
BAD_INTEGERS += [b"01", b"+1", b"-0", b"1 ", b"0x1", b"1e3", b"-"]
FLOATS = [b"1", b"0", b"-1", b"1.5", b"-2.25", b"0.1", b"1e3", b"3.0e-5", b"10.0", b"1e17", b"123456789.125"]
BAD_FLOATS = [b"inf", b"-inf", b"nan", b"abc", b"", b"1e400", b" 1", b"1 ", b"0x10", b"1e"]
VALUES = [b"", b"a", b"hello", b"10", b"-5", b"9223372036854775807", b"3.14", b"foobar", b"ohmytext", b"x" * 44]
VALUES += [b"y" * 45, b"\x00\xff\r\n", b"12345678901234567890", b" 1", b"0", b"-0", b"1e5", b"\xe4\xf6"]
MEMBERS = [b"m1", b"m2", b"m3", b"m4", b"1", b"2", b"-3", b"z" * 65, b"\x00", b""]

Draw = Callable[[Random], bytes]


def _among(*pools: Sequence[bytes], weights: Sequence[float] = ()) -> Draw:
    """A draw from one of the pools; the first is taken nine times in ten if nothing else is said."""
    shares = list(weights) or [1.0] if len(pools) == 1 else list(weights) or [0.9, 0.1]
    return lambda random: random.choice(random.choices(pools, shares)[0])


def _among_or_far(pool: Sequence[bytes], least: int) -> Draw:
    """Mostly some number up to a thousand times the least. Were it always one of a few, the milliseconds that pass
    between two commands would decide which of two expiries is the later one."""

    def draw(random: Random) -> bytes:
        return random.choice(pool) if random.random() < 0.1 else b"%d" % random.randrange(least, least * 1000)

    return draw


SLOTS: dict[str, Draw] = {
    "key": _among(KEYS[:5], TAGGED_KEYS, KEYS, weights=[0.6, 0.3, 0.1]),
    "value": _among(VALUES),
    "member": _among(MEMBERS),
    "field": _among(MEMBERS),
    "int": _among(INTEGERS, BAD_INTEGERS),
    "index": _among(INTEGERS, BAD_INTEGERS),
    "count": _among([b"0", b"1", b"2", b"3", b"5", b"10"], BAD_INTEGERS + [b"-1", b"-3"]),
    "numkeys": _among([b"1", b"2", b"3"], [b"0", b"-1", b"abc", b"5"]),
    "offset": _among([b"0", b"1", b"3", b"7", b"8", b"20", b"100"], [b"-1", b"536870912", b"4294967296", b"abc", b""]),
    "bit-place": _among([b"0", b"1", b"7", b"8", b"9", b"100", b"799"], [b"-1", b"4294967296", b"abc", b"", b"1.5"]),
    "bit": _among([b"0", b"1"], [b"2", b"-1", b"abc", b""]),
    "float": _among(FLOATS, BAD_FLOATS),
    "score": _among([*FLOATS, b"inf", b"-inf"], BAD_FLOATS),
    "min": _among([b"-inf", b"0", b"(0", b"1", b"(1", b"-5"], [b"abc", b"(", b"nan"]),
    "max": _among([b"+inf", b"inf", b"1", b"(1", b"100", b"(1.5"], [b"abc", b"(", b"nan"]),
    "lexmin": _among([b"-", b"[m1", b"(m1", b"[", b"("], [b"m", b"", b"+"]),
    "lexmax": _among([b"+", b"[m3", b"(m3", b"[z"], [b"m", b"", b"-"]),
    "seconds": _among_or_far([b"0", b"-1", b"-100", *BAD_INTEGERS, b"9223372036854775"], 100),
    "milliseconds": _among_or_far([b"0", b"-1", b"-100", *BAD_INTEGERS], 100_000),
    "unix-seconds": _among([b"%d" % FAR_FUTURE_S, b"%d" % (FAR_FUTURE_S + 7)], [b"1", b"0", b"-1", *BAD_INTEGERS]),
    "unix-milliseconds": _among([b"%d" % (FAR_FUTURE_S * 1000), b"%d" % (FAR_FUTURE_S * 1000 + 7)], BAD_INTEGERS),
    "db": _among([b"0", b"1", b"2"], [b"15", b"16", b"-1", b"abc", b"", b"01"], weights=[0.9, 0.1]),
    "pattern": _among([b"*", b"k*", b"?", b"[ab]", b"key:[^1]", b"*t*", b"\\a", b"[", b"", b"a*b", b"[c-a]", b"{t}?"]),
    "type": _among([b"string", b"list", b"set", b"zset", b"hash", b"stream"], [b"other"]),
    "encoding": _among([b"u8", b"i8", b"u16", b"i5", b"u63", b"i64", b"u1"], [b"u64", b"i65", b"u0", b"x8", b""]),
    "bit-offset": _among([b"0", b"1", b"#1", b"#2", b"7", b"100"], [b"-1", b"#-1", b"abc", b"4294967296"]),
    "element": lambda random: b"e%d" % random.randrange(random.choice([5, 500, 100_000])),
    "hll": _among(
        [b"HYLL\x01" + bytes(11) + b"\x7f\xff", b"HYLL\x01" + bytes(10) + b"\x80\x80\x7f\xfe"],
        [b"HYLL\x01" + bytes(11) + b"\x00", b"HYLL\x02" + bytes(13), b"HYLL", b"HYLL\x00" + bytes(11 + 12288)],
    ),
    "longitude": _among(
        [b"13.361389", b"15.087269", b"12.75", b"14", b"-0.5", b"0", b"15.0001"],
        [b"180", b"-180", b"180.1", b"abc", b"nan", b"1e1"],
    ),
    "latitude": _among(
        [b"38.115556", b"37.502669", b"37.5", b"38", b"0", b"-0.5", b"38.0001"],
        [b"85.05112878", b"-85.05112878", b"86", b"abc", b"inf"],
    ),
    "distance": _among([b"100", b"200", b"50.5", b"400", b"1e3", b"1"], [b"0", b"-1", b"abc", b"inf", b"30000", b"-0"]),
    "unit": _among([b"km", b"KM", b"m", b"mi", b"ft"], [b"cm", b"", b"kms"]),
    "word": _among([b"nonsense", b"get", b"FLUSH", b"\x00", b"a" * 200, b"a b", b"a\r\nb", b"'"]),
    "by-pattern": _among(
        [b"w_*", b"v_*", b"h_*->f", b"h_*->g", b"#", b"nosort"], [b"*", b"->*", b"h_*->", b"", b"*_*"]
    ),
    "protocol": _among([b"2", b"3"], [b"1", b"4", b"abc", b""]),
    "stream-id": _among(
        [b"%d-%d" % (ms, sequence) for ms in range(1, 9) for sequence in range(3)] + [b"%d-*" % ms for ms in range(9)],
        [b"0", b"0-0", b"5", b"99-7", b"200-1", b"5-x", b"-", b"+", b"", b"x", b"1-1-1", b"*-1", b"1--1", b" 3-1"],
        [b"18446744073709551615-18446744073709551615", b"18446744073709551616-0", b"9223372036854775808-1", b"1--01"],
        weights=[0.9, 0.095, 0.005],
    ),
    "stream-start": _among([b"-", b"0", b"2", b"(2-1", b"3-1", b"5-2"], [b"(3", b"(", b"+", b"(-", b"x", b"3-*"]),
    "stream-end": _among([b"+", b"7", b"(5-1", b"4-0", b"6-2"], [b"(4", b"(", b"-", b"(+", b"x", b"(0-0", b"3-*"]),
    "group": _among([b"g1", b"g2"], [b"g3", b"\x00\xff", b""]),
    "consumer": _among([b"alice", b"bob"], [b"carol", b"\x00\xff", b""]),
    # Nothing that is near to the times that pass in a test.
    "min-idle": _among([b"0", b"0", b"100000", b"1000000000"], [b"-1", b"abc", b"", b"9223372036854775807"]),
    "block-s": _among([b"0.001"], [b"-1", b"abc", b"", b"1e30", b"-inf"]),
    "block-ms": _among([b"1"], [b"-1", b"abc", b"", b"9223372036854775807", b"1.5"]),
    "payload": _among([sealed(body) for _, body in SOUND], [*(sealed(body) for _, body in UNSOUND), b"", bytes(30)]),
    "name": _among([b"me", b"", b"lib-1.0"], [b"a b", b"\n", b"\xe4"]),
}

# --- From a line to a command ----------------------------------------------------------------------------------------

TOKEN = re.compile(r"\[|\]|\(|\)|\||\.\.\.|[^\s\[\]()|]+")


@dataclass(slots=True)
class Node:
    """A piece of a line: a `word`, a sequence of `parts`, or one of several `branches`."""

    word: str = ""
    parts: "list[Node] | None" = None
    branches: "list[Node] | None" = None
    optional: bool = False
    repeated: bool = False


class Usage:
    """One line: its weight, the name of its command and how to draw one."""

    def __init__(self, line: str) -> None:
        weight = re.match(r"\s*([\d.]+) ", line)
        self.weight = float(weight[1]) if weight else 1.0
        self.line = line[weight.end() :].strip() if weight else line.strip()
        self.spoiled = 0.0 if self.line.startswith("!") else SPOILED
        self.line = self.line.removeprefix("!")
        tokens = TOKEN.findall(self.line)
        self.name = tokens[0]
        self.subcommand = f"{tokens[0]}|{tokens[1]}" if len(tokens) > 1 and tokens[1].isupper() else tokens[0]
        """As COMMAND INFO is asked for it. It may be an option in truth: then no server knows it."""
        self.options = [token.encode() for token in tokens[1:] if token.isupper()]
        self.keys = tokens.count("key") + self.line.count("(key")
        self.root = _parsed(tokens, 0, "")[0]

    def weighted(self, factor: float) -> "Usage":
        """The same line, so much more often."""
        other = copy(self)
        other.weight *= factor
        return other

    def draw(self, random: Random) -> Argv:
        """A command. All its keys are of one slot half the time, if it has several."""
        one_slot = self.keys > 1 and random.random() < 0.5
        argv = _drawn(self.root, random, one_slot)
        if random.random() < self.spoiled:
            _spoil(argv, self.options, random)
        if random.random() < 0.1:
            argv[0] = argv[0].lower()
        return argv


def usages(family: str) -> list[Usage]:
    return [Usage(line) for line in FAMILIES[family].strip().splitlines()]


def _parsed(tokens: list[str], at: int, end: str) -> tuple[Node, int]:
    """What stands from `at` to the closing `end`, and the place behind that."""
    branches: list[list[Node]] = [[]]
    while at < len(tokens) and tokens[at] != end:
        token = tokens[at]
        at += 1
        if token == "|":
            branches.append([])
        elif token == "...":
            branches[-1][-1].repeated = True
        elif token in "[(":
            node, at = _parsed(tokens, at, "]" if token == "[" else ")")
            node.optional = token == "["
            branches[-1].append(node)
        else:
            branches[-1].append(Node(word=token))
    sequences = [Node(parts=parts) for parts in branches]
    return (Node(branches=sequences) if len(sequences) > 1 else sequences[0]), at + 1


def _drawn(node: Node, random: Random, one_slot: bool, times: int = 0) -> Argv:
    """`times` is how often it is repeated, if a number before it says so."""
    if node.optional and random.random() < 0.55:
        return []
    found: Argv = []
    for _ in range((times or random.choice(REPEATS)) if node.repeated else 1):
        if node.branches is not None:
            found += _drawn(random.choice(node.branches), random, one_slot)
        elif node.parts is not None:
            found += _drawn_parts(node.parts, random, one_slot)
        elif node.word == "key" and one_slot:
            found.append(random.choice(TAGGED_KEYS))
        elif node.word in SLOTS:
            found.append(SLOTS[node.word](random))
        else:
            found.append(node.word.encode())
    return found


def _drawn_parts(parts: list[Node], random: Random, one_slot: bool) -> Argv:
    found: Argv = []
    times = 0
    for part in _in_some_order(parts, random):
        found += _drawn(part, random, one_slot, times)
        times = 0
        if part.word == "numkeys" and random.random() < 0.9:
            times = random.choice(REPEATS)
            found[-1] = b"%d" % times
    return found


def _in_some_order(parts: list[Node], random: Random) -> list[Node]:
    """Options that stand at the end can come in any order."""
    first = len(parts)
    while first and parts[first - 1].optional:
        first -= 1
    if len(parts) - first < 2 or random.random() < 0.7:
        return parts
    return parts[:first] + random.sample(parts[first:], len(parts) - first)


def _spoil(argv: Argv, options: list[bytes], random: Random) -> None:
    """Makes it wrong, most likely."""
    place = random.randrange(1, len(argv)) if len(argv) > 1 else 0
    how = random.randrange(5)
    if how == 0 and place:
        del argv[place]
    elif how == 1 and place:
        argv.insert(place, argv[place])
    elif how == 2 and place:
        argv[place] = random.choice(BAD_INTEGERS + VALUES)
    elif how == 3 and options:
        argv.insert(random.randint(1, len(argv)), random.choice(options))
    else:
        argv.append(random.choice(VALUES))

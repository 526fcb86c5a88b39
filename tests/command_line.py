r"""A line that a person types at redis-cli, as arguments.

Quoted as there: "double quotes with \n and \x00", 'single quotes without'. Besides, in a bare or double-quoted word:

    ${name}                 what a matcher of that name has captured before
    ${a*65}                 a text repeated
    f${1..3} v${1..3}       f1 v1 f2 v2 f3 v3: a range makes arguments, neighbours with the same range take turns
"""

import re
from collections.abc import Iterator

from tests.expectation import Captures, unescaped

REPEATS_MAX = 1_000_000
ARGUMENT = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"']\S*))(?=\s|$)""", re.DOTALL)
RANGE = re.compile(r"\$\{(-?\d+)\.\.(-?\d+)\}")


def split_command(text: str, captures: Captures | None = None) -> list[bytes]:
    """The arguments of a line, quoted as for redis-cli.  Raises ValueError on unbalanced quotes or an unknown name."""
    text = text.strip()
    words: list[str | bytes] = []
    at = 0
    while at < len(text):
        found = ARGUMENT.match(text, at)
        if not found:
            raise ValueError(f"unbalanced quotes: {text}")
        double, single, bare = found.groups()
        words.append(_bytes(double, captures) if double is not None else single if bare is None else bare)
        if double is None and bare is None:
            words[-1] = single.replace("\\'", "'").encode()
        at = found.end()
    return list(_expanded(words, captures))


def _bytes(text: str, captures: Captures | None) -> bytes:
    return _filled_in(unescaped(text), captures)


def _filled_in(text: bytes, captures: Captures | None) -> bytes:
    def value(found: re.Match[bytes]) -> bytes:
        name = found[1].decode()
        if captures is None:
            return b""
        if name not in captures:
            raise ValueError(f"${{{name}}} was not captured before")
        return captures[name]

    return re.sub(rb"\$\{([A-Za-z_]\w*)\}", value, text)


def _expanded(words: list[str | bytes], captures: Captures | None) -> Iterator[bytes]:
    """Bare words with their ranges and repeats written out; neighbours with the same range take turns."""
    at = 0
    while at < len(words):
        bounds = _range_of(words[at])
        group = [words[at]]
        while bounds and at + len(group) < len(words) and _range_of(words[at + len(group)]) == bounds:
            group.append(words[at + len(group)])
        for number in range(bounds[0], bounds[1] + 1) if bounds else [0]:
            for word in group:
                if isinstance(word, bytes):
                    yield word
                else:
                    yield _filled_in(_repeated(RANGE.sub(str(number), word)).encode(), captures)
        at += len(group)


def _range_of(word: str | bytes) -> tuple[int, int] | None:
    found = RANGE.search(word) if isinstance(word, str) else None
    return (int(found[1]), int(found[2])) if found else None


def _repeated(word: str) -> str:
    return re.sub(r"\$\{([^${}]+)\*(\d+)\}", lambda found: found[1] * min(int(found[2]), REPEATS_MAX), word)
